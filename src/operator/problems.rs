//! `ringway status --problems`: what an operator should look at now.

use std::time::SystemTime;

use serde_json::Value;

use super::document::{age, list, number, word};
use super::table::{Align, Table};

/// The lines, as they are at this time.
pub(super) fn lines(stats: &Value, now: SystemTime) -> Vec<String> {
    let problems = list(&stats["problems"]);
    if problems.is_empty() {
        return vec![format!("no problem; {}", servers_up(stats))];
    }
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("WHAT", Left),
        ("PROBLEM", Left),
        ("FOR", Right),
        ("WHY", Left),
    ]);
    for problem in problems {
        let what = format!("{} {}", word(&problem["kind"]), word(&problem["name"]));
        let since = problem["since"].as_str();
        table.row(vec![
            what.trim_end().to_owned(),
            word(&problem["status"]).to_owned(),
            since.map_or_else(|| "-".to_owned(), |since| age(since, now)),
            word(&problem["reason"]).to_owned(),
        ]);
    }
    let mut lines = table.lines();
    lines.push(String::new());
    lines.push(servers_up(stats));
    lines
}

/// How many of the servers can be used.
pub(super) fn servers_up(stats: &Value) -> String {
    let backends = list(&stats["backends"]).iter();
    let (mut up, mut all) = (0, 0);
    for backend in backends {
        up += number(&backend["active"]) + number(&backend["backup"]);
        all += list(&backend["servers"]).len();
    }
    format!("servers up: {up} of {all}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn problems_are_listed_or_there_is_none() {
        let mut stats = json!({
            "backends": [{ "name": "app", "active": 1, "backup": 0, "servers": [{}, {}] }],
            "problems": [
                { "kind": "server", "name": "app/web1", "severity": "error", "status": "DOWN",
                  "reason": "L4CON refused", "since": "1970-01-01T00:00:10.000Z" },
                { "kind": "process", "name": "", "severity": "error", "status": "FULL",
                  "reason": "why", "since": null },
            ],
        });
        let lines = |stats: &Value| lines(stats, UNIX_EPOCH + Duration::from_secs(100));
        let shown = lines(&stats);
        assert_eq!(shown[1], "server app/web1  DOWN     1m30s  L4CON refused");
        assert_eq!(shown[2], "process          FULL         -  why");
        assert_eq!(shown.last().unwrap(), "servers up: 1 of 2");
        stats["problems"] = json!([]);
        assert_eq!(lines(&stats)[0], "no problem; servers up: 1 of 2");
    }
}
