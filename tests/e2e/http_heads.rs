//! Heads as they come: in pieces, with others behind them, and with interim answers before them.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use crate::clients::{connect, connect_narrow, read_all};
use crate::http::Answer;
use crate::http_servers::{HttpServer, Request, answer};
use crate::servers::Server;
use crate::setup::Setup;
use crate::taken::until_taken;
use crate::wait::settled;

/// What is inserted for the only server of these tests.
pub const INSERTED: &str =
    "Set-Cookie: SRV=A; Path=/; HttpOnly; SameSite=Lax\r\nCache-Control: private\r\n";

/// The server `a` with the cookie `A`.
pub fn before(server: std::net::SocketAddr) -> Setup {
    Setup::http().server_with("a", server, r#"cookie = "A""#)
}

/// A server that reads one head, runs this with what came behind it, and ends.
pub fn once(
    serve: impl Fn(&TcpStream, &mut BufReader<&TcpStream>, Request) + Send + Sync + 'static,
) -> Server {
    Server::start(move |stream| {
        let mut reader = BufReader::new(stream);
        if let Some(request) = Request::read_head(&mut reader) {
            serve(stream, &mut reader, request);
        }
    })
}

/// A server that gives this as its answer, and ends its stream after it.
pub fn ending_after(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    once(move |mut stream, _, _| stream.write_all(&answer).expect("taken"))
}

/// Sends a request and returns all that comes until the end.
#[track_caller]
pub fn exchange(ringway: &crate::harness::Ringway, request: &[u8]) -> String {
    let mut client = connect(ringway.address());
    client.write_all(request).expect("taken");
    String::from_utf8(read_all(&client)).expect("text")
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let server = HttpServer::named("a");
    let ringway = before(server.address()).start();
    let request = b"\r\nPOST /?q=1 HTTP/1.1\r\nHost: a\r\nCookie: k=v; SRV=A; x=y\r\n\
                    Content-Length: 4\r\n\r\nbody";
    let seen = "\r\nPOST /?q=1 HTTP/1.1\r\nHost: a\r\nCookie: k=v; x=y\r\n\
                Content-Length: 4\r\n\r\n";
    for at in 1..request.len() {
        let mut client = connect(ringway.address());
        for piece in [&request[..at], &request[at..]] {
            client.write_all(piece).expect("taken");
            until_taken(&client);
        }
        let answer = Answer::read(&client).expect("an answer");
        assert_eq!(answer.lines, ["HTTP/1.1 200 OK", "Content-Length: 1"]);
        let request = server.last_request();
        assert_eq!(
            (request.head.as_str(), &request.body[..]),
            (seen, &b"body"[..])
        );
    }
    let requests = server.requests().len();
    assert_eq!(requests, request.len() - 1);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = HttpServer::named("a");
    let ringway = before(server.address()).start();
    let mut client = connect(ringway.address());

    for byte in b"GET / HTTP/1.1\nHost: a\nCookie: SRV=A\nCookie: x=y\n\n" {
        client.write_all(&[*byte]).expect("taken");
        until_taken(&client);
    }

    let answer = Answer::read(&client).expect("an answer");
    assert_eq!(answer.lines, ["HTTP/1.1 200 OK", "Content-Length: 1"]);
    let seen = "GET / HTTP/1.1\nHost: a\nCookie: x=y\n\n";
    assert_eq!(server.last_request().head, seen);
}

#[test]
fn an_answer_may_be_cut_anywhere() {
    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    const FINAL: [&str; 4] = [
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n",
        "Set-Cookie: SRV=theirs\r\n",
        "Content-Length: 4\r\n",
        "\r\nbody",
    ];
    let sent = INTERIM.to_owned() + &FINAL.concat();
    let length = sent.len();
    let server = once(move |mut stream, _, request| {
        let at = request.target()[1..].parse().expect("where to cut");
        for piece in [&sent[..at], &sent[at..]] {
            stream.write_all(piece.as_bytes()).expect("taken");
            until_taken(stream);
        }
    });
    let ringway = before(server.address()).start();
    let [status, _, fields, rest] = FINAL;
    let expected = [INTERIM, status, fields, INSERTED, rest].concat();

    for at in 1..length {
        let request = format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            exchange(&ringway, request.as_bytes()),
            expected,
            "cut at {at}"
        );
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let server = once(|mut stream, _, _| {
        for byte in b"HTTP/1.1 100 Continue\n\nHTTP/1.0 404 Not Found\nSet-Cookie: SRV=1\n\nend" {
            stream.write_all(&[*byte]).expect("taken");
            until_taken(stream);
        }
    });
    let ringway = before(server.address()).start();

    let got = exchange(&ringway, b"GET / HTTP/1.1\r\n\r\n");

    let inserted = INSERTED.replace('\r', "");
    let expected = format!("HTTP/1.1 100 Continue\n\nHTTP/1.0 404 Not Found\n{inserted}\nend");
    assert_eq!(got, expected);
}

#[test]
fn pipelined_requests_arrive_once_and_in_order() {
    let servers = ["a", "b"].map(HttpServer::named);
    let ringway = before(servers[0].address())
        .server_with("b", servers[1].address(), r#"cookie = "B""#)
        .start();
    let request = |index: usize, cookie: &str| {
        format!("POST /{index} HTTP/1.1\r\n{cookie}Content-Length: 2\r\n\r\n{index:02}")
    };
    let mut all = request(0, "Cookie: SRV=B; k=v\r\n");
    all.extend((1..50).map(|index| request(index, "Cookie: SRV=A; k=v\r\n")));

    let mut client = connect(ringway.address());
    client.write_all(all.as_bytes()).expect("taken");
    for _ in 0..50 {
        let answer = Answer::read(&client).expect("an answer");
        assert_eq!((answer.lines.len(), answer.body.as_str()), (2, "b"));
    }

    // Only the first one's cookie is ours to read and to remove.
    let requests = servers[1].requests();
    for (index, request) in requests.iter().enumerate() {
        let cookie = if index == 0 { "k=v" } else { "SRV=A; k=v" };
        let head =
            format!("POST /{index} HTTP/1.1\r\nCookie: {cookie}\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(
            (&request.head, &request.body),
            (&head, &format!("{index:02}").into())
        );
    }
    assert_eq!((requests.len(), servers[0].accepted()), (50, 0));
}

#[test]
fn a_body_waits_for_100_continue() {
    let server = once(|mut stream, reader, _| {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .expect("taken");
        let mut body = [0; 5];
        reader.read_exact(&mut body).expect("the body");
        assert_eq!(&body, b"later");
        stream
            .write_all(&answer("201 Created", &[], "x"))
            .expect("taken");
    });
    let ringway = before(server.address()).start();

    let mut client = connect(ringway.address());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.write_all(head).expect("taken");
    let interim = Answer::read(&client).expect("an interim answer");
    assert_eq!(interim.lines, ["HTTP/1.1 100 Continue"]);
    client.write_all(b"later").expect("taken");
    let answer = Answer::read(&client).expect("an answer");

    assert_eq!(
        (answer.status, answer.headers("set-cookie").len()),
        (201, 1)
    );
    drop(client);
    assert_eq!(ringway.session_ended().status, Some(201));
}

#[test]
fn interim_answers_may_be_many_and_the_client_slow() {
    // More than all buffers between the two hold, in heads of sizes that end nowhere twice.
    const COUNT: usize = 2_000;
    let interims: String = (0..COUNT)
        .map(|index| {
            format!(
                "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
                "l".repeat(index * 7)
            )
        })
        .collect();
    let sent = format!("{interims}HTTP/1.1 200 OK\r\n\r\nend");
    let expected = format!("{interims}HTTP/1.1 200 OK\r\n{INSERTED}\r\nend");
    let server = ending_after(sent);
    let ringway = before(server.address()).workers(1).start();

    let mut client = connect_narrow(ringway.address());
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("taken");
    settled("nothing moves", || ringway.cpu_time());
    let got = read_all(&client);

    assert!(
        got == expected.as_bytes(),
        "{} of {} bytes",
        got.len(),
        expected.len()
    );
}
