//! HTTP mode behind a PROXY head, and the client's address in a line of the request.

use std::io::{Read, Write};
use std::time::Duration;

use crate::clients::connect;
use crate::http::Answer;
use crate::http_servers::HttpServer;
use crate::proxy_heads::{CLIENT, CLIENT6, accept, heads, line, named, sent};
use crate::setup::Setup;

#[test]
fn a_request_follows_a_head() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .frontend(&accept(", timeout = \"200ms\""))
        .server("a", server.address())
        .start();
    let request = b"GET /page HTTP/1.1\r\nHost: x\r\nCookie: SRV=old; a=b\r\n\r\n";
    let mut count = 0;
    for (head, client) in heads() {
        let whole = [&head[..], request].concat();
        for cut in [
            0,
            3,
            head.len() - 1,
            head.len(),
            head.len() + 4,
            whole.len() - 1,
        ] {
            let mut stream = connect(ringway.address());
            for piece in [&whole[..cut], &whole[cut..]] {
                stream.write_all(piece).expect("taken");
            }
            let answer = Answer::read(&stream).expect("an answer");
            assert_eq!((answer.status, answer.body.as_str()), (200, "a"));
            drop(stream);
            count += 1;
            let line = ringway.sessions_ended(count).pop().expect("a line");
            assert_eq!((line.client.as_str(), line.status), (client, Some(200)));
            let head = server.last_request().head;
            assert!(
                head.starts_with("GET /page ") && head.contains("Cookie: a=b\r\n"),
                "{head}"
            );
        }
    }
    // Errors of the head have no answer; what follows a good one has.
    let mut stream = sent(&ringway, request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    let stream = sent(
        &ringway,
        &[&line(CLIENT, "198.51.100.1:80")[..], b"\x02\0\x05GET /"].concat(),
    );
    assert_eq!(Answer::read(&stream).expect("an answer").status, 400);
    let codes: Vec<String> = ringway.sessions_ended(count + 2)[count..]
        .iter()
        .map(|line| line.code.clone())
        .collect();
    assert_eq!(codes[0], "PP--");
    // The request has its own time, and may come after that of the head.
    let mut stream = sent(&ringway, &line(CLIENT, "198.51.100.1:80"));
    stream
        .set_read_timeout(Some(Duration::from_millis(400)))
        .expect("a time");
    assert!(stream.read(&mut [0]).is_err(), "nothing comes");
    stream.write_all(request).expect("taken");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time");
    assert_eq!(Answer::read(&stream).expect("an answer").status, 200);
}

#[test]
fn a_request_without_a_head_that_is_not_required_is_read() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .frontend(&accept(", required = false, timeout = \"100ms\""))
        .backend("send_proxy = \"off\"")
        .server("a", server.address())
        .start();
    let request = b"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n";
    for cut in [0, 1, 3, 5, request.len()] {
        let mut stream = connect(ringway.address());
        stream.write_all(&request[..cut]).expect("taken");
        if cut < request.len() {
            stream
                .set_read_timeout(Some(Duration::from_millis(250)))
                .expect("a time");
            assert!(stream.read(&mut [0]).is_err(), "nothing comes");
            stream.write_all(&request[cut..]).expect("taken");
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a time");
        }
        assert_eq!(Answer::read(&stream).expect("an answer").status, 200);
    }
}

#[test]
fn servers_are_told_the_client_in_a_line_of_the_request() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .frontend(&accept(", required = false"))
        .frontend("inspect = \"close\"\nforwarded_for = true\ntrust = [\"192.0.2.0/24\"]")
        .server("a", server.address())
        .start();
    let request = |before: &[u8]| {
        let request = b"GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX_Forwarded_For: x\r\nHost: x\r\n\r\n";
        let stream = sent(&ringway, &[before, request].concat());
        assert_eq!(Answer::read(&stream).expect("an answer").status, 200);
        let head = server.last_request().head;
        let is_line = |line: &&str| {
            line.to_lowercase()
                .replace('_', "-")
                .starts_with("x-forwarded-for")
        };
        let lines: Vec<String> = head.lines().filter(is_line).map(str::to_owned).collect();
        assert_eq!(lines.len(), 1, "{head}");
        lines[0].clone()
    };
    assert_eq!(request(b""), "X-Forwarded-For: 127.0.0.1");
    let trusted = line(CLIENT, "198.51.100.1:80");
    assert_eq!(request(&trusted), "X-Forwarded-For: 203.0.113.9, 192.0.2.7");
    let other = named(CLIENT6, "[2001:db8::1]:80", b"");
    assert_eq!(request(&other), "X-Forwarded-For: 2001:db8::7");
}
