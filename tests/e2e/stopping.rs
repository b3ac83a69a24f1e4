//! The end of the process: open sessions may finish, but not for ever.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clients::{connect, connect_named, ending, round_trip};
use crate::log_lines::Access;
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

/// Returns once the address refuses connections.
fn refuses(address: SocketAddr) {
    eventually("new connections are refused", || {
        TcpStream::connect(address).is_err()
    });
}

#[test]
fn an_open_session_is_finished_after_sigterm() {
    let server = Server::echo();
    let mut ringway = Setup::new().server("a", server.address()).start();
    let address = ringway.address();
    let client = connect(address);
    round_trip(&client, b"before");

    ringway.signal(Signal::TERM);
    refuses(address);
    round_trip(&client, b"after");
    assert!(ringway.runs());
    ringway.has_no_kernel_workers();

    drop(client);
    assert_eq!(ringway.exit_code(), Some(0));
    // Among the lines of those who found out that it refuses.
    ringway.printed("the line of the session", |lines| {
        let mut lines = lines.iter().filter_map(|line| Access::parse(line));
        lines.find(|line| line.bytes_from_client == 11 && line.code == "--")
    });
}

#[test]
fn without_sessions_it_ends_at_once() {
    let server = Server::echo();
    for signal in [Signal::TERM, Signal::INT] {
        let mut ringway = Setup::new().server("a", server.address()).start();
        let start = Instant::now();
        ringway.signal(signal);
        assert_eq!(ringway.exit_code(), Some(0));
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::named("a");
    let mut ringway = Setup::new().server("a", server.address()).start();
    let address = ringway.address();
    let (client, _) = connect_named(address);

    ringway.signal(Signal::TERM);
    refuses(address);
    let start = Instant::now();
    ringway.signal(Signal::TERM);
    ringway.exit_code();

    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    ending(&client);
}

#[test]
fn shutdown_timeout_cuts_what_does_not_finish() {
    let server = Server::named("a");
    let mut ringway = Setup::new()
        .global(r#"shutdown_timeout = "500ms""#)
        .server("a", server.address())
        .start();
    let (client, _) = connect_named(ringway.address());

    let start = Instant::now();
    ringway.signal(Signal::TERM);
    ending(&client);
    assert!(
        start.elapsed() >= Duration::from_millis(450),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(ringway.exit_code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(ringway.session_ended().code, "KD");
    eventually("the server is freed", || server.open() == 0);
}
