//! `ringway why`: why a server gets sessions or gets none.

use serde_json::Value;

use super::client::Client;
use super::document::{list, number, word};
use super::output::{Failure, say, say_json};
use super::path;
use super::table::{Align, Table};
use crate::cli::ServerName;

/// Prints it.
pub(super) async fn show(client: &Client, server: &ServerName, json: bool) -> Result<(), Failure> {
    let answer = client.get(&format!("{}/why", path::server(server))).await?;
    if json {
        return say_json(&answer);
    }
    say(&lines(&answer).join("\n"))
}

/// The sentence, then a table for each kind of things that there is.
fn lines(answer: &Value) -> Vec<String> {
    let mut lines = vec![word(&answer["verdict"]).to_owned()];
    for table in [events(answer), probes(answer), failures(answer)] {
        if !table.is_empty() {
            lines.push(String::new());
            lines.extend(table.lines());
        }
    }
    lines
}

use Align::{Left, Right};

fn events(answer: &Value) -> Table {
    let mut table = Table::new(&[("TIME", Left), ("EVENT", Left), ("WHAT HAPPENED", Left)]);
    for event in list(&answer["events"]) {
        let (text, who) = (word(&event["text"]), word(&event["who"]));
        // A report of what is wrong with a file has more lines: `ringway events` shows them.
        let line = text.lines().next().unwrap_or_default();
        let who = match text.contains(who) {
            true => String::new(),
            false => format!(" ({who})"),
        };
        table.row(vec![
            word(&event["time"]).to_owned(),
            word(&event["kind"]).to_owned(),
            format!("{line}{who}"),
        ]);
    }
    table
}

fn probes(answer: &Value) -> Table {
    let mut table = Table::new(&[
        ("HEALTH CHECK BEGAN", Left),
        ("TOOK", Right),
        ("PASSED", Left),
        ("RESULT", Left),
    ]);
    for probe in list(&answer["probes"]) {
        let passed = match probe["passed"].as_bool() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        table.row(vec![
            word(&probe["time"]).to_owned(),
            format!("{:.1}ms", number(&probe["took_us"]) as f64 / 1000.0),
            passed.to_owned(),
            word(&probe["result"]).to_owned(),
        ]);
    }
    table
}

fn failures(answer: &Value) -> Table {
    let mut table = Table::new(&[
        ("SESSIONS FAILED FROM", Left),
        ("CONNECTS", Right),
        ("UNANSWERED", Right),
        ("LAST CONNECT", Left),
    ]);
    for failures in list(&answer["failures"]) {
        table.row(vec![
            word(&failures["time"]).to_owned(),
            number(&failures["connects"]).to_string(),
            number(&failures["answers"]).to_string(),
            word(&failures["connect_error"]).to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_comes_first_and_tables_only_if_there_is_something() {
        let answer = json!({
            "name": "app/web1", "verdict": "app/web1 gets no new sessions: it drains",
            "events": [{ "time": "T", "kind": "admin", "text": "server app/web1 is drain" }],
            "probes": [{ "time": "T", "took_us": 1550, "passed": false, "result": "L7STS 503" }],
            "failures": [],
        });
        let expected = [
            "app/web1 gets no new sessions: it drains",
            "",
            "TIME  EVENT  WHAT HAPPENED",
            "T     admin  server app/web1 is drain",
            "",
            "HEALTH CHECK BEGAN   TOOK  PASSED  RESULT",
            "T                   1.6ms  no      L7STS 503",
        ];
        assert_eq!(lines(&answer), expected);
    }
}
