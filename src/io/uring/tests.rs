//! Levels of features, and how an engine ends. What holds for every engine is in `io/tests`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use super::*;
use crate::io::buffer::{BUFFER_BYTES, Chunk, HEADROOM_BYTES};
use crate::io::calls::Sockets;

#[test]
fn an_engine_uses_no_more_features_than_it_may() {
    for features in ALL_FEATURES {
        assert!(engine(features, Waker::new().unwrap()).features() <= features);
    }
}

fn engine(features: Features, waker: Waker) -> Uring {
    let limits = ResourceLimits {
        buffer_bytes_max: 16 << 20,
        pipes_max: 4,
    };
    Uring::new(features, &limits, waker).unwrap()
}

/// The next completion.
fn completion(engine: &mut Uring) -> (Token, Done<Uring>) {
    loop {
        if let Some(completion) = engine.next() {
            return completion;
        }
        engine.wait(Some(Duration::from_secs(10)));
    }
}

/// An engine on these features, and a connection of it.
fn connected(features: Features) -> (Uring, Socket, std::net::TcpStream) {
    let mut engine = engine(features, Waker::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address.into()).unwrap();
    engine.connect(&socket, &address.into(), Token(1));
    let _ = completion(&mut engine);
    let (peer, _) = listener.accept().unwrap();
    (engine, socket, peer)
}

const ALL_FEATURES: [Features; 3] = [Features::Linux6_1, Features::Linux6_6, Features::Linux6_17];

/// An engine with a receive, polls and a cancellation in flight, and a receive that is queued, and
/// the connection that receives.
fn busy(features: Features) -> (Uring, [Socket; 2], [std::net::TcpStream; 2]) {
    let (mut engine, socket, peer) = connected(features);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let other = Socket::new(listener.accept().unwrap().0.into());
    engine.receive(&socket, Receive::Stream, true, Token(2));
    engine.watch(&other, Token(4));
    engine.watch_waker(Token(5));
    engine.wait(Some(Duration::ZERO));
    engine.receive(&other, Receive::Stream, true, Token(4));
    (engine, [socket, other], [peer, other_peer])
}

/// Sends to sockets whose receives have ended, and sees that the bytes stay where they are.
fn assert_nobody_receives(
    sockets: [Socket; 2],
    peers: [std::net::TcpStream; 2],
    enter: impl FnOnce(),
) {
    for mut peer in &peers {
        // On loopback it has arrived then.
        peer.write_all(b"too late").unwrap();
    }
    enter();
    for socket in sockets {
        let mut received = [0; 20];
        let mut stream = std::net::TcpStream::from(socket.descriptor().try_clone().unwrap());
        let len = stream.read(&mut received).unwrap();
        assert_eq!(&received[..len], b"too late");
    }
}

#[test]
fn a_ring_that_was_shut_down_writes_nowhere() {
    for features in ALL_FEATURES {
        let (mut engine, sockets, peers) = busy(features);
        engine.ring.shut_down().unwrap();
        let ring = &mut engine.ring;
        assert_nobody_receives(sockets, peers, || ring.enter(Some(Duration::ZERO)));
        while let Some(buffer) = engine.resources.pool.take() {
            let (start, len) = (HEADROOM_BYTES, BUFFER_BYTES);
            let bytes = engine.resources.pool.bytes(&buffer, Chunk { start, len });
            assert!(bytes.iter().all(|byte| *byte == 0), "it was written to");
        }
    }
}

/// To close a ring alone would not end its operations: another descriptor shows that they have
/// ended.
#[test]
fn a_dropped_engine_has_ended_its_operations() {
    for features in ALL_FEATURES {
        let (engine, sockets, peers) = busy(features);
        let another = engine.ring.duplicate();
        drop(engine);
        assert_nobody_receives(sockets, peers, || {
            const GETEVENTS: libc::c_uint = 1;
            let (submit, want, none) = (0, 0, std::ptr::null::<u8>());
            // SAFETY: (M) the kernel is given no memory.
            let entered = unsafe {
                libc::syscall(
                    libc::SYS_io_uring_enter,
                    another.as_raw_fd(),
                    submit,
                    want,
                    GETEVENTS,
                    none,
                    0,
                )
            };
            assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
        });
    }
}
