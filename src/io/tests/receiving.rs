//! Receives: what they bring, and no more.

use std::io::Write as _;

use super::*;

on_every_engine![
    what_came_while_nothing_waited_is_received_at_once,
    bytes_and_the_end_that_came_together_are_both_received,
    a_receive_brings_no_more_than_it_may,
    a_receive_without_a_free_buffer_says_so_and_loses_nothing,
    bytes_behind_urgent_data_are_received,
];

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
