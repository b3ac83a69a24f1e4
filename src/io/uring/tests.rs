//! The engine against real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::io::HEADROOM_BYTES;

/// The next completion.
fn completion(engine: &mut Uring) -> (Token, Done<Uring>) {
    loop {
        if let Some(completion) = engine.next() {
            return completion;
        }
        engine.wait(Some(Duration::from_secs(10)));
    }
}

/// Sends a message to an echo and receives it back, on the given level of features.
fn echo(features: Features) {
    let options = UringOptions {
        features,
        buffer_bytes_max: 16 << 20,
        pipes_max: 4,
    };
    let mut engine = Uring::new(&options, Waker::new().unwrap()).unwrap();
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
                    let start = HEADROOM_BYTES;
                    let chunk = Chunk { start, len };
                    engine.send(&socket, buffer, chunk, Token(3));
                } else {
                    engine.release(buffer);
                }
            }
            Done::Received { bytes, .. } => {
                assert!(matches!(bytes, Ok((None, 0))), "{bytes:?}");
                ended = true;
            }
            Done::Sent { buffer, len } => {
                assert_eq!(len, Ok(5));
                engine.release(buffer);
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
    for features in [Features::Linux6_1, Features::Linux6_6, Features::Linux6_17] {
        echo(features);
    }
}

#[test]
fn a_cancelled_receive_comes_back_and_so_does_the_cancellation() {
    cancelled_receive(Cancel::All);
    let both = [
        (Cancelable::Poll, Token(2)),
        (Cancelable::Receive, Token(2)),
    ];
    cancelled_receive(Cancel::These(&both));
    let other_order = [
        (Cancelable::Receive, Token(2)),
        (Cancelable::Poll, Token(2)),
    ];
    cancelled_receive(Cancel::These(&other_order));
}

fn cancelled_receive(what: Cancel<'_>) {
    let options = UringOptions {
        features: Features::default(),
        buffer_bytes_max: 16 << 20,
        pipes_max: 4,
    };
    let mut engine = Uring::new(&options, Waker::new().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.open(&address).unwrap();
    engine.connect(&socket, &address, Token(1));
    let _ = completion(&mut engine);
    engine.receive(&socket, Receive::Stream, true, Token(2));
    engine.cancel(&socket, what, Token(3));
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

#[test]
fn a_wake_ends_a_wait() {
    let options = UringOptions {
        features: Features::default(),
        buffer_bytes_max: 16 << 20,
        pipes_max: 4,
    };
    let waker = Waker::new().unwrap();
    let mut engine = Uring::new(&options, waker.clone()).unwrap();
    for _ in 0..3 {
        engine.watch_waker(Token(7));
        let waker = waker.clone();
        let other = std::thread::spawn(move || waker.wake());
        let (token, done) = completion(&mut engine);
        assert!(matches!(done, Done::Woken) && token == Token(7));
        other.join().unwrap();
    }
}
