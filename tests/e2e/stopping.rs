//! The end of the process: open sessions may finish, but not for ever.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clients::{connect, connect_named, ending, round_trip};
use crate::harness::ScratchDirectory;
use crate::http::get;
use crate::log_lines::Access;
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{DEADLINE, all_through, eventually};

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
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::USR1] {
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

#[test]
fn a_soft_stop_has_no_limit_until_another_signal_sets_one() {
    let server = Server::echo();
    let mut ringway = Setup::new()
        .global(r#"shutdown_timeout = "300ms""#)
        .server("a", server.address())
        .start();
    let address = ringway.address();
    let client = connect(address);
    round_trip(&client, b"before");

    ringway.signal(Signal::USR1);
    ringway.says("SIGUSR1: finishing open sessions, without a limit of time: 1 is open; SIGTERM sets a limit");
    refuses(address);
    // A second one is no reason to end at once.
    ringway.signal(Signal::USR1);
    ringway.says("SIGUSR1: the process is stopping already");
    all_through("it goes on", Duration::from_millis(900), || {
        round_trip(&client, b"after");
        ringway.runs()
    });

    let start = Instant::now();
    ringway.signal(Signal::TERM);
    ringway.says(
        "SIGTERM: finishing open sessions, at most 300ms: 1 is open; a second SIGTERM ends at once",
    );
    ending(&client);
    assert!(start.elapsed() >= Duration::from_millis(250), "not at once");
    assert_eq!(ringway.exit_code(), Some(0));
    ringway.printed("the line of the session", |lines| {
        let mut lines = lines.iter().filter_map(|line| Access::parse(line));
        lines.find(|line| line.code == "KD")
    });
}

#[test]
fn a_soft_stop_ends_with_the_last_session() {
    let server = Server::echo();
    let mut ringway = Setup::new().server("a", server.address()).start();
    let client = connect(ringway.address());
    round_trip(&client, b"before");
    ringway.signal(Signal::USR1);
    refuses(ringway.address());
    round_trip(&client, b"after");
    drop(client);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn the_second_user_signal_changes_nothing() {
    let server = Server::echo();
    let mut ringway = Setup::new().server("a", server.address()).start();
    let client = connect(ringway.address());
    ringway.signal(Signal::USR2);
    ringway.says("SIGUSR2 does nothing");
    round_trip(&client, b"still there");
    round_trip(&connect(ringway.address()), b"and accepting");
    ringway.signal(Signal::TERM);
    drop(client);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn other_signals_have_their_default() {
    let server = Server::echo();
    for signal in [Signal::ALARM, Signal::VTALARM, Signal::PROF] {
        let mut ringway = Setup::new().server("a", server.address()).start();
        ringway.signal(signal);
        eventually("it has ended", || !ringway.runs());
        ringway.forget();
    }
    // Of a pipe that nobody reads any more, a write fails; it does not end the process.
    let ringway = Setup::new().server("a", server.address()).start();
    ringway.signal(Signal::PIPE);
    round_trip(&connect(ringway.address()), b"still there");
}

#[test]
fn during_the_grace_it_is_not_ready_but_accepts() {
    let server = Server::echo();
    let mut ringway = Setup::new()
        .admin()
        .global(r#"shutdown_grace = "700ms""#)
        .server("a", server.address())
        .start();
    let (web, admin) = (ringway.address(), ringway.admin());
    assert_eq!(get(admin, "/readyz").status, 200);

    let start = Instant::now();
    ringway.signal(Signal::TERM);
    eventually("it is not ready", || get(admin, "/readyz").status == 503);
    assert_eq!(get(admin, "/readyz").body, "stopping\n");
    let client = connect(web);
    round_trip(&client, b"in the grace");
    assert!(
        start.elapsed() < Duration::from_millis(600),
        "too slow to tell"
    );
    refuses(web);
    assert!(start.elapsed() >= Duration::from_millis(650));
    round_trip(&client, b"afterwards");
    drop(client);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn the_service_manager_is_told() {
    let server = Server::echo();
    let directory = ScratchDirectory::new();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager
        .set_read_timeout(Some(DEADLINE))
        .expect("a deadline");
    let told = || {
        let mut message = [0; 4096];
        let len = manager.recv(&mut message).expect("a message");
        let text = str::from_utf8(&message[..len]).expect("text");
        let (first, second) = text.split_once('\n').unwrap_or((text, ""));
        (first.to_owned(), second.trim_end().to_owned())
    };
    let setup = Setup::new().server("a", server.address());
    let launch = setup.launch();
    let path = path.display().to_string();
    let mut ringway = launch.variable("NOTIFY_SOCKET", &path).start();
    let ready = (
        format!("MAINPID={}", ringway.pid().as_raw_nonzero()),
        "READY=1".to_owned(),
    );
    assert_eq!(told(), ready);

    ringway.reload(&setup.text());
    let (first, second) = told();
    assert_eq!(first, "RELOADING=1");
    let time = second
        .strip_prefix("MONOTONIC_USEC=")
        .map(str::parse::<u64>);
    assert!(matches!(time, Some(Ok(1..))), "{second}");
    assert_eq!(told(), ready);
    ringway.signal(Signal::TERM);
    assert_eq!(told().0, "STOPPING=1");
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn ctrl_c_says_what_is_open_and_what_a_second_one_does() {
    let server = Server::echo();
    let mut ringway = Setup::new().server("a", server.address()).start();
    let clients = [(); 2].map(|()| connect(ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    ringway.signal(Signal::INT);
    ringway.says(
        "SIGINT: finishing open sessions, at most 30s: 2 are open; a second Ctrl-C ends at once",
    );
    ringway.signal(Signal::INT);
    ringway.says("SIGINT once more: ending at once");
    assert_eq!(ringway.exit_code(), Some(0));
}
