//! How long the first answer takes from a server that writes it in pieces and leaves Nagle's
//! algorithm on (RFC 896): the kernel sends the second piece when the first one was acknowledged.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::clients::connect;
use crate::harness::Ringway;
use crate::http_servers::Request;
use crate::servers::Server;
use crate::setup::Setup;

/// Below the 40 ms that an acknowledgement may be delayed, and far above what two pieces take.
const MEDIAN_MAX: Duration = Duration::from_millis(15);

/// An odd number of connections, since a busy machine may delay some of them.
const CONNECTIONS: usize = 9;

/// A server that writes these pieces one by one. It waits for the end of the client, since its own
/// would push out what the kernel holds.
fn in_pieces(pieces: &'static [&'static str]) -> Server {
    Server::start(move |mut stream| {
        stream.set_nodelay(false).expect("as sockets are");
        let request = Request::read_head(&mut BufReader::new(stream));
        request.expect("a request");
        for piece in pieces {
            stream.write_all(piece.as_bytes()).expect("taken");
        }
        let end = stream.read(&mut [0; 1]);
        assert!(matches!(end, Ok(0) | Err(_)), "only the end comes");
    })
}

/// The median time from the request to the end of the answer.
fn median_time(ringway: &Ringway, answer: &str) -> Duration {
    let mut times: Vec<Duration> = (0..CONNECTIONS)
        .map(|_| {
            let mut client: TcpStream = connect(ringway.address());
            let asked = Instant::now();
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .expect("taken");
            let mut got = vec![0; answer.len()];
            client.read_exact(&mut got).expect("an answer");
            let time = asked.elapsed();
            assert_eq!(String::from_utf8(got).expect("text"), answer);
            time
        })
        .collect();
    times.sort_unstable();
    times[CONNECTIONS / 2]
}

#[track_caller]
fn comes_at_once(setup: Setup, pieces: &'static [&'static str]) {
    let server = in_pieces(pieces);
    let ringway = setup.server("a", server.address()).start();
    let median = median_time(&ringway, &pieces.concat());
    assert!(median < MEDIAN_MAX, "{pieces:?} took {median:?}");
}

/// Ways to write an answer, the first of them that of Python's http.server.
const ANSWERS: [&[&str]; 6] = [
    &["HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n", "body"],
    &["HTTP/1.1 200 OK\r\n\r\n", "until ", "the ", "end"],
    &["HTTP/1.1 200 OK\r\n", "Content-Length: 4\r\n", "\r\nbody"],
    &[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "4\r\nbody\r\n",
        "0\r\n\r\n",
    ],
    &[
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    ],
    &["something ", "that is not HTTP"],
];

#[test]
fn the_first_answer_comes_at_once_in_http_mode() {
    for pieces in ANSWERS {
        comes_at_once(Setup::plain_http(), pieces);
    }
}

#[test]
fn the_first_answer_comes_at_once_in_tcp_mode() {
    for pieces in ANSWERS {
        comes_at_once(Setup::new(), pieces);
    }
}
