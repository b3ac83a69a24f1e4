//! Waits and wakes.

use std::io::Read as _;
use std::time::{Duration, Instant};

use super::*;

on_every_engine![
    a_wake_ends_a_wait,
    a_wake_is_not_lost_while_nobody_watches,
    nothing_happens_while_nothing_happens,
];

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
