//! Nothing lasts for ever: each timeout ends what it is for, and nothing else.

use std::time::{Duration, Instant};

use crate::clients::{Ending, connect, connect_named, connect_to_end, ending, reset, round_trip};
use crate::servers::{self, Server, SilentPort};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// Times are kept to this: timers may be a little coarse, and never early by more.
const SLACK: Duration = Duration::from_millis(30);

#[test]
fn a_server_that_never_answers_is_left_for_the_next() {
    let silent = SilentPort::new();
    let live = Server::named("live");
    let ringway = Setup::new()
        .defaults(r#"connect_timeout = "300ms""#)
        .backend(r#"balance = "first""#)
        .server("silent", silent.address())
        .server("live", live.address())
        .start();

    let start = Instant::now();
    let (client, name) = connect_named(ringway.address());
    assert_eq!(name, "live");
    assert!(
        start.elapsed() + SLACK >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    drop(client);

    let line = ringway.session_ended();
    assert_eq!((line.server.as_str(), line.retries), ("app/live", 1));
}

#[test]
fn without_an_answer_from_any_server_the_client_gets_a_reset() {
    let silent = SilentPort::new();
    let ringway = Setup::new()
        .defaults("connect_timeout = \"200ms\"\nretries = 1")
        .server("silent", silent.address())
        .start();

    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);

    let line = ringway.session_ended();
    assert_eq!((line.code.as_str(), line.retries), ("sC", 1));
    assert!(line.total_ms >= 370, "{line:?}");
}

#[test]
fn a_client_that_leaves_while_we_connect_leaves_nothing_behind() {
    let silent = SilentPort::new();
    let ringway = Setup::new()
        .defaults("connect_timeout = \"200ms\"\nretries = 1")
        .server_with("silent", silent.address(), "max_sessions = 1")
        .start();
    let before = ringway.descriptors();

    for count in 1..=2 {
        reset(connect(ringway.address()));
        // It may be noticed at once, or when connecting has come to an end.
        let code = ringway.sessions_ended(count).remove(count - 1).code;
        assert!(["CC", "sC"].contains(&code.as_str()), "{code}");
    }
    eventually("all descriptors are given back", || {
        ringway.descriptors() <= before
    });
}

#[test]
fn an_idle_session_is_ended() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .defaults(r#"idle_timeout = "300ms""#)
        .server("a", server.address())
        .start();

    let (client, _) = connect_named(ringway.address());
    let start = Instant::now();
    ending(&client);
    assert!(
        start.elapsed() + SLACK >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );

    let line = ringway.session_ended();
    assert!(["cD", "sD"].contains(&line.code.as_str()), "{line:?}");
}

#[test]
fn a_session_with_traffic_is_not_idle() {
    let server = Server::echo();
    let ringway = Setup::new()
        .defaults(r#"idle_timeout = "600ms""#)
        .server("a", server.address())
        .start();

    let client = connect(ringway.address());
    for _ in 0..8 {
        all_through("a pause", Duration::from_millis(150), || true);
        round_trip(&client, b"still here");
    }
}

#[test]
fn a_session_with_one_half_ended_is_ended_earlier() {
    let server = Server::never_ending();
    let ringway = Setup::new()
        .defaults(r#"half_closed_timeout = "300ms""#)
        .server("a", server.address())
        .start();

    let client = connect(ringway.address());
    servers::end_of_stream(&client);
    let start = Instant::now();
    ending(&client);

    assert!(
        start.elapsed() + SLACK >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    let line = ringway.session_ended();
    assert!(["cD", "sD"].contains(&line.code.as_str()), "{line:?}");
}

#[test]
fn half_closed_timeout_leaves_whole_sessions_alone() {
    let server = Server::echo();
    let ringway = Setup::new()
        .defaults(r#"half_closed_timeout = "100ms""#)
        .server("a", server.address())
        .start();

    let client = connect(ringway.address());
    round_trip(&client, b"before");
    all_through("a pause", Duration::from_millis(400), || true);
    round_trip(&client, b"after");
}

#[test]
fn many_sessions_time_out_together() {
    let server = Server::hanging();
    let ringway = Setup::new()
        .defaults(r#"idle_timeout = "400ms""#)
        .server("a", server.address())
        .start();
    let before = ringway.descriptors();

    let clients: Vec<_> = (0..100).map(|_| connect(ringway.address())).collect();

    ringway.sessions_ended(100);
    eventually("all descriptors are given back", || {
        ringway.descriptors() <= before
    });
    drop(clients);
}
