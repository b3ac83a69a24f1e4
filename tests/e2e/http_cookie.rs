//! The sticky cookie: whom it takes where, when it is set, and that servers never see it.

use std::collections::BTreeSet;

use crate::harness::Ringway;
use crate::http::{self, Answer};
use crate::http_servers::HttpServer;
use crate::servers::RefusingPort;
use crate::setup::Setup;

/// What is set for the server `a`.
pub const SET_A: &str = "SRV=A; Path=/; HttpOnly; SameSite=Lax";

/// The servers `a` and `b` with the cookies `A` and `B`.
struct Pair([HttpServer; 2]);

impl Pair {
    fn start() -> Self {
        Self(["a", "b"].map(HttpServer::named))
    }

    /// One worker before them, so that turns and log lines are in order.
    fn setup(&self) -> Setup {
        let [a, b] = &self.0;
        Setup::http()
            .workers(1)
            .server_with("a", a.address(), r#"cookie = "A""#)
            .server_with("b", b.address(), r#"cookie = "B""#)
    }
}

/// Asks with these lines in the head, each with its end, on a connection of its own.
#[track_caller]
pub fn ask(ringway: &Ringway, lines: &str) -> Answer {
    let request = format!("GET /page HTTP/1.1\r\nHost: app\r\n{lines}\r\n");
    http::send(ringway.address(), request.as_bytes()).expect("an answer")
}

/// The value that an answer sets.
pub fn set(answer: &Answer) -> Option<String> {
    let [line] = answer.headers("set-cookie")[..] else {
        return None;
    };
    let (pair, _) = line.split_once(';')?;
    Some(pair.strip_prefix("SRV=")?.to_owned())
}

/// Asks with this value, and fails unless the server of this name answers and nothing is set.
#[track_caller]
pub fn stays(ringway: &Ringway, value: &str, name: &str) {
    for _ in 0..4 {
        let answer = ask(ringway, &format!("Cookie: SRV={value}\r\n"));
        assert_eq!((answer.body.as_str(), set(&answer)), (name, None));
    }
}

#[test]
fn who_has_none_is_balanced_and_gets_one() {
    let servers = Pair::start();
    let ringway = servers.setup().start();

    let answers: Vec<_> = (0..4).map(|_| ask(&ringway, "")).collect();

    for answer in &answers {
        let name = answer.body.to_uppercase();
        let expected = [
            "HTTP/1.1 200 OK",
            "Content-Length: 1",
            &format!("Set-Cookie: SRV={name}; Path=/; HttpOnly; SameSite=Lax"),
            "Cache-Control: private",
        ];
        assert_eq!(answer.lines, expected);
    }
    let names: BTreeSet<_> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(names.len(), 2);
    for server in &servers.0 {
        let expected = "GET /page HTTP/1.1\r\nHost: app\r\n\r\n";
        assert_eq!(server.last_request().head, expected);
    }
    for line in ringway.sessions_ended(4) {
        assert_eq!(line.code, "--NI", "{line:?}");
    }
}

#[test]
fn who_has_one_gets_that_server_which_sees_the_other_cookies_only() {
    let servers = Pair::start();
    let ringway = servers.setup().start();
    // Lines of the client, and what of them the server sees.
    let cases: &[(&str, &[&str])] = &[
        ("Cookie: SRV=B\r\n", &[]),
        ("Cookie: a=1; SRV=B; c=3\r\n", &["Cookie: a=1; c=3"]),
        ("Cookie: SRV=B; a=1\r\n", &["Cookie: a=1"]),
        ("Cookie: a=1;  b = 2 ;SRV=B\r\n", &["Cookie: a=1;  b = 2 "]),
        ("cOOKIE:\tSRV=B  \r\n", &[]),
        ("Cookie: SRV = B ;\r\n", &[]),
        ("Cookie: foo=bar, SRV=B\r\n", &["Cookie: foo=bar"]),
        (
            "Cookie: a=\"x; SRV=A\"; SRV=B\r\n",
            &["Cookie: a=\"x; SRV=A\""],
        ),
        (
            "Cookie: $Version=1; SRV=B; $Path=/\r\n",
            &["Cookie: $Version=1"],
        ),
        (
            "Cookie: srv=A; XSRV=A; SRVX=A; SRV=B\r\n",
            &["Cookie: srv=A; XSRV=A; SRVX=A"],
        ),
        ("Cookie: SRV; SRV=B\r\n", &["Cookie: SRV"]),
        ("Cookie: SRV=B; SRV=A; SRV=\r\n", &[]),
        (
            "Cookie: x=1\r\nCookie: SRV=B\r\nCookie: SRV=A; y=2\r\n",
            &["Cookie: x=1", "Cookie: y=2"],
        ),
        ("Set-Cookie: SRV=A\r\nCookie: SRV=B\r\n", &[]),
    ];
    for (lines, seen) in cases {
        let answer = ask(&ringway, lines);
        assert_eq!((answer.body.as_str(), set(&answer)), ("b", None), "{lines}");
        assert_eq!(answer.lines, ["HTTP/1.1 200 OK", "Content-Length: 1"]);
        assert_eq!(servers.0[1].last_request().cookie_lines(), *seen, "{lines}");
    }
    for line in ringway.sessions_ended(cases.len()) {
        assert_eq!(line.code, "--VN", "{line:?}");
    }
}

#[test]
fn it_is_found_behind_many_others() {
    let servers = Pair::start();
    let ringway = servers.setup().start();
    let others: String = (0..60).map(|i| format!("Cookie: c{i}={i}\r\n")).collect();
    let long = format!("Cookie: long={}; ", "x".repeat(8_000));

    stays(&ringway, "B", "b");
    for lines in [
        format!("{others}Cookie: SRV=B\r\n"),
        format!("{long}SRV=B\r\n"),
    ] {
        let answer = ask(&ringway, &lines);
        assert_eq!((answer.body.as_str(), set(&answer)), ("b", None));
    }
    let seen = servers.0[1].last_request();
    assert_eq!(seen.cookie_lines(), [long.trim_end_matches("; ")]);
}

#[test]
fn a_value_that_names_no_server_is_replaced() {
    let servers = Pair::start();
    let ringway = servers.setup().start();
    let long = "A".repeat(8_000);
    let values = [
        "",
        "C",
        "a",
        "%41",
        "\"A\"",
        "AB",
        "A A",
        "A\\r\\nX: y",
        "127.0.0.1",
        "\x01",
        "\u{e4}",
        &long,
    ];
    for value in values {
        let answer = ask(&ringway, &format!("Cookie: SRV={value}; k=v\r\n"));
        let expected = answer.body.to_uppercase();
        assert_eq!(set(&answer), Some(expected), "{value}");
        let server = &servers.0[usize::from(answer.body == "b")];
        assert_eq!(server.last_request().cookie_lines(), ["Cookie: k=v"]);
    }
    for line in ringway.sessions_ended(values.len()) {
        assert_eq!(line.code, "--II", "{line:?}");
    }
    // Not the cookie at all.
    for lines in ["Cookie: SRV\r\n", "Cookie: srv=A\r\n", "SRV: A\r\n"] {
        assert!(set(&ask(&ringway, lines)).is_some(), "{lines}");
    }
    let total = values.len() + 3;
    for line in &ringway.sessions_ended(total)[values.len()..] {
        assert_eq!(line.code, "--NI", "{line:?}");
    }
}

#[test]
fn a_server_that_is_gone_from_the_configuration_is_replaced_once() {
    let servers = Pair::start();
    let [a, _] = &servers.0;
    let before = servers.setup().start();
    stays(&before, "B", "b");
    drop(before);
    let after = Setup::http().server_with("a", a.address(), r#"cookie = "A""#);
    let after = after.start();

    let answer = ask(&after, "Cookie: SRV=B\r\n");

    assert_eq!(answer.headers("set-cookie"), [SET_A]);
    stays(&after, "A", "a");
}

#[test]
fn a_server_that_is_down_is_left_once() {
    let port = RefusingPort::new();
    let (a, b) = (
        HttpServer::named_at(port.address(), "a"),
        HttpServer::named("b"),
    );
    let ringway = Setup::http()
        .server_with("a", port.address(), r#"cookie = "A""#)
        .server_with("b", b.address(), r#"cookie = "B""#)
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .start();
    stays(&ringway, "A", "a");
    drop(a);
    ringway.says("server app/a is down");

    let answer = ask(&ringway, "Cookie: SRV=A\r\n");
    assert_eq!(
        (answer.body.as_str(), set(&answer)),
        ("b", Some("B".into()))
    );
    stays(&ringway, "B", "b");

    let _a = HttpServer::named_at(port.address(), "a");
    ringway.says("server app/a is up");
    // Who has moved stays; who was away in the meantime returns.
    stays(&ringway, "B", "b");
    stays(&ringway, "A", "a");
    let codes: Vec<_> = ringway
        .sessions_ended(17)
        .into_iter()
        .map(|line| line.code)
        .collect();
    assert_eq!(
        codes.iter().filter(|code| *code == "--DI").count(),
        1,
        "{codes:?}"
    );
}

#[test]
fn a_server_of_weight_0_keeps_its_own() {
    let servers = Pair::start();
    let [a, b] = &servers.0;
    let ringway = Setup::http()
        .server_with("a", a.address(), r#"cookie = "A", weight = 0"#)
        .server_with("b", b.address(), r#"cookie = "B""#)
        .start();

    for _ in 0..4 {
        assert_eq!(set(&ask(&ringway, "")), Some("B".into()));
    }
    stays(&ringway, "A", "a");
}

#[test]
fn a_backup_keeps_its_own() {
    let servers = Pair::start();
    let [a, b] = &servers.0;
    let ringway = Setup::http()
        .server_with("a", a.address(), r#"cookie = "A", backup = true"#)
        .server_with("b", b.address(), r#"cookie = "B""#)
        .start();

    assert_eq!(set(&ask(&ringway, "")), Some("B".into()));
    stays(&ringway, "A", "a");
}

#[test]
fn a_server_that_is_up_but_refuses_is_left() {
    let (refusing, b) = (RefusingPort::new(), HttpServer::named("b"));
    let ringway = Setup::http()
        .server_with("a", refusing.address(), r#"cookie = "A""#)
        .server_with("b", b.address(), r#"cookie = "B""#)
        .start();

    let answer = ask(&ringway, "Cookie: SRV=A; x=y\r\n");

    assert_eq!(
        (answer.body.as_str(), set(&answer)),
        ("b", Some("B".into()))
    );
    assert_eq!(b.last_request().cookie_lines(), ["Cookie: x=y"]);
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.retries), ("--VI", 1));
    stays(&ringway, "B", "b");
}
