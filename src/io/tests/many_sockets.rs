//! What one socket may do to others.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use super::*;

on_every_engine![
    sockets_in_the_place_of_closed_ones_get_only_what_is_theirs,
    a_busy_socket_does_not_keep_others_waiting,
];

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
        assert_eq!(next_bytes(&mut engine), b"old");
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
            assert_eq!(next_bytes(&mut engine), b"new");
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
