//! Servers that can't be had at the first try: what is tried next, when, and who helps out.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clients::Ending;
use crate::clients::{
    connect, connect_named, connect_to_end, ending, is_silent, read_all, read_line, reset,
};
use crate::http::Answer;
use crate::http_servers::HttpServer;
use crate::pattern;
use crate::servers::{RefusingPort, Server, SilentPort, end_of_stream};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// Longer than one pause and shorter than two.
const LATE: Duration = Duration::from_millis(1_500);

/// What is done at once takes less: a pause is a second.
const AT_ONCE: Duration = Duration::from_millis(800);

#[test]
fn the_only_server_may_begin_to_listen_later() {
    let port = RefusingPort::new();
    let ringway = Setup::new().server("a", port.address()).start();
    let client = connect(ringway.address());
    all_through("it waits", LATE, || is_silent(&client));
    let _server = Server::named_at(port.address(), "late");
    assert_eq!(read_line(&client), "late");
    drop(client);
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.retries), ("--", 2));
}

#[test]
fn a_request_waits_for_it_too() {
    let port = RefusingPort::new();
    let ringway = Setup::http().server("a", port.address()).start();
    let mut client = connect(ringway.address());
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .expect("taken");
    end_of_stream(&client);
    all_through("it waits", LATE, || is_silent(&client));
    let _server = HttpServer::named_at(port.address(), "late");
    assert_eq!(Answer::read(&client).expect("an answer").body, "late");
}

#[test]
fn each_round_tries_every_server_once() {
    let ports = [RefusingPort::new(), RefusingPort::new()];
    let ringway = Setup::new()
        .defaults("connect_timeout = \"300ms\"\nretries = 5")
        .server("a", ports[0].address())
        .server("b", ports[1].address())
        .start();
    let begun = Instant::now();
    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);
    let waited = begun.elapsed();
    // Two pauses, no longer than a connect may be.
    let bounds = Duration::from_millis(580)..Duration::from_millis(1_500);
    assert!(bounds.contains(&waited), "{waited:?}");
    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.retries), ("SC", 5));
}

#[test]
fn a_client_is_watched_during_the_pause() {
    let port = RefusingPort::new();
    let ringway = Setup::new()
        .defaults("retries = 100")
        .server("a", port.address())
        .start();
    let client = connect(ringway.address());
    all_through("it waits", Duration::from_millis(200), || {
        is_silent(&client)
    });
    let begun = Instant::now();
    reset(client);
    assert_eq!(ringway.session_ended().code, "CC");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_has_ended_its_stream_is_served_after_the_pause() {
    let port = RefusingPort::new();
    let ringway = Setup::new().server("a", port.address()).start();
    let mut client = connect(ringway.address());
    client.write_all(b"question").expect("taken");
    end_of_stream(&client);
    all_through("it waits", LATE, || is_silent(&client));
    let _server = Server::start_at(port.address(), |mut stream| {
        if let Ok((length, _)) = pattern::digest(stream) {
            let _ = write!(stream, "{length}");
        }
    });
    assert_eq!(read_all(&client), b"8");
}

#[test]
fn the_end_of_the_process_does_not_wait_for_the_pause() {
    let port = RefusingPort::new();
    let mut ringway = Setup::new()
        .global(r#"shutdown_timeout = "100ms""#)
        .defaults("retries = 100")
        .server("a", port.address())
        .start();
    let client = connect(ringway.address());
    all_through("it waits", Duration::from_millis(200), || {
        is_silent(&client)
    });
    let begun = Instant::now();
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(ending(&client), Ending::Reset);
    assert_eq!(ringway.session_ended().code, "KC");
}

#[test]
fn after_the_pause_the_new_configuration_counts() {
    let (port, live) = (RefusingPort::new(), Server::named("live"));
    let setup = || Setup::new().defaults("retries = 1").workers(1);
    let ringway = setup().server("a", port.address()).start();
    let listen = ringway.address().to_string();
    let client = connect(ringway.address());
    all_through("it waits", Duration::from_millis(200), || {
        is_silent(&client)
    });
    let new = setup().listen(&listen).server("b", live.address());
    ringway.reload(&new.text());
    assert_eq!(read_line(&client), "live");
}

#[test]
fn a_backup_comes_before_a_second_try() {
    let ports = [RefusingPort::new(), RefusingPort::new()];
    let spare = Server::named("spare");
    let ringway = Setup::new()
        .server("a", ports[0].address())
        .server("b", ports[1].address())
        .server_with("spare", spare.address(), "backup = true")
        .start();
    for _ in 0..10 {
        let begun = Instant::now();
        let (client, name) = connect_named(ringway.address());
        assert_eq!(name, "spare");
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        drop(client);
    }
    let lines = ringway.sessions_ended(10);
    assert!(lines.iter().all(|line| line.retries == 2), "{lines:?}");
}

#[test]
fn a_backup_helps_out_after_the_time_in_the_queue() {
    let (server, spare) = (Server::named("a"), Server::named("spare"));
    let ringway = Setup::new()
        .defaults(r#"queue_timeout = "300ms""#)
        .server_with("a", server.address(), "max_sessions = 1")
        .server_with("spare", spare.address(), "backup = true, max_sessions = 1")
        .start();
    let (_first, name) = connect_named(ringway.address());
    assert_eq!(name, "a");
    let begun = Instant::now();
    let (_second, name) = connect_named(ringway.address());
    assert_eq!(name, "spare");
    assert!(
        begun.elapsed() >= Duration::from_millis(270),
        "{:?}",
        begun.elapsed()
    );
    // When it is full too there is nobody.
    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);
    assert_eq!(ringway.session_ended().code, "sQ");
}

#[test]
fn a_request_whose_server_is_full_may_go_to_a_backup() {
    let full = Server::hanging();
    let spare = HttpServer::named("spare");
    let ringway = Setup::http()
        .defaults(r#"queue_timeout = "300ms""#)
        .server_with("a", full.address(), "max_sessions = 1, cookie = \"a\"")
        .server_with(
            "spare",
            spare.address(),
            "backup = true, cookie = \"spare\"",
        )
        .start();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: SRV=a\r\n\r\n";
    let mut first = connect(ringway.address());
    first.write_all(request).expect("taken");
    eventually("it is full", || full.open() == 1);
    let mut second = connect(ringway.address());
    second.write_all(request).expect("taken");
    let answer = Answer::read(&second).expect("an answer");
    assert_eq!(answer.body, "spare");
    let cookies = answer.headers("set-cookie");
    assert!(
        cookies
            .iter()
            .any(|cookie| cookie.starts_with("SRV=spare;")),
        "{cookies:?}"
    );
}

#[test]
fn a_silent_server_is_left_for_a_backup() {
    let (silent, spare) = (SilentPort::new(), Server::named("spare"));
    let ringway = Setup::new()
        .defaults(r#"connect_timeout = "200ms""#)
        .server("a", silent.address())
        .server_with("spare", spare.address(), "backup = true")
        .start();
    let (_client, name) = connect_named(ringway.address());
    assert_eq!(name, "spare");
}
