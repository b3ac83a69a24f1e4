//! One line for each ended session, as text, as JSON, or not at all.

use std::io::{Read, Write};

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::connect;
use crate::servers::Server;
use crate::setup::Setup;

/// A session of a question and a longer answer; returns the client's address.
fn short_session(ringway: &crate::harness::Ringway) -> String {
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
