//! Clients that end their stream and still read: wherever they have to wait, they are served.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::clients::{connect, connect_named, is_silent, read_all, reset};
use crate::harness::Ringway;
use crate::http::Answer;
use crate::http_servers::{Request, answer};
use crate::pattern;
use crate::servers::{Gate, RefusingPort, Server, SilentPort, end_of_stream};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// How long something is watched that must not happen.
const WATCHED: Duration = Duration::from_millis(250);

/// A client that has sent this and then ended its stream.
fn half_closed(ringway: &Ringway, sent: &[u8]) -> TcpStream {
    let mut client = connect(ringway.address());
    client.write_all(sent).expect("taken");
    end_of_stream(&client);
    client
}

/// What [`Server::hash_sink`] answers to this.
fn digest(of: &[u8]) -> Vec<u8> {
    let (length, hash) = pattern::digest(of).expect("memory can be read");
    format!("{length} {hash}").into_bytes()
}

#[test]
fn they_wait_for_a_slot_of_a_full_server() {
    let server = Server::hash_sink();
    let ringway = Setup::new()
        .server_with("a", server.address(), "max_sessions = 1")
        .start();
    let first = connect(ringway.address());
    eventually("the server is full", || server.open() == 1);
    let waiting = [b"one", b"two", b"end"].map(|sent| half_closed(&ringway, sent));
    all_through("they wait", WATCHED, || waiting.iter().all(is_silent));

    end_of_stream(&first);
    for (client, sent) in waiting.iter().zip([b"one", b"two", b"end"]) {
        assert_eq!(read_all(client), digest(sent));
    }
    let lines = ringway.sessions_ended(4);
    assert!(lines.iter().all(|line| line.code == "--"), "{lines:?}");
    assert_eq!(server.open_max(), 1);
}

#[test]
fn they_wait_for_a_slot_with_their_request() {
    let gate = Gate::default();
    let opened = gate.clone();
    let server = Server::start(move |mut stream| {
        let _ = Request::read_head(&mut std::io::BufReader::new(stream));
        opened.wait();
        let _ = stream.write_all(&answer("200 OK", &["Connection: close"], "served"));
    });
    let ringway = Setup::http()
        .server_with("a", server.address(), "max_sessions = 1")
        .start();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let waiting = [(); 3].map(|()| half_closed(&ringway, request));
    eventually("the server is full", || server.open() == 1);
    all_through("they wait", WATCHED, || waiting.iter().all(is_silent));

    gate.open();
    for client in &waiting {
        assert_eq!(Answer::read(client).expect("an answer").body, "served");
    }
    let lines = ringway.sessions_ended(3);
    assert!(lines.iter().all(|line| line.code == "--NI"), "{lines:?}");
}

#[test]
fn they_wait_while_a_server_does_not_answer() {
    let (silent, server) = (SilentPort::new(), Server::hash_sink());
    let ringway = Setup::new()
        .defaults(r#"connect_timeout = "300ms""#)
        .backend(r#"balance = "first""#)
        .server("silent", silent.address())
        .server("a", server.address())
        .start();
    let client = half_closed(&ringway, b"question");
    assert_eq!(read_all(&client), digest(b"question"));
    assert_eq!(ringway.session_ended().retries, 1);
}

#[test]
fn they_wait_until_a_session_of_the_frontend_has_ended() {
    let server = Server::hash_sink();
    let ringway = Setup::new()
        .frontend("max_sessions = 1")
        .server("a", server.address())
        .start();
    let first = connect(ringway.address());
    eventually("the frontend is full", || server.open() == 1);
    let client = half_closed(&ringway, b"question");
    all_through("it waits", WATCHED, || is_silent(&client));
    end_of_stream(&first);
    assert_eq!(read_all(&client), digest(b"question"));
}

#[test]
fn one_that_resets_after_that_is_gone() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .workers(1)
        .server_with("a", server.address(), "max_sessions = 1")
        .start();
    let (first, _) = connect_named(ringway.address());
    let waiting = half_closed(&ringway, b"");
    all_through("it waits", WATCHED, || is_silent(&waiting));
    reset(waiting);
    assert_eq!(ringway.session_ended().code, "CQ");
    drop(first);
    assert_eq!(ringway.sessions_ended(2)[1].code, "--");
    assert_eq!(server.accepted(), 1);
}

#[test]
fn one_that_ends_within_its_head_gets_nothing() {
    let refusing = RefusingPort::new();
    let ringway = Setup::http().server("a", refusing.address()).start();
    let client = half_closed(&ringway, b"GET / HTTP/1.1\r\nHost: h\r\n");
    assert_eq!(read_all(&client), b"");
    assert_eq!(ringway.session_ended().code, "CR--");
}
