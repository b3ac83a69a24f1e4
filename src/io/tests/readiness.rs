//! Waits for room, for bytes, and for the end of a connection.

use std::io::{Read as _, Write as _};

use super::*;

on_every_engine![
    a_poll_for_room_ends_when_there_is_some,
    a_poll_for_bytes_ends_when_there_are_some,
    a_reset_ends_what_waits,
    a_watch_tells_a_reset_and_not_the_end_of_the_stream,
];

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
