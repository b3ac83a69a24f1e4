//! Bytes arrive complete and in order, and an end or a reset on one side becomes the same on the other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use crate::clients::{self, Ending, connect, connect_named, read_line, round_trip};
use crate::pattern::{self, Pattern};
use crate::servers::{self, Server};
use crate::setup::Setup;
use crate::wait::DEADLINE;

/// Lengths of messages around all the sizes that buffers and pipes are likely to have.
const MESSAGE_LENGTHS: [usize; 16] = [
    1, 2, 100, 1_460, 4_095, 4_096, 4_097, 16_384, 3, 65_535, 65_536, 65_537, 262_145, 1,
    3_000_000, 7,
];

#[test]
fn large_streams_in_both_directions_at_once_are_complete() {
    const LENGTH: usize = 64 << 20;
    let server = Server::echo();
    let ringway = Setup::new().server("a", server.address()).start();
    let client = connect(ringway.address());

    thread::scope(|scope| {
        let sending = scope.spawn(|| pattern::send(&client, 1, LENGTH, 100_000, |_| ()));
        pattern::receive(&client, 1, LENGTH);
        sending.join().expect("no panic").expect("all is taken");
    });
    servers::end_of_stream(&client);
    assert_eq!(clients::ending(&client), Ending::Closed);

    let session = ringway.session_ended();
    assert_eq!(
        (session.bytes_from_client, session.bytes_from_server),
        (LENGTH as u64, LENGTH as u64)
    );
    assert_eq!(session.code, "--");
}

#[test]
fn messages_of_all_sizes_come_back_on_concurrent_connections() {
    let server = Server::echo();
    let ringway = Setup::new().server("a", server.address()).start();

    thread::scope(|scope| {
        for seed in 0..6 {
            let client = connect(ringway.address());
            scope.spawn(move || {
                let mut pattern = Pattern::new(seed);
                // Each connection begins elsewhere, so that large and small ones meet.
                let lengths = MESSAGE_LENGTHS.iter().cycle().skip(seed as usize * 3);
                for &length in lengths.take(2 * MESSAGE_LENGTHS.len()) {
                    large_round_trip(&client, &pattern.message(length));
                }
            });
        }
    });
}

/// A round trip of a message that may be larger than all buffers on the way.
fn large_round_trip(client: &TcpStream, message: &[u8]) {
    thread::scope(|scope| {
        let mut writer = client;
        let sending = scope.spawn(move || writer.write_all(message));
        let mut answer = vec![0; message.len()];
        let mut reader = client;
        reader
            .read_exact(&mut answer)
            .expect("the message comes back");
        assert!(
            answer == message,
            "an echo of {} bytes differs",
            message.len()
        );
        sending.join().expect("no panic").expect("all is taken");
    });
}

#[test]
fn uploads_on_concurrent_connections_have_the_hash_of_what_was_sent() {
    let server = Server::hash_sink();
    let ringway = Setup::new().server("a", server.address()).start();

    thread::scope(|scope| {
        for seed in 0..6 {
            let mut client = connect(ringway.address());
            scope.spawn(move || {
                let mut pattern = Pattern::new(seed);
                let mut sent = Vec::new();
                for length in MESSAGE_LENGTHS {
                    let message = pattern.message(length);
                    client.write_all(&message).expect("all is taken");
                    sent.extend(message);
                }
                servers::end_of_stream(&client);
                let (length, hash) = pattern::digest(&sent[..]).expect("memory can be read");
                let mut answer = String::new();
                client
                    .read_to_string(&mut answer)
                    .expect("an answer and an end");
                assert_eq!(answer, format!("{length} {hash}"));
            });
        }
    });
}

#[test]
fn an_answer_arrives_after_the_client_has_ended_its_half() {
    let server = Server::hash_sink();
    let ringway = Setup::new().server("a", server.address()).start();

    let mut client = connect(ringway.address());
    client.write_all(b"question").expect("taken");
    servers::end_of_stream(&client);
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .expect("an answer and an end");

    let (length, hash) = pattern::digest(&b"question"[..]).expect("memory can be read");
    assert_eq!(answer, format!("{length} {hash}"));
    assert_eq!(ringway.session_ended().code, "--");
}

#[test]
fn a_client_can_go_on_after_the_server_has_ended_its_half() {
    const LENGTH: usize = 1 << 20;
    let (report, reported) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        stream.write_all(b"that is all\n").expect("taken");
        servers::end_of_stream(stream);
        let _ = report.send(pattern::digest(stream).expect("no reset"));
    });
    let ringway = Setup::new().server("a", server.address()).start();

    let client = connect(ringway.address());
    assert_eq!(read_line(&client), "that is all");
    assert_eq!(clients::ending(&client), Ending::Closed);
    pattern::send(&client, 5, LENGTH, 10_000, |_| ()).expect("the other half is open");
    drop(client);

    let sent = Pattern::new(5).message(LENGTH);
    let arrived = reported
        .recv_timeout(DEADLINE)
        .expect("the server reads to the end");
    assert_eq!(
        arrived,
        pattern::digest(&sent[..]).expect("memory can be read")
    );
}

#[test]
fn a_server_may_speak_first() {
    let server = Server::named("220 ready");
    let ringway = Setup::new().server("a", server.address()).start();

    let (client, banner) = connect_named(ringway.address());

    assert_eq!(banner, "220 ready");
    drop(client);
    assert_eq!(ringway.session_ended().bytes_from_server, 10);
}

#[test]
fn a_reset_by_the_client_reaches_the_server_as_a_reset() {
    let (report, reported) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        stream.write_all(b"hello\n").expect("taken");
        let _ = report.send(servers::ending(stream));
    });
    let ringway = Setup::new().server("a", server.address()).start();

    let (client, _) = connect_named(ringway.address());
    clients::reset(client);

    assert_eq!(reported.recv_timeout(DEADLINE), Ok(Ending::Reset));
    assert_eq!(ringway.session_ended().code, "CD");
}

#[test]
fn a_reset_by_the_server_reaches_the_client_as_a_reset() {
    let server = Server::start(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the client asks");
        clients::reset(stream.try_clone().expect("a second owner"));
    });
    let ringway = Setup::new().server("a", server.address()).start();

    let mut client = connect(ringway.address());
    client.write_all(b"?").expect("taken");

    assert_eq!(clients::ending(&client), Ending::Reset);
    assert_eq!(ringway.session_ended().code, "SD");
}

#[test]
fn bytes_before_an_end_are_never_lost() {
    const LENGTH: usize = 300_000;
    let server = Server::start(|stream| {
        pattern::send(stream, 9, LENGTH, LENGTH, |_| ()).expect("taken");
    });
    let ringway = Setup::new().server("a", server.address()).start();

    for _ in 0..50 {
        let client = connect(ringway.address());
        pattern::receive(&client, 9, LENGTH);
        assert_eq!(clients::ending(&client), Ending::Closed);
    }
}

#[test]
fn a_small_echo_works_right_after_a_large_one() {
    let server = Server::echo();
    let ringway = Setup::new()
        .workers(1)
        .server("a", server.address())
        .start();
    let client = connect(ringway.address());
    let mut pattern = Pattern::new(3);

    for _ in 0..5 {
        large_round_trip(&client, &pattern.message(5_000_000));
        for _ in 0..100 {
            round_trip(&client, b"ping");
        }
    }
}
