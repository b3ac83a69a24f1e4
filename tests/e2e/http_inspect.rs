//! Behind proxies: `inspect = "close"` gives each request a session of its own, and without it we
//! say what may go wrong.

use std::io::Write;
use std::time::Duration;

use crate::clients::{Ending, connect, ending};
use crate::http::{self, Answer, stats};
use crate::http_servers::{HttpServer, answer};
use crate::setup::Setup;
use crate::wait::all_through;

/// A server that does what `Connection` of a request says.
fn obedient() -> HttpServer {
    HttpServer::start(|mut stream, request| {
        let closes = request.head.contains("Connection: close\r\n");
        let lines = ["Connection: keep-alive", "Keep-Alive: timeout=5"];
        stream.write_all(&answer("200 OK", &lines, "x")).is_ok() && !closes
    })
}

#[test]
fn each_request_has_a_connection_of_its_own() {
    let server = obedient();
    let ringway = Setup::http()
        .workers(1)
        .frontend(r#"inspect = "close""#)
        .server_with("a", server.address(), r#"cookie = "A""#)
        .start();
    let cases = [
        ("", "--NI"),
        ("Connection: keep-alive\r\nKeep-Alive: 5\r\n", "--NI"),
        ("Cookie: SRV=A\r\nProxy-Connection: keep-alive\r\n", "--VN"),
        ("Connection: close\r\n", "--NI"),
    ];
    for (count, (lines, code)) in (1..).zip(cases) {
        let mut client = connect(ringway.address());
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        client.write_all(request.as_bytes()).expect("taken");
        let answer = Answer::read(&client).expect("an answer");
        assert_eq!(answer.headers("connection"), ["close"]);
        assert_eq!(answer.header("keep-alive"), None);
        assert_eq!(ending(&client), Ending::Closed);
        let seen = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(server.last_request().head, seen);
        drop(client);
        assert_eq!(ringway.sessions_ended(count)[count - 1].code, code);
    }
}

#[test]
fn an_upgrade_is_left_alone() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let server = HttpServer::answering(head);
    let ringway = Setup::plain_http()
        .frontend(r#"inspect = "close""#)
        .server("a", server.address())
        .start();
    let mut client = connect(ringway.address());
    let request = "GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n";
    for _ in 0..3 {
        client.write_all(request.as_bytes()).expect("taken");
        let answer = Answer::read(&client).expect("an answer");
        assert_eq!(answer.lines.join("\r\n") + "\r\n\r\n", head);
        assert_eq!(server.last_request().head, request);
    }
}

#[test]
fn requests_through_a_proxy_are_counted_and_warned_of() {
    let server = HttpServer::named("a");
    let setup = |setup: Setup| {
        setup
            .server("a", server.address())
            .workers(1)
            .admin()
            .start()
    };
    let proxied = [
        "Via: 1.1 cdn\r\n",
        "X-Forwarded-For: 10.0.0.1\r\n",
        "forwarded: for=10.0.0.1\r\n",
        "Cookie: SRV=x\r\nVia: 1.1 cdn\r\n",
    ];
    let ask = |ringway: &crate::harness::Ringway| {
        for lines in proxied.iter().chain(&["", "X-Forwarded-Proto: https\r\n"]) {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let answer = http::send(ringway.address(), request.as_bytes());
            assert_eq!(answer.expect("an answer").status, 200);
        }
        stats(ringway.admin())["frontends"][0]["proxied_requests"].clone()
    };

    let warned = setup(Setup::http());
    assert_eq!(ask(&warned), proxied.len());
    warned.says("requests to frontend web come through a proxy");
    // Not for each of them.
    all_through("it is said once", Duration::from_millis(100), || {
        warned
            .errors_so_far()
            .matches("come through a proxy")
            .count()
            == 1
    });

    let closing = Setup::http().frontend(r#"inspect = "close""#);
    for silent in [closing, Setup::plain_http()] {
        let silent = setup(silent);
        assert_eq!(ask(&silent), 0);
        assert!(!silent.errors_so_far().contains("proxy"));
    }
}
