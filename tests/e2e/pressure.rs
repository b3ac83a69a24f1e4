//! A side that does not read makes the other side wait, costs little memory, and slows nobody else.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::clients::{self, Ending, connect, connect_narrow, round_trip};
use crate::harness::{Launch, Ringway};
use crate::pattern;
use crate::servers::{self, Gate, Server};
use crate::setup::Setup;
use crate::wait::{DEADLINE, all_through, eventually, settled};

/// Far more than all buffers on the way can hold.
const LENGTH: usize = 64 << 20;

/// What the kernel and the process may hold of a stream at most: mostly sockets' buffers.
const HELD_MAX: usize = 24 << 20;

/// What the process may grow for the sake of stalled sessions; it holds 256 KiB for one at most.
const GROWTH_MAX: usize = 8 << 20;

/// A server that sends a long stream, and the number of bytes it could send so far over all connections.
fn flood() -> (Server, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let server = Server::start(move |stream| {
        SockRef::from(stream)
            .set_send_buffer_size(64 * 1024)
            .expect("a size");
        let _ = pattern::send(stream, 1, LENGTH, 16 * 1024, |count| {
            counter.fetch_add(count, Ordering::SeqCst);
        });
    });
    (server, sent)
}

/// Fails unless the process rests: no endless turns of its loop while nothing can move.
fn rests(ringway: &Ringway) {
    let before = ringway.cpu_time();
    let time = Duration::from_millis(500);
    all_through("the process rests", time, || {
        ringway.cpu_time() - before < time / 5
    });
}

#[test]
fn a_client_that_stops_reading_holds_the_server_back() {
    let (server, sent) = flood();
    let ringway = Setup::new().server("a", server.address()).start();
    let before = ringway.memory();

    let client = connect_narrow(ringway.address());
    eventually("the server sends", || sent.load(Ordering::SeqCst) > 0);
    let held = settled("the server is held back", || sent.load(Ordering::SeqCst));

    assert!(held < HELD_MAX, "{held} bytes are on the way");
    let growth = ringway.memory().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "the process grew by {growth} bytes");
    rests(&ringway);

    pattern::receive(&client, 1, LENGTH);
    assert_eq!(clients::ending(&client), Ending::Closed);
}

#[test]
fn a_server_that_stops_reading_holds_the_client_back() {
    let (report, reported) = mpsc::channel();
    let gate = Gate::default();
    let reading = gate.clone();
    let server = Server::start(move |stream| {
        SockRef::from(stream)
            .set_recv_buffer_size(32 * 1024)
            .expect("a size");
        reading.wait();
        pattern::receive(stream, 2, LENGTH);
        let _ = report.send(servers::ending(stream));
    });
    let ringway = Setup::new().server("a", server.address()).start();
    let before = ringway.memory();

    let client = connect(ringway.address());
    SockRef::from(&client)
        .set_send_buffer_size(64 * 1024)
        .expect("a size");
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            pattern::send(&client, 2, LENGTH, 16 * 1024, |count| {
                sent.fetch_add(count, Ordering::SeqCst);
            })
        });
        eventually("the client sends", || sent.load(Ordering::SeqCst) > 0);
        let held = settled("the client is held back", || sent.load(Ordering::SeqCst));

        assert!(held < HELD_MAX, "{held} bytes are on the way");
        let growth = ringway.memory().saturating_sub(before);
        assert!(growth < GROWTH_MAX, "the process grew by {growth} bytes");
        rests(&ringway);

        gate.open();
        sending.join().expect("no panic").expect("all is taken");
    });
    drop(client);
    assert_eq!(reported.recv_timeout(DEADLINE), Ok(Ending::Closed));
}

#[test]
fn stalled_sessions_do_not_slow_a_lively_one() {
    const STALLED: usize = 200;
    const ROUND_TRIPS: u32 = 500;
    let (stalling, sent) = flood();
    let lively = Server::echo();
    let ringway = two_frontends(stalling.address(), lively.address());
    let before = ringway.memory();

    let stalled: Vec<TcpStream> = (0..STALLED)
        .map(|_| connect_narrow(ringway.address_of("stalling")))
        .collect();
    eventually("all sessions are open", || stalling.open() == STALLED);
    settled("all servers are held back", || sent.load(Ordering::SeqCst));

    let client = connect(ringway.address_of("lively"));
    let start = Instant::now();
    for _ in 0..ROUND_TRIPS {
        round_trip(&client, &[7; 1000]);
    }
    let each = start.elapsed() / ROUND_TRIPS;
    assert!(
        each < Duration::from_millis(5),
        "a round trip takes {each:?}"
    );

    let growth = ringway.memory().saturating_sub(before);
    assert!(
        growth < STALLED * 256 * 1024,
        "the process grew by {growth} bytes"
    );
    rests(&ringway);
    drop(stalled);
    eventually("all stalled sessions end", || stalling.open() == 0);
}

/// One worker for both frontends, so that the sessions of one can get in the way of the other's.
fn two_frontends(stalling: SocketAddr, lively: SocketAddr) -> Ringway {
    let text = format!(
        r#"
        [global]
        workers = 1

        [frontend.stalling]
        listen = ["127.0.0.1:0"]
        backend = "stalling"

        [frontend.lively]
        listen = ["127.0.0.1:0"]
        backend = "lively"

        [backend.stalling]
        servers = [{{ name = "a", address = "{stalling}" }}]

        [backend.lively]
        servers = [{{ name = "a", address = "{lively}" }}]
        "#
    );
    Launch::config(&text).start()
}

#[test]
fn a_stalled_client_that_resets_frees_the_server() {
    let (server, sent) = flood();
    let ringway = Setup::new().server("a", server.address()).start();

    let client = connect_narrow(ringway.address());
    eventually("the server sends", || sent.load(Ordering::SeqCst) > 0);
    settled("the server is held back", || sent.load(Ordering::SeqCst));
    clients::reset(client);

    eventually("the server is freed", || server.open() == 0);
    assert_eq!(ringway.session_ended().code, "CD");
}
