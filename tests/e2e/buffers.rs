//! A worker whose buffers are all in use by sessions that stall: the others go on.
//!
//! So that they are few, the system refuses memory for more than those that the worker begins with.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};

use crate::clients::{Ending, connect, ending, read_all, read_line, ready, round_trip};
use crate::harness::{Launch, Ringway};
use crate::pattern::{self, Pattern};
use crate::servers::{Gate, Server};
use crate::wait::{all_through, eventually};

/// Sessions that stall: more than there are buffers, which are 64.
const STALLED: usize = 150;

/// More than the kernel takes for a server that does not read.
const STALLING_BYTES: usize = 480 * 1024;

/// What a session that does not stall may wait for a round trip, however much others do.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A listener whose connections nobody accepts or reads, with small windows and packets, so that
/// few bytes make a session stall.
fn deaf_server() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.set_tcp_mss(536).expect("a size");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("an address");
    socket.listen(1024).expect("it listens");
    let address = socket.local_addr().expect("an address").as_socket();
    (socket, address.expect("an IP address"))
}

/// One worker for two frontends, `stalling` and `lively`, with 64 buffers.
fn few_buffers(stalling: SocketAddr, keys: &str, lively: SocketAddr) -> Ringway {
    let (frontend_keys, server_keys) = keys.split_once('|').unwrap_or((keys, ""));
    let text = format!(
        r#"
        [global]
        workers = 1
        [frontend.stalling]
        listen = ["127.0.0.1:0"]
        backend = "stalling"
        {frontend_keys}
        [frontend.lively]
        listen = ["127.0.0.1:0"]
        backend = "lively"
        [backend.stalling]
        servers = [{{ name = "a", address = "{stalling}"{server_keys} }}]
        [backend.lively]
        servers = [{{ name = "a", address = "{lively}" }}]
        "#
    );
    let ringway = Launch::config(&text).start();
    // Both have been used, and with them all that is made at the first use.
    round_trip(&connect(ringway.address_of("lively")), b"first");
    // Less than a block of buffers, and enough for all else.
    let limit = Some(ringway.address_space() as u64 + (3 << 20));
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    prlimit(Some(ringway.pid()), Resource::As, limit).expect("a limit");
    ringway
}

/// Fresh sessions are served at once, several times.
fn assert_lively(ringway: &Ringway) {
    for _ in 0..20 {
        let start = Instant::now();
        let client = connect(ringway.address_of("lively"));
        for _ in 0..5 {
            round_trip(&client, &[7; 1000]);
        }
        let time = start.elapsed();
        assert!(time < AT_ONCE, "a fresh session took {time:?}");
    }
}

/// Fails unless the process rests while nothing can move.
fn rests(ringway: &Ringway) {
    let before = ringway.cpu_time();
    let time = Duration::from_secs(1);
    all_through("the process rests", time, || {
        ringway.cpu_time() - before < time / 5
    });
}

/// Sessions of clients that send the same stream by turns, in pieces, until all of it is on the
/// way. Each piece is received by itself: more at a time would be spliced, without buffers.
fn stall(ringway: &Ringway, count: usize, piece: usize) -> Vec<TcpStream> {
    let clients: Vec<TcpStream> = (0..count)
        .map(|_| connect(ringway.address_of("stalling")))
        .collect();
    let lively = connect(ringway.address_of("lively"));
    let stream = Pattern::new(3).message(STALLING_BYTES);
    // The first pieces differ in length, so that sessions stall with different rests of a piece, whatever
    // the kernel takes.
    let end = |round: usize, client: usize| {
        let first = piece * (client + 1) / count;
        STALLING_BYTES.min(first + round * piece)
    };
    for round in 0..=STALLING_BYTES / piece {
        for (index, mut client) in clients.iter().enumerate() {
            let begin = match round {
                0 => 0,
                _ => end(round - 1, index),
            };
            // Whose session was ended takes no more.
            let _ = client.write_all(&stream[begin..end(round, index)]);
        }
        round_trip(&lively, b"all of it was received");
    }
    clients
}

#[test]
fn beside_sessions_that_hold_all_buffers_a_fresh_one_is_served_and_nobody_spins() {
    let (_deaf, address) = deaf_server();
    let lively = Server::echo();
    let ringway = few_buffers(address, "", lively.address());
    // A rest of more than half a buffer keeps its buffer: a third of these.
    let mut clients = stall(&ringway, 2 * STALLED, 47 * 1024);
    assert_lively(&ringway);
    rests(&ringway);
    assert_lively(&ringway);

    // How many of these keep a buffer depends on what the kernel took: further ones come until one of all is
    // ended for its buffer.
    eventually("a stalled session is ended", || {
        clients.extend(stall(&ringway, STALLED / 5, 47 * 1024));
        assert_lively(&ringway);
        let ended = ringway.sessions_ended(1);
        ended.iter().any(|session| session.code == "RD")
    });
    ringway.says("all buffers are in use");
}

#[test]
fn sessions_that_hold_few_bytes_keep_them_all_and_no_buffers() {
    let (deaf, address) = deaf_server();
    let lively = Server::echo();
    let ringway = few_buffers(address, "", lively.address());
    let clients = stall(&ringway, STALLED, 4 * 1024);
    assert_lively(&ringway);
    rests(&ringway);

    let ends: Vec<_> = clients
        .into_iter()
        .map(|client| {
            client.shutdown(Shutdown::Write).expect("an end");
            thread::spawn(move || ending(&client))
        })
        .collect();
    let readers: Vec<_> = (0..STALLED)
        .map(|_| {
            let (stream, _) = deaf.accept().expect("a connection");
            let stream = ready(stream.into());
            thread::spawn(move || pattern::receive(&stream, 3, STALLING_BYTES))
        })
        .collect();
    for reader in readers {
        reader.join().expect("all that was sent");
    }
    for end in ends {
        assert_eq!(end.join().expect("no panic"), Ending::Closed);
    }
}

#[test]
fn sessions_that_wait_for_a_server_keep_little_memory_and_no_buffers() {
    let gate = Gate::default();
    let open = gate.clone();
    let server = Server::start(move |stream| {
        open.wait();
        while !read_line(stream).trim().is_empty() {}
        let mut stream = stream;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    let lively = Server::echo();
    let keys = "mode = \"http\"\nqueue_timeout = \"1m\"|, max_sessions = 1";
    let ringway = few_buffers(server.address(), keys, lively.address());
    let request = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1000));
    let clients: Vec<TcpStream> = (0..STALLED)
        .map(|_| {
            let mut client = connect(ringway.address_of("stalling"));
            client.write_all(request.as_bytes()).expect("sent");
            client
        })
        .collect();
    eventually("a session has the server", || server.open() == 1);
    assert_lively(&ringway);
    rests(&ringway);

    gate.open();
    let readers = clients.into_iter().map(|client| {
        thread::spawn(move || {
            let answer = read_all(&client);
            String::from_utf8(answer).expect("text")
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        let answer = reader.join().expect("no panic");
        assert!(answer.ends_with("ok"), "nobody was sent away: {answer:?}");
    }
}
