//! What happened is told, in order, to whoever listens, and nobody who does not listen is a burden.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{connect, connect_narrow};
use crate::harness::ScratchDirectory;
use crate::http::{ask, get, line, order};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// Event streams at once.
const STREAMS_MAX: usize = 32;

/// An admin listener and its socket.
pub fn with_socket(folder: &ScratchDirectory) -> (Setup, PathBuf) {
    let socket = folder.path().join("admin.sock");
    let line = format!("socket = \"{}\"", socket.display());
    (Setup::new().admin().admin_with(&line), socket)
}

fn weigh(socket: &std::path::Path, weight: usize, reason: &str) {
    let change = json!({ "weight": weight, "reason": reason });
    order(socket, "/api/v1/servers/app/a", &change);
}

/// The events so far.
#[track_caller]
fn events(admin: SocketAddr, query: &str) -> Vec<Value> {
    let list = get(admin, &format!("/api/v1/events?follow=false{query}")).json();
    list["events"].as_array().expect("a list").clone()
}

/// An event stream that was accepted.
struct Stream(TcpStream);

impl Stream {
    #[track_caller]
    fn open(mut stream: TcpStream, query: &str, header: &str) -> Self {
        let request =
            format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).expect("it is taken");
        let mut stream = Stream(stream);
        let head: Vec<String> = std::iter::from_fn(|| Some(stream.line()))
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        let kind = head
            .iter()
            .any(|line| line == "content-type: text/event-stream");
        assert!(kind, "{head:?}");
        stream
    }

    fn line(&mut self) -> String {
        line(&mut self.0).expect("the stream goes on")
    }

    /// The next event, with its id twice: as the stream has it and as the event has it.
    fn next(&mut self) -> Value {
        let mut id = None;
        loop {
            let line = self.line();
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse::<u64>().expect("a number"));
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(event["id"].as_u64(), id, "{event}");
                return event;
            }
        }
    }
}

#[test]
fn what_happened_is_listed_with_who_and_why() {
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let ringway = setup
        .health_check("interval = \"20ms\"\ntimeout = \"20ms\"")
        .server("a", server.address())
        .server("gone", refusing.address())
        .start();
    let admin = ringway.admin();
    weigh(&socket, 7, "it is larger");
    let change = json!({ "state": "drain", "reason": "kernel update" });
    order(socket.as_path(), "/api/v1/servers/app/a", &change);

    let all = events(admin, "");

    let ids: Vec<u64> = all
        .iter()
        .map(|event| event["id"].as_u64().expect("a number"))
        .collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    let of =
        |kind: &str| -> Vec<&Value> { all.iter().filter(|event| event["kind"] == kind).collect() };
    let parts = |event: &Value| ["server", "from", "to", "reason"].map(|name| event[name].clone());
    let down = parts(of("state")[0]);
    assert_eq!(json!(down[..3]), json!(["app/gone", "up", "down"]));
    assert!(
        down[3].as_str().is_some_and(|why| why.starts_with("L4CON")),
        "{down:?}"
    );
    assert_eq!(
        json!(parts(of("weight")[0])),
        json!(["app/a", "1", "7", "it is larger"])
    );
    assert_eq!(
        json!(parts(of("admin")[0])),
        json!(["app/a", "ready", "drain", "kernel update"])
    );
    let who = of("admin")[0]["who"].as_str().expect("somebody");
    assert!(
        who.ends_with(&format!("pid {}", std::process::id())),
        "{who}"
    );
    assert_eq!(
        json!(parts(of("backend")[0])),
        json!(["app", "up", "down", ""])
    );

    let newest = ids[ids.len() - 1];
    assert_eq!(events(admin, &format!("&since={}", newest - 2)).len(), 2);
    assert_eq!(
        events(admin, &format!("&since={newest}")),
        Vec::<Value>::new()
    );
}

#[test]
fn a_stream_tells_what_was_and_what_is() {
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();
    let admin = ringway.admin();
    for weight in 2..5 {
        weigh(&socket, weight, "");
    }

    let mut stream = Stream::open(connect(admin), "", "");
    let told: Vec<Value> = (0..3).map(|_| stream.next()).collect();
    assert_eq!(told, events(admin, ""));
    weigh(&socket, 9, "live");
    assert_eq!(stream.next()["reason"], "live");

    // Whoever comes back goes on where they were.
    let id = told[1]["id"].as_u64().expect("a number");
    for (query, header) in [
        (format!("?since={id}"), String::new()),
        (String::new(), format!("Last-Event-ID: {id}\r\n")),
        ("?since=1".to_owned(), format!("last-event-id: {id}\r\n")),
    ] {
        let mut again = Stream::open(connect(admin), &query, &header);
        assert_eq!(again.next(), told[2]);
    }
    // Nothing happens for longer than a request may take otherwise: the stream goes on.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(11) {
        // A comment, or the length of one.
        assert!(stream.line().len() < 10);
    }
    weigh(&socket, 10, "later");
    assert_eq!(stream.next()["reason"], "later");
}

#[test]
fn ten_streams_are_told_the_same() {
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();
    let mut streams: Vec<Stream> = (0..10)
        .map(|_| Stream::open(connect(ringway.admin()), "", ""))
        .collect();

    for weight in 2..30 {
        weigh(&socket, weight, "");
    }

    let all = events(ringway.admin(), "");
    assert_eq!(all.len(), 28);
    for stream in &mut streams {
        for event in &all {
            assert_eq!(stream.next(), *event);
        }
    }
    drop(streams);
    let idle = ringway.descriptors();
    eventually("their places are free", || {
        ringway.descriptors() <= idle - 10
    });
}

#[test]
fn streams_leave_room_for_others() {
    let folder = ScratchDirectory::new();
    let (setup, _) = with_socket(&folder);
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();
    let admin = ringway.admin();
    let streams: Vec<Stream> = (0..STREAMS_MAX)
        .map(|_| Stream::open(connect(admin), "", ""))
        .collect();

    let answer = ask(admin, "GET /api/v1/events", &[], "");

    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        answer.error().contains("too many event streams"),
        "{answer:?}"
    );
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(events(admin, ""), Vec::<Value>::new());
    drop(streams);
    eventually("there is room again", || {
        let mut stream = connect(admin);
        let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).is_ok()
            && line(&mut stream).is_some_and(|line| line.contains("200"))
    });
}

#[test]
fn a_reader_that_does_not_read_is_cut() {
    let folder = ScratchDirectory::new();
    let (setup, socket) = with_socket(&folder);
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();
    let admin = ringway.admin();
    let before = ringway.descriptors();
    let slow = Stream::open(connect_narrow(admin), "", "");
    let mut other = Stream::open(connect(admin), "", "");
    assert_eq!(ringway.descriptors(), before + 2);

    // More than the kernel holds for it, while somebody else reads on.
    let reason = "x".repeat(256);
    let mut sent = 0;
    eventually("it is cut", || {
        for _ in 0..20 {
            sent += 1;
            weigh(&socket, 2 + sent % 100, &reason);
        }
        for _ in 0..20 {
            assert_eq!(other.next()["reason"], reason);
        }
        ringway.descriptors() == before + 1
    });

    let mut rest = Vec::new();
    let end = { slow.0 }.read_to_end(&mut rest);
    assert!(
        end.is_err() || rest.len() < sent * 600,
        "it was not told everything"
    );
    // No more is kept than there should be.
    assert_eq!(events(admin, "").len(), sent.min(500));
    weigh(&socket, 200, "after");
    assert_eq!(other.next()["reason"], "after");
}

#[test]
fn a_stream_that_is_only_looked_at_holds_no_place() {
    let folder = ScratchDirectory::new();
    let (setup, _) = with_socket(&folder);
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();

    for _ in 0..STREAMS_MAX + 8 {
        let answer = ask(ringway.admin(), "HEAD /api/v1/events", &[], "");
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }

    eventually("a place is free", || {
        ask(ringway.admin(), "HEAD /api/v1/events", &[], "").status == 200
    });
}
