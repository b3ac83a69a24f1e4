//! `ringway status`: the process in a line, its frontends and servers in tables.

use std::time::SystemTime;

use serde_json::Value;

use super::client::Client;
use super::document::{age, limit, list, number, word};
use super::names;
use super::output::{Failure, say, say_json};
use super::problems;
use super::table::{Align, Table, bytes, duration};
use crate::cli::Part;

/// Prints it, or a part of it.
pub(super) async fn show(client: &Client, part: &Part, json: bool) -> Result<(), Failure> {
    let mut stats = client.get("/api/v1/stats").await?;
    if let Some(backend) = &part.backend {
        names::check_backend(&stats, backend)?;
        keep(&mut stats, backend);
    }
    match (json, part.problems) {
        (true, true) => say_json(&stats["problems"]),
        (true, false) => say_json(&stats),
        (false, true) => {
            let mut lines = vec![process(&stats["process"]), String::new()];
            lines.extend(problems::lines(&stats, SystemTime::now()));
            say(&lines.join("\n"))
        }
        (false, false) => {
            let mut lines = text(&stats, SystemTime::now());
            let clients = client.get("/api/v1/clients?top=1").await?;
            lines.extend(refused(&stats, &clients));
            say(&lines.join("\n"))
        }
    }
}

/// Leaves only this backend, the frontends that use it and what is wrong with them.
fn keep(stats: &mut Value, backend: &str) {
    let mut retain = |name: &str, keeps: &dyn Fn(&Value) -> bool| {
        if let Some(all) = stats[name].as_array_mut() {
            all.retain(|it| keeps(it));
        }
    };
    retain("backends", &|it| it["name"] == *backend);
    retain("frontends", &|it| {
        let mut routes = list(&it["routes"]).iter();
        it["backend"] == *backend || routes.any(|route| route["backend"] == *backend)
    });
    let frontends = names::of(stats, "frontends");
    if let Some(problems) = stats["problems"].as_array_mut() {
        problems.retain(|problem| {
            let name = word(&problem["name"]);
            match word(&problem["kind"]) {
                "frontend" => frontends.iter().any(|frontend| frontend == name),
                "server" => name.split_once('/').is_some_and(|(of, _)| of == backend),
                "backend" => name == backend,
                _ => false,
            }
        });
    }
}

/// The backends of a frontend, its own before those of its routes, each once.
fn backends(frontend: &Value) -> String {
    let own = frontend["backend"].as_str();
    let routes = list(&frontend["routes"]).iter();
    let mut names: Vec<&str> = Vec::new();
    for name in own.into_iter().chain(routes.map(|it| word(&it["backend"]))) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(" ")
}

/// The lines, as they are at this time.
pub(super) fn text(stats: &Value, now: SystemTime) -> Vec<String> {
    let mut lines = vec![process(&stats["process"]), String::new()];
    lines.extend(frontends(stats).lines());
    lines.push(String::new());
    let discovered = discovered(stats, now);
    if !discovered.is_empty() {
        lines.extend(discovered.lines());
        lines.push(String::new());
    }
    lines.extend(servers(stats, now).lines());
    let without_busiest = without_busiest(stats);
    if !without_busiest.is_empty() {
        lines.push(String::new());
        lines.extend(without_busiest.lines());
    }
    lines
}

/// What the servers of backends would carry if the busiest of them failed.
fn without_busiest(stats: &Value) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("BACKEND", Left),
        ("BUSIEST", Left),
        ("SESSIONS", Right),
        ("SHARE", Right),
        ("WITHOUT IT", Left),
    ]);
    for backend in list(&stats["backends"]) {
        let busiest = &backend["without_busiest"];
        if busiest.is_null() {
            continue;
        }
        table.row(vec![
            word(&backend["name"]).to_owned(),
            word(&busiest["server"]).to_owned(),
            number(&busiest["sessions"]).to_string(),
            percent(&busiest["share_percent"]),
            without(busiest),
        ]);
    }
    table
}

/// What would be without the busiest server of a backend.
fn without(busiest: &Value) -> String {
    let share = percent(&busiest["others_share_percent"]);
    let carry = match number(&busiest["others"]) {
        0 => return "no server is left".to_owned(),
        1 => format!("1 other carries {share}"),
        others => format!("{others} others carry at most {share} each"),
    };
    match (busiest["free"].as_u64(), busiest["fits"] == true) {
        (None, _) => carry,
        (Some(free), true) => format!("{carry}; max_sessions allows {free} more"),
        (Some(free), false) => format!("{carry}, but max_sessions allows only {free} more"),
    }
}

fn percent(value: &Value) -> String {
    format!("{:.0} %", value.as_f64().unwrap_or_default())
}

/// How the servers of backends are discovered.
fn discovered(stats: &Value, now: SystemTime) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("BACKEND", Left),
        ("DISCOVERED BY", Left),
        ("SERVERS", Right),
        ("LEFT OUT", Right),
        ("LAST ANSWER", Left),
        ("FAILED QUERIES", Left),
    ]);
    for backend in list(&stats["backends"]) {
        let discovery = &backend["discovery"];
        if discovery.is_null() {
            continue;
        }
        let answer = match discovery["last_success"].as_str() {
            Some(time) => format!("{} ago", age(time, now)),
            None => "none yet".to_owned(),
        };
        table.row(vec![
            word(&backend["name"]).to_owned(),
            word(&discovery["query"]).to_owned(),
            number(&discovery["servers"]).to_string(),
            number(&discovery["left_out"]).to_string(),
            answer,
            counts(&discovery["failures"]),
        ]);
    }
    table
}

/// Counts by their names, without those that are 0.
fn counts(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let counts = counts.filter(|(_, count)| number(count) > 0);
    let counts: Vec<String> = counts
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    match counts.is_empty() {
        true => "0".to_owned(),
        false => counts.join(", "),
    }
}

pub(super) fn process(process: &Value) -> String {
    let stopping = match process["stopping"].as_bool() {
        Some(true) => ", stopping",
        Some(false) | None => "",
    };
    format!(
        "ringway {}, pid {}, up {}, {} of {} sessions, on {}{stopping}",
        word(&process["version"]),
        number(&process["pid"]),
        duration(number(&process["uptime_s"])),
        number(&process["sessions"]["current"]),
        limit(&process["sessions"]["limit"]),
        word(&process["engine"]),
    )
}

pub(super) fn frontends(stats: &Value) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("FRONTEND", Left),
        ("LISTEN", Left),
        ("BACKEND", Left),
        ("SESSIONS", Right),
        ("LIMIT", Right),
        ("TOTAL", Right),
        ("IN", Right),
        ("OUT", Right),
    ]);
    for frontend in list(&stats["frontends"]) {
        let listen: Vec<&str> = list(&frontend["listen"]).iter().map(word).collect();
        let sessions = &frontend["sessions"];
        table.row(vec![
            word(&frontend["name"]).to_owned(),
            listen.join(" "),
            backends(frontend),
            number(&sessions["current"]).to_string(),
            limit(&sessions["limit"]),
            number(&sessions["total"]).to_string(),
            bytes(number(&frontend["bytes_from_clients"])),
            bytes(number(&frontend["bytes_from_servers"])),
        ]);
    }
    table
}

/// What is refused, and the clients that are counted highest; nothing, if there is none of it.
fn refused(stats: &Value, clients: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for frontend in list(&stats["frontends"]) {
        let reasons = frontend["refused"].as_object().into_iter().flatten();
        let reasons = reasons.filter(|(_, count)| number(count) > 0);
        let shown = reasons.map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")));
        let shown: Vec<String> = shown.collect();
        if !shown.is_empty() {
            let name = word(&frontend["name"]);
            lines.push(format!("{name} refused: {}", shown.join(", ")));
        }
    }
    let first = |of: &str| list(&clients[of]).first();
    let name = |client: &Value| {
        format!(
            "{} of {}",
            word(&client["client"]),
            word(&client["frontend"])
        )
    };
    if let Some(client) = first("busiest") {
        let sessions = number(&client["sessions"]);
        lines.push(format!(
            "busiest client: {}, {sessions} sessions",
            name(client)
        ));
    }
    if let Some(client) = first("refused") {
        let refused = &client["refused"];
        let count = number(&refused["rate"]) + number(&refused["sessions"]);
        lines.push(format!("refused most: {}, {count} times", name(client)));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn servers(stats: &Value, now: SystemTime) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("SERVER", Left),
        ("ADDRESS", Left),
        ("STATE", Left),
        ("FOR", Right),
        ("WEIGHT", Right),
        ("SESSIONS", Right),
        ("LIMIT", Right),
        ("TOTAL", Right),
        ("FAILED", Right),
        ("WHY", Left),
    ]);
    for backend in list(&stats["backends"]) {
        for server in list(&backend["servers"]) {
            let sessions = &server["sessions"];
            table.row(vec![
                format!("{}/{}", word(&backend["name"]), word(&server["name"])),
                word(&server["address"]).to_owned(),
                state(server),
                age(word(&server["since"]), now),
                number(&server["weight"]).to_string(),
                number(&sessions["current"]).to_string(),
                limit(&sessions["limit"]),
                number(&sessions["total"]).to_string(),
                number(&server["connect_failures"]).to_string(),
                why(server),
            ]);
        }
    }
    table
}

/// Both states in short: the operator's first, if it is not the usual one.
pub(super) fn state(server: &Value) -> String {
    let (state, admin) = (word(&server["state"]), word(&server["admin_state"]));
    let backup = match server["backup"].as_bool() {
        Some(true) => " (backup)",
        Some(false) | None => "",
    };
    match admin {
        _ if server["leaving"] == true => format!("leaving, {state}{backup}"),
        "ready" => format!("{state}{backup}"),
        "maint" => format!("maint{backup}"),
        _ => format!("{admin}, {state}{backup}"),
    }
}

/// What the last probe found, or what the operator said.
pub(super) fn why(server: &Value) -> String {
    let operator = &server["operator"];
    let (reason, who) = (word(&operator["reason"]), word(&operator["who"]));
    match (word(&server["admin_state"]), reason) {
        ("ready", _) => word(&server["reason"]).to_owned(),
        (_, "") => who.to_owned(),
        (_, reason) => format!("{reason} ({who})"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_fits_on_a_page() {
        let sessions = |current| json!({ "current": current, "limit": null, "total": 43 });
        let server = |name: &str, admin: &str| {
            json!({
                "name": name, "address": "127.0.0.1:9101", "state": "up", "admin_state": admin,
                "reason": "L4OK", "since": "1970-01-01T00:00:10.000Z", "weight": 2, "backup": false,
                "operator": { "who": "uid 0, pid 7", "time": "", "reason": "kernel update" },
                "sessions": sessions(1), "connect_failures": 0,
            })
        };
        let stats = json!({
            "process": {
                "version": "0.1.0", "pid": 1683, "engine": "io_uring", "uptime_s": 65, "stopping": false,
                "sessions": { "current": 3, "limit": 8828 },
            },
            "frontends": [{
                "name": "web", "listen": ["127.0.0.1:80", "[::1]:80"], "backend": "app",
                "sessions": sessions(3), "bytes_from_clients": 17_200, "bytes_from_servers": 51_600,
            }],
            "backends": [{
                "name": "app", "servers": [
                    server("web1", "ready"), server("web2", "drain"), server("web3", "ready"),
                ],
            }],
        });
        let mut stats = stats;
        stats["backends"][0]["servers"][2]["leaving"] = true.into();
        let text = text(&stats, UNIX_EPOCH + Duration::from_secs(100)).join("\n");
        let expected = "\
ringway 0.1.0, pid 1683, up 1m5s, 3 of 8828 sessions, on io_uring

FRONTEND  LISTEN                 BACKEND  SESSIONS  LIMIT  TOTAL      IN     OUT
web       127.0.0.1:80 [::1]:80  app             3      -     43  17 KiB  50 KiB

SERVER    ADDRESS         STATE       FOR  WEIGHT  SESSIONS  LIMIT  TOTAL  FAILED  WHY
app/web1  127.0.0.1:9101  up        1m30s       2         1      -     43       0  L4OK
app/web2  127.0.0.1:9101  drain, up  1m30s       2         1      -     43       0  kernel update (uid 0, pid 7)
app/web3  127.0.0.1:9101  leaving, up  1m30s     2         1      -     43       0  L4OK";
        // Columns are padded: compare without the number of spaces.
        let squeezed = |text: &str| -> Vec<String> {
            let lines = text.lines();
            lines
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(squeezed(&text), squeezed(expected));
        assert!(
            text.contains("\nweb       127.0.0.1:80 [::1]:80  app "),
            "{text}"
        );
    }

    #[test]
    fn what_would_be_without_the_busiest_server_is_a_sentence() {
        let text = |others: u64, free: Option<u64>, fits: bool| {
            without(&json!({
                "others": others, "others_share_percent": 49.6, "free": free, "fits": fits,
            }))
        };
        assert_eq!(text(0, Some(0), false), "no server is left");
        assert_eq!(text(1, None, true), "1 other carries 50 %");
        assert_eq!(
            text(2, Some(7), true),
            "2 others carry at most 50 % each; max_sessions allows 7 more"
        );
        assert_eq!(
            text(2, Some(7), false),
            "2 others carry at most 50 % each, but max_sessions allows only 7 more"
        );
    }

    #[test]
    fn a_backend_has_its_own_problems_and_those_of_its_frontends() {
        let problem = |kind: &str, name: &str| json!({ "kind": kind, "name": name });
        let mut stats = json!({
            "frontends": [
                { "name": "web", "backend": "app" }, { "name": "app", "backend": "db" },
            ],
            "backends": [{ "name": "app" }, { "name": "db" }],
            "problems": [
                problem("process", ""), problem("frontend", "web"), problem("frontend", "app"),
                problem("backend", "app"), problem("server", "app/web1"),
                problem("backend", "db"), problem("server", "db/app"),
            ],
        });
        keep(&mut stats, "app");
        let expected = json!([
            problem("frontend", "web"),
            problem("backend", "app"),
            problem("server", "app/web1"),
        ]);
        assert_eq!(stats["problems"], expected);
        assert_eq!(names::of(&stats, "frontends"), ["web"]);
    }

    #[test]
    fn what_is_refused_is_told_if_there_is_any() {
        let mut stats = json!({ "frontends": [
            { "name": "web", "refused": { "denied": 0, "not_allowed": 0, "rate": 0, "sessions": 0 } },
        ]});
        let none = json!({ "busiest": [], "refused": [] });
        assert_eq!(refused(&stats, &none), [""; 0]);
        stats["frontends"][0]["refused"]["not_allowed"] = 7.into();
        let client = json!({
            "client": "10.0.0.7", "frontend": "web", "sessions": 3,
            "refused": { "rate": 5, "sessions": 1 },
        });
        let clients = json!({ "busiest": [client], "refused": [client] });
        let expected = [
            "",
            "web refused: 7 not allowed",
            "busiest client: 10.0.0.7 of web, 3 sessions",
            "refused most: 10.0.0.7 of web, 6 times",
        ];
        assert_eq!(refused(&stats, &clients), expected);
    }
}
