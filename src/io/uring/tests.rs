//! The engine against real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use super::*;
use crate::io::buffer::{BUFFER_BYTES, Buffer, Chunk, HEADROOM_BYTES};
use crate::io::calls::{Memory, Sockets};

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

/// Sends the beginning of a buffer; what the kernel took of it. There is no end to wait for.
fn send(
    engine: &mut Uring,
    socket: &Socket,
    buffer: Buffer,
    len: u32,
    hint: SendHint,
) -> Result<u32, Fault> {
    let start = HEADROOM_BYTES;
    let chunk = Chunk { start, len };
    let lent = SendBuffer { buffer, chunk };
    engine.send(socket, lent, hint, Token(3));
    engine.wait(Some(Duration::ZERO));
    let (token, sent) = engine.next_sent().expect("a send ends in the wait");
    assert_eq!(token, Token(3));
    assert!(engine.next_sent().is_none());
    engine.release(sent.buffer);
    sent.len
}

/// Sends a message to an echo and receives it back, on the given level of features.
fn echo(features: Features) {
    let mut engine = engine(features, Waker::new().unwrap());
    assert!(engine.features() <= features);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut message = [0; 5];
        client.read_exact(&mut message).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut message).unwrap();
        assert_eq!(&message, b"hello");
        client.write_all(b"again").unwrap();
    });
    let socket = engine.open(&address).unwrap();
    engine.connect(&socket, &address, Token(1));
    let (token, done) = completion(&mut engine);
    assert_eq!(token, Token(1));
    assert!(matches!(done, Done::Connected(Ok(()))), "{done:?}");

    // What is received goes out again from the same buffer.
    let copy = socket.descriptor().try_clone().unwrap();
    std::net::TcpStream::from(copy).write_all(b"start").unwrap();
    let (mut armed, mut received, mut ended) = (false, 0, false);
    while !ended {
        if !armed {
            engine.receive(&socket, Receive::Stream, true, Token(2));
            armed = true;
        }
        match completion(&mut engine).1 {
            Done::Received {
                bytes: Ok((Some(buffer), len)),
                armed: still,
                ..
            } => {
                received += len;
                armed = still;
                if received == 5 {
                    let sent = send(&mut engine, &socket, buffer, len, SendHint::MoreToCome);
                    assert_eq!(sent, Ok(5));
                } else {
                    engine.release(buffer);
                }
            }
            Done::Received { bytes, .. } => {
                assert!(matches!(bytes, Ok((None, 0))), "{bytes:?}");
                ended = true;
            }
            done => panic!("{done:?}"),
        }
    }
    assert_eq!(received, 10);
    engine.close(socket);
    server.join().unwrap();
}

#[test]
fn every_level_of_features_moves_bytes() {
    for features in ALL_FEATURES {
        echo(features);
    }
}

#[test]
fn a_cancelled_receive_comes_back_and_so_does_the_cancellation() {
    let both = [
        (Cancelable::Poll, Token(2)),
        (Cancelable::Receive, Token(2)),
    ];
    cancelled_receive(&both);
    let other_order = [
        (Cancelable::Receive, Token(2)),
        (Cancelable::Poll, Token(2)),
    ];
    cancelled_receive(&other_order);
}

fn cancelled_receive(these: &[(Cancelable, Token)]) {
    let (mut engine, socket, _peer) = connected(Features::default());
    engine.receive(&socket, Receive::Stream, true, Token(2));
    engine.cancel(&socket, these, Token(3));
    let (mut receive_ended, mut cancel_ended) = (false, false);
    while !(receive_ended && cancel_ended) {
        match completion(&mut engine) {
            (Token(2), Done::Received { bytes, armed, .. }) => {
                assert!(matches!(bytes, Err(Fault::Canceled)) && !armed);
                receive_ended = true;
            }
            (Token(3), Done::Canceled) => cancel_ended = true,
            other => panic!("{other:?}"),
        }
    }
    engine.reset(socket);
}

/// An engine on these features, and a connection of it.
fn connected(features: Features) -> (Uring, Socket, std::net::TcpStream) {
    let mut engine = engine(features, Waker::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address).unwrap();
    engine.connect(&socket, &address, Token(1));
    let _ = completion(&mut engine);
    let (peer, _) = listener.accept().unwrap();
    (engine, socket, peer)
}

const ALL_FEATURES: [Features; 3] = [Features::Linux6_1, Features::Linux6_6, Features::Linux6_17];

#[test]
fn a_send_takes_what_there_is_room_for_and_says_how_much() {
    for features in ALL_FEATURES {
        let (mut engine, socket, mut peer) = connected(features);
        // As many at a time as fit into the queue, and more: the queue is handed over in between.
        let count = 3 * SQ_ENTRIES as usize / 2;
        let (mut wanted, mut sent, mut outcomes) = (0, 0, Vec::new());
        while !outcomes.contains(&Err(Fault::WouldBlock)) {
            for number in 0..count {
                let Some(mut buffer) = engine.take_buffer() else {
                    break;
                };
                let len = 10_000 + number as u32;
                engine.write(&mut buffer, HEADROOM_BYTES, &vec![7; len as usize]);
                let start = HEADROOM_BYTES;
                let chunk = Chunk { start, len };
                let lent = SendBuffer { buffer, chunk };
                engine.send(&socket, lent, SendHint::MoreToCome, Token(number as u64));
                wanted += u64::from(len);
            }
            engine.wait(Some(Duration::ZERO));
            let mut number = 0;
            while let Some((token, done)) = engine.next_sent() {
                assert_eq!(token, Token(number), "in their order");
                number += 1;
                sent += u64::from(done.len.unwrap_or(0));
                outcomes.push(done.len);
                engine.release(done.buffer);
            }
            assert!(engine.next().is_none(), "a send has no other end");
        }
        let is_short = |len: &Result<u32, Fault>| len.is_ok_and(|len| len < 10_000);
        assert!(
            outcomes.iter().any(is_short),
            "a part is told: {outcomes:?}"
        );
        assert!(sent < wanted);
        engine.shutdown_write(&socket);
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived.len() as u64, sent);
        engine.close(socket);
    }
}

#[test]
fn a_send_to_who_is_gone_fails() {
    for features in ALL_FEATURES {
        let (mut engine, socket, peer) = connected(features);
        engine.receive(&socket, Receive::Stream, true, Token(2));
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(&peer).set_linger(linger).unwrap();
        drop(peer);
        let (_, done) = completion(&mut engine);
        let Done::Received { bytes, .. } = done else {
            panic!("{done:?}");
        };
        assert_eq!(bytes.unwrap_err(), Fault::Reset);
        let buffer = engine.take_buffer().unwrap();
        let sent = send(&mut engine, &socket, buffer, 100, SendHint::MoreToCome);
        // The reset was told once, to the receive.
        assert_eq!(sent, Err(Fault::Closed));
        engine.close(socket);
    }
}

#[test]
fn a_send_before_the_end_waits_for_it() {
    let (mut engine, socket, mut peer) = connected(Features::default());
    let buffer = engine.take_buffer().unwrap();
    let sent = send(&mut engine, &socket, buffer, 100, SendHint::ShutdownFollows);
    assert_eq!(sent, Ok(100));
    peer.set_nonblocking(true).unwrap();
    let early = peer.read(&mut [0; 200]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    engine.shutdown_write(&socket);
    // On loopback it has arrived by now, bytes and end in one.
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 100);
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 0);
    engine.close(socket);
}

#[test]
fn who_speaks_first_sends_with_the_last_packet_of_the_handshake() {
    let mut engine = engine(Features::default(), Waker::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address).unwrap();
    engine.speak_first(&socket);
    engine.connect(&socket, &address, Token(1));
    let _ = completion(&mut engine);
    let early = listener.accept().unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    let buffer = engine.take_buffer().unwrap();
    let sent = send(&mut engine, &socket, buffer, 100, SendHint::MoreToCome);
    assert_eq!(sent, Ok(100));
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 100);
    engine.close(socket);
}

#[test]
fn a_wake_ends_a_wait() {
    let waker = Waker::new().unwrap();
    let mut engine = engine(Features::default(), waker.clone());
    for _ in 0..3 {
        engine.watch_waker(Token(7));
        let waker = waker.clone();
        let other = std::thread::spawn(move || waker.wake());
        let (token, done) = completion(&mut engine);
        assert!(matches!(done, Done::Woken) && token == Token(7));
        other.join().unwrap();
    }
}

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
