//! The health thread as the rest of the control plane sees it, on real sockets.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{self, Config};
use crate::control::limits::Limits;
use crate::control::workers::Crew;

/// A thread with no workers behind it, and what they would see.
fn start(servers: &str, check: &str) -> (Health, Arc<Shared>) {
    let text = format!(
        "[frontend.f]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b\"\n\
         [backend.b]\nservers = [{servers}]\n{check}"
    );
    let config = match config::parse("test", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    };
    let config: Arc<Config> = Arc::new(config);
    let crew = Crew::new(&config, &Limits::of(&config, 1, 1_000)).unwrap();
    let shared = Arc::clone(crew.orders().shared());
    let health = Health::start(&config, crew.orders().clone()).unwrap();
    (health, shared)
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

const CHECK: &str = "[backend.b.health_check]\ninterval = \"20ms\"\ntimeout = \"20ms\"\n";

#[tokio::test]
async fn the_first_round_finds_who_is_up() {
    let alive = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Bound and not listening: refuses.
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    dead.bind(&any.into()).unwrap();
    let dead = TcpListener::from(dead);
    let servers = server("alive", &alive) + &server("dead", &dead);
    let (mut health, shared) = start(&servers, CHECK);
    health.first_round().await;

    let statuses = health.statuses();
    let (alive, dead) = (statuses.server(0, 0), statuses.server(0, 1));
    assert_eq!((alive.operational, alive.admin), ("up", "ready"));
    assert_eq!((alive.cause.as_str(), alive.downs), ("L4OK", 0));
    assert!(alive.usable && alive.checks_passed > 0 && alive.checks_failed == 0);
    assert_eq!((dead.operational, dead.downs), ("down", 1));
    assert_eq!(dead.cause, "L4CON connection refused");
    assert!(!dead.usable && dead.checks_passed == 0 && dead.checks_failed > 0);
    assert!(dead.changed > alive.changed);
    let usable = shared.backends[0].servers.iter();
    let usable: Vec<_> = usable.map(|server| server.liveness.is_usable()).collect();
    assert_eq!(usable, [true, false]);
}

#[tokio::test]
async fn the_operator_is_obeyed_with_and_without_checks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (check, operational) in [("", "no check"), (CHECK, "up")] {
        let (mut health, shared) = start(&server("a", &listener), check);
        health.first_round().await;
        let statuses = health.statuses().clone();
        let liveness = &shared.backends[0].servers[0].liveness;
        for (admin, word, usable) in [
            (Admin::Drain, "drain", false),
            (Admin::Maint, "maint", false),
            (Admin::Ready, "ready", true),
        ] {
            statuses.set_admin(0, 0, admin);
            until(word, || statuses.server(0, 0).admin == word).await;
            let status = statuses.server(0, 0);
            assert_eq!((status.operational, status.usable), (operational, usable));
            until(word, || liveness.is_usable() == usable).await;
        }
        if !check.is_empty() {
            let before = statuses.server(0, 0).checks_passed;
            until("checks go on", || {
                statuses.server(0, 0).checks_passed > before
            })
            .await;
        }
    }
}

#[tokio::test]
async fn failed_connects_are_counted_and_bring_a_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = "[backend.b.health_check]\ninterval = \"1h\"\nfast_interval = \"10ms\"\n";
    let (mut health, shared) = start(&server("a", &listener), check);
    health.first_round().await;
    let statuses = health.statuses();
    assert_eq!(statuses.server(0, 0).checks_passed, 1);
    for probes in 2..5 {
        shared.connect_failed(0, 0);
        until("a probe", || statuses.server(0, 0).checks_passed == probes).await;
    }
    let status = statuses.server(0, 0);
    assert_eq!((status.connects_failed, status.operational), (3, "up"));

    let (mut health, shared) = start(&server("a", &listener), "");
    health.first_round().await;
    shared.connect_failed(0, 0);
    assert_eq!(health.statuses().server(0, 0).connects_failed, 1);
}
