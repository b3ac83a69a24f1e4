//! Many that hold a session and never finish their request, beside others that do.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Ending, connect, ending};
use crate::http::{Answer, stats};
use crate::http_servers::HttpServer;
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// Clients that send a byte now and then.
const SLOW: usize = 500;

/// Time between two of its bytes.
const PAUSE: Duration = Duration::from_millis(100);

/// What the process may grow for the sake of one of them.
const GROWTH_MAX: usize = 16 * 1024;

/// How long a request among them may take on a busy machine.
const SLOWEST: Duration = Duration::from_secs(1);

#[test]
fn slow_heads_are_in_nobodys_way() {
    let server = HttpServer::named("a");
    let ringway = Setup::http()
        .defaults(r#"request_timeout = "2s""#)
        .server("a", server.address())
        .admin()
        .start();
    let (descriptors, memory) = (ringway.descriptors(), ringway.memory());
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(200));
    let slow: Vec<TcpStream> = (0..SLOW).map(|_| connect(ringway.address())).collect();

    let over = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let lively: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    while !over.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        let mut client = connect(ringway.address());
                        for _ in 0..5 {
                            client
                                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                                .expect("taken");
                            assert_eq!(Answer::read(&client).expect("an answer").status, 200);
                            answered += 1;
                        }
                        assert!(start.elapsed() < SLOWEST, "{:?}", start.elapsed());
                    }
                    answered
                })
            })
            .collect();
        for byte in head.as_bytes() {
            let mut left = slow.iter().map(|mut client| client.write_all(&[*byte]));
            if left.any(|sent| sent.is_err()) || slow.iter().all(has_answer) {
                break;
            }
            let growth = ringway.memory().saturating_sub(memory);
            assert!(
                growth < SLOW * GROWTH_MAX,
                "the process grew by {growth} bytes"
            );
            all_through("a pause", PAUSE, || true);
        }
        over.store(true, Ordering::Relaxed);
        lively
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum::<usize>()
    });
    assert!(answered > 100, "only {answered} requests");

    for client in &slow {
        assert_eq!(Answer::read(client).expect("an answer").status, 408);
        assert_eq!(ending(client), Ending::Closed);
    }
    drop(slow);
    assert_eq!(
        stats(ringway.admin())["frontends"][0]["answers"]["408"],
        SLOW
    );
    eventually("all descriptors are given back", || {
        ringway.descriptors() <= descriptors + 1
    });
}

#[test]
fn what_was_kept_of_long_heads_goes_back_to_the_system() {
    const CLIENTS: usize = 1000;
    const LENGTH: usize = 58_000;
    /// What may stay: buffers, and what the first sessions make for all.
    const LEFT_MAX: usize = 10 << 20;
    let server = HttpServer::named("a");
    let ringway = Setup::plain_http()
        .frontend(r#"head_max = "64KiB""#)
        .defaults(r#"request_timeout = "1m""#)
        .server("a", server.address())
        .start();
    let (descriptors, memory) = (ringway.descriptors(), ringway.memory());
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}",
        line.repeat(LENGTH / line.len())
    );
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = connect(ringway.address());
            client.write_all(head.as_bytes()).expect("taken");
            client
        })
        .collect();
    eventually("all heads are kept", || {
        ringway.memory() > memory + CLIENTS * head.len()
    });

    let mut last = clients.pop().expect("a client");
    last.write_all(b"\r\n").expect("taken");
    assert_eq!(Answer::read(&last).expect("an answer").status, 200);
    assert_eq!(
        server.last_request().head.matches(&line).count(),
        LENGTH / line.len()
    );

    drop((clients, last));
    eventually("all sessions end", || {
        ringway.descriptors() <= descriptors + 1
    });
    let left = ringway.memory().saturating_sub(memory);
    assert!(left < LEFT_MAX, "the process keeps {left} bytes");
}

/// Whether an answer can be read.
fn has_answer(client: &TcpStream) -> bool {
    !crate::clients::is_silent(client)
}
