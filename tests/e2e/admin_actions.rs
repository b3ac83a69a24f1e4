//! What operators order must hold: for new sessions, for open ones, and in what is shown.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::{Ending, connect, connect_named, connect_to_end, ending, round_trip};
use crate::harness::ScratchDirectory;
use crate::http::{ask, get, order};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// An admin socket in a folder of its own.
struct Admin(ScratchDirectory);

impl Admin {
    fn new() -> Self {
        Admin(ScratchDirectory::new())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("admin.sock")
    }

    fn setup(&self) -> Setup {
        let line = format!("socket = \"{}\"", self.socket().display());
        Setup::new().admin().admin_with(&line)
    }

    /// Orders something of a server of backend `app`, and returns how it is then.
    #[track_caller]
    fn set(&self, server: &str, change: &Value) -> Value {
        let path = format!("/api/v1/servers/app/{server}");
        order(self.socket().as_path(), &path, change)
    }

    #[track_caller]
    fn server(&self, index: usize) -> Value {
        let stats = ask(self.socket().as_path(), "GET /api/v1/stats", &[], "").json();
        stats["backends"][0]["servers"][index].clone()
    }
}

/// The names of the servers that so many new sessions get.
fn names(address: std::net::SocketAddr, count: usize) -> Vec<String> {
    (0..count).map(|_| connect_named(address).1).collect()
}

#[test]
fn a_server_that_drains_gets_no_new_sessions_and_keeps_the_open_ones() {
    let admin = Admin::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let ringway = admin
        .setup()
        .server("a", a.address())
        .server("b", b.address())
        .start();
    let web = ringway.address();
    let (open, _) = (0..)
        .map(|_| connect_named(web))
        .find(|(_, name)| name == "a")
        .expect("one of them");

    let server = admin.set("a", &json!({ "state": "drain", "reason": "kernel update" }));

    assert_eq!(
        (&server["admin_state"], &server["name"]),
        (&json!("drain"), &json!("a"))
    );
    assert_eq!(
        (&server["weight"], &server["state"]),
        (&json!(1), &json!("no check"))
    );
    assert_eq!(names(web, 8), ["b"; 8]);
    assert!(crate::clients::is_silent(&open), "it is still open");
    ringway.says("server app/a is drain: operator (uid ");
    let line = ringway.says("kernel update), was ready for");
    assert!(line.contains("INFO"), "{line}");
    assert_eq!(get(ringway.admin(), "/readyz").status, 200);

    let server = admin.set("a", &json!({ "state": "ready" }));
    assert_eq!(server["admin_state"], "ready");
    assert_eq!(server["operator"]["reason"], "");
    assert!(names(web, 8).contains(&"a".to_owned()));
}

#[test]
fn a_backend_whose_servers_all_drain_takes_nobody() {
    let admin = Admin::new();
    let a = Server::named("a");
    let ringway = admin.setup().server("a", a.address()).start();

    admin.set("a", &json!({ "state": "drain" }));

    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);
    let ready = get(ringway.admin(), "/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "backend app: no usable server\n")
    );
    ringway.says("backend app has no usable server");
    admin.set("a", &json!({ "state": "ready" }));
    assert_eq!(names(ringway.address(), 1), ["a"]);
    assert_eq!(get(ringway.admin(), "/readyz").status, 200);
    ringway.says("backend app has a usable server again");
}

#[test]
fn who_waits_for_a_place_of_a_server_that_drains_is_let_go() {
    let admin = Admin::new();
    let a = Server::named("a");
    let ringway = admin
        .setup()
        .defaults("queue_timeout = \"1m\"")
        .server_with("a", a.address(), "max_sessions = 1")
        .start();
    let (_first, _) = connect_named(ringway.address());
    let waiting = connect(ringway.address());
    eventually("one waits", || {
        let stats = ask(admin.socket().as_path(), "GET /api/v1/stats", &[], "").json();
        stats["backends"][0]["sessions_waiting"] == 1
    });

    admin.set("a", &json!({ "state": "drain" }));

    assert_eq!(ending(&waiting), Ending::Reset);
}

#[test]
fn a_server_in_maintenance_is_not_checked_and_gets_nobody() {
    let admin = Admin::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let ringway = admin
        .setup()
        .health_check("interval = \"20ms\"\ntimeout = \"20ms\"")
        .server("a", a.address())
        .server("b", b.address())
        .start();
    let passed = || {
        admin.server(0)["checks"]["passed"]
            .as_u64()
            .expect("a number")
    };
    let before = passed();
    eventually("it is checked", || passed() > before);

    assert_eq!(
        admin.set("a", &json!({ "state": "maint" }))["admin_state"],
        "maint"
    );

    assert_eq!(names(ringway.address(), 6), ["b"; 6]);
    // One that was under way may still come in.
    let settled = crate::wait::settled("the number of checks", passed);
    all_through("it is not checked", Duration::from_millis(200), || {
        passed() == settled
    });
    admin.set("a", &json!({ "state": "ready" }));
    eventually("it is checked again", || passed() > settled);
    eventually("it gets sessions again", || {
        names(ringway.address(), 1) == ["a"]
    });
}

#[test]
fn weights_are_set_at_once_and_bounded() {
    let admin = Admin::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let ringway = admin
        .setup()
        .workers(1)
        .server("a", a.address())
        .server_with("b", b.address(), "weight = 2")
        .start();

    let server = admin.set("a", &json!({ "weight": 6, "reason": "it is larger" }));

    assert_eq!(
        (&server["weight"], &server["weight_configured"]),
        (&json!(6), &json!(1))
    );
    let count = |names: &[String]| names.iter().filter(|name| *name == "a").count();
    assert_eq!(count(&names(ringway.address(), 16)), 12);
    ringway.says("server app/a has weight 6: operator (uid ");
    assert_eq!(admin.set("a", &json!({ "weight": 0 }))["weight"], 0);
    assert_eq!(count(&names(ringway.address(), 8)), 0);
    let server = admin.set("a", &json!({ "weight": 256, "state": "drain" }));
    assert_eq!(
        (&server["weight"], &server["admin_state"]),
        (&json!(256), &json!("drain"))
    );
    assert_eq!(count(&names(ringway.address(), 8)), 0);
}

#[test]
fn the_sessions_of_a_server_are_closed() {
    let admin = Admin::new();
    let [a, b] = [Server::echo(), Server::echo()];
    let ringway = admin
        .setup()
        .server("a", a.address())
        .server("b", b.address())
        .start();
    let clients: Vec<_> = (0..20).map(|_| connect(ringway.address())).collect();
    for client in &clients {
        round_trip(client, b"hello");
    }
    let on_a = a.accepted();
    assert!((1..20).contains(&on_a), "{on_a}");

    let change = json!({ "state": "maint", "close_sessions": true });
    let server = admin.set("a", &change);

    assert_eq!(server["sessions_closed"], on_a);
    eventually("they are gone", || {
        admin.server(0)["sessions"]["current"] == 0
    });
    let ended = ringway.sessions_ended(on_a);
    assert!(
        ended.iter().all(|session| session.code == "KD"),
        "{ended:?}"
    );
    let left = clients
        .iter()
        .filter(|client| crate::clients::is_silent(client))
        .count();
    assert_eq!(left, 20 - on_a);
    ringway.says(&format!(
        "{on_a} sessions of server app/a closed: operator (uid "
    ));
    // By itself, and again.
    let server = admin.set("b", &json!({ "close_sessions": true }));
    assert_eq!(
        (&server["sessions_closed"], &server["admin_state"]),
        (&json!(20 - on_a), &json!("ready"))
    );
    assert_eq!(
        admin.set("b", &json!({ "close_sessions": true }))["sessions_closed"],
        0
    );
}

#[test]
fn the_answer_is_the_server_as_the_statistics_have_it() {
    let admin = Admin::new();
    let a = Server::named("a");
    let _ringway = admin.setup().server("a", a.address()).start();

    let server = admin.set("a", &json!({ "state": "drain" }));

    assert_eq!(server, admin.server(0));
    let change = json!({ "state": "ready", "close_sessions": true });
    assert_eq!(admin.set("a", &change)["sessions_closed"], 0);
}

#[test]
fn a_reload_is_ordered_and_keeps_what_operators_ordered() {
    let admin = Admin::new();
    let [a, b] = ["a", "b"].map(Server::named);
    let with = |keys: &str| {
        let setup = admin.setup().server("a", a.address());
        setup.server_with("b", b.address(), keys)
    };
    let ringway = with("weight = 2").start();
    let reload = || {
        let json = [("Content-Type", "application/json")];
        ask(admin.socket().as_path(), "POST /api/v1/reload", &json, "{}")
    };
    admin.set("a", &json!({ "state": "drain", "reason": "kernel update" }));
    admin.set("b", &json!({ "weight": 9 }));
    let before = [0, 1].map(|index| admin.server(index));

    let answer = reload();

    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["version"], 2);
    assert_eq!([0, 1].map(|index| admin.server(index)), before);
    assert_eq!(names(ringway.address(), 8), ["b"; 8]);

    // A line that changed is meant as it is written.
    ringway.configure(&with("weight = 3").text());
    assert_eq!(reload().json()["version"], 3);
    let kept = |index: usize| {
        let server = admin.server(index);
        ["admin_state", "weight", "weight_configured"].map(|name| server[name].clone())
    };
    assert_eq!(json!(kept(0)), json!(["drain", 1, 1]));
    assert_eq!(json!(kept(1)), json!(["ready", 3, 3]));
    ringway.says("server app/b is as its line says");
    ringway.configure(&with("weight = 4").text());
    assert_eq!(reload().json()["version"], 4);
    assert_eq!(json!(kept(1)), json!(["ready", 4, 4]));

    ringway.configure("[frontend.web]\nlisten = 5\n");
    let answer = reload();
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(
        answer.error().contains("--> "),
        "the place is shown: {answer:?}"
    );
    let events = get(ringway.admin(), "/api/v1/events?follow=false").json();
    let events = events["events"].as_array().expect("a list").clone();
    let reloads = events.iter().filter(|event| event["kind"] == "reload");
    let versions: Vec<_> = reloads.map(|event| event["to"].clone()).collect();
    assert_eq!(json!(versions), json!(["2", "3", "4", "4"]));
    let last = &events[events.len() - 1];
    assert!(
        last["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("not reloaded")),
        "{last}"
    );
}

/// Answers the first request of each connection with its name.
fn web_server(name: &'static str) -> Server {
    Server::start(move |mut stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let len = name.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{name}");
        let _ = stream.write_all(answer.as_bytes());
    })
}

#[test]
fn cookies_lead_to_a_server_that_drains_and_not_to_one_in_maintenance() {
    let admin = Admin::new();
    let servers = ["a", "b"].map(web_server);
    let setup = admin
        .setup()
        .frontend("mode = \"http\"")
        .server_with("a", servers[0].address(), "cookie = \"s-a\"")
        .server_with("b", servers[1].address(), "cookie = \"s-b\"");
    let text = setup.text() + "[backend.app.sticky]\ncookie = \"SRV\"\n";
    let ringway = crate::harness::Launch::config(&text).start();
    let name = |cookie: &str| {
        let headers = [("Cookie", cookie)];
        let headers = if cookie.is_empty() { &[][..] } else { &headers };
        let answer = ask(ringway.address(), "GET /", headers, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let all = |cookie: &str| -> Vec<String> { (0..6).map(|_| name(cookie)).collect() };
    assert_eq!(all("SRV=s-a"), ["a"; 6]);

    admin.set("a", &json!({ "state": "drain" }));
    assert_eq!(all("SRV=s-a"), ["a"; 6]);
    assert_eq!(all(""), ["b"; 6]);
    admin.set("a", &json!({ "state": "maint" }));
    assert_eq!(all("SRV=s-a"), ["b"; 6]);
    admin.set("a", &json!({ "state": "ready", "weight": 0 }));
    assert_eq!(
        (all("SRV=s-a"), all("")),
        (
            ["a"; 6].map(str::to_owned).to_vec(),
            ["b"; 6].map(str::to_owned).to_vec()
        )
    );
}

#[test]
fn who_waits_for_a_server_by_its_cookie_goes_elsewhere_when_it_is_in_maintenance() {
    let admin = Admin::new();
    let open = Server::named("HTTP/1.1 200 OK\n");
    let other = web_server("b");
    let setup = admin
        .setup()
        .defaults("queue_timeout = \"1m\"")
        .frontend("mode = \"http\"")
        .server_with("a", open.address(), "cookie = \"s-a\", max_sessions = 1")
        .server_with("b", other.address(), "cookie = \"s-b\"");
    let text = setup.text() + "[backend.app.sticky]\ncookie = \"SRV\"\n";
    let ringway = crate::harness::Launch::config(&text).start();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: SRV=s-a\r\n\r\n";
    let [first, waiting] = [(); 2].map(|()| {
        let mut client = connect(ringway.address());
        client.write_all(request).expect("it is taken");
        client
    });
    eventually("one waits", || {
        let stats = ask(admin.socket().as_path(), "GET /api/v1/stats", &[], "").json();
        stats["backends"][0]["sessions_waiting"] == 1
    });

    admin.set("a", &json!({ "state": "maint" }));

    let answers = [&first, &waiting].map(|client| crate::http::line(&mut &*client));
    assert!(
        answers
            .iter()
            .all(|line| line.as_deref() == Some("HTTP/1.1 200 OK")),
        "{answers:?}"
    );
    assert_eq!(other.accepted(), 1);
}
