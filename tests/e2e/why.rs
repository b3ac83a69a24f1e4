//! `ringway why` alone says what happened to a server.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::clients::{connect_named, connect_to_end};
use crate::discovery::name_server::{Action, NameServer};
use crate::harness::{Launch, Ringway};
use crate::http::{get, order, stats};
use crate::http_servers::{HttpServer, answer};
use crate::servers::{RefusingPort, Server, SilentPort, wait_for_end};
use crate::setup::Setup;
use crate::wait::eventually;

/// What the command prints of a server.
fn why(ringway: &Ringway, server: &str) -> String {
    let admin = format!("http://{}", ringway.admin());
    Ringway::command(&["why", server, "--admin", &admin]).done()
}

/// The command says all of these, in this order.
#[track_caller]
fn says(ringway: &Ringway, server: &str, words: &[&str]) {
    eventually(&format!("why {server} says {words:?}"), || {
        let text = why(ringway, server);
        let mut rest = text.as_str();
        words.iter().all(|word| match rest.split_once(word) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    });
}

/// A backend with one server, which is checked often.
fn checked(name: &str, server: SocketAddr, keys: &str) -> String {
    format!(
        "[frontend.{name}]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"{name}\"\n\
         [backend.{name}]\nservers = [{{ name = \"s\", address = \"{server}\" }}]\n\
         health_check = {{ interval = \"50ms\", timeout = \"50ms\", {keys} }}\n"
    )
}

#[test]
fn faults_that_checks_find_are_told_with_their_probes() {
    let dies = Server::hanging();
    let silent = SilentPort::new();
    let wrong = HttpServer::answering(answer("503 Service Unavailable", &[], ""));
    let slow = Server::start(wait_for_end);
    let plain = HttpServer::answering(answer("200 OK", &[], ""));
    let mut text = "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for (name, server, keys) in [
        ("dies", dies.address(), "fall = 3"),
        ("blackhole", silent.address(), "fall = 2"),
        ("status", wrong.address(), "type = \"http\""),
        ("slow", slow.address(), "type = \"http\""),
        ("tls", plain.address(), "tls = true"),
    ] {
        text += &checked(name, server, keys);
    }
    let ringway = Launch::config(&text).start();
    says(
        &ringway,
        "dies/s",
        &["dies/s gets sessions: it is up", "L4OK", "yes"],
    );
    drop(dies);
    for (server, cause) in [
        ("dies/s", "L4CON connection refused"),
        ("blackhole/s", "L4TOUT"),
        ("status/s", "L7STS 503"),
        ("slow/s", "L7TOUT"),
        ("tls/s", "L6RSP"),
    ] {
        let verdict = format!("{server} gets no new sessions: its health check fails, since ");
        let event = format!("server {server} is down: {cause}");
        says(
            &ringway,
            server,
            &[
                &verdict,
                cause,
                &event,
                "checks failed",
                "HEALTH CHECK BEGAN",
                "no",
                cause,
            ],
        );
    }
    // A server is not probed for ever: the last 20 are kept, with their times.
    eventually("20 probes", || {
        let answer = get(ringway.admin(), "/api/v1/servers/slow/s/why").json();
        let probes = answer["probes"].as_array().expect("a list");
        assert!(probes.len() <= 20);
        probes.len() == 20
            && probes
                .iter()
                .all(|it| it["took_us"].as_u64() >= Some(50_000))
    });
}

#[test]
fn orders_and_reloads_are_told_with_who_ordered_them() {
    let server = Server::named("a");
    let setup = Setup::new()
        .admin()
        .server("a", server.address())
        .server("b", server.address());
    let folder = crate::harness::ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let setup = setup.admin_with(&format!("socket = \"{}\"", socket.display()));
    let ringway = setup.start();
    let state = |server: &str, state: &str, reason: &str| {
        let body = serde_json::json!({ "state": state, "reason": reason });
        order(&*socket, &format!("/api/v1/servers/{server}"), &body)
    };
    says(
        &ringway,
        "app/a",
        &["app/a gets sessions: it is not checked"],
    );
    state("app/a", "drain", "kernel update");
    let who = format!(
        "ordered by uid {}, pid {}",
        rustix::process::geteuid().as_raw(),
        std::process::id()
    );
    says(
        &ringway,
        "app/a",
        &[
            "but those that a cookie leads there: it drains",
            &who,
            "kernel update",
            "is drain: operator (",
        ],
    );
    state("app/a", "maint", "");
    says(
        &ringway,
        "app/a",
        &[
            "gets no new sessions: it is in maint",
            &who,
            "is drain",
            "is maint",
        ],
    );
    order(
        &*socket,
        "/api/v1/servers/app/b",
        &serde_json::json!({ "weight": 0 }),
    );
    says(
        &ringway,
        "app/b",
        &["its weight is 0", &who, "has weight 0"],
    );
    // A reload that drops b, brings c, and edits a's line, which wins over the operator.
    let text = setup
        .text()
        .replace("name = \"b\"", "name = \"c\"")
        .replace(
            &format!("address = \"{}\" }},\n  {{ name = \"c\"", server.address()),
            &format!(
                "address = \"{}\", weight = 2 }},\n  {{ name = \"c\"",
                server.address()
            ),
        );
    let line = ringway.reload(&text);
    assert!(line.contains("is in use"), "{line}");
    says(
        &ringway,
        "app/b",
        &[
            "app/b is not there any more",
            "is not in the configuration any more",
        ],
    );
    says(
        &ringway,
        "app/c",
        &["gets sessions", "reload", "is new in the configuration"],
    );
    says(
        &ringway,
        "app/a",
        &[
            "gets sessions",
            "is maint",
            "its line has changed since it was set by uid",
            "is in use (SIGHUP)",
        ],
    );
    let admin = format!("http://{}", ringway.admin());
    let unknown = Ringway::command(&["why", "app/d", "--admin", &admin]).one_error();
    assert!(unknown.starts_with("there is no server app/d"), "{unknown}");
    // An operator's own server comes and goes.
    let added = serde_json::json!({ "name": "x", "address": server.address().to_string() });
    crate::http::ask(
        &*socket,
        "POST /api/v1/backends/app/servers",
        &[("Content-Type", "application/json")],
        &added.to_string(),
    );
    says(
        &ringway,
        "app/x",
        &["gets sessions", "server app/x added at", "operator"],
    );
    crate::http::ask(&*socket, "DELETE /api/v1/servers/app/x", &[], "");
    says(
        &ringway,
        "app/x",
        &[
            "is not there any more",
            "server app/x removed: operator",
            "is forgotten",
        ],
    );
}

#[test]
fn failed_connects_and_ejection_are_told_without_a_health_check() {
    let (refusing, good) = (RefusingPort::new(), Server::start(|_| {}));
    let mut text = Setup::new()
        .admin()
        .defaults("retries = 0")
        .backend(r#"passive = { failures = 2, within = "10s", pause = "5m" }"#)
        .server("bad", refusing.address())
        .server("good", good.address())
        .text();
    let _ = write!(
        text,
        "[frontend.alone]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"alone\"\n[backend.alone]\n\
         servers = [{{ name = \"bad\", address = \"{}\" }}]\n",
        refusing.address()
    );
    let ringway = Launch::config(&text).start();
    eventually("it is left out", || {
        connect_to_end(ringway.address());
        stats(ringway.admin())["backends"][0]["servers"][0]["ejected"] == true
    });
    says(
        &ringway,
        "app/bad",
        &[
            "gets no new sessions: it is left out for a time, since ",
            "2 failed sessions within 10s",
            "passive",
            "is left out for 5m",
            "SESSIONS FAILED FROM",
            "L4CON connection refused",
        ],
    );
    // Of one that workers notify once, later failures are seen too.
    let count = || -> u64 {
        let answer = get(ringway.admin(), "/api/v1/servers/alone/bad/why").json();
        let failures = answer["failures"].as_array().expect("a list").iter();
        failures
            .map(|it| it["connects"].as_u64().expect("a number"))
            .sum()
    };
    let alone = ringway.address_of("alone");
    for number in 1..=3 {
        connect_to_end(alone);
        eventually("it is counted", || count() == number);
    }
}

#[test]
fn discovered_servers_that_come_and_go_are_told() {
    let [one, two] = [2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
    let first = Server::named_on(one, "one");
    let second = Server::named_at(SocketAddr::new(two, first.address().port()), "two");
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(vec![one, two]);
    let ringway = Launch::config(&format!(
        "[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[backend.app.discover]\ninterval = \"100ms\"\n\
         resolvers = [\"{}\"]\ndns = \"tasks.web:{}\"\n",
        name_server.address,
        first.address().port()
    ))
    .start();
    let server = format!("app/{}", second.address());
    says(
        &ringway,
        &server,
        &[
            "gets sessions",
            "discovery",
            "was discovered by `tasks.web:",
        ],
    );
    let mut clients = Vec::new();
    eventually("a session with it", || {
        let (client, name) = connect_named(ringway.address());
        clients.push(client);
        name == "two"
    });
    name_server.have(vec![one]);
    says(
        &ringway,
        &server,
        &[
            "gets no new sessions: it was removed",
            "is not found by `tasks.web:",
            "and has 1 open",
        ],
    );
    clients.clear();
    says(
        &ringway,
        &server,
        &[
            "is not there any more",
            "it has no session left and is forgotten",
            "is not found by",
        ],
    );
    let answer = get(ringway.admin(), &format!("/api/v1/servers/{server}/why")).json();
    assert_eq!(answer["server"], Value::Null);
    assert_eq!(answer["name"], server.as_str());
}
