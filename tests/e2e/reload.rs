//! Reloading: what is new takes effect, what is wrong changes nothing, and nobody who is connected
//! or just connecting notices.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::clients::{connect, connect_named, is_silent, read_line, ready, round_trip};
use crate::harness::{Launch, Ringway};
use crate::http::stats;
use crate::servers::{LOOPBACK, RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// Connects to `address` again and again until told to stop. Returns how often that worked; it
/// always must.
fn hammer(address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let (stream, name) = connect_named(address);
        assert!(["a", "b", "c"].contains(&name.as_str()), "{name}");
        drop(stream);
        count += 1;
    }
    count
}

/// A frontend beside `web`, before the same backend.
fn beside(name: &str) -> String {
    format!("\n[frontend.{name}]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n")
}

#[track_caller]
fn reloads(ringway: &Ringway, configuration: &str) {
    let line = ringway.reload(configuration);
    assert!(line.contains("is in use"), "{line}");
}

#[track_caller]
fn refuses(ringway: &Ringway, configuration: &str, reason: &str) {
    let line = ringway.reload(configuration);
    assert!(line.contains("not reloaded"), "{line}");
    eventually(reason, || ringway.errors_so_far().contains(reason));
}

#[test]
fn short_connections_never_fail_while_it_reloads() {
    let servers = ["a", "b", "c"].map(Server::named);
    let [a, b, c] = &servers;
    let with = |names: &[(&str, &Server)]| {
        let add = |setup: Setup, (name, server): &(&str, &Server)| {
            setup.server_with(name, server.address(), "max_sessions = 100")
        };
        names.iter().fold(Setup::new(), add).text()
    };
    let configurations = [
        with(&[("a", a), ("b", b)]),
        with(&[("a", a), ("c", c)]) + &beside("api"),
        with(&[("c", c), ("b", b)]) + &beside("api") + &beside("third"),
    ];
    let ringway = Launch::config(&configurations[0]).start();
    let web = ringway.address();
    let (held, name) = connect_named(web);
    let stop = AtomicBool::new(false);
    let total = AtomicU64::new(0);

    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| total.fetch_add(hammer(web, &stop), Ordering::SeqCst));
        }
        let mut descriptors = 0;
        for round in 0..8 {
            for (index, configuration) in configurations.iter().enumerate() {
                all_through("time passes", Duration::from_millis(200), || true);
                reloads(&ringway, configuration);
                if index == 2 && round == 1 {
                    descriptors = ringway.descriptors();
                }
            }
        }
        // Up to those of the sessions of this moment.
        let now = ringway.descriptors();
        assert!(now <= descriptors + 16, "{descriptors} became {now}");
        stop.store(true, Ordering::SeqCst);
    });

    assert!(total.load(Ordering::SeqCst) > 500, "{total:?}");
    assert!(is_silent(&held), "the session that was open is, at {name}");
    drop(held);
    let usual = ["max_sessions", "running as root"];
    let bad = |line: &str| line.contains("WARN") && !usual.iter().any(|words| line.contains(words));
    let errors = ringway.errors_so_far();
    assert!(!errors.lines().any(bad), "{errors}");
    ringway.has_no_kernel_workers();
}

#[test]
fn open_sessions_keep_the_server_that_is_gone() {
    let [old, new] = [Server::echo(), Server::echo()];
    let ringway = Setup::new().admin().server("old", old.address()).start();
    let client = connect(ringway.address());
    round_trip(&client, b"before");

    let next = Setup::new().admin().server("new", new.address());
    reloads(&ringway, &next.text());

    round_trip(&client, b"after");
    for _ in 0..10 {
        round_trip(&connect(ringway.address()), b"others");
    }
    assert_eq!((old.accepted(), new.accepted()), (1, 10));
    drop(client);
    let lines = ringway.sessions_ended(11);
    assert!(lines.iter().any(|line| line.server == "app/old"));
    assert!(lines.iter().all(|line| line.code == "--"), "{lines:?}");
}

#[test]
fn an_address_that_stays_is_never_closed_even_by_another_frontend() {
    let server = Server::named("a");
    let ringway = Setup::new().server("a", server.address()).start();
    let web = ringway.address();
    let stop = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let clients = scope.spawn(|| hammer(web, &stop));
        for name in ["other", "web", "third", "web"] {
            let next = Setup::new().listen(&web.to_string());
            let next = next.server("a", server.address()).text();
            reloads(
                &ringway,
                &next.replace("frontend.web", &format!("frontend.{name}")),
            );
            let count = server.accepted();
            eventually("clients come", || server.accepted() > count + 10);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(clients.join().expect("no failed connection") > 40);
    });
    let lines = ringway.sessions_ended(40);
    assert!(lines.iter().any(|line| line.frontend == "other"));
    assert!(lines.iter().any(|line| line.frontend == "third"));
}

#[test]
fn a_frontend_comes_and_goes() {
    let server = Server::echo();
    let setup = Setup::new().server("a", server.address());
    let ringway = setup.start();
    reloads(&ringway, &(setup.text() + &beside("api")));
    let api = ringway.address_of("api");
    let client = connect(api);
    round_trip(&client, b"before");

    reloads(&ringway, &setup.text());
    assert!(TcpStream::connect(api).is_err(), "it is closed");
    round_trip(&client, b"after");
    drop(client);
    let line = ringway.session_ended();
    assert_eq!((line.frontend.as_str(), line.code.as_str()), ("api", "--"));
}

#[test]
fn an_invalid_file_changes_nothing() {
    let server = Server::named("a");
    let setup = Setup::new().admin().server("a", server.address());
    let ringway = setup.start();
    let web = ringway.address();
    let stop = AtomicBool::new(false);
    let invalid = setup
        .text()
        .replace("[frontend.web]", "[frontend.web]\nbacklogg = 5");

    std::thread::scope(|scope| {
        let clients = scope.spawn(|| hammer(web, &stop));
        for _ in 0..5 {
            refuses(&ringway, &invalid, "did you mean `backlog`?");
            let count = server.accepted();
            eventually("clients come", || server.accepted() > count + 10);
        }
        stop.store(true, Ordering::SeqCst);
        clients.join().expect("no failed connection");
    });
    let reload = &stats(ringway.admin())["process"]["reload"];
    assert_eq!(
        (&reload["version"], &reload["last"]["ok"]),
        (&json!(1), &json!(false))
    );
    let error = reload["last"]["error"].as_str().expect("a report");
    assert!(
        error.contains("ringway.toml:") && error.contains("backlogg"),
        "{error}"
    );

    reloads(&ringway, &setup.text());
    let reload = &stats(ringway.admin())["process"]["reload"];
    assert_eq!(
        (&reload["version"], &reload["last"]["ok"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(reload["last"]["error"], json!(null));
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let server = Server::echo();
    let ringway = Setup::new().server("a", server.address()).start();
    ringway.unconfigure();
    ringway.signal(Signal::HUP);
    ringway.says("not reloaded");
    ringway.says("it does not exist");
    round_trip(&connect(ringway.address()), b"as before");
}

#[test]
fn what_needs_a_restart_is_refused_before_anything_is_applied() {
    let server = Server::named("a");
    let setup = || Setup::new().admin().server("a", server.address());
    let ringway = setup().start();
    let api = beside("api");

    let other = setup().workers(1).text() + &api;
    refuses(
        &ringway,
        &other,
        "a change of `workers` from 2 to 1 needs a restart",
    );
    let admin = setup()
        .text()
        .replace("[admin]\nlisten = \"127.0.0.1:0\"", "")
        + &api;
    refuses(&ringway, &admin, "a change of [admin] needs a restart");
    let inherited = setup().text() + &api.replace("127.0.0.1:0", "fd:3");
    refuses(&ringway, &inherited, "this needs a restart");
    assert!(!ringway.errors_so_far().contains("frontend api listens"));
    assert_eq!(stats(ringway.admin())["process"]["reload"]["version"], 1);
}

#[test]
fn a_listener_that_cannot_be_had_is_refused_before_anything_is_applied() {
    let server = Server::named("a");
    let setup = Setup::new().server("a", server.address());
    let ringway = setup.start();
    let taken = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    let next = setup.text() + &beside("api") + &beside("x").replace("127.0.0.1:0", &taken);

    // Whose it is may be hidden from a process that has given up root's rights.
    let why = format!("cannot listen on {taken} (frontend x): ");
    refuses(&ringway, &next, &why);
    assert!(!ringway.errors_so_far().contains("frontend api listens"));
    assert_eq!(connect_named(ringway.address()).1, "a");
}

#[test]
fn counters_health_and_limits_go_on() {
    let [a, b] = [Server::named("a"), Server::named("b")];
    let down = RefusingPort::new();
    let setup = || {
        Setup::new()
            .admin()
            .health_check(r#"interval = "1h""#)
            .server("down", down.address())
            .server("a", a.address())
    };
    let ringway = setup().start();
    let (web, admin) = (ringway.address(), ringway.admin());
    let open: Vec<TcpStream> = (0..3).map(|_| connect_named(web).0).collect();
    let before = stats(admin);
    assert_eq!(before["backends"][0]["servers"][0]["state"], "down");

    // The server that stays comes first now, and may have no more than it has.
    let next = Setup::new()
        .admin()
        .frontend("max_sessions = 500")
        .health_check(r#"interval = "1h""#)
        .server_with("a", a.address(), "max_sessions = 3")
        .server("down", down.address())
        .server("b", b.address());
    reloads(&ringway, &next.text());

    let after = stats(admin);
    let servers = |stats: &serde_json::Value| stats["backends"][0]["servers"].clone();
    let (old, new) = (servers(&before), servers(&after));
    assert_eq!(new[1]["state"], "down", "without a further check");
    for key in ["since", "reason", "checks", "sessions"] {
        assert_eq!(new[1][key], old[0][key], "{key}");
    }
    for name in ["current", "max", "limit", "total"] {
        assert_eq!(new[0]["sessions"][name], 3, "{name}");
    }
    assert_eq!(after["frontends"][0]["sessions"]["total"], 3);
    assert_eq!(after["frontends"][0]["sessions"]["limit"], 500);
    for _ in 0..5 {
        assert_eq!(connect_named(web).1, "b", "the other one is full");
    }
    eventually("the new server is checked", || {
        servers(&stats(admin))[2]["checks"]["passed"] == 1
    });
    drop(open);
}

#[test]
fn who_waits_for_a_place_gets_one_at_a_server_that_is_new() {
    let [a, b] = [Server::named("a"), Server::named("b")];
    let setup = || Setup::new().server_with("a", a.address(), "max_sessions = 1");
    let ringway = setup().defaults(r#"queue_timeout = "1m""#).start();
    let (_open, _) = connect_named(ringway.address());
    let waiting = connect(ringway.address());
    all_through("it waits", Duration::from_millis(100), || {
        is_silent(&waiting)
    });

    let next = setup().defaults(r#"queue_timeout = "1m""#);
    reloads(&ringway, &next.server("b", b.address()).text());
    assert_eq!(read_line(&waiting), "b");
}

#[test]
fn checks_that_change_take_effect() {
    let server = Server::named("a");
    let setup = || Setup::new().admin().server("a", server.address());
    let ringway = setup().health_check(r#"interval = "1h""#).start();
    let admin = ringway.admin();
    let state = || stats(admin)["backends"][0]["servers"][0].clone();
    assert_eq!(state()["state"], "up");

    // It does not speak HTTP.
    let next = setup()
        .health_check(r#"type = "http""#)
        .health_check(r#"interval = "100ms""#)
        .health_check(r#"timeout = "100ms""#);
    reloads(&ringway, &next.text());
    eventually("it is down", || state()["state"] == "down");
    reloads(&ringway, &setup().text());
    assert_eq!(
        (&state()["state"], &state()["reason"]),
        (&json!("no check"), &json!("configuration"))
    );
    assert_eq!(connect_named(ringway.address()).1, "a");
}

#[test]
fn the_access_log_and_the_time_to_stop_can_change() {
    let server = Server::named("a");
    let setup = || Setup::new().server("a", server.address());
    let mut ringway = setup().start();
    drop(connect_named(ringway.address()));
    ringway.session_ended();
    let next = setup()
        .global(r#"access_log = "json""#)
        .global(r#"shutdown_timeout = "100ms""#);
    reloads(&ringway, &next.text());
    drop(connect_named(ringway.address()));
    ringway.printed("a line of JSON", |lines| {
        let mut lines = lines.iter();
        lines.find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
    });

    let (mut open, _) = connect_named(ringway.address());
    let start = Instant::now();
    ringway.signal(Signal::TERM);
    assert!(open.read(&mut [0]).is_err(), "a reset");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let server = Server::named("a");
    let address = server.address().to_string();
    let ringway = Launch::arguments(&["tcp", "--listen", "127.0.0.1:0", &address]).start();
    ringway.signal(Signal::HUP);
    ringway.says("there is no configuration file to reload");
    assert_eq!(connect_named(ringway.addresses("")[0]).1, "a");
}

#[test]
fn the_command_line_has_the_last_word_again() {
    let server = Server::named("a");
    let text = Setup::new().workers(7).server("a", server.address()).text();
    let launch = Launch::config(&text).argument("--workers=1");
    let ringway = launch.argument("--admin=127.0.0.1:0").start();
    reloads(&ringway, &(text + &beside("api")));
    assert_eq!(
        stats(ringway.admin())["workers"].as_array().map(Vec::len),
        Some(1)
    );
}

/// Connects again and again until that is refused. Whoever gets a connection must be served.
fn until_refused(address: SocketAddr) -> u64 {
    let mut count = 0;
    while let Ok(stream) = TcpStream::connect(address) {
        assert_eq!(read_line(&ready(stream)), "a");
        count += 1;
    }
    count
}

#[test]
fn an_address_that_goes_away_serves_or_refuses_and_never_resets() {
    let server = Server::named("a");
    let setup = Setup::new().server("a", server.address());
    let ringway = setup.start();
    for _ in 0..5 {
        let before = ringway
            .errors_so_far()
            .matches("frontend api listens")
            .count();
        reloads(&ringway, &(setup.text() + &beside("api")));
        let api = ringway.addresses("frontend api ")[before];
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || until_refused(api)))
                .collect();
            let count = server.accepted();
            eventually("clients come", || server.accepted() > count + 100);
            reloads(&ringway, &setup.text());
            for client in clients {
                assert!(client.join().expect("nobody is reset") > 0);
            }
        });
    }
}
