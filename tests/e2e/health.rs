//! Health checks: what a probe asks, what each answer means, when a state changes and what follows.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::clients::{Ending, connect, connect_named, connect_to_end, ending, is_silent, reset};
use crate::harness::Ringway;
use crate::http::stats;
use crate::servers::{RefusingPort, Server, SilentPort, wait_for_end};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// The interval of most checks here: long enough to be told apart on a busy machine.
const INTERVAL: Duration = Duration::from_millis(200);

/// TCP checks at this interval.
fn checked() -> Setup {
    Setup::new()
        .health_check(r#"interval = "200ms""#)
        .health_check(r#"timeout = "200ms""#)
}

/// HTTP checks at this interval.
fn http_checked() -> Setup {
    checked().health_check(r#"type = "http""#)
}

/// Reads one request head.
fn read_head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// A server that reads a request, writes this, and hangs.
fn answering(answer: &'static [u8]) -> Server {
    Server::start(move |mut stream| {
        read_head(stream);
        let _ = stream.write_all(answer);
        wait_for_end(stream);
    })
}

/// A server that reads a request and writes pieces until nobody reads them.
fn endless(begin: &'static [u8], piece: &'static [u8]) -> Server {
    Server::start(move |mut stream| {
        read_head(stream);
        let mut written = stream.write_all(begin);
        while written.is_ok() {
            written = stream.write_all(piece);
        }
    })
}

#[test]
fn every_failure_has_its_cause() {
    let refusing = RefusingPort::new();
    let silent = SilentPort::new();
    let slow = Server::start(|mut stream| {
        for byte in b"HTTP/1.1 200 OK\r\n" {
            all_through("a slow byte", Duration::from_millis(30), || true);
            let _ = stream.write_all(&[*byte]);
        }
    });
    let resetting = Server::start(|stream| {
        read_head(stream);
        reset(stream.try_clone().expect("a second owner"));
    });
    let closing = Server::start(|stream| {
        read_head(stream);
    });
    let breaking = Server::start(|mut stream| {
        read_head(stream);
        let _ = stream.write_all(b"HTTP/1.1 20");
    });
    let cases = [
        ("hang", Server::hanging(), "L7TOUT"),
        ("slow", slow, "L7TOUT"),
        ("busy", answering(b"HTTP/1.1 503 Busy\r\n\r\n"), "L7STS 503"),
        ("half", answering(b"HTTP/1.1 20"), "L7TOUT"),
        (
            "interim",
            answering(b"HTTP/1.1 100 Continue\r\n\r\n"),
            "L7TOUT",
        ),
        (
            "hinting",
            answering(b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n"),
            "L7STS 503",
        ),
        ("broken", breaking, "L7RSP closed within the status line"),
        (
            "smtp",
            answering(b"220 hello\r\n"),
            "L7RSP no HTTP status line",
        ),
        (
            "line",
            endless(b"HTTP/1.1 200 ", b"OK "),
            "L7RSP endless status line",
        ),
        ("reset", resetting, "L7RSP connection reset"),
        ("close", closing, "L7RSP closed without an answer"),
    ];
    let header = endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n");
    let mut setup = http_checked()
        .server("refuse", refusing.address())
        .server("silent", silent.address())
        .server("header", header.address());
    for (name, server, _) in &cases {
        setup = setup.server(name, server.address());
    }

    // The first failure takes a server down that was only assumed to be up, before anything listens.
    let ringway = setup.start();
    let messages = ringway.errors_so_far();
    let (before, _) = messages.split_once("listens on").expect("a listener");
    let others = [("refuse", "L4CON connection refused"), ("silent", "L4TOUT")];
    let cases = cases.iter().map(|(name, _, cause)| (*name, *cause));
    for (name, cause) in cases.chain(others) {
        let line = format!("server app/{name} is down: {cause}, 1/1 checks failed, was up for ");
        assert!(before.contains(&line), "{line}\n{messages}");
    }
    // Only the status line is judged, however long the rest.
    assert!(!messages.contains("server app/header"), "{messages}");
    eventually("it is probed again", || header.accepted() > 2);
    assert!(!ringway.errors_so_far().contains("server app/header"));
}

/// Probes that passed of the server of this index.
fn checks_passed(ringway: &Ringway, server: usize) -> Option<u64> {
    stats(ringway.admin())["backends"][0]["servers"][server]["checks"]["passed"].as_u64()
}

#[test]
fn interim_answers_do_not_answer_a_check() {
    let server = answering(
        b"HTTP/1.1 100 Continue\r\n\r\n\
          HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n\
          HTTP/1.1 200 OK\r\n\r\n",
    );
    let ringway = http_checked().admin().server("a", server.address()).start();
    eventually("checks pass", || checks_passed(&ringway, 0) > Some(2));
    assert!(!ringway.errors_so_far().contains("is down"));
}

#[test]
fn a_tcp_check_is_not_noticed_by_the_server() {
    let servers =
        ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).expect("a free port"));
    let address = |index: usize| servers[index].local_addr().expect("an address");
    let ringway = Setup::new()
        .admin()
        .health_check("interval = \"20ms\"\ntimeout = \"20ms\"")
        .server("v4", address(0))
        .server("v6", address(1))
        .start();
    for (index, server) in servers.iter().enumerate() {
        eventually("checks pass", || checks_passed(&ringway, index) > Some(20));
        server.set_nonblocking(true).expect("a socket");
        let accepted = server.accept().map_err(|error| error.kind());
        assert_eq!(accepted.err(), Some(ErrorKind::WouldBlock));
    }
    assert!(!ringway.errors_so_far().contains("is down"));
}

#[test]
fn a_request_says_what_is_configured() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let server = Server::start(move |mut stream| {
        seen.lock().expect("no panic").push(read_head(stream));
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    });
    let head = |setup: Setup| {
        let ringway = setup.server("a", server.address()).start();
        assert!(!ringway.errors_so_far().contains("is down"));
        heads.lock().expect("no panic").remove(0)
    };
    assert_eq!(
        head(
            http_checked()
                .health_check(r#"path = "/health?deep=1""#)
                .health_check(r#"method = "HEAD""#)
                .health_check(r#"host = "app.example""#)
                .health_check(r#"expect_status = "204""#)
        ),
        "HEAD /health?deep=1 HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\
         User-Agent: ringway\r\n\r\n"
    );
    heads.lock().expect("no panic").clear();
    assert_eq!(
        head(http_checked()),
        format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: ringway\r\n\r\n",
            server.address()
        )
    );
}

/// Waits for a message, and fails unless it comes after `min` to `max` intervals.
#[track_caller]
fn says_within(ringway: &Ringway, words: &str, min: u32, max: u32) {
    let start = Instant::now();
    ringway.says(words);
    let intervals = start.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    // The first probe comes within one interval; what was lost before we looked is little.
    let (min, max) = (f64::from(min) - 0.2, f64::from(max) + 1.0);
    assert!((min..max).contains(&intervals), "{words}: {intervals}");
}

#[test]
fn a_server_falls_and_rises_in_time() {
    let port = RefusingPort::new();
    let a = Server::named_at(port.address(), "a");
    let ringway = checked()
        .admin()
        .server("a", port.address())
        .health_check("fall = 3")
        .health_check("rise = 2")
        .start();
    assert_eq!(connect_named(ringway.address()).1, "a");
    eventually("it is known to be up", || {
        checks_passed(&ringway, 0) > Some(2)
    });

    drop(a);
    let down = "server app/a is down: L4CON connection refused, 3/3 checks failed, was up for ";
    says_within(&ringway, down, 2, 3);
    ringway.says("ERROR] backend app has no usable server");
    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);
    assert_eq!(ringway.sessions_ended(2)[1].retries, 0);

    let _a = Server::named_at(port.address(), "a");
    let up = "server app/a is up: L4OK, 2/2 checks passed, was down for ";
    says_within(&ringway, up, 1, 2);
    ringway.says("backend app has a usable server again");
    assert_eq!(connect_named(ringway.address()).1, "a");
}

#[test]
fn a_failed_connect_is_checked_at_once_and_fast() {
    let port = RefusingPort::new();
    let a = Server::named_at(port.address(), "a");
    let b = Server::named("b");
    let ringway = Setup::new()
        .server("a", port.address())
        .server("b", b.address())
        .health_check(r#"interval = "1h""#)
        .health_check(r#"fast_interval = "50ms""#)
        .start();

    drop(a);
    // Nobody would know for an hour, were it not for those that find out. Two of three come to the
    // same worker, and one of those two is sent to the dead server.
    for _ in 0..3 {
        assert_eq!(connect_named(ringway.address()).1, "b");
    }
    ringway.says("server app/a is down: L4CON connection refused, 3/3 checks failed");
}

#[test]
fn a_backup_takes_over_and_gives_back() {
    let port = RefusingPort::new();
    let a = Server::named_at(port.address(), "a");
    let spare = Server::named("spare");
    let ringway = checked()
        .server("a", port.address())
        .server_with("spare", spare.address(), "backup = true")
        .start();
    let served_by = |name: &str| {
        eventually(name, || connect_named(ringway.address()).1 == name);
    };
    served_by("a");
    drop(a);
    ringway.says("server app/a is down");
    served_by("spare");
    let _a = Server::named_at(port.address(), "a");
    ringway.says("server app/a is up");
    served_by("a");
    assert!(!ringway.errors_so_far().contains("no usable server"));
}

#[test]
fn who_waits_for_a_place_leaves_when_the_last_server_goes_down() {
    let port = RefusingPort::new();
    let a = Server::named_at(port.address(), "a");
    let ringway = checked()
        .defaults(r#"queue_timeout = "1h""#)
        .server_with("a", port.address(), "max_sessions = 1")
        .start();
    let (open, _) = connect_named(ringway.address());
    let waiting: Vec<_> = (0..8).map(|_| connect(ringway.address())).collect();
    assert!(waiting.iter().all(is_silent));

    drop(a);
    for client in &waiting {
        assert_eq!(ending(client), Ending::Reset);
    }
    let lines = ringway.sessions_ended(8);
    assert!(lines.iter().all(|line| line.code == "SC"), "{lines:?}");
    // Going down does not cut what is open.
    assert!(is_silent(&open));
    drop(open);
    assert_eq!(ringway.sessions_ended(9)[8].code, "--");
}

#[test]
fn open_sessions_are_cut_if_that_is_wanted() {
    let port = RefusingPort::new();
    let a = Server::named_at(port.address(), "a");
    let b = Server::named("b");
    let ringway = checked()
        .backend(r#"on_down = "close""#)
        .server("a", port.address())
        .server("b", b.address())
        .start();
    let sessions: Vec<_> = (0..8).map(|_| connect_named(ringway.address())).collect();
    let (cut, kept): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|(_, name)| name == "a");
    assert!(!cut.is_empty() && !kept.is_empty());

    drop(a);
    for (client, _) in &cut {
        assert_eq!(ending(client), Ending::Reset);
    }
    let lines = ringway.sessions_ended(cut.len());
    let right = lines
        .iter()
        .all(|line| line.code == "DD" && line.server == "app/a");
    assert!(right, "{lines:?}");
    assert!(kept.iter().all(|(client, _)| is_silent(client)));
}

#[test]
fn the_share_of_a_server_that_came_back_rises() {
    let port = RefusingPort::new();
    let b = Server::named("b");
    let ringway = checked()
        .workers(1)
        .backend(r#"slow_start = "1h""#)
        .health_check("rise = 1")
        .server("a", port.address())
        .server("b", b.address())
        .start();
    ringway.says("server app/a is down");
    let _a = Server::named_at(port.address(), "a");
    ringway.says("server app/a is up: L4OK, 1/1 checks passed");

    // 1/64 of the weight of the other at first.
    let names: Vec<_> = (0..65)
        .map(|_| connect_named(ringway.address()).1)
        .collect();
    let on_a = names.iter().filter(|name| *name == "a").count();
    assert!((1..=2).contains(&on_a), "{on_a}");
}
