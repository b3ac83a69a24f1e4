//! Servers that can't be had: down, refusing, full.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::clients::{connect, is_silent, read_all};
use crate::http::{Answer, stats};
use crate::http_failures::{GET, is_answered};
use crate::http_servers::HttpServer;
use crate::servers::{RefusingPort, SilentPort};
use crate::setup::Setup;
use crate::wait::all_through;

#[test]
fn without_a_server_the_answer_is_503() {
    let refusing = RefusingPort::new();
    let silent = SilentPort::new();
    let setup = |address| Setup::http().server("a", address).admin();
    let down = setup(refusing.address()).health_check(r#"interval = "1s""#);
    let refuses = setup(refusing.address());
    let times_out = setup(silent.address()).defaults("connect_timeout = \"100ms\"\nretries = 1");
    let cases = [
        (down, "SCNN", 0),
        (refuses, "SCNN", 3),
        (times_out, "sCNN", 1),
    ];
    for (setup, code, retries) in cases {
        let ringway = setup.start();
        is_answered(&ringway, GET, 503);
        let line = ringway.session_ended();
        assert_eq!((line.code.as_str(), line.status), (code, Some(503)));
        assert_eq!(
            (line.retries, line.request.as_deref()),
            (retries, Some("GET /"))
        );
        assert_eq!(stats(ringway.admin())["frontends"][0]["answers"]["503"], 1);
    }
}

#[test]
fn who_waits_for_a_place_too_long_gets_503() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .workers(1)
        .defaults(r#"queue_timeout = "200ms""#)
        .server_with("a", server.address(), "max_sessions = 1")
        .start();
    let mut first = connect(ringway.address());
    first.write_all(GET).expect("taken");
    assert_eq!(Answer::read(&first).expect("an answer").status, 200);

    let start = Instant::now();
    is_answered(&ringway, GET, 503);
    assert!(
        start.elapsed() >= Duration::from_millis(170),
        "{:?}",
        start.elapsed()
    );
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.status), ("sQNN", Some(503)));
    assert!(line.wait_ms >= 170, "{line:?}");

    // The place is free in time.
    let mut second = connect(ringway.address());
    second.write_all(GET).expect("taken");
    assert!(is_silent(&second));
    drop(first);
    assert_eq!(Answer::read(&second).expect("an answer").status, 200);
}

#[test]
fn the_method_head_gets_no_body_of_ours() {
    let refusing = RefusingPort::new();
    let ringway = Setup::http().server("a", refusing.address()).start();
    let mut client = connect(ringway.address());
    client
        .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("taken");
    let all = String::from_utf8(read_all(&client)).expect("text");
    assert!(
        all.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{all}"
    );
    assert!(
        all.contains("\r\nContent-Length: 62\r\n") && all.ends_with("\r\n\r\n"),
        "{all}"
    );
}

#[test]
fn a_session_that_waits_for_its_full_server_is_in_nobodys_way() {
    let servers = ["a", "b"].map(HttpServer::named);
    let ringway = Setup::http()
        .workers(1)
        .server_with(
            "a",
            servers[0].address(),
            r#"cookie = "A", max_sessions = 1"#,
        )
        .server_with("b", servers[1].address(), r#"cookie = "B""#)
        .start();
    let with = |value: &str| {
        let mut client = connect(ringway.address());
        let request = format!("GET / HTTP/1.1\r\nCookie: SRV={value}\r\n\r\n");
        client.write_all(request.as_bytes()).expect("taken");
        client
    };
    let first = with("A");
    assert_eq!(Answer::read(&first).expect("an answer").body, "a");

    let waiting = with("A");
    let before = ringway.cpu_time();
    for _ in 0..20 {
        assert_eq!(Answer::read(&with("B")).expect("an answer").body, "b");
        assert_eq!(Answer::read(&with("none")).expect("an answer").body, "b");
    }
    all_through("it rests", Duration::from_millis(300), || {
        is_silent(&waiting)
    });
    let taken = ringway.cpu_time() - before;
    assert!(taken < Duration::from_millis(200), "it turns for {taken:?}");
    drop(first);
    assert_eq!(Answer::read(&waiting).expect("an answer").body, "a");
}
