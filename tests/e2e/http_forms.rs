//! Requests and answers of all forms, which pass as they are, but for what is inserted.

use std::io::{BufRead, Read, Write};
use std::sync::mpsc;

use crate::clients::{connect, read_all};
use crate::http::{Answer, get, stats};
use crate::http_heads::{INSERTED, before, ending_after, exchange, once};
use crate::http_servers::{HttpServer, answer};
use crate::servers;
use crate::wait::DEADLINE;

#[test]
fn a_switch_of_protocols_ends_all_reading() {
    let server = once(|mut stream, reader, _| {
        let head =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(head).expect("taken");
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) {
            stream.write_all(line.as_bytes()).expect("taken");
            line.clear();
        }
    });
    let ringway = before(server.address()).start();

    let mut client = connect(ringway.address());
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n";
    client.write_all(head).expect("taken");
    let answer = Answer::read(&client).expect("an answer");
    let expected = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: own",
        "Connection: Upgrade",
        "Set-Cookie: SRV=A; Path=/; HttpOnly; SameSite=Lax",
    ];
    assert_eq!(answer.lines, expected);
    for line in [
        "GET / HTTP/1.1\n",
        "Cookie: SRV=A\n",
        "\n",
        "\0\r\r\n",
        "HTTP/1.1 200 OK\n",
    ] {
        client.write_all(line.as_bytes()).expect("taken");
        let mut echo = vec![0; line.len()];
        client.read_exact(&mut echo).expect("an echo");
        assert_eq!(echo, line.as_bytes());
    }
}

#[test]
fn all_forms_of_answers_pass() {
    // Head, what follows it, and whether it may be cached.
    let cases = [
        ("HTTP/1.1 204 No Content\r\n", "", true),
        (
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n",
            "",
            true,
        ),
        ("HTTP/1.0 200 OK\r\n", "until the end", true),
        (
            "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\nSet-Cookie: SRV=1\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200\nContent-Length: 3\n", "abc", true),
        (
            "HTTP/1.1 500 Oh\r\nX: \0\r\r\n folded\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 599 What\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "",
            false,
        ),
    ];
    for (head, rest, cached) in cases {
        let end = if head.contains("\r\n") { "\r\n" } else { "\n" };
        let server = ending_after(format!("{head}{end}{rest}"));
        let ringway = before(server.address()).start();
        let inserted = if cached {
            INSERTED
        } else {
            &INSERTED[..INSERTED.find("Cache").expect("it")]
        };
        let inserted = inserted.replace("\r\n", end);
        let got = exchange(&ringway, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(got, format!("{head}{inserted}{end}{rest}"));
    }
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let server = HttpServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    let ringway = before(server.address()).start();
    let mut client = connect(ringway.address());

    for count in 0..3 {
        client
            .write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("taken");
        let answer = Answer::read_head(&client).expect("an answer");
        assert_eq!(answer.header("content-length"), Some("1000"));
        assert_eq!(answer.headers("set-cookie").len(), usize::from(count == 0));
    }
}

#[test]
fn what_is_no_http_passes_and_is_counted() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\nbody", "x".repeat(20_000));
    let answers = [
        "ICY 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "\0\u{1}\u{2}",
        &long,
    ];
    for text in answers {
        let server = ending_after(text);
        let ringway = before(server.address()).admin().start();
        assert_eq!(exchange(&ringway, b"GET / HTTP/1.1\r\n\r\n"), text);
        let line = ringway.session_ended();
        assert_eq!((line.code.as_str(), line.status), ("--NN", Some(-1)));
        assert_eq!(stats(ringway.admin())["frontends"][0]["opaque_answers"], 1);
    }
}

#[test]
fn a_client_may_end_its_half_with_the_request() {
    let server = HttpServer::named("a");
    let ringway = before(server.address()).start();

    for _ in 0..20 {
        let mut client = connect(ringway.address());
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("taken");
        servers::end_of_stream(&client);
        let answer = String::from_utf8(read_all(&client)).expect("text");
        assert_eq!(
            answer,
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n{INSERTED}\r\na")
        );
    }
    let lines = ringway.sessions_ended(20);
    assert!(lines.iter().all(|line| line.code == "--NI"), "{lines:?}");
}

#[test]
fn an_answer_may_come_before_the_body_is_there() {
    let (report, reported) = mpsc::channel();
    let server = once(move |mut stream, reader, _| {
        stream
            .write_all(&answer("413 Too Large", &[], "no"))
            .expect("taken");
        let mut body = Vec::new();
        reader.read_to_end(&mut body).expect("no reset");
        let _ = report.send(body);
    });
    let ringway = before(server.address()).start();

    let mut client = connect(ringway.address());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head).expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").status, 413);
    client.write_all(b"3\r\nabc\r\n0\r\n\r\n").expect("taken");
    drop(client);
    let body = reported.recv_timeout(DEADLINE).expect("the body");
    assert_eq!(body, b"3\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn targets_and_hosts_of_all_forms_pass() {
    let server = HttpServer::named("a");
    let ringway = before(server.address()).start();
    let targets = ["*", "http://a/x", "/%00?\u{e4}#", "a:443"];
    for target in targets {
        let method = if target == "a:443" {
            "CONNECT"
        } else {
            "OPTIONS"
        };
        let request = format!("{method}  {target}   HTTP/1.1\r\nHost: A\r\n\r\n");
        let mut client = connect(ringway.address());
        client.write_all(request.as_bytes()).expect("taken");
        assert_eq!(Answer::read(&client).expect("an answer").status, 200);
        assert_eq!(server.last_request().head, request);
    }
    assert_eq!(get(ringway.address(), "/").body, "a");
}
