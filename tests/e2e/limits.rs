//! Limits of sessions: never exceeded, and whoever waits gets a place when there is one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{
    Ending, connect, connect_named, connect_to_end, ending, is_silent, read_line, reset, round_trip,
};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// How long something is watched that must not happen.
const WATCHED: Duration = Duration::from_millis(250);

/// Fails if a client that has to wait gets anything.
fn keeps_waiting(client: &TcpStream) {
    all_through("the client waits", WATCHED, || is_silent(client));
}

#[test]
fn clients_of_a_full_server_get_its_place_in_order() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .workers(1)
        .server_with("a", server.address(), "max_sessions = 1")
        .start();

    let (first, _) = connect_named(ringway.address());
    let (second, third) = (connect(ringway.address()), connect(ringway.address()));
    keeps_waiting(&second);

    drop(first);
    assert_eq!(read_line(&second), "a");
    keeps_waiting(&third);

    drop(second);
    assert_eq!(read_line(&third), "a");
    drop(third);

    let lines = ringway.sessions_ended(3);
    assert!(
        lines[0].wait_ms < lines[1].wait_ms && lines[1].wait_ms < lines[2].wait_ms,
        "{lines:?}"
    );
    assert_eq!(server.open_max(), 1);
}

#[test]
fn a_servers_limit_holds_in_a_crowd() {
    let servers = ["a", "b"].map(Server::named);
    let ringway = Setup::new()
        .server_with("a", servers[0].address(), "max_sessions = 3")
        .server_with("b", servers[1].address(), "max_sessions = 2")
        .start();

    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..25).for_each(|_| drop(connect_named(ringway.address()))));
        }
    });

    assert_eq!(servers[0].accepted() + servers[1].accepted(), 300);
    assert!(servers[0].open_max() <= 3, "{}", servers[0].open_max());
    assert!(servers[1].open_max() <= 2, "{}", servers[1].open_max());
    assert!(
        ringway
            .sessions_ended(300)
            .iter()
            .all(|line| line.code == "--")
    );
}

#[test]
fn waiting_for_a_place_ends_after_queue_timeout() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .defaults(r#"queue_timeout = "300ms""#)
        .server_with("a", server.address(), "max_sessions = 1")
        .start();

    let (_first, _) = connect_named(ringway.address());
    let start = Instant::now();
    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);
    assert!(
        start.elapsed() >= Duration::from_millis(290),
        "{:?}",
        start.elapsed()
    );

    let line = ringway.session_ended();
    assert_eq!(line.code, "sQ");
    assert!(line.connect_ms == -1 && line.total_ms >= 290, "{line:?}");
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_client_that_leaves_the_queue_costs_the_server_nothing() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .workers(1)
        .server_with("a", server.address(), "max_sessions = 1")
        .start();

    let (first, _) = connect_named(ringway.address());
    let leaving = connect(ringway.address());
    let staying = connect(ringway.address());
    keeps_waiting(&leaving);
    reset(leaving);
    assert_eq!(ringway.session_ended().code, "CQ");

    drop(first);
    assert_eq!(read_line(&staying), "a");
    assert_eq!(server.accepted(), 2);
}

/// Opens more sessions than a limit of three allows: the fourth and fifth wait outside.
fn limit_of_three_holds(setup: Setup) {
    let server = Server::named("a");
    let ringway = setup.server("a", server.address()).start();

    let mut open: Vec<_> = (0..3).map(|_| connect_named(ringway.address()).0).collect();
    let waiting = [connect(ringway.address()), connect(ringway.address())];
    keeps_waiting(&waiting[0]);
    keeps_waiting(&waiting[1]);
    assert_eq!(server.accepted(), 3);

    drop(open.remove(0));
    drop(open.remove(0));
    for client in &waiting {
        assert_eq!(read_line(client), "a");
    }
    assert_eq!(server.open_max(), 3);
}

#[test]
fn the_limit_of_a_frontend_holds() {
    limit_of_three_holds(Setup::new().frontend("max_sessions = 3"));
}

#[test]
fn the_limit_of_the_process_holds() {
    limit_of_three_holds(Setup::new().global("max_sessions = 3"));
}

#[test]
fn a_frontends_limit_holds_in_a_crowd() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .frontend("max_sessions = 3")
        .server("a", server.address())
        .start();

    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..25).for_each(|_| drop(connect_named(ringway.address()))));
        }
    });

    assert_eq!(server.accepted(), 300);
    assert!(server.open_max() <= 3, "{}", server.open_max());
}

#[test]
fn two_thousand_sessions_at_once_leave_nothing_behind() {
    const SESSIONS: usize = 2_000;
    let server = Server::echo();
    let ringway = Setup::new()
        .global("max_sessions = 3_000")
        .server("a", server.address())
        .start();
    let before = ringway.descriptors();

    let clients: Vec<_> = (0..SESSIONS).map(|_| connect(ringway.address())).collect();
    for round in [b"first", b"again"] {
        clients.iter().for_each(|client| round_trip(client, round));
    }
    assert!(ringway.descriptors() >= before + 2 * SESSIONS);
    ringway.has_no_kernel_workers();

    drop(clients);
    assert!(
        ringway
            .sessions_ended(SESSIONS)
            .iter()
            .all(|line| line.code == "--")
    );
    eventually("all descriptors are given back", || {
        ringway.descriptors() <= before
    });
}

#[test]
fn a_place_is_free_again_after_every_kind_of_end() {
    let server = Server::start(|mut stream| {
        let mut byte = [0];
        if stream.read(&mut byte).is_ok_and(|count| count == 1) && byte[0] == b'r' {
            reset(stream.try_clone().expect("a second owner"));
        }
    });
    let ringway = Setup::new()
        .server_with("a", server.address(), "max_sessions = 1")
        .start();

    for round in 0..12 {
        let client = connect(ringway.address());
        match round % 4 {
            0 => drop(client),
            1 => reset(client),
            2 => assert_eq!(answered(client, b"e"), Ending::Closed),
            _ => assert_eq!(answered(client, b"r"), Ending::Reset),
        }
        ringway.sessions_ended(round + 1);
    }
}

/// Asks the server for an end or a reset, and says which one came.
fn answered(mut client: TcpStream, question: &[u8]) -> Ending {
    client.write_all(question).expect("taken");
    ending(&client)
}
