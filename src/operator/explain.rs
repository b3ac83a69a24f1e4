//! `ringway explain`: which rules a new connection of a client would meet, and which server it would get.

use std::net::IpAddr;

use serde_json::Value;

use super::client::Client;
use super::document::{list, word};
use super::output::{Failure, say, say_json};
use super::path::escaped;
use super::table::{Align, Table};

/// A connection that is asked about.
pub(super) struct Wanted {
    pub client: IpAddr,
    pub frontend: Option<String>,
    pub cookie: Option<String>,
    pub sni: Option<String>,
    /// Protocols, in the order of the client.
    pub alpn: Vec<String>,
}

impl Wanted {
    fn path(&self) -> String {
        let client = escaped(&self.client.to_string());
        let mut path = format!("/api/v1/explain?client={client}");
        let alpn = (!self.alpn.is_empty()).then(|| self.alpn.join(","));
        for (name, value) in [
            ("frontend", &self.frontend),
            ("cookie", &self.cookie),
            ("sni", &self.sni),
            ("alpn", &alpn),
        ] {
            if let Some(value) = value {
                path += &format!("&{name}={}", escaped(value));
            }
        }
        path
    }
}

/// Prints it.
pub(super) async fn show(client: &Client, wanted: &Wanted, json: bool) -> Result<(), Failure> {
    let answer = client.get(&wanted.path()).await?;
    if json {
        return say_json(&answer);
    }
    say(&lines(&answer).join("\n"))
}

/// The outcome, the rules, and the servers.
fn lines(answer: &Value) -> Vec<String> {
    use Align::Left;
    let (client, frontend) = (word(&answer["client"]), word(&answer["frontend"]));
    let mut lines = vec![
        format!(
            "{client} at frontend {frontend}: {}",
            word(&answer["verdict"])
        ),
        String::new(),
    ];
    let mut rules = Table::new(&[("RULE", Left), ("DOES", Left), ("BECAUSE", Left)]);
    for step in list(&answer["steps"]) {
        let cells = [&step["rule"], &step["result"], &step["text"]];
        rules.row(cells.map(|cell| word(cell).to_owned()).into());
    }
    lines.extend(rules.lines());
    let mut servers = Table::new(&[("SERVER", Left), ("IS", Left), ("BECAUSE", Left)]);
    for server in list(&answer["servers"]) {
        let chance = match word(&server["chance"]) {
            "no" => "not chosen",
            chance => chance,
        };
        servers.row(vec![
            format!("{}/{}", word(&answer["backend"]), word(&server["name"])),
            chance.to_owned(),
            word(&server["text"]).to_owned(),
        ]);
    }
    if !servers.is_empty() {
        lines.push(String::new());
        lines.extend(servers.lines());
    }
    lines
}
