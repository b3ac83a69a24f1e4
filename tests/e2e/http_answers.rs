//! Requests that are not passed on: which answer each gets, and that its client can read it.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{Ending, connect, ending, read_all, reset};
use crate::harness::Ringway;
use crate::http::{Answer, stats};
use crate::http_servers::HttpServer;
use crate::servers;
use crate::setup::Setup;
use crate::wait::{DEADLINE, all_through};

/// A server that nothing of all this may reach, and the process before it.
fn untouched() -> (HttpServer, Setup) {
    let server = HttpServer::named("a");
    let setup = Setup::http().workers(1).server("a", server.address());
    (server, setup)
}

/// Reads an answer of ours with its end, and fails unless it is whole.
#[track_caller]
fn own_answer(client: &TcpStream, status: u16) {
    let answer = Answer::read(client).expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    let [first, kind, _, store, close] = &answer.lines[..] else {
        panic!("{answer:?}");
    };
    let fields = [
        "Content-Type: text/plain",
        "Cache-Control: no-store",
        "Connection: close",
    ];
    assert_eq!([kind, store, close], fields);
    let reason = first.strip_prefix("HTTP/1.1 ").expect("a version");
    assert!(
        answer.body.starts_with(reason) && answer.body.ends_with(".\n"),
        "{answer:?}"
    );
    assert_eq!(ending(client), Ending::Closed);
}

/// Sends this, and fails unless it is answered so.
#[track_caller]
fn is_answered(ringway: &Ringway, request: &[u8], status: u16) {
    let mut client = connect(ringway.address());
    client.write_all(request).expect("taken");
    own_answer(&client, status);
}

#[test]
fn what_could_be_read_in_two_ways_gets_400() {
    let (server, setup) = untouched();
    let ringway = setup.admin().start();
    let requests: &[&[u8]] = &[
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: x\r\ncontent-length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 10\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent_Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
        b"GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: SRV=A\0\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\n X: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\t: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX Y: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET\t/ HTTP/1.1\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];
    for request in requests {
        is_answered(&ringway, request, 400);
    }
    for line in ringway.sessions_ended(requests.len()) {
        assert_eq!((line.code.as_str(), line.status), ("PR--", Some(400)));
        assert_eq!(line.request.as_deref(), Some("<BADREQ>"));
        assert_eq!((line.server.as_str(), line.connect_ms), ("app/<NOSRV>", -1));
    }
    assert_eq!(server.accepted(), 0);
    let answers = &stats(ringway.admin())["frontends"][0]["answers"];
    let expected = json!({"400": requests.len(), "408": 0, "431": 0, "502": 0, "503": 0, "504": 0});
    assert_eq!(answers, &expected);
}

#[test]
fn what_is_no_http_gets_400() {
    let (server, setup) = untouched();
    let ringway = setup.start();
    let beginnings: &[&[u8]] = &[
        b"GET /\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.10\r\n\r\n",
        b"GET / BAD-VERSION\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"\0\0\0\x54\xffSMB",
        b"\x80\x9e\x01\x03",
        b"* OK IMAP4rev1\r\n",
    ];
    // At once, and not when the time for the rest is over.
    let start = Instant::now();
    for beginning in beginnings {
        is_answered(&ringway, beginning, 400);
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    for line in ringway.sessions_ended(beginnings.len()) {
        assert_eq!(line.code, "PR--", "{line:?}");
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn the_log_names_http_2_and_tls() {
    let (server, setup) = untouched();
    let ringway = setup.start();

    is_answered(
        &ringway,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        400,
    );
    let mut client = connect(ringway.address());
    let hello = [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[7; 507]].concat();
    client.write_all(&hello).expect("taken");
    assert_eq!(read_all(&client), b"");

    let lines = ringway.sessions_ended(2);
    let told = |index: usize| {
        let line = &lines[index];
        (line.code.as_str(), line.status, line.request.as_deref())
    };
    assert_eq!(told(0), ("PR--", Some(400), Some("<HTTP/2>")));
    assert_eq!(told(1), ("PR--", Some(-1), Some("<TLS>")));
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_head_that_is_too_long_gets_431() {
    let (server, setup) = untouched();
    let ringway = setup.frontend(r#"head_max = "2KiB""#).start();
    let long = "x".repeat(2_048);
    let requests = [
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nCookie: SRV={long}\r\n\r\n"),
        // Without an end: at once, and not when the time for the rest is over.
        format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(400)),
    ];
    for request in &requests {
        is_answered(&ringway, request.as_bytes(), 431);
    }
    for line in ringway.sessions_ended(requests.len()) {
        assert_eq!((line.code.as_str(), line.status), ("PR--", Some(431)));
        assert_eq!(line.request.as_deref(), Some("<TOOLONG>"));
    }
    assert_eq!(server.accepted(), 0);

    let (first, last) = ("GET / HTTP/1.1\r\nX: ", "\r\n\r\n");
    let longest = format!(
        "{first}{}{last}",
        "x".repeat(2_048 - first.len() - last.len())
    );
    let mut client = connect(ringway.address());
    client.write_all(longest.as_bytes()).expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").status, 200);
    assert_eq!(server.last_request().head, longest);
}

#[test]
fn who_does_not_finish_the_head_in_time_gets_408() {
    let (server, setup) = untouched();
    let ringway = setup
        .defaults(r#"request_timeout = "300ms""#)
        .admin()
        .start();
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let start = Instant::now();
        is_answered(&ringway, beginning.as_bytes(), 408);
        assert!(
            start.elapsed() >= Duration::from_millis(270),
            "{:?}",
            start.elapsed()
        );
    }

    // The time is that of the whole head, whatever comes in between.
    let mut client = connect(ringway.address());
    client.write_all(b"GET / HTTP/1.1\r\n").expect("taken");
    let start = Instant::now();
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a time");
    while client.peek(&mut [0]).is_err() {
        client.write_all(b"X: y\r\n").expect("taken");
        assert!(start.elapsed() < DEADLINE / 2, "it goes on and on");
    }
    client.set_read_timeout(Some(DEADLINE)).expect("a time");
    own_answer(&client, 408);
    drop(client);

    for line in ringway.sessions_ended(4) {
        assert_eq!((line.code.as_str(), line.status), ("cR--", Some(408)));
        assert_eq!(
            (line.request.as_deref(), line.bytes_from_server),
            (Some(""), 0)
        );
    }
    assert_eq!(stats(ringway.admin())["frontends"][0]["answers"]["408"], 4);
    assert_eq!(server.accepted(), 0);
}

#[test]
fn who_leaves_within_the_head_gets_nothing() {
    let (server, setup) = untouched();
    let ringway = setup.admin().start();
    let before = ringway.descriptors();

    for beginning in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut client = connect(ringway.address());
        client.write_all(beginning.as_bytes()).expect("taken");
        servers::end_of_stream(&client);
        assert_eq!(read_all(&client), b"");
        let mut client = connect(ringway.address());
        client.write_all(beginning.as_bytes()).expect("taken");
        reset(client);
    }

    for line in ringway.sessions_ended(4) {
        assert_eq!((line.code.as_str(), line.status), ("CR--", Some(-1)));
    }
    all_through("nothing is left", Duration::from_millis(100), || {
        ringway.descriptors() <= before + 1
    });
    assert_eq!(server.accepted(), 0);
    let stats = stats(ringway.admin());
    let answers = stats["frontends"][0]["answers"]
        .as_object()
        .expect("an object");
    assert!(answers.values().all(|count| count == 0), "{stats}");
    assert_eq!(stats["backends"][0]["servers"][0]["connect_failures"], 0);
}

#[test]
fn a_refused_client_reads_its_answer_behind_all_that_it_sent() {
    let (_server, setup) = untouched();
    let ringway = setup.start();
    let body = vec![b'x'; 8 << 20];

    for head in ["POST / HTTP/1.1\r\nX : y\r\n\r\n", "POST /\r\n\r\n"] {
        let mut client = connect(ringway.address());
        client.write_all(head.as_bytes()).expect("taken");
        client.write_all(&body).expect("all of it is taken");
        own_answer(&client, 400);
    }
    // One that goes on for ever is cut.
    let mut client = connect(ringway.address());
    client.write_all(b"POST /\r\n\r\n").expect("taken");
    let start = Instant::now();
    while client.write_all(&body[..100_000]).is_ok() {
        assert!(start.elapsed() < DEADLINE, "it goes on and on");
    }
    assert!(
        start.elapsed() >= Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_line_of_json_has_the_fields_of_http() {
    let (_server, setup) = untouched();
    let ringway = setup.global(r#"access_log = "json""#).start();
    let long = "y".repeat(3_000);
    let requests = [
        "PUT /a\"b?c=d HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /\u{e4}\\ HTTP/1.1\r\n\r\n".to_owned(),
        "BAD\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.0\r\n\r\n"),
    ];
    for request in &requests {
        let mut client = connect(ringway.address());
        client.write_all(request.as_bytes()).expect("taken");
        assert!(Answer::read(&client).is_some());
    }

    let lines: Vec<Value> = ringway.printed("lines of JSON", |lines| {
        let lines = lines.iter().map(|line| serde_json::from_str(line));
        let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
        (lines.len() == requests.len()).then_some(lines)
    });
    let cut = format!("/{}", &long[..1_023]);
    let expected = [
        ("--NI", 200, "PUT", "/a\"b?c=d"),
        ("--NI", 200, "GET", "/\u{e4}\\"),
        ("PR--", 400, "<BADREQ>", ""),
        ("--NI", 200, "GET", &cut),
    ];
    for (code, status, method, target) in expected {
        let found = lines.iter().any(|line| {
            line["code"] == code
                && line["status"] == status
                && line["method"] == method
                && line["target"] == target
        });
        assert!(found, "{method} {target} in {lines:#?}");
    }
}

#[test]
fn a_line_of_text_has_the_fields_of_http() {
    let (_server, setup) = untouched();
    let ringway = setup.start();
    let mut client = connect(ringway.address());
    client
        .write_all(b"GET /a\"b HTTP/1.1\r\n\r\n")
        .expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").status, 200);
    drop(client);

    let line = ringway.session_ended();
    assert_eq!(
        (line.code.as_str(), line.server.as_str()),
        ("--NI", "app/a")
    );
    assert_eq!(
        (line.status, line.request.as_deref()),
        (Some(200), Some("GET /a%22b"))
    );
}
