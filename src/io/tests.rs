//! What every engine promises, against real sockets. Each test runs on io_uring with each level of its
//! features, and on epoll.

use std::fmt::Debug;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::epoll::{Epoll, System};
use super::uring::{Features, Uring};
use super::*;

trait Tested:
    Engine<Listener = Listener, Buffer = Buffer, Pipe = KernelPipe, Socket: Debug> + Debug
{
}

impl<E> Tested for E where
    E: Engine<Listener = Listener, Buffer = Buffer, Pipe = KernelPipe, Socket: Debug> + Debug
{
}

/// Room for 256 buffers, of which io_uring is offered 64.
const LIMITS: ResourceLimits = ResourceLimits {
    buffer_bytes_max: 16 << 20,
    pipes_max: 4,
};

fn on_uring(features: Features) -> (Uring, Waker) {
    let waker = Waker::new().unwrap();
    let engine = Uring::new(features, &LIMITS, waker.clone()).unwrap();
    (engine, waker)
}

fn on_epoll() -> (Epoll, Waker) {
    let waker = Waker::new().unwrap();
    let system = System::new(&LIMITS, waker.clone()).unwrap();
    (Epoll::new(system), waker)
}

/// Runs each of these functions as a test on each engine.
macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        mod io_uring_6_1 {
            $(#[test] fn $test() { super::$test(super::on_uring(super::Features::Linux6_1)); })*
        }
        mod io_uring_6_6 {
            $(#[test] fn $test() { super::$test(super::on_uring(super::Features::Linux6_6)); })*
        }
        mod io_uring_6_17 {
            $(#[test] fn $test() { super::$test(super::on_uring(super::Features::Linux6_17)); })*
        }
        mod epoll {
            $(#[test] fn $test() { super::$test(super::on_epoll()); })*
        }
    };
}

on_every_engine![
    a_message_goes_to_an_echo_and_back,
    what_was_cancelled_comes_back_before_the_cancellation,
    a_cancellation_ends_in_a_later_wait,
    a_send_takes_what_there_is_room_for_and_says_how_much,
    a_send_to_who_is_gone_fails,
    a_send_before_the_end_waits_for_it,
    who_speaks_first_sends_with_the_last_packet_of_the_handshake,
    a_wake_ends_a_wait,
    a_wake_is_not_lost_while_nobody_watches,
    what_came_while_nothing_waited_is_received_at_once,
    a_large_stream_arrives_whole_and_in_order,
    bytes_and_the_end_that_came_together_are_both_received,
    a_receive_brings_no_more_than_it_may,
    a_receive_without_a_free_buffer_says_so_and_loses_nothing,
    a_poll_for_room_ends_when_there_is_some,
    a_poll_for_bytes_ends_when_there_are_some,
    a_reset_ends_what_waits,
    a_watch_tells_a_reset_and_not_the_end_of_the_stream,
    a_refused_connect_fails,
    an_accept_takes_one_connection_or_many,
    a_cancelled_accept_leaves_the_queue_alone,
    a_closed_listener_that_another_has_too_is_not_heard_of,
    sockets_in_the_place_of_closed_ones_get_only_what_is_theirs,
    a_busy_socket_does_not_keep_others_waiting,
    nothing_happens_while_nothing_happens,
    a_spliced_stream_arrives_whole,
    bytes_behind_urgent_data_are_received,
];

const WAIT: Duration = Duration::from_secs(10);

/// The next completion.
#[track_caller]
fn completion<E: Tested>(engine: &mut E) -> (Token, Done<E>) {
    let end = Instant::now() + WAIT;
    loop {
        if let Some(completion) = engine.next() {
            return completion;
        }
        assert!(Instant::now() < end, "nothing ended");
        engine.wait(Some(WAIT));
    }
}

/// Expects that nothing ends for a while.
#[track_caller]
fn nothing<E: Tested>(engine: &mut E) {
    let end = Instant::now() + Duration::from_millis(30);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        engine.wait(Some(left));
        let done = engine.next();
        assert!(done.is_none(), "{done:?}");
    }
}

/// Sends the beginning of a buffer; what the kernel took of it. There is no end to wait for.
fn send<E: Tested>(
    engine: &mut E,
    socket: &E::Socket,
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
    let done = engine.next();
    assert!(done.is_none(), "a send has no other end: {done:?}");
    engine.release(sent.buffer);
    sent.len
}

fn send_bytes<E: Tested>(engine: &mut E, socket: &E::Socket, bytes: &[u8]) -> Result<u32, Fault> {
    let mut buffer = engine.take_buffer().unwrap();
    engine.write(&mut buffer, HEADROOM_BYTES, bytes);
    send(
        engine,
        socket,
        buffer,
        bytes.len() as u32,
        SendHint::MoreToCome,
    )
}

/// Connects to this listener.
fn connect<E: Tested>(engine: &mut E, listener: &TcpListener) -> (E::Socket, TcpStream) {
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address.into()).unwrap();
    engine.connect(&socket, &address.into(), Token(1));
    let (token, done) = completion(engine);
    assert_eq!(token, Token(1));
    assert!(matches!(done, Done::Connected(Ok(()))), "{done:?}");
    let (peer, _) = listener.accept().unwrap();
    (socket, peer)
}

/// A connection.
fn connected<E: Tested>(engine: &mut E) -> (E::Socket, TcpStream) {
    connect(engine, &TcpListener::bind("127.0.0.1:0").unwrap())
}

fn reset(peer: TcpStream) {
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(linger).unwrap();
}

/// What a receive of up to a whole buffer brings, with its faults; `Ok` of nothing is the end.
#[track_caller]
fn received<E: Tested>(engine: &mut E, socket: &E::Socket) -> Result<Vec<u8>, Fault> {
    engine.receive(socket, Receive::Once(BUFFER_BYTES), false, Token(2));
    match completion(engine) {
        (Token(2), Done::Received { bytes, armed, .. }) => {
            assert!(!armed);
            let (buffer, len) = bytes?;
            Ok(buffer.map_or_else(Vec::new, |buffer| take(engine, buffer, len)))
        }
        other => panic!("{other:?}"),
    }
}

/// The bytes of a receive that was queued, which is over with them.
#[track_caller]
fn next_bytes<E: Tested>(engine: &mut E) -> Vec<u8> {
    let (_, done) = completion(engine);
    let Done::Received {
        bytes: Ok((Some(buffer), len)),
        armed: false,
        ..
    } = done
    else {
        panic!("{done:?}");
    };
    take(engine, buffer, len)
}

fn take<E: Tested>(engine: &mut E, buffer: Buffer, len: u32) -> Vec<u8> {
    let start = HEADROOM_BYTES;
    let bytes = engine.bytes(&buffer, Chunk { start, len }).to_vec();
    engine.release(buffer);
    bytes
}

fn a_message_goes_to_an_echo_and_back((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    let server = std::thread::spawn(move || {
        let mut message = [0; 5];
        peer.read_exact(&mut message).unwrap();
        peer.write_all(b"hello").unwrap();
        peer.read_exact(&mut message).unwrap();
        assert_eq!(&message, b"hello");
        peer.write_all(b"again").unwrap();
    });
    assert_eq!(send_bytes(&mut engine, &socket, b"start"), Ok(5));
    // What is received goes out again from the same buffer.
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

fn what_was_cancelled_comes_back_before_the_cancellation((mut engine, _): (impl Tested, Waker)) {
    let (socket, _peer) = connected(&mut engine);
    let both = [
        (Cancelable::Poll, Token(2)),
        (Cancelable::Receive, Token(2)),
    ];
    let other_order = [both[1], both[0]];
    for these in [both, other_order] {
        engine.receive(&socket, Receive::Stream, true, Token(2));
        engine.watch(&socket, Token(4));
        let [first, second] = these;
        let these = [first, (Cancelable::Watch, Token(4)), second];
        engine.cancel(&socket, &these, Token(3));
        let (mut receive_ended, mut watch_ended, mut cancel_ended) = (false, false, false);
        while !(receive_ended && watch_ended && cancel_ended) {
            match completion(&mut engine) {
                (Token(2), Done::Received { bytes, armed, .. }) => {
                    assert!(matches!(bytes, Err(Fault::Canceled)) && !armed);
                    receive_ended = true;
                }
                (Token(4), Done::Unwatched) => watch_ended = true,
                (Token(3), Done::Canceled) => cancel_ended = true,
                other => panic!("{other:?}"),
            }
        }
    }
    engine.poll(&socket, Interest::Read, Token(2));
    engine.cancel(&socket, &[(Cancelable::Poll, Token(2))], Token(3));
    let mut ended = [completion(&mut engine), completion(&mut engine)];
    ended.sort_by_key(|(token, _)| token.0);
    assert!(
        matches!(ended[0], (Token(2), Done::Polled(Err(Fault::Canceled)))),
        "{ended:?}"
    );
    assert!(matches!(ended[1], (Token(3), Done::Canceled)), "{ended:?}");
    engine.reset(socket);
}

fn a_cancellation_ends_in_a_later_wait((mut engine, _): (impl Tested, Waker)) {
    let (socket, _peer) = connected(&mut engine);
    engine.receive(&socket, Receive::Stream, true, Token(2));
    engine.cancel(&socket, &[(Cancelable::Receive, Token(2))], Token(3));
    let early = engine.next();
    assert!(early.is_none(), "{early:?}");
    let _ = (completion(&mut engine), completion(&mut engine));
    engine.close(socket);
}

fn a_send_takes_what_there_is_room_for_and_says_how_much((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    let (mut wanted, mut sent, mut outcomes) = (0, 0, Vec::new());
    while !outcomes.contains(&Err(Fault::WouldBlock)) {
        let mut number = 0;
        while let Some(mut buffer) = engine.take_buffer() {
            let len = 10_000 + number as u32;
            engine.write(&mut buffer, HEADROOM_BYTES, &vec![7; len as usize]);
            let start = HEADROOM_BYTES;
            let chunk = Chunk { start, len };
            let lent = SendBuffer { buffer, chunk };
            engine.send(&socket, lent, SendHint::MoreToCome, Token(number));
            wanted += u64::from(len);
            number += 1;
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

fn a_send_to_who_is_gone_fails((mut engine, _): (impl Tested, Waker)) {
    let (socket, peer) = connected(&mut engine);
    engine.receive(&socket, Receive::Stream, true, Token(2));
    reset(peer);
    let (_, done) = completion(&mut engine);
    let Done::Received { bytes, .. } = done else {
        panic!("{done:?}");
    };
    assert_eq!(bytes.unwrap_err(), Fault::Reset);
    let sent = send_bytes(&mut engine, &socket, b"too late");
    // The reset was told once, to the receive.
    assert_eq!(sent, Err(Fault::Closed));
    engine.close(socket);
}

fn a_send_before_the_end_waits_for_it((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    let buffer = engine.take_buffer().unwrap();
    let sent = send(&mut engine, &socket, buffer, 100, SendHint::ShutdownFollows);
    assert_eq!(sent, Ok(100));
    peer.set_nonblocking(true).unwrap();
    let early = peer.read(&mut [0; 200]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    engine.shutdown_write(&socket);
    // On loopback it has arrived by now, bytes and end in one.
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 100);
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 0);
    engine.close(socket);
}

fn who_speaks_first_sends_with_the_last_packet_of_the_handshake(
    (mut engine, _): (impl Tested, Waker),
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address.into()).unwrap();
    engine.speak_first(&socket);
    engine.connect(&socket, &address.into(), Token(1));
    let _ = completion(&mut engine);
    let early = listener.accept().unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    let buffer = engine.take_buffer().unwrap();
    let sent = send(&mut engine, &socket, buffer, 100, SendHint::MoreToCome);
    assert_eq!(sent, Ok(100));
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(peer.read(&mut [0; 200]).unwrap(), 100);
    engine.close(socket);
}

fn a_wake_ends_a_wait((mut engine, waker): (impl Tested, Waker)) {
    for _ in 0..3 {
        engine.watch_waker(Token(7));
        let waker = waker.clone();
        let other = std::thread::spawn(move || waker.wake());
        let (token, done) = completion(&mut engine);
        assert!(matches!(done, Done::Woken) && token == Token(7));
        other.join().unwrap();
    }
}

fn a_wake_is_not_lost_while_nobody_watches((mut engine, waker): (impl Tested, Waker)) {
    engine.watch_waker(Token(7));
    waker.wake();
    let _ = completion(&mut engine);
    waker.wake();
    nothing(&mut engine);
    engine.watch_waker(Token(8));
    let (token, done) = completion(&mut engine);
    assert!(matches!(done, Done::Woken) && token == Token(8));
    engine.watch_waker(Token(9));
    nothing(&mut engine);
}

fn what_came_while_nothing_waited_is_received_at_once((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    peer.write_all(b"early").unwrap();
    nothing(&mut engine);
    assert_eq!(received(&mut engine, &socket).unwrap(), b"early");
    peer.write_all(b"more").unwrap();
    drop(peer);
    nothing(&mut engine);
    assert_eq!(received(&mut engine, &socket).unwrap(), b"more");
    for _ in 0..2 {
        assert_eq!(received(&mut engine, &socket).unwrap(), b"");
    }
    engine.close(socket);
}

/// Byte number `index` of a stream.
fn letter(index: usize) -> u8 {
    (index % 251) as u8
}

fn a_large_stream_arrives_whole_and_in_order((mut engine, _): (impl Tested, Waker)) {
    const LEN: usize = 3_000_000;
    let (socket, mut peer) = connected(&mut engine);
    let sender = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..LEN).map(letter).collect();
        for part in bytes.chunks(77_777) {
            peer.write_all(part).unwrap();
        }
    });
    let (mut count, mut armed) = (0, false);
    loop {
        if !armed {
            engine.receive(&socket, Receive::Stream, true, Token(2));
        }
        let (_, done) = completion(&mut engine);
        let Done::Received {
            bytes: Ok((buffer, len)),
            armed: still,
            ..
        } = done
        else {
            panic!("{done:?}");
        };
        armed = still;
        let Some(buffer) = buffer else {
            break;
        };
        assert!(len <= RECEIVE_BYTES);
        for byte in take(&mut engine, buffer, len) {
            assert_eq!(byte, letter(count), "byte {count}");
            count += 1;
        }
    }
    assert_eq!(count, LEN);
    sender.join().unwrap();
    engine.close(socket);
}

fn bytes_and_the_end_that_came_together_are_both_received((mut engine, _): (impl Tested, Waker)) {
    for _ in 0..20 {
        let (socket, mut peer) = connected(&mut engine);
        engine.receive(&socket, Receive::Once(100), true, Token(2));
        peer.write_all(b"last").unwrap();
        drop(peer);
        assert_eq!(next_bytes(&mut engine), b"last");
        assert_eq!(received(&mut engine, &socket).unwrap(), b"");
        engine.close(socket);
    }
}

/// So that the last bytes and the end can be passed on in one packet.
#[test]
fn epoll_reports_the_end_in_the_turn_of_the_last_bytes() {
    let (mut engine, _) = on_epoll();
    for _ in 0..20 {
        let (socket, mut peer) = connected(&mut engine);
        engine.receive(&socket, Receive::Stream, true, Token(2));
        peer.write_all(b"last").unwrap();
        drop(peer);
        assert_eq!(next_bytes(&mut engine), b"last");
        engine.receive(&socket, Receive::Stream, true, Token(3));
        let end = engine.next();
        let Some((Token(3), Done::Received { bytes, .. })) = end else {
            panic!("{end:?}");
        };
        assert!(matches!(bytes, Ok((None, 0))));
        assert!(engine.next().is_none());
        engine.close(socket);
        nothing(&mut engine);
    }
}

fn a_receive_brings_no_more_than_it_may((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    peer.write_all(b"0123456789").unwrap();
    for expected in [&b"0123"[..], b"4567", b"89"] {
        engine.receive(&socket, Receive::Once(4), false, Token(2));
        assert_eq!(next_bytes(&mut engine), expected);
    }
    engine.close(socket);
}

fn a_receive_without_a_free_buffer_says_so_and_loses_nothing(
    (mut engine, _): (impl Tested, Waker),
) {
    let (socket, mut peer) = connected(&mut engine);
    let mut taken = Vec::new();
    while let Some(buffer) = engine.take_buffer() {
        taken.push(buffer);
    }
    // What the kernel was offered before is used up first.
    let mut expected = Vec::new();
    for byte in 0..=u8::MAX {
        expected.push(byte);
        peer.write_all(&[byte]).unwrap();
        engine.receive(&socket, Receive::Once(1), true, Token(2));
        match completion(&mut engine).1 {
            Done::Received {
                bytes: Ok((Some(buffer), 1)),
                ..
            } => {
                expected.clear();
                taken.push(buffer);
            }
            Done::Received {
                bytes: Err(Fault::NoBuffers),
                armed: false,
                ..
            } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(engine.buffers_left(), 0);
    for buffer in taken {
        engine.release(buffer);
    }
    assert_eq!(received(&mut engine, &socket).unwrap(), expected);
    engine.close(socket);
}

/// Sends until there is no room.
fn fill<E: Tested>(engine: &mut E, socket: &E::Socket) -> u64 {
    let mut count = 0;
    loop {
        match send_bytes(engine, socket, &[7; 50_000]) {
            Ok(len) => count += u64::from(len),
            Err(Fault::WouldBlock) => return count,
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

fn a_poll_for_room_ends_when_there_is_some((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    engine.poll(&socket, Interest::Write, Token(4));
    let done = completion(&mut engine);
    assert!(matches!(done, (Token(4), Done::Polled(Ok(())))), "{done:?}");
    for _ in 0..3 {
        let mut unread = fill(&mut engine, &socket);
        engine.poll(&socket, Interest::Write, Token(4));
        nothing(&mut engine);
        let mut buffer = vec![0; 1 << 20];
        let reader = std::thread::spawn(move || {
            while unread > 0 {
                unread -= peer.read(&mut buffer).unwrap() as u64;
            }
            peer
        });
        let done = completion(&mut engine);
        assert!(matches!(done, (Token(4), Done::Polled(Ok(())))), "{done:?}");
        peer = reader.join().unwrap();
    }
    engine.close(socket);
}

fn a_poll_for_bytes_ends_when_there_are_some((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    for text in [&b"first"[..], b"second"] {
        engine.poll(&socket, Interest::Read, Token(2));
        nothing(&mut engine);
        peer.write_all(text).unwrap();
        let done = completion(&mut engine);
        assert!(matches!(done, (Token(2), Done::Polled(Ok(())))), "{done:?}");
        assert_eq!(received(&mut engine, &socket).unwrap(), text);
    }
    engine.poll(&socket, Interest::Read, Token(2));
    drop(peer);
    let done = completion(&mut engine);
    assert!(matches!(done, (Token(2), Done::Polled(Ok(())))), "{done:?}");
    assert_eq!(received(&mut engine, &socket).unwrap(), b"");
    engine.close(socket);
}

fn a_reset_ends_what_waits((mut engine, _): (impl Tested, Waker)) {
    let (socket, peer) = connected(&mut engine);
    fill(&mut engine, &socket);
    engine.poll(&socket, Interest::Write, Token(4));
    engine.receive(&socket, Receive::Stream, true, Token(2));
    nothing(&mut engine);
    // It has unread bytes, so that this resets.
    drop(peer);
    let mut ended = [completion(&mut engine), completion(&mut engine)];
    ended.sort_by_key(|(token, _)| token.0);
    let [
        (Token(2), Done::Received { bytes, .. }),
        (Token(4), Done::Polled(Ok(()))),
    ] = ended
    else {
        panic!("{ended:?}");
    };
    assert_eq!(bytes.unwrap_err(), Fault::Reset);
    engine.close(socket);
}

fn a_watch_tells_a_reset_and_not_the_end_of_the_stream((mut engine, _): (impl Tested, Waker)) {
    let (socket, peer) = connected(&mut engine);
    engine.watch(&socket, Token(5));
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    nothing(&mut engine);
    reset(peer);
    let (token, done) = completion(&mut engine);
    let Done::Gone { armed } = done else {
        panic!("{done:?}");
    };
    assert_eq!(token, Token(5));
    if armed {
        engine.cancel(&socket, &[(Cancelable::Watch, Token(5))], Token(3));
        while !matches!(completion(&mut engine), (_, Done::Canceled)) {}
        while engine.next().is_some() {}
    } else {
        // What had happened before is told too.
        engine.watch(&socket, Token(5));
        assert!(matches!(
            completion(&mut engine),
            (Token(5), Done::Gone { .. })
        ));
    }
    engine.close(socket);
}

fn a_refused_connect_fails((mut engine, _): (impl Tested, Waker)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let socket = engine.open(&address.into()).unwrap();
    engine.connect(&socket, &address.into(), Token(1));
    let done = completion(&mut engine);
    assert!(
        matches!(done, (Token(1), Done::Connected(Err(Fault::Refused)))),
        "{done:?}"
    );
    engine.close(socket);
}

/// A listener of the engine, and its address.
fn listener() -> (Listener, SocketAddr) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let address = listener.address().unwrap().as_socket().unwrap();
    (listener, address)
}

#[track_caller]
fn accepted<E: Tested>(engine: &mut E, still: bool) -> E::Socket {
    match completion(engine) {
        (
            Token(6),
            Done::Accepted {
                socket: Ok(socket),
                more,
            },
        ) => {
            assert_eq!(more, still);
            socket
        }
        other => panic!("{other:?}"),
    }
}

fn an_accept_takes_one_connection_or_many((mut engine, _): (impl Tested, Waker)) {
    let (listener, address) = listener();
    let mut clients: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut sockets = Vec::new();
    for _ in 0..3 {
        engine.accept(&listener, false, Token(6));
        sockets.push(accepted(&mut engine, false));
        nothing(&mut engine);
    }
    engine.accept(&listener, true, Token(6));
    while sockets.len() < clients.len() {
        sockets.push(accepted(&mut engine, true));
    }
    nothing(&mut engine);
    clients.push(TcpStream::connect(address).unwrap());
    sockets.push(accepted(&mut engine, true));
    for (client, socket) in clients.iter_mut().zip(sockets) {
        // On loopback connections are accepted in their order.
        client.write_all(b"hello").unwrap();
        assert_eq!(received(&mut engine, &socket).unwrap(), b"hello");
        engine.close(socket);
    }
    engine.cancel_accept(&listener, Token(6));
    let done = completion(&mut engine).1;
    let Done::Accepted { socket, more } = done else {
        panic!("{done:?}");
    };
    assert_eq!((socket.unwrap_err(), more), (Fault::Canceled, false));
    engine.close_listener(listener);
}

fn a_cancelled_accept_leaves_the_queue_alone((mut engine, _): (impl Tested, Waker)) {
    let (listener, address) = listener();
    for _ in 0..3 {
        engine.accept(&listener, true, Token(6));
        engine.wait(Some(Duration::ZERO));
        assert!(engine.next().is_none());
        engine.cancel_accept(&listener, Token(6));
        let done = completion(&mut engine).1;
        let Done::Accepted { socket, more } = done else {
            panic!("{done:?}");
        };
        assert_eq!((socket.unwrap_err(), more), (Fault::Canceled, false));
        let mut client = TcpStream::connect(address).unwrap();
        nothing(&mut engine);
        let socket = engine.accept_now(&listener).unwrap();
        assert_eq!(engine.accept_now(&listener).unwrap_err(), Fault::WouldBlock);
        client.write_all(b"hello").unwrap();
        assert_eq!(received(&mut engine, &socket).unwrap(), b"hello");
        engine.close(socket);
    }
    engine.close_listener(listener);
}

/// As during a takeover, when two processes have the same listener.
fn a_closed_listener_that_another_has_too_is_not_heard_of((mut engine, _): (impl Tested, Waker)) {
    let (listener, address) = listener();
    let other = listener.share().unwrap();
    engine.accept(&listener, true, Token(6));
    engine.wait(Some(Duration::ZERO));
    engine.cancel_accept(&listener, Token(6));
    let _ = completion(&mut engine);
    engine.close_listener(listener);
    let _client = TcpStream::connect(address).unwrap();
    let waited = Instant::now();
    engine.wait(Some(Duration::from_millis(50)));
    assert!(engine.next().is_none());
    assert!(
        waited.elapsed() >= Duration::from_millis(45),
        "it was woken"
    );
    engine.accept(&other, false, Token(6));
    let socket = accepted(&mut engine, false);
    engine.close(socket);
    engine.close_listener(other);
}

/// Events of many sockets come together; those handled first close others, and open new ones that get
/// the numbers of the closed ones.
fn sockets_in_the_place_of_closed_ones_get_only_what_is_theirs(
    (mut engine, _): (impl Tested, Waker),
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..5 {
        let mut open: Vec<_> = (0..20).map(|_| connect(&mut engine, &listener)).collect();
        let (first, _) = &open[0];
        engine.receive(first, Receive::Once(10), true, Token(2));
        for (number, (socket, _)) in open[1..].iter().enumerate() {
            engine.watch(socket, Token(20 + number as u64));
        }
        engine.wait(Some(Duration::ZERO));
        while engine.next().is_some() {}
        for (number, (socket, _)) in open[1..].iter().enumerate() {
            let watch = (Cancelable::Watch, Token(20 + number as u64));
            engine.cancel(socket, &[watch], Token(60 + number as u64));
        }
        let (mut unwatched, mut canceled) = (0, 0);
        while (unwatched, canceled) != (19, 19) {
            match completion(&mut engine).1 {
                Done::Unwatched => unwatched += 1,
                Done::Canceled => canceled += 1,
                done => panic!("{done:?}"),
            }
        }
        // All have something to tell; the first is told first.
        for (_, peer) in &mut open {
            peer.write_all(b"old").unwrap();
        }
        let (_, done) = completion(&mut engine);
        let Done::Received {
            bytes: Ok((Some(buffer), len)),
            ..
        } = done
        else {
            panic!("{done:?}");
        };
        assert_eq!(take(&mut engine, buffer, len), b"old");
        let address = listener.local_addr().unwrap();
        let mut count = 0;
        for (socket, peer) in open {
            engine.close(socket);
            drop(peer);
            count += 1;
        }
        let new: Vec<_> = (0..count)
            .map(|number| {
                let socket = engine.open(&address.into()).unwrap();
                engine.connect(&socket, &address.into(), Token(100 + number));
                socket
            })
            .collect();
        for _ in &new {
            let (_, done) = completion(&mut engine);
            assert!(matches!(done, Done::Connected(Ok(()))), "{done:?}");
        }
        for (number, socket) in new.iter().enumerate() {
            engine.receive(socket, Receive::Once(10), false, Token(200 + number as u64));
        }
        nothing(&mut engine);
        for socket in new {
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"new").unwrap();
            let (_, done) = completion(&mut engine);
            let Done::Received {
                bytes: Ok((Some(buffer), len)),
                ..
            } = done
            else {
                panic!("{done:?}");
            };
            assert_eq!(take(&mut engine, buffer, len), b"new");
            engine.close(socket);
        }
    }
}

fn a_busy_socket_does_not_keep_others_waiting((mut engine, _): (impl Tested, Waker)) {
    let (busy, busy_peer) = connected(&mut engine);
    let (other, mut other_peer) = connected(&mut engine);
    let feeder = std::thread::spawn(move || {
        let mut peer = busy_peer;
        while peer.write_all(&[7; 100_000]).is_ok() {}
    });
    engine.receive(&other, Receive::Once(10), true, Token(2));
    engine.receive(&busy, Receive::Once(1_000), true, Token(1));
    let (mut count, mut answered) = (0, None);
    while answered.is_none_or(|since| count < since + 10) {
        let (token, done) = completion(&mut engine);
        if let Done::Received {
            bytes: Ok((Some(buffer), _)),
            ..
        } = done
        {
            engine.release(buffer);
        }
        if token == Token(2) {
            answered = Some(count);
        } else {
            engine.receive(&busy, Receive::Once(1_000), false, Token(1));
            count += 1;
            if count == 20 {
                other_peer.write_all(b"me too").unwrap();
            }
            assert!(count < 1_000, "the other one starves");
        }
    }
    engine.cancel(&busy, &[(Cancelable::Receive, Token(1))], Token(3));
    while !matches!(completion(&mut engine), (_, Done::Canceled)) {}
    while let Some((_, done)) = engine.next() {
        if let Done::Received {
            bytes: Ok((Some(buffer), _)),
            ..
        } = done
        {
            engine.release(buffer);
        }
    }
    engine.reset(busy);
    engine.close(other);
    feeder.join().unwrap();
}

fn nothing_happens_while_nothing_happens((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    engine.watch_waker(Token(7));
    engine.watch(&socket, Token(5));
    engine.receive(&socket, Receive::Stream, true, Token(2));
    nothing(&mut engine);
    // Sending makes no room that anybody waits for.
    assert_eq!(send_bytes(&mut engine, &socket, b"hello"), Ok(5));
    peer.read_exact(&mut [0; 5]).unwrap();
    let waited = Instant::now();
    engine.wait(Some(Duration::from_millis(50)));
    assert!(engine.next().is_none());
    let waited = waited.elapsed();
    assert!(waited >= Duration::from_millis(45), "{waited:?}");
    reset(peer);
    let _ = (completion(&mut engine), completion(&mut engine));
    engine.close(socket);
}

fn a_spliced_stream_arrives_whole((mut engine, _): (impl Tested, Waker)) {
    const LEN: usize = 5_000_000;
    let (from, mut source) = connected(&mut engine);
    let (to, mut sink) = connected(&mut engine);
    let sender = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..LEN).map(letter).collect();
        source.write_all(&bytes).unwrap();
    });
    let reader = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        sink.read_to_end(&mut arrived).unwrap();
        arrived
    });
    let pipe = engine.take_pipe().unwrap();
    let mut ended = false;
    while !ended {
        let mut in_pipe = match engine.splice_in(&from, &pipe, 128 * 1024) {
            Ok(0) => {
                ended = true;
                0
            }
            Ok(len) => len,
            Err(Fault::WouldBlock) => {
                engine.poll(&from, Interest::Read, Token(2));
                let done = completion(&mut engine);
                assert!(matches!(done, (Token(2), Done::Polled(Ok(())))), "{done:?}");
                0
            }
            Err(fault) => panic!("{fault:?}"),
        };
        while in_pipe > 0 {
            match engine.splice_out(&pipe, &to, in_pipe) {
                Ok(len) => in_pipe -= len,
                Err(Fault::WouldBlock) => {
                    engine.poll(&to, Interest::Write, Token(4));
                    let done = completion(&mut engine);
                    assert!(matches!(done, (Token(4), Done::Polled(Ok(())))), "{done:?}");
                }
                Err(fault) => panic!("{fault:?}"),
            }
        }
    }
    engine.return_pipe(pipe, true);
    engine.close(to);
    engine.close(from);
    sender.join().unwrap();
    let arrived = reader.join().unwrap();
    assert!(arrived.len() == LEN && (0..LEN).all(|index| arrived[index] == letter(index)));
}

/// A receive ends before urgent data, although more bytes are behind.
fn bytes_behind_urgent_data_are_received((mut engine, _): (impl Tested, Waker)) {
    let (socket, mut peer) = connected(&mut engine);
    peer.write_all(b"before").unwrap();
    socket2::SockRef::from(&peer)
        .send_out_of_band(b"!")
        .unwrap();
    peer.write_all(b"behind").unwrap();
    nothing(&mut engine);
    assert_eq!(received(&mut engine, &socket).unwrap(), b"before");
    assert_eq!(received(&mut engine, &socket).unwrap(), b"behind");
    peer.write_all(b"later").unwrap();
    assert_eq!(received(&mut engine, &socket).unwrap(), b"later");
    engine.close(socket);
}
