//! Servers that operators add to a running process, and remove.

use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::clients::{Ending, connect_named, ending, round_trip};
use crate::harness::{Finished, Ringway, ScratchDirectory};
use crate::http::{Answer, ask, get, stats};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

/// A folder with the admin socket and the state file.
struct Files(ScratchDirectory);

impl Files {
    fn new() -> Self {
        Files(ScratchDirectory::new())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn setup(&self) -> Setup {
        let (state, socket) = (self.path("state.json"), self.path("admin.sock"));
        Setup::new()
            .workers(1)
            .global(&format!("state_file = \"{}\"", state.display()))
            .admin()
            .admin_with(&format!("socket = \"{}\"", socket.display()))
    }

    /// Runs a command of an operator.
    fn run(&self, arguments: &[&str]) -> Finished {
        let socket = self.path("admin.sock").display().to_string();
        Ringway::command(&[arguments, &["--admin", &socket]].concat())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).done()
    }

    /// Its one sentence.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        self.run(arguments).one_error()
    }

    fn ask(&self, request: &str, body: &Value) -> Answer {
        let socket = self.path("admin.sock");
        let json = [("Content-Type", "application/json")];
        match body {
            Value::Null => ask(socket.as_path(), request, &[], ""),
            body => ask(socket.as_path(), request, &json, &body.to_string()),
        }
    }
}

/// The servers that so many new sessions get, each once, in order.
fn reached(address: SocketAddr, sessions: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..sessions).map(|_| connect_named(address).1).collect();
    names.sort();
    names.dedup();
    names
}

/// The servers of the backend by name.
fn names(ringway: &Ringway) -> Vec<String> {
    let stats = stats(ringway.admin());
    let servers = stats["backends"][0]["servers"].as_array().expect("a list");
    let name = |server: &Value| server["name"].as_str().expect("a name").to_owned();
    servers.iter().map(name).collect()
}

/// The last event of a kind.
fn event(ringway: &Ringway, kind: &str) -> Value {
    let events = get(ringway.admin(), "/api/v1/events?follow=false").json();
    let events = events["events"].as_array().expect("a list").iter();
    let mut events = events.filter(|event| event["kind"] == kind);
    events.next_back().cloned().unwrap_or_default()
}

fn kill(mut ringway: Ringway) {
    ringway.signal(Signal::KILL);
    eventually("it is dead", || !ringway.runs());
    ringway.forget();
}

#[test]
fn a_server_is_added_and_removed_while_sessions_go_on() {
    let files = Files::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let echo = Server::start(|mut stream| {
        use std::io::Write;
        let _ = stream.write_all(b"c\n");
        let mut reader = stream;
        let _ = std::io::copy(&mut reader, &mut stream);
    });
    let ringway = files.setup().server("a", a.address()).start();
    let address = b.address().to_string();
    let text = files.done(&[
        "add",
        "app/b",
        &address,
        "--weight",
        "2",
        "--max-sessions",
        "50",
        "--reason",
        "more load",
    ]);
    assert_eq!(text, "app/b is no check, weight 2, sessions open: 0\n");
    let line = ringway.says("server app/b added");
    let expected = format!("server app/b added at {address}: operator (uid ");
    assert!(line.contains(&expected), "{line}");
    assert!(
        line.ends_with(": more load); backend app has now 2"),
        "{line}"
    );
    let added = event(&ringway, "servers");
    assert_eq!(
        (&added["server"], &added["reason"]),
        (&json!("app/b"), &json!("more load"))
    );
    assert!(added["who"].as_str().expect("somebody").starts_with("uid "));
    let b_stats = stats(ringway.admin())["backends"][0]["servers"][1].clone();
    assert_eq!(b_stats["sessions"]["limit"], 50);
    assert_eq!(b_stats["operator"]["reason"], "more load");
    assert_eq!(reached(ringway.address(), 6), ["a", "b"]);

    files.done(&["add", "app/c", &echo.address().to_string()]);
    let (stream, _) = (0..)
        .map(|_| connect_named(ringway.address()))
        .find(|(_, name)| name == "c")
        .expect("one of them");
    let text = files.done(&["remove", "app/c", "--reason", "enough"]);
    assert!(text.ends_with("sessions open: 1\n"), "{text}");
    let removed = event(&ringway, "servers");
    let text = removed["text"].as_str().expect("a text");
    assert!(
        text.starts_with("server app/c removed: operator (uid "),
        "{text}"
    );
    assert!(text.ends_with(": enough); backend app has now 2"), "{text}");
    assert_eq!(reached(ringway.address(), 6), ["a", "b"]);
    round_trip(&stream, b"still there");
    // It leaves; now its session is closed too.
    let answer = files.ask("DELETE /api/v1/servers/app/c?now=true", &Value::Null);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["sessions_closed"], 1);
    assert_eq!(ending(&stream), Ending::Reset);
    eventually("it is forgotten", || names(&ringway) == ["a", "b"]);

    let text = files.done(&["remove", "app/b", "--now"]);
    assert!(text.starts_with("app/b: sessions closed: "), "{text}");
    eventually("it is forgotten", || names(&ringway) == ["a"]);
}

#[test]
fn an_added_server_outlives_reloads_and_the_process() {
    let files = Files::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let setup = files.setup().server("a", a.address());
    let ringway = setup.start();
    let address = b.address().to_string();
    files.done(&[
        "add", "app/b", &address, "--weight", "3", "--backup", "--reason", "why",
    ]);
    files.done(&["drain", "app/b"]);
    let server = |ringway: &Ringway| stats(ringway.admin())["backends"][0]["servers"][1].clone();
    let is_as_added = |ringway: &Ringway, state: &str| {
        let server = server(ringway);
        assert_eq!(server["name"], "b", "{server}");
        assert_eq!(server["address"], address, "{server}");
        assert_eq!(
            (&server["weight"], &server["backup"]),
            (&json!(3), &json!(true))
        );
        assert_eq!(server["admin_state"], state, "{server}");
    };
    assert!(ringway.reload(&setup.text()).contains("version 2"));
    is_as_added(&ringway, "drain");
    // At once: what was confirmed is on disk.
    kill(ringway);
    let ringway = setup.start();
    is_as_added(&ringway, "drain");
    files.done(&["ready", "app/b"]);
    files.done(&["maint", "app/a"]);
    assert_eq!(reached(ringway.address(), 2), ["b"]);

    let next = setup.launch().argument("--takeover").start();
    is_as_added(&next, "ready");
    assert_eq!(server(&next)["operator"]["reason"], "why");
    drop(ringway);
    assert_eq!(reached(next.address(), 2), ["b"]);
    files.done(&["remove", "app/b"]);
    kill(next);
    let ringway = setup.start();
    assert_eq!(names(&ringway), ["a"]);
}

#[test]
fn a_line_of_the_file_takes_the_place_of_an_added_server() {
    let files = Files::new();
    let [a, b, written] = ["a", "b", "written"].map(Server::named);
    let setup = || files.setup().server("a", a.address());
    let ringway = setup().start();
    files.done(&["add", "app/b", &b.address().to_string()]);
    let with_b = setup().server("b", written.address());
    ringway.reload(&with_b.text());
    ringway.says("server app/b, which was added, is dropped: the configuration has");
    assert_eq!(reached(ringway.address(), 6), ["a", "written"]);
    // It does not come back with the end of that line.
    ringway.reload(&setup().text());
    assert_eq!(reached(ringway.address(), 6), ["a"]);
}

#[test]
fn what_cannot_be_done_is_one_sentence_with_its_cure() {
    let files = Files::new();
    let a = Server::named("a");
    let ringway = files.setup().server("a", a.address()).start();
    let address = "127.0.0.1:9";
    for (arguments, words) in [
        (
            &["add", "ap/b", address][..],
            "there is no backend ap: did you mean app?",
        ),
        (
            &["add", "app/a", address],
            "there is a server app/a already: give this one another name",
        ),
        (&["add", "app/b", "127.0.0.1"], "address without a port"),
        (&["add", "app/127.0.0.1:9", address], "it has `:`"),
        (
            &["remove", "app/b"],
            "there is no server app/b: did you mean app/a?",
        ),
        (
            &["remove", "app/a"],
            "`ringway maint app/a` gives it no sessions",
        ),
    ] {
        let error = files.fails(arguments);
        assert!(error.contains(words), "{error}");
    }
    let servers = "POST /api/v1/backends/app/servers";
    let b = json!({ "name": "b", "address": address });
    for (request, body, status) in [
        (servers, json!({ "name": "a", "address": address }), 409),
        (servers, json!({ "name": "b", "address": "nowhere" }), 400),
        (
            servers,
            json!({ "name": "b", "address": address, "weight": 257 }),
            400,
        ),
        (
            servers,
            json!({ "name": "b", "address": address, "max_sessions": 0 }),
            400,
        ),
        (servers, json!({ "name": "b" }), 400),
        ("POST /api/v1/backends/db/servers", b.clone(), 404),
        ("DELETE /api/v1/servers/app/a", Value::Null, 409),
        ("DELETE /api/v1/servers/app/b", Value::Null, 404),
        ("DELETE /api/v1/servers/app/b?now=maybe", Value::Null, 400),
        (servers, b, 201),
        ("DELETE /api/v1/servers/app/b", Value::Null, 202),
    ] {
        let answer = files.ask(request, &body);
        assert_eq!(answer.status, status, "{request} {body}: {answer:?}");
    }
    // Over TCP only with a token.
    let refused = ask(ringway.admin(), "DELETE /api/v1/servers/app/a", &[], "");
    assert_eq!(refused.status, 403);
}

#[test]
fn discovered_servers_are_named_by_their_addresses_in_every_command() {
    use crate::discovery::name_server::{Action, NameServer};
    let files = Files::new();
    let server = Server::start_on([127, 0, 0, 2].into(), |mut stream| {
        use std::io::Write;
        let _ = stream.write_all(b"found\n");
        let mut reader = stream;
        let _ = std::io::copy(&mut reader, &mut stream);
    });
    let (port, fixed) = (server.address().port(), Server::named("fixed"));
    let name_server = NameServer::start(|_| Action::Silence);
    let found: Vec<std::net::IpAddr> = vec![
        "127.0.0.2".parse().expect("valid"),
        "::1".parse().expect("valid"),
    ];
    name_server.have(found);
    let discover = format!(
        "[backend.app.discover]\nresolvers = [\"{}\"]\ndns = \"tasks.web:{port}\"\n",
        name_server.address
    );
    let text = files.setup().server("fixed", fixed.address()).text() + &discover;
    let ringway = crate::harness::Launch::config(&text).start();
    let (v4, v6) = (format!("app/127.0.0.2:{port}"), format!("app/[::1]:{port}"));
    eventually("both are there", || names(&ringway).len() == 3);
    for name in [&v4, &v6] {
        files.done(&["drain", name]);
        files.done(&["maint", name, "--reason", "a & b"]);
        files.done(&["ready", name]);
        let text = files.done(&["weight", name, "7"]);
        assert_eq!(
            text,
            format!("{name} is no check, weight 7, sessions open: 0\n")
        );
        let error = files.fails(&["remove", name]);
        assert!(error.contains("DNS has it") && error.contains(&format!("`ringway maint {name}`")));
    }
    files.done(&["maint", &v6]);
    files.done(&["maint", "app/fixed"]);
    let (stream, _) = connect_named(ringway.address());
    let listed = files.done(&["sessions", &v4]);
    assert!(listed.contains(&v4), "{listed}");
    assert!(!files.done(&["sessions", &v6]).contains(&v4));
    let text = files.done(&["kill", "--server", &v4]);
    assert_eq!(text, format!("{v4}: sessions closed: 1\n"));
    assert_eq!(ending(&stream), Ending::Reset);
}

#[test]
fn what_was_set_of_a_discovered_server_holds_when_it_is_found_again() {
    use crate::discovery::name_server::{Action, NameServer};
    let files = Files::new();
    let ip = std::net::IpAddr::from([127, 0, 0, 2]);
    let (found, fixed) = (Server::named_on(ip, "found"), Server::named("fixed"));
    let name_server = NameServer::start(|_| Action::Silence);
    name_server.have(vec![ip]);
    let discover = format!(
        "[backend.app.discover]\nresolvers = [\"{}\"]\ndns = \"tasks.web:{}\"\n\
         interval = \"100ms\"\ntimeout = \"100ms\"\n",
        name_server.address,
        found.address().port()
    );
    let text = files.setup().server("fixed", fixed.address()).text() + &discover;
    let launch = || crate::harness::Launch::config(&text);
    let ringway = launch().start();
    let name = format!("app/{}", found.address());
    eventually("it is there", || names(&ringway).len() == 2);
    files.done(&["drain", &name, "--reason", "kernel update"]);
    files.done(&["weight", &name, "9"]);
    kill(ringway);

    // It is found long after the start, and after a reload.
    name_server.answer_by(|_| Action::Silence);
    let ringway = launch().start();
    assert_eq!(names(&ringway), ["fixed"]);
    ringway.reload(&text);
    name_server.have(vec![ip]);
    eventually("it is there", || names(&ringway).len() == 2);
    let is_set = |ringway: &Ringway| {
        let server = stats(ringway.admin())["backends"][0]["servers"][1].clone();
        assert_eq!(
            (&server["admin_state"], &server["weight"]),
            (&json!("drain"), &json!(9)),
            "{server}"
        );
    };
    is_set(&ringway);
    assert_eq!(reached(ringway.address(), 4), ["fixed"]);
    let next = launch().argument("--takeover").start();
    eventually("it is there", || names(&next).len() == 2);
    is_set(&next);
}
