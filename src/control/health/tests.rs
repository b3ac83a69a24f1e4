//! The health thread as the rest of the control plane sees it, on real sockets.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;
use crate::config;
use crate::control::limits::Limits;
use crate::control::server_change::Attribution;
use crate::control::workers::WorkerSetup;
use crate::logic::health::AdminState;
use crate::shared::Shared;
use crate::snapshot::Registry;

/// A thread with no workers behind it, and what they would see.
fn start(servers: &str, check: &str) -> (Health, Arc<Shared>, Arc<Snapshot>) {
    let config = configuration(servers, check);
    let setup = WorkerSetup::new(&Limits::of(&config, 1, 1_000, 0)).unwrap();
    let snapshot = Registry::new(1).snapshot(config);
    let shared = Arc::clone(setup.handles().shared());
    let health = start_with(&snapshot, Vec::new(), &setup);
    (health, shared, snapshot)
}

fn start_with(
    snapshot: &Arc<Snapshot>,
    changes: Vec<(u64, ServerChange)>,
    setup: &WorkerSetup,
) -> Health {
    let initial = (Arc::clone(snapshot), changes);
    let names = Names::of_system();
    Health::start(
        initial,
        names,
        None,
        setup.handles().clone(),
        Journal::new(),
    )
    .unwrap()
}

fn configuration(servers: &str, check: &str) -> config::Config {
    let text = format!(
        "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b\"\n\
         [backend.b]\nservers = [{servers}]\n{check}"
    );
    match config::parse("test", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

/// An address that refuses connections for as long as the socket exists.
fn refusing() -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // ListenAddresses and not listening.
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    TcpListener::from(socket)
}

/// Whether nobody has connected.
fn is_untouched(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    let accepted = listener.accept();
    accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn server(name: &str, listener: &TcpListener) -> String {
    let address = listener.local_addr().unwrap();
    format!("{{ name = \"{name}\", address = \"{address}\" }}, ")
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn change(state: Option<AdminState>, weight: Option<u16>) -> ServerChange {
    let by = Attribution {
        who: "somebody".to_owned(),
        ..Attribution::default()
    };
    ServerChange { state, weight, by }
}

const CHECK: &str = "[backend.b.health_check]\ninterval = \"20ms\"\ntimeout = \"20ms\"\n";

#[tokio::test]
async fn the_first_round_finds_who_is_up() {
    let alive = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = refusing();
    let servers = server("alive", &alive) + &server("dead", &dead);
    let (mut health, _, snapshot) = start(&servers, CHECK);
    health.first_round().await;

    let statuses = health.statuses();
    let [alive, dead] = [0, 1].map(|index| statuses.server(&snapshot.server(0, index)));
    assert_eq!(
        (alive.operational.as_str(), alive.admin.as_str()),
        ("up", "ready")
    );
    assert_eq!((alive.cause.as_str(), alive.downs), ("L4OK", 0));
    assert!(alive.usable && alive.checks_passed > 0 && alive.checks_failed == 0);
    assert_eq!((dead.operational.as_str(), dead.downs), ("down", 1));
    assert_eq!(dead.cause, "L4CON connection refused");
    assert!(!dead.usable && dead.checks_passed == 0 && dead.checks_failed > 0);
    assert!(dead.changed > alive.changed);
    let members = snapshot.backends[0].members();
    let usable = members.servers().iter().map(|member| &member.server);
    let usable: Vec<_> = usable
        .map(|server| server.availability.is_usable())
        .collect();
    assert_eq!(usable, [true, false]);
}

#[tokio::test]
async fn the_operator_is_obeyed_with_and_without_checks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (check, operational) in [("", "no check"), (CHECK, "up")] {
        let (mut health, _, snapshot) = start(&server("a", &listener), check);
        health.first_round().await;
        let statuses = health.statuses().clone();
        let server = &snapshot.server(0, 0);
        let availability = &server.availability;
        for (state, word, usable, balanced) in [
            (AdminState::Drain, "drain", true, false),
            (AdminState::Maint, "maint", false, false),
            (AdminState::Ready, "ready", true, true),
        ] {
            let change = change(Some(state), None);
            statuses.apply_change(server, change.clone()).await.unwrap();
            let status = statuses.server(server);
            assert_eq!(
                (status.operational.as_str(), status.admin.as_str()),
                (operational, word)
            );
            assert_eq!((status.usable, status.balanced), (usable, balanced));
            assert_eq!(status.by, Some(change.by));
            assert_eq!(availability.is_usable(), usable);
            assert_eq!(usable && availability.weight() > 0, balanced);
        }
        for (weight, balanced) in [(0, false), (7, true)] {
            let change = change(None, Some(weight));
            statuses.apply_change(server, change).await.unwrap();
            let status = statuses.server(server);
            let expected = (u32::from(weight), balanced, true);
            assert_eq!((status.weight, status.balanced, status.usable), expected);
        }
        if !check.is_empty() {
            let before = statuses.server(server).checks_passed;
            until("checks go on", || {
                statuses.server(server).checks_passed > before
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_backend_that_never_had_a_server_does_not_have_one_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = server("a", &listener).replace(" }", ", weight = 0 }");
    let config = configuration(&servers, "");
    let setup = WorkerSetup::new(&Limits::of(&config, 1, 1_000, 0)).unwrap();
    let snapshot = Registry::new(1).snapshot(config);
    let journal = Journal::new();
    let mut health = Health::start(
        (Arc::clone(&snapshot), Vec::new()),
        Names::of_system(),
        None,
        setup.handles().clone(),
        journal.clone(),
    )
    .unwrap();
    health.first_round().await;
    for weight in [1, 0, 1] {
        let change = change(None, Some(weight));
        let server = &snapshot.server(0, 0);
        health
            .statuses()
            .apply_change(server, change)
            .await
            .unwrap();
    }
    let events = journal.since(0);
    let texts = events.iter().map(|event| event.entry.text.as_str());
    let texts: Vec<&str> = texts.filter(|text| text.starts_with("backend b")).collect();
    assert_eq!(
        texts[..2],
        [
            "backend b has a usable server",
            "backend b has no usable server"
        ]
    );
    assert!(texts[2].starts_with("backend b has a usable server again, had none for "));
    assert_eq!(texts.len(), 3);
}

/// Probes that `accept` notices.
const HTTP_CHECK: &str = "[backend.b.health_check]\ntype = \"http\"\ninterval = \"1h\"\n";

#[tokio::test]
async fn a_server_in_maintenance_is_not_probed_and_not_waited_for() {
    let (resting, dead) = (TcpListener::bind("127.0.0.1:0").unwrap(), refusing());
    let servers = server("resting", &resting) + &server("dead", &dead);
    let config = configuration(&servers, HTTP_CHECK);
    let setup = WorkerSetup::new(&Limits::of(&config, 1, 1_000, 0)).unwrap();
    let mut registry = Registry::new(1);
    let snapshot = registry.snapshot(config);
    let maint = change(Some(AdminState::Maint), None);
    let changes = vec![(snapshot.server(0, 0).id, maint)];
    let mut health = start_with(&snapshot, changes, &setup);
    let complete = health.first_round.take().unwrap();
    let complete = tokio::time::timeout(Duration::from_secs(10), complete).await;
    complete.expect("the round is complete").unwrap();
    let statuses = health.statuses().clone();
    let status = |index| statuses.server(&snapshot.server(0, index));
    assert_eq!(
        (status(0).admin.as_str(), status(0).usable),
        ("maint", false)
    );
    assert_eq!(
        (status(1).operational.as_str(), status(1).checks_failed),
        ("down", 1)
    );
    assert!(is_untouched(&resting));

    // Both are asked something else from now on.
    let check = HTTP_CHECK.to_owned() + "path = \"/other\"\n";
    let next = registry.snapshot(configuration(&servers, &check));
    statuses.adopt(&next).await;
    until("the other is probed", || status(1).checks_failed == 2).await;
    assert!(is_untouched(&resting));
    let ready = change(Some(AdminState::Ready), None);
    statuses
        .apply_change(&next.server(0, 0), ready)
        .await
        .unwrap();
    until("it is probed", || !is_untouched(&resting)).await;
}

#[tokio::test]
async fn failed_connects_are_counted_and_bring_a_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = "[backend.b.health_check]\ninterval = \"1h\"\nfast_interval = \"10ms\"\n";
    let (mut health, shared, snapshot) = start(&server("a", &listener), check);
    health.first_round().await;
    let statuses = health.statuses();
    let first = &snapshot.server(0, 0);
    assert_eq!(statuses.server(first).checks_passed, 1);
    for probes in 2..5 {
        shared.connect_failed(first);
        until("a probe", || statuses.server(first).checks_passed == probes).await;
    }
    let status = statuses.server(first);
    assert_eq!(
        (status.connects_failed, status.operational.as_str()),
        (3, "up")
    );

    let (mut health, shared, snapshot) = start(&server("a", &listener), "");
    health.first_round().await;
    let first = &snapshot.server(0, 0);
    shared.connect_failed(first);
    assert_eq!(health.statuses().server(first).connects_failed, 1);
}
