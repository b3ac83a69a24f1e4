//! One line for each ended session, as text, as JSON, or not at all.

use std::io::{Read, Write};

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::connect;
use crate::harness::Ringway;
use crate::http::send;
use crate::servers::Server;
use crate::setup::Setup;

/// A session of a question and a longer answer; returns the client's address.
fn short_session(ringway: &Ringway) -> String {
    let mut client = connect(ringway.address());
    let address = client.local_addr().expect("an address").to_string();
    client.write_all(b"hello").expect("taken");
    client.read_exact(&mut [0; 9]).expect("an answer");
    address
}

/// A server that answers the five bytes of [`short_session`] with nine, and waits for the end.
fn answering() -> Server {
    Server::start(|mut stream| {
        stream.read_exact(&mut [0; 5]).expect("a question");
        stream.write_all(b"well then").expect("taken");
        crate::servers::wait_for_end(stream);
    })
}

#[test]
fn a_line_of_text_has_all_fields() {
    let server = answering();
    let ringway = Setup::new().server("a", server.address()).start();

    let client = short_session(&ringway);

    let line = ringway.session_ended();
    assert_eq!(
        (line.client, line.frontend, line.server),
        (client, "web".into(), "app/a".into())
    );
    assert_eq!((line.bytes_from_client, line.bytes_from_server), (5, 9));
    assert_eq!((line.code.as_str(), line.retries), ("--", 0));
    assert!(line.wait_ms >= 0 && line.connect_ms >= 0 && line.total_ms >= line.connect_ms);
}

#[test]
fn a_line_of_json_has_all_fields() {
    let server = answering();
    let ringway = Setup::new()
        .global(r#"access_log = "json""#)
        .server("a", server.address())
        .start();

    let client = short_session(&ringway);

    let line: Value = ringway.printed("a line of JSON", |lines| {
        lines
            .iter()
            .find_map(|line| serde_json::from_str(line).ok())
    });
    for (key, expected) in [
        ("client", client.as_str()),
        ("frontend", "web"),
        ("backend", "app"),
        ("server", "a"),
        ("code", "--"),
    ] {
        assert_eq!(line[key], expected, "{key} in {line}");
    }
    for (key, expected) in [
        ("bytes_from_client", 5),
        ("bytes_from_server", 9),
        ("retries", 0),
    ] {
        assert_eq!(line[key], expected, "{key} in {line}");
    }
    for key in ["wait_ms", "connect_ms", "total_ms"] {
        assert!(
            line[key].as_i64().is_some_and(|time| time >= 0),
            "{key} in {line}"
        );
    }
    assert!(!line["time"].is_null(), "time in {line}");
}

#[test]
fn the_access_log_can_be_off() {
    let server = answering();
    let mut ringway = Setup::new()
        .global(r#"access_log = "off""#)
        .server("a", server.address())
        .start();

    short_session(&ringway);

    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert_eq!(ringway.output(), "");
}

#[test]
fn no_line_is_lost_at_the_end() {
    let server = answering();
    let mut ringway = Setup::new().server("a", server.address()).start();

    for _ in 0..50 {
        short_session(&ringway);
    }

    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert_eq!(ringway.sessions_ended(50).len(), 50);
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let server = answering();
    let setup = Setup::new().server("a", server.address());
    let mut ringway = setup.launch().output_unread().start();

    // Ten times what the pipe takes.
    for _ in 0..7_000 {
        short_session(&ringway);
    }

    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    let errors = ringway.errors();
    assert!(errors.contains("ended after 7000 sessions"), "{errors}");
}

/// A server that answers every request with few bytes.
fn answering_http() -> Server {
    Server::start(|mut stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    })
}

/// A target with commands for a terminal: C1 as UTF-8 and as a byte, no UTF-8 at all, a quote.
const COMMANDS: &[u8] = b"GET /\xc2\x9b31m\x9b2J\xff\xc3\xa4\"x HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_line_of_text_has_no_command_for_a_terminal() {
    let server = answering_http();
    let setup = Setup::plain_http().server("a", server.address());
    let ringway = setup.start();
    assert_eq!(
        send(ringway.address(), COMMANDS).expect("an answer").status,
        200
    );
    let line = ringway.session_ended();
    let request = "GET /%C2%9B31m%9B2J%FF%C3%A4%22x";
    assert_eq!(line.request.as_deref(), Some(request));
}

#[test]
fn a_line_of_json_has_no_command_for_a_terminal() {
    let server = answering_http();
    let ringway = Setup::plain_http()
        .global(r#"access_log = "json""#)
        .server("a", server.address())
        .start();
    assert_eq!(
        send(ringway.address(), COMMANDS).expect("an answer").status,
        200
    );
    let line = ringway.printed("a line", |lines| lines.first().cloned());
    assert!(!line.contains(char::is_control), "{line:?}");
    let value: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["target"], "/\u{9b}31m\u{fffd}2J\u{fffd}ä\"x");
}

#[test]
fn a_command_prints_nothing_that_a_terminal_would_do() {
    let answers = |body: &'static str| {
        Server::start(move |mut stream| {
            let mut byte = [0];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let ok = !body.contains("error");
            let status = if ok { "200 OK" } else { "422 Refused" };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        })
    };
    let session =
        r#"{"count":1,"sessions":[{"id":"x","client":"\u009b31m\u001b[2J","frontend":"w"}]}"#;
    let event = r#"{"events":[{"time":"t","kind":"k","text":"\u009b31m\u001b[2J"}]}"#;
    let error = r#"{"error":"\u009b31m\u001b[2J"}"#;
    for (arguments, body, shown) in [
        (&["sessions"][..], session, "\\u{9b}31m\\u{1b}[2J"),
        (&["sessions", "--json"], session, "\\u009b31m\\u001b[2J"),
        (&["events", "--no-follow"], event, "\\u{9b}31m\\u{1b}[2J"),
        (
            &["events", "--no-follow", "--json"],
            event,
            "\\u009b31m\\u001b[2J",
        ),
        (&["reload"], error, "\\u{9b}31m\\u{1b}[2J"),
    ] {
        let server = answers(body);
        let url = format!("http://{}", server.address());
        let finished = Ringway::command(&[arguments, &["--admin", &url]].concat());
        let printed = finished.output + &finished.errors;
        assert!(printed.contains(shown), "{arguments:?}: {printed:?}");
        let is_command = |c: char| c.is_control() && c != '\n';
        assert!(!printed.contains(is_command), "{arguments:?}: {printed:?}");
    }
}
