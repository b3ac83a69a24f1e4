//! After the two heads a session is a tunnel: bodies of any size, in both directions, through
//! kernel pipes when they are large.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use crate::clients::{Ending, connect, connect_narrow, ending, round_trip};
use crate::http::Answer;
use crate::http_servers::{Request, answer};
use crate::pattern;
use crate::servers::{self, RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::{DEADLINE, eventually};

/// Bytes of a large body.
const LENGTH: usize = 50 << 20;

/// The head of a request or an answer with this first line and so large a body.
fn head(first: &str, length: usize) -> String {
    format!("{first}\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// Reads the next head byte by byte, so that nothing of the body is taken.
fn read_request(stream: &TcpStream) -> Option<Request> {
    Request::read_head(&mut BufReader::with_capacity(1, stream))
}

#[test]
fn large_bodies_arrive_as_they_were_sent_in_both_directions() {
    let (report, reported) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        read_request(stream).expect("a request");
        let digest = pattern::digest(stream.take(LENGTH as u64)).expect("a body");
        report.send(digest).expect("someone waits");
        stream
            .write_all(head("HTTP/1.1 200 OK", LENGTH).as_bytes())
            .expect("taken");
        pattern::send(stream, 2, LENGTH, 100_000, |_| ()).expect("taken");
    });
    let ringway = Setup::http().server("a", server.address()).start();

    let mut client = connect(ringway.address());
    let head = head("PUT /x HTTP/1.1\r\nCookie: SRV=none; k=v", LENGTH);
    client.write_all(head.as_bytes()).expect("taken");
    pattern::send(&client, 1, LENGTH, 100_000, |_| ()).expect("taken");
    let sent = pattern::digest(&pattern::Pattern::new(1).message(LENGTH)[..]).expect("memory");
    assert_eq!(reported.recv_timeout(DEADLINE), Ok(sent));
    let answer = Answer::read_head(&client).expect("an answer");
    assert_eq!(answer.headers("set-cookie").len(), 1);
    pattern::receive(&client, 2, LENGTH);
    assert_eq!(ending(&client), Ending::Closed);
}

#[test]
fn bodies_flow_both_ways_at_once() {
    const LENGTH: usize = 16 << 20;
    let server = Server::start(|mut stream| {
        read_request(stream).expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("taken");
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).expect("taken");
        }
    });
    let ringway = Setup::http().server("a", server.address()).start();

    let mut client = connect(ringway.address());
    // The body comes with the head in one piece.
    let mut first = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    first.extend(pattern::Pattern::new(4).message(1_000));
    client.write_all(&first).expect("taken");
    assert_eq!(Answer::read_head(&client).expect("an answer").status, 200);
    pattern::receive(&client, 4, 1_000);
    thread::scope(|scope| {
        let sending = scope.spawn(|| pattern::send(&client, 3, LENGTH, 70_000, |_| ()));
        pattern::receive(&client, 3, LENGTH);
        sending.join().expect("no panic").expect("all is taken");
    });
    round_trip(&client, b"still there");
    servers::end_of_stream(&client);
    assert_eq!(ending(&client), Ending::Closed);
    assert_eq!(ringway.session_ended().code, "--NI");
}

#[test]
fn a_kept_alive_session_is_spliced_when_much_comes() {
    let server = Server::start(|mut stream| {
        while let Some(request) = read_request(stream) {
            if request.target() == "/small" {
                stream
                    .write_all(&answer("200 OK", &[], "x"))
                    .expect("taken");
                continue;
            }
            stream
                .write_all(head("HTTP/1.1 200 OK", LENGTH).as_bytes())
                .expect("taken");
            pattern::send(stream, 2, LENGTH, 100_000, |_| ()).expect("taken");
        }
    });
    let ringway = Setup::http().server("a", server.address()).start();
    let pipes = ringway.pipes();

    let mut client = connect_narrow(ringway.address());
    for _ in 0..3 {
        client
            .write_all(head("GET /small HTTP/1.1", 0).as_bytes())
            .expect("taken");
        assert_eq!(Answer::read(&client).expect("an answer").body, "x");
    }
    assert_eq!(ringway.pipes(), pipes);
    client
        .write_all(head("GET /large HTTP/1.1", 0).as_bytes())
        .expect("taken");
    eventually("a kernel pipe is used", || ringway.pipes() > pipes);
    let answer = Answer::read_head(&client).expect("an answer");
    assert_eq!(answer.headers("set-cookie"), [""; 0]);
    pattern::receive(&client, 2, LENGTH);

    client
        .write_all(head("GET /small HTTP/1.1", 0).as_bytes())
        .expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").body, "x");
}

#[test]
fn a_body_goes_whole_to_the_server_that_could_be_had() {
    const LENGTH: usize = 8 << 20;
    let server = Server::start(|mut stream| {
        read_request(stream).expect("a request");
        pattern::receive(stream, 6, LENGTH);
        stream
            .write_all(&answer("200 OK", &[], "b"))
            .expect("taken");
    });
    let refusing = [(); 3].map(|()| RefusingPort::new());
    let ringway = (refusing.iter().zip(["x", "y", "z"]))
        .fold(Setup::http(), |setup, (port, name)| {
            setup.server(name, port.address())
        })
        .backend(r#"balance = "first""#)
        .server("b", server.address())
        .start();

    let mut client = connect(ringway.address());
    let mut first = head("POST / HTTP/1.1", LENGTH).into_bytes();
    let body = pattern::Pattern::new(6).message(LENGTH);
    first.extend(&body[..20_000]);
    client.write_all(&first).expect("taken");
    client.write_all(&body[20_000..]).expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").body, "b");
    drop(client);
    assert_eq!(ringway.session_ended().retries, 3);
}
