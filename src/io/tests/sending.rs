//! Sends.

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::time::Duration;

use super::*;

on_every_engine![
    a_send_takes_what_there_is_room_for_and_says_how_much,
    a_send_to_who_is_gone_fails,
    a_send_before_the_end_waits_for_it,
    who_speaks_first_sends_with_the_last_packet_of_the_handshake,
];

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
