//! `ringway clients`.

use serde_json::Value;

use super::client::Client;
use super::document::{list as items, number, word};
use super::output::{Failure, say, say_json};
use super::table::{Align, Table};

/// Prints the clients that are counted highest, and those that are refused most.
pub(super) async fn show(client: &Client, top: u32, json: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/clients?top={top}");
    let answer = client.get(&path).await?;
    if json {
        return say_json(&answer);
    }
    say(&text(&answer).join("\n"))
}

fn text(answer: &Value) -> Vec<String> {
    let known = number(&answer["known"]);
    if known == 0 {
        return vec![
            "no client is known: frontends with [frontend.NAME.per_client] count them".to_owned(),
        ];
    }
    let (limit, dropped) = (number(&answer["limit"]), number(&answer["dropped"]));
    let mut lines = vec![
        format!("{known} of {limit} clients, {dropped} forgotten"),
        String::new(),
    ];
    lines.extend(table("BUSIEST", &answer["busiest"]).lines());
    let refused = &answer["refused"];
    if !items(refused).is_empty() {
        lines.push(String::new());
        lines.extend(table("REFUSED MOST", refused).lines());
    }
    lines
}

fn table(title: &'static str, clients: &Value) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        (title, Left),
        ("FRONTEND", Left),
        ("SESSIONS", Right),
        ("TOTAL", Right),
        ("RATE REFUSED", Right),
        ("SESSIONS REFUSED", Right),
    ]);
    for client in items(clients) {
        let refused = &client["refused"];
        table.row(vec![
            word(&client["client"]).to_owned(),
            word(&client["frontend"]).to_owned(),
            number(&client["sessions"]).to_string(),
            number(&client["sessions_total"]).to_string(),
            number(&refused["rate"]).to_string(),
            number(&refused["sessions"]).to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_lists_are_tables() {
        let client = |name: &str, refused| {
            json!({
                "client": name, "frontend": "web", "sessions": 3, "sessions_total": 9,
                "refused": { "rate": refused, "sessions": 0 },
            })
        };
        let answer = json!({
            "known": 2, "limit": 1_000_000, "dropped": 0,
            "busiest": [client("10.0.0.7", 5), client("2001:db8::/64", 0)],
            "refused": [client("10.0.0.7", 5)],
        });
        let expected = [
            "2 of 1000000 clients, 0 forgotten",
            "",
            "BUSIEST FRONTEND SESSIONS TOTAL RATE REFUSED SESSIONS REFUSED",
            "10.0.0.7 web 3 9 5 0",
            "2001:db8::/64 web 3 9 0 0",
            "",
            "REFUSED MOST FRONTEND SESSIONS TOTAL RATE REFUSED SESSIONS REFUSED",
            "10.0.0.7 web 3 9 5 0",
        ];
        let squeezed = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text(&answer).into_iter().map(squeezed).collect();
        assert_eq!(lines, expected);
        let none = json!({ "known": 0 });
        assert!(text(&none)[0].starts_with("no client is known"));
    }
}
