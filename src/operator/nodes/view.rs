//! Nodes as tables: one of the nodes, one with a column for each of them.

use std::time::SystemTime;

use super::super::document::{age, number, word};
use super::super::status::state;
use super::super::table::{Align, Piece, Table, duration};
use super::compare::{NodeServer, answers, of_answers, servers, unusual, version};
use super::node::{Answer, Node};

/// The cell of what a node does not have, or has not said.
const NOTHING: &str = "-";

/// All lines but the last, as they are at this time.
pub(super) fn lines(nodes: &[Node], now: SystemTime) -> Vec<Vec<Piece>> {
    let mut lines = processes(nodes, now).pieces();
    let servers = servers_of(nodes);
    if !servers.is_empty() {
        lines.push(Vec::new());
        lines.extend(servers.pieces());
    }
    lines
}

/// What is different, in a line.
pub(super) fn summary(nodes: &[Node], differences: &[String]) -> Vec<Piece> {
    match (answers(nodes).count(), differences) {
        (0 | 1, _) => vec![("there is nothing to compare".to_owned(), false)],
        (count, []) => vec![(format!("no difference between {count} nodes"), false)],
        (_, names) => vec![(format!("different: {}", names.join(", ")), true)],
    }
}

fn processes(nodes: &[Node], now: SystemTime) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("NODE", Left),
        ("READY", Left),
        ("CONFIGURATION", Left),
        ("SESSIONS", Right),
        ("UP", Right),
        ("PROGRAM", Left),
    ]);
    let versions = nodes.iter().map(|node| node.answer.as_ref().ok());
    let versions: Vec<Option<u64>> = versions.map(|answer| answer.map(version)).collect();
    for (node, other_version) in nodes.iter().zip(unusual(&versions)) {
        let usual = |text: String| (text, false);
        let name = usual(node.name.clone());
        let cells = match &node.answer {
            Ok(answer) => {
                let process = &answer.stats["process"];
                let (configuration, refused) = configuration(answer, now);
                let is_ready = answer.not_ready.is_empty();
                let ready = match is_ready {
                    true => "yes".to_owned(),
                    false => format!("no: {}", answer.not_ready),
                };
                vec![
                    name,
                    (ready, !is_ready),
                    (configuration, other_version || refused),
                    usual(number(&process["sessions"]["current"]).to_string()),
                    usual(duration(number(&process["uptime_s"]))),
                    usual(word(&process["version"]).to_owned()),
                ]
            }
            Err(_) => {
                let mut cells = vec![name, ("no answer".to_owned(), true)];
                cells.resize(6, usual(NOTHING.to_owned()));
                cells
            }
        };
        table.marked_row(cells);
    }
    table
}

/// The version in use and its age, and whether a newer one was refused.
fn configuration(answer: &Answer, now: SystemTime) -> (String, bool) {
    let process = &answer.stats["process"];
    let last = &process["reload"]["last"];
    let version = version(answer);
    match last["ok"].as_bool() {
        Some(false) => (
            format!("version {version}, the last reload was refused"),
            true,
        ),
        Some(true) => {
            let age = age(word(&last["at"]), now);
            (format!("version {version}, {age} ago"), false)
        }
        None => {
            let age = age(word(&process["started"]), now);
            (format!("version {version}, {age} ago"), false)
        }
    }
}

fn servers_of(nodes: &[Node]) -> Table {
    let columns = nodes.iter().map(|node| {
        let short = node.name.trim_start_matches("http://");
        (short.trim_end_matches('/'), Align::Left)
    });
    let columns: Vec<_> = std::iter::once(("SERVER", Align::Left))
        .chain(columns)
        .collect();
    let mut table = Table::new(&columns);
    for (name, of_nodes) in servers(nodes) {
        let compared = of_nodes.iter().map(|it| it.map(NodeServer::compared));
        let compared: Vec<_> = compared.collect();
        // Weight and address are shown where they are different.
        let others = |part: usize| {
            let values = compared
                .iter()
                .map(|it| it.as_ref().map(|parts| &parts[part]));
            unusual(&values.collect::<Vec<_>>()).contains(&true)
        };
        let (weights, addresses) = (others(1), others(2));
        let marks = unusual(&of_answers(nodes, compared));
        let cells = of_nodes
            .iter()
            .zip(marks)
            .map(|(server, mark)| match server {
                Some(server) => (cell(*server, weights, addresses), mark),
                None => (NOTHING.to_owned(), mark),
            });
        let cells: Vec<Piece> = cells.collect();
        table.marked_row([vec![(name, false)], cells].concat());
    }
    table
}

fn cell(server: NodeServer<'_>, with_weight: bool, with_address: bool) -> String {
    let NodeServer(server) = server;
    let mut text = state(server);
    if with_weight {
        text += &format!(", weight {}", number(&server["weight"]));
    }
    if with_address {
        text += &format!(", at {}", word(&server["address"]));
    }
    text + &format!(", sessions {}", number(&server["sessions"]["current"]))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::super::super::output::Failure;
    use super::super::compare::differences;
    use super::*;

    fn node(host: &str, version: u64, not_ready: &str, servers: &[Value]) -> Node {
        let stats = json!({
            "process": {
                "version": "0.1.0", "uptime_s": 65, "started": "1970-01-01T00:00:10Z",
                "sessions": { "current": 3 }, "reload": { "version": version, "last": null },
            },
            "backends": [{ "name": "app", "servers": servers }],
        });
        let not_ready = not_ready.to_owned();
        Node {
            name: format!("http://{host}:8404"),
            answer: Ok(Answer { stats, not_ready }),
        }
    }

    #[test]
    fn nodes_are_side_by_side_and_differences_are_marked() {
        let server = |name: &str, admin: &str, weight: u64| {
            json!({
                "name": name, "state": "up", "admin_state": admin, "weight": weight,
                "address": "10.0.0.21:80", "sessions": { "current": 2 },
            })
        };
        let (web1, web2) = (|| server("web1", "ready", 1), || server("web2", "ready", 1));
        let silent = Node {
            name: "http://c:8404".to_owned(),
            answer: Err(Failure::new("no process listens")),
        };
        let nodes = [
            node("a", 2, "", &[web1(), web2()]),
            node("b", 1, "stopping", &[server("web1", "drain", 4)]),
            silent,
            node("d", 2, "", &[web1(), web2()]),
        ];
        let lines = lines(&nodes, UNIX_EPOCH + Duration::from_secs(100));
        let text = |line: &Vec<Piece>| {
            let line: String = line.iter().map(|(text, _)| text.as_str()).collect();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let shown: Vec<String> = lines.iter().map(text).collect();
        let expected = [
            "NODE READY CONFIGURATION SESSIONS UP PROGRAM",
            "http://a:8404 yes version 2, 1m30s ago 3 1m5s 0.1.0",
            "http://b:8404 no: stopping version 1, 1m30s ago 3 1m5s 0.1.0",
            "http://c:8404 no answer - - - -",
            "http://d:8404 yes version 2, 1m30s ago 3 1m5s 0.1.0",
            "",
            "SERVER a:8404 b:8404 c:8404 d:8404",
            "app/web1 up, weight 1, sessions 2 drain, up, weight 4, sessions 2 - up, weight 1, sessions 2",
            "app/web2 up, sessions 2 - - up, sessions 2",
        ];
        assert_eq!(shown, expected);
        let marked = lines.iter().flatten().filter(|(_, marked)| *marked);
        let marked: Vec<&str> = marked.map(|(text, _)| text.as_str()).collect();
        let expected = [
            "no: stopping",
            "version 1, 1m30s ago",
            "no answer",
            "drain, up, weight 4, sessions 2",
            NOTHING,
        ];
        assert_eq!(marked, expected);
        let (summary, marked) = summary(&nodes, &differences(&nodes)).remove(0);
        let expected = "different: version of the configuration, server app/web1, server app/web2";
        assert_eq!((summary.as_str(), marked), (expected, true));
    }

    #[test]
    fn a_refused_reload_is_marked() {
        let mut node = node("a", 2, "", &[]);
        if let Ok(answer) = &mut node.answer {
            answer.stats["process"]["reload"]["last"] = json!({ "ok": false });
        }
        let lines = lines(&[node], UNIX_EPOCH);
        let marked = lines.iter().flatten().find(|(_, marked)| *marked);
        let expected = "version 2, the last reload was refused";
        assert_eq!(marked.map(|(text, _)| text.as_str()), Some(expected));
    }
}
