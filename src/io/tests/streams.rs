//! Whole streams: there and back, received and spliced.

use std::io::{Read as _, Write as _};

use super::*;

on_every_engine![
    a_message_goes_to_an_echo_and_back,
    a_large_stream_arrives_whole_and_in_order,
    a_spliced_stream_arrives_whole,
];

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
