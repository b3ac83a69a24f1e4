//! What is different on nodes that should be the same.
//!
//! Compared is what decides which server a client gets: frontends by name, mode and backend; backends by their
//! algorithm; servers by address, state and weight. Sessions, times and addresses of listeners are a node's own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::document::{list, number, word};
use super::super::status::state;
use super::node::{Answer, Node};

/// A server as one node has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeServer<'a>(pub &'a Value);

impl NodeServer<'_> {
    /// All that is compared.
    pub fn compared(self) -> [String; 3] {
        [
            state(self.0),
            number(&self.0["weight"]).to_string(),
            word(&self.0["address"]).to_owned(),
        ]
    }
}

/// The servers of all nodes by `BACKEND/SERVER`, in the order in which nodes have them, each with what every node has
/// of it; `None`: nothing.
pub(super) fn servers(nodes: &[Node]) -> Vec<(String, Vec<Option<NodeServer<'_>>>)> {
    let mut rows: Vec<(String, Vec<Option<NodeServer<'_>>>)> = Vec::new();
    let mut index = BTreeMap::new();
    for (column, answer) in answers(nodes) {
        for backend in list(&answer.stats["backends"]) {
            for server in list(&backend["servers"]) {
                let name = format!("{}/{}", word(&backend["name"]), word(&server["name"]));
                let row = *index.entry(name.clone()).or_insert(rows.len());
                if row == rows.len() {
                    rows.push((name, vec![None; nodes.len()]));
                }
                rows[row].1[column] = Some(NodeServer(server));
            }
        }
    }
    // Those of one backend stand together, though the last node alone may have one of them.
    let backends: Vec<String> = rows.iter().map(|(name, _)| backend_of(name)).collect();
    let first = |name: &str| backends.iter().position(|it| *it == backend_of(name));
    rows.sort_by_cached_key(|(name, _)| first(name));
    rows
}

fn backend_of(name: &str) -> String {
    name.split_once('/').unwrap_or_default().0.to_owned()
}

/// The nodes that have answered, each with its position.
pub(super) fn answers(nodes: &[Node]) -> impl Iterator<Item = (usize, &Answer)> {
    let nodes = nodes.iter().enumerate();
    nodes.filter_map(|(column, node)| Some((column, node.answer.as_ref().ok()?)))
}

/// The version of the configuration that a node has in use.
pub(super) fn version(answer: &Answer) -> u64 {
    number(&answer.stats["process"]["reload"]["version"])
}

/// Which of these values are not the most common one; of equally common ones the first is. `None` is no value.
pub(super) fn unusual<T: PartialEq>(values: &[Option<T>]) -> Vec<bool> {
    let count = |of: &T| values.iter().flatten().filter(|value| *value == of).count();
    let mut usual: Option<(&T, usize)> = None;
    for value in values.iter().flatten() {
        let count = count(value);
        if usual.is_none_or(|(_, most)| count > most) {
            usual = Some((value, count));
        }
    }
    let differs = |value: &T| usual.is_some_and(|(usual, _)| usual != value);
    let all = values.iter();
    all.map(|value| value.as_ref().is_some_and(differs))
        .collect()
}

/// What each of the values is of: of a node that has answered, something or nothing.
pub(super) fn of_answers<T>(nodes: &[Node], values: Vec<Option<T>>) -> Vec<Option<Option<T>>> {
    let nodes = nodes.iter().zip(values);
    nodes
        .map(|(node, value)| node.answer.is_ok().then_some(value))
        .collect()
}

/// The names of all that is different.
pub(super) fn differences(nodes: &[Node]) -> Vec<String> {
    let mut found = Vec::new();
    let versions = nodes.iter().map(|node| node.answer.as_ref().ok());
    let versions: Vec<Option<u64>> = versions.map(|answer| answer.map(version)).collect();
    if differ(&versions) {
        found.push("version of the configuration".to_owned());
    }
    let compared: [(&str, &str, &[&str]); 2] = [
        ("frontend", "frontends", &["mode", "backend"]),
        ("backend", "backends", &["balance"]),
    ];
    for (kind, list, keys) in compared {
        for (name, of_nodes) in by_name(nodes, list) {
            let values = of_nodes.iter().map(|it| it.map(|it| pick(it, keys)));
            if differ(&of_answers(nodes, values.collect())) {
                found.push(format!("{kind} {name}"));
            }
        }
    }
    for (name, of_nodes) in servers(nodes) {
        let compared = of_nodes.iter().map(|it| it.map(NodeServer::compared));
        if differ(&of_answers(nodes, compared.collect())) {
            found.push(format!("server {name}"));
        }
    }
    found
}

fn differ<T: PartialEq>(values: &[Option<T>]) -> bool {
    unusual(values).contains(&true)
}

/// The values of these keys.
fn pick(object: &Value, keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| object[key].clone()).collect()
}

/// The objects of a list of the nodes by their names; `None`: a node has none of this name.
fn by_name<'a>(nodes: &'a [Node], what: &str) -> BTreeMap<&'a str, Vec<Option<&'a Value>>> {
    let mut all: BTreeMap<&str, Vec<Option<&Value>>> = BTreeMap::new();
    for (column, answer) in answers(nodes) {
        for object in list(&answer.stats[what]) {
            let of_nodes = all.entry(word(&object["name"]));
            of_nodes.or_insert_with(|| vec![None; nodes.len()])[column] = Some(object);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::output::Failure;
    use super::*;

    fn server(name: &str, admin: &str, weight: u64, address: &str) -> Value {
        json!({
            "name": name, "state": "up", "admin_state": admin, "weight": weight, "address": address,
            "sessions": { "current": weight * 7 },
        })
    }

    fn node(version: u64, balance: &str, servers: &[Value]) -> Node {
        let stats = json!({
            "process": { "reload": { "version": version } },
            "frontends": [{ "name": "web", "mode": "tcp", "backend": "app", "listen": [version] }],
            "backends": [{ "name": "app", "balance": balance, "servers": servers }],
        });
        Node {
            name: format!("http://10.0.0.{version}:8404"),
            answer: Ok(Answer {
                stats,
                not_ready: String::new(),
            }),
        }
    }

    fn silent() -> Node {
        Node {
            name: "http://10.0.0.9:8404".to_owned(),
            answer: Err(Failure::new("no process listens")),
        }
    }

    #[test]
    fn sessions_and_listeners_are_a_nodes_own() {
        let web1 = || server("web1", "ready", 1, "10.0.0.21:80");
        let mut other = web1();
        other["sessions"]["current"] = 1000.into();
        let nodes = [
            node(1, "first", &[web1()]),
            silent(),
            node(1, "first", &[other]),
        ];
        assert_eq!(differences(&nodes), [""; 0]);
        assert_eq!(differences(&[silent()]), [""; 0]);
    }

    #[test]
    fn all_that_is_different_is_named() {
        let web = |number: u64, admin: &str, weight| {
            server(&format!("web{number}"), admin, weight, "10.0.0.21:80")
        };
        let moved = server("web3", "ready", 1, "10.0.0.99:80");
        let nodes = [
            node(
                1,
                "first",
                &[web(1, "ready", 1), web(2, "ready", 1), web(3, "ready", 1)],
            ),
            node(2, "first", &[web(2, "drain", 1), web(1, "ready", 1), moved]),
            silent(),
            node(
                2,
                "random",
                &[web(1, "ready", 5), web(2, "ready", 1), web(4, "ready", 1)],
            ),
        ];
        let expected = [
            "version of the configuration",
            "backend app",
            "server app/web1",
            "server app/web2",
            "server app/web3",
            "server app/web4",
        ];
        assert_eq!(differences(&nodes), expected);
        let rows = servers(&nodes);
        let has = |row: usize| rows[row].1.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(has(2), [true, true, false, false]);
        assert_eq!(has(3), [false, false, false, true]);
    }

    #[test]
    fn the_most_common_value_is_usual_and_of_equals_the_first() {
        let unusual =
            |values: &[u8]| unusual(&values.iter().map(|value| Some(*value)).collect::<Vec<_>>());
        assert_eq!(unusual(&[1, 2, 2]), [true, false, false]);
        assert_eq!(unusual(&[1, 2]), [false, true]);
        assert_eq!(unusual(&[1, 1, 1]), [false; 3]);
        assert_eq!(super::unusual::<u8>(&[None, Some(1), None]), [false; 3]);
    }
}
