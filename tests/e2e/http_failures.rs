//! Servers that fail before their answer: what the client is told, and that it can read it.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clients::{self, Ending, connect, ending, read_all};
use crate::harness::Ringway;
use crate::http::{Answer, stats};
use crate::http_servers::{HttpServer, Request, answer};
use crate::servers::{self, Gate, RefusingPort, Server};
use crate::setup::Setup;
use crate::taken::until_taken;
use crate::wait::eventually;

/// A plain request.
pub const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server that reads one head, sends this, and then ends as told.
fn breaking(sent: &'static [u8], how: Ending) -> Server {
    Server::start(move |mut stream| {
        let _ = Request::read_head(&mut std::io::BufReader::new(stream));
        stream.write_all(sent).expect("taken");
        match how {
            Ending::Closed => {}
            Ending::Reset => clients::reset(stream.try_clone().expect("a second owner")),
        }
    })
}

/// Reads an answer of ours, and the orderly end behind it.
#[track_caller]
fn own_answer(client: &TcpStream, status: u16) {
    let answer = Answer::read(client).expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.headers("set-cookie"), [""; 0]);
    assert_eq!(ending(client), Ending::Closed);
}

/// Sends this, and fails unless it is answered so.
#[track_caller]
pub fn is_answered(ringway: &Ringway, request: &[u8], status: u16) {
    let mut client = connect(ringway.address());
    client.write_all(request).expect("taken");
    own_answer(&client, status);
}

#[test]
fn a_server_that_ends_before_its_answer_gives_502() {
    let cases: [(&[u8], Ending); 5] = [
        (b"", Ending::Closed),
        (b"", Ending::Reset),
        (b"HT", Ending::Closed),
        (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: SRV=1\r\nX: y",
            Ending::Closed,
        ),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", Ending::Reset),
    ];
    for (sent, how) in cases {
        let server = breaking(sent, how);
        let setup = Setup::http().server("a", server.address()).admin();
        let ringway = setup.start();
        is_answered(&ringway, GET, 502);
        let line = ringway.session_ended();
        assert_eq!(
            (line.code.as_str(), line.status),
            ("SHNN", Some(502)),
            "{sent:?}"
        );
        assert_eq!(
            (line.server.as_str(), line.request.as_deref()),
            ("app/a", Some("GET /"))
        );
        assert_eq!(line.bytes_from_server, sent.len() as u64);
        assert_eq!(stats(ringway.admin())["frontends"][0]["answers"]["502"], 1);
    }
}

#[test]
fn interim_answers_of_a_server_that_ends_stay_given() {
    let server = breaking(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", Ending::Closed);
    let ringway = Setup::http().server("a", server.address()).start();
    let mut client = connect(ringway.address());
    client.write_all(GET).expect("taken");
    assert_eq!(
        Answer::read(&client).expect("an interim answer").status,
        100
    );
    own_answer(&client, 502);
}

#[test]
fn a_server_that_breaks_within_its_body_is_not_mended() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    for how in [Ending::Closed, Ending::Reset] {
        let server = breaking(begun, how);
        let ringway = Setup::plain_http().server("a", server.address()).start();
        let mut client = connect(ringway.address());
        client.write_all(GET).expect("taken");
        let answer = Answer::read_head(&client).expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(ending(&client), how);
    }
}

#[test]
fn a_server_that_is_silent_too_long_gives_504() {
    let server = Server::hanging();
    let ringway = Setup::http()
        .defaults(r#"idle_timeout = "200ms""#)
        .server("a", server.address())
        .admin()
        .start();

    let start = Instant::now();
    is_answered(&ringway, GET, 504);
    assert!(
        start.elapsed() >= Duration::from_millis(170),
        "{:?}",
        start.elapsed()
    );
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.status), ("sHNN", Some(504)));
    assert_eq!(stats(ringway.admin())["frontends"][0]["answers"]["504"], 1);
    eventually("the server is left", || server.open() == 0);
}

#[test]
fn a_client_that_ended_its_half_waits_for_half_closed_timeout() {
    let server = Server::never_ending();
    let ringway = Setup::http()
        .defaults(r#"half_closed_timeout = "200ms""#)
        .server("a", server.address())
        .start();
    let mut client = connect(ringway.address());
    client.write_all(GET).expect("taken");
    servers::end_of_stream(&client);
    own_answer(&client, 504);
    assert_eq!(ringway.session_ended().code, "sHNN");
}

#[test]
fn a_kept_alive_session_that_is_idle_is_closed_without_a_word() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .defaults(r#"idle_timeout = "200ms""#)
        .server("a", server.address())
        .start();
    let mut client = connect(ringway.address());
    client.write_all(GET).expect("taken");
    assert_eq!(Answer::read(&client).expect("an answer").status, 200);
    assert_eq!(read_all(&client), b"");
    assert_eq!(ringway.session_ended().code, "cDNI");
}

#[test]
fn a_client_that_leaves_before_the_answer_takes_the_server_with_it() {
    let server = Server::hanging();
    let ringway = Setup::http().server("a", server.address()).start();
    let mut client = connect(ringway.address());
    client.write_all(GET).expect("taken");
    eventually("the server has it", || server.open() == 1);
    clients::reset(client);
    eventually("the server is left", || server.open() == 0);
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.status), ("CHNN", Some(-1)));
}

/// A request with a body that is larger than all buffers on the way.
fn send_large(mut client: &TcpStream) -> std::io::Result<()> {
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 16777216\r\n\r\n")?;
    client.write_all(&vec![b'x'; 16 << 20])
}

#[test]
fn a_client_in_the_middle_of_its_body_reads_the_answer() {
    let refusing = RefusingPort::new();
    // It reads nothing: what is held for it must not be waited for.
    let gate = Gate::default();
    let closed = gate.clone();
    let hanging = Server::start(move |_| closed.wait());
    let closing = breaking(b"", Ending::Closed);
    let resetting = breaking(b"", Ending::Reset);
    let cases = [
        (refusing.address(), 503),
        (closing.address(), 502),
        (resetting.address(), 502),
        (hanging.address(), 504),
    ];
    for (address, status) in cases {
        let ringway = Setup::http()
            .defaults(r#"idle_timeout = "300ms""#)
            .server("a", address)
            .start();
        let client = connect(ringway.address());
        // A client need not read before it has written.
        send_large(&client).expect("all of it is taken");
        own_answer(&client, status);
    }
    gate.open();
}

#[test]
fn an_answer_of_a_server_that_does_not_read_the_body_is_delivered() {
    let server = HttpServer::start(|mut stream, _| {
        let _ = stream.write_all(&answer("403 Forbidden", &["Connection: close"], "no"));
        false
    });
    let ringway = Setup::http().server("a", server.address()).start();
    for _ in 0..20 {
        let mut client = connect(ringway.address());
        client.write_all(GET).expect("taken");
        assert_eq!(Answer::read(&client).expect("an answer").status, 403);
        assert_eq!(ending(&client), Ending::Closed);
    }
}

#[test]
fn a_request_that_may_have_arrived_is_sent_to_nobody_else() {
    let (breaks, b) = (breaking(b"", Ending::Reset), HttpServer::named("b"));
    let ringway = Setup::http()
        .backend(r#"balance = "first""#)
        .server("a", breaks.address())
        .server("b", b.address())
        .start();
    for _ in 0..10 {
        is_answered(&ringway, GET, 502);
    }
    assert_eq!((breaks.accepted(), b.accepted()), (10, 0));
}

#[test]
fn failures_leave_nothing_behind() {
    let (closes, resets) = (
        breaking(b"", Ending::Closed),
        breaking(b"HTTP/1.1 ", Ending::Reset),
    );
    let refusing = RefusingPort::new();
    let ringway = Setup::http()
        .defaults("retries = 0")
        .server("closes", closes.address())
        .server("resets", resets.address())
        .server("refuses", refusing.address())
        .start();
    let before = ringway.descriptors();
    for round in 0..100 {
        let mut client = connect(ringway.address());
        client.write_all(GET).expect("taken");
        if round % 3 == 0 {
            clients::reset(client);
            continue;
        }
        let status = Answer::read(&client).expect("an answer").status;
        assert!([502, 503].contains(&status), "{status}");
    }
    ringway.sessions_ended(100);
    eventually("all descriptors are given back", || {
        ringway.descriptors() <= before
    });
}

#[test]
fn the_end_of_the_process_waits_for_no_head() {
    let server = Server::hanging();
    let mut ringway = Setup::http()
        .workers(1)
        .global(r#"shutdown_timeout = "200ms""#)
        .server("a", server.address())
        .start();
    let mut waiting = connect(ringway.address());
    waiting.write_all(GET).expect("taken");
    eventually("the server has it", || server.open() == 1);
    let mut unfinished = connect(ringway.address());
    unfinished.write_all(b"GET / HTTP/1.1\r\n").expect("taken");
    until_taken(&unfinished);

    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    let mut codes: Vec<_> = (ringway.sessions_ended(2).into_iter())
        .map(|line| line.code)
        .collect();
    codes.sort();
    assert_eq!(codes, ["KHNN", "KR--"]);
    assert_eq!(ending(&unfinished), Ending::Reset);
}
