//! Connects, accepts and listeners.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

on_every_engine![
    a_refused_connect_fails,
    an_accept_takes_one_connection_or_many,
    a_cancelled_accept_leaves_the_queue_alone,
    a_closed_listener_that_another_has_too_is_not_heard_of,
];

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
