//! What every engine promises, against real sockets. Each test runs on io_uring with each level of its
//! features, and on epoll.

use std::fmt::Debug;
use std::net::{TcpListener, TcpStream};
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

mod cancelling;
mod connections;
mod many_sockets;
mod readiness;
mod receiving;
mod sending;
mod streams;
mod waking;

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
