//! Which server a session gets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::clients::{Ending, connect_from, connect_named, connect_to_end, read_line};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;

/// Opens sessions one after the other, ends each at once, and counts which server they got.
fn shares(address: SocketAddr, sessions: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..sessions {
        *shares.entry(connect_named(address).1).or_default() += 1;
    }
    shares
}

/// Three named servers, the first of weight 2, and the process before them.
fn weighted() -> (Vec<Server>, Setup) {
    let servers: Vec<_> = ["a", "b", "c"].map(Server::named).into();
    let setup = Setup::new()
        .server_with("a", servers[0].address(), "weight = 2")
        .server("b", servers[1].address())
        .server("c", servers[2].address());
    (servers, setup)
}

#[test]
fn weights_are_exact_with_one_worker() {
    let (_servers, setup) = weighted();
    let ringway = setup.workers(1).start();

    let shares = shares(ringway.address(), 40);

    assert_eq!(
        shares,
        [("a".into(), 20), ("b".into(), 10), ("c".into(), 10)].into()
    );
}

#[test]
fn weights_hold_over_two_workers() {
    let (_servers, setup) = weighted();
    let ringway = setup.workers(2).start();

    let shares = shares(ringway.address(), 80);

    for (name, expected) in [("a", 40), ("b", 20), ("c", 20)] {
        assert!(shares[name].abs_diff(expected) <= 2, "{shares:?}");
    }
}

#[test]
fn all_workers_take_turns_in_one_order() {
    let servers = ["a", "b", "c"].map(Server::named);
    for workers in [1, 2, 5] {
        let mut setup = Setup::new().workers(workers);
        for (name, server) in ["a", "b", "c"].iter().zip(&servers) {
            setup = setup.server(name, server.address());
        }
        let ringway = setup.start();
        let order: Vec<String> = (0..60)
            .map(|_| connect_named(ringway.address()).1)
            .collect();
        for turn in order.windows(3) {
            let rotations = [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]];
            assert!(rotations.iter().any(|it| turn == it), "{order:?}");
        }
    }
}

#[test]
fn weight_0_takes_nothing_and_a_backup_only_when_no_other_may() {
    let [a, zero, spare] = ["a", "zero", "spare"].map(Server::named);
    let setup = || {
        Setup::new()
            .server_with("zero", zero.address(), "weight = 0")
            .server_with("spare", spare.address(), "backup = true")
    };

    let ringway = setup().server("a", a.address()).start();
    assert_eq!(shares(ringway.address(), 10), [("a".into(), 10)].into());
    let ringway = setup().start();
    assert_eq!(shares(ringway.address(), 10), [("spare".into(), 10)].into());
}

#[test]
fn least_conn_evens_out_the_open_sessions() {
    let [a, b] = ["a", "b"].map(Server::named);
    let ringway = Setup::new()
        .backend(r#"balance = "least_conn""#)
        .server("a", a.address())
        .server("b", b.address())
        .start();

    let mut sessions: Vec<_> = (0..10).map(|_| connect_named(ringway.address())).collect();
    let on_a = |sessions: &[(_, String)]| sessions.iter().filter(|(_, name)| name == "a").count();
    assert_eq!(on_a(&sessions), 5);

    sessions.retain(|(_, name)| name == "b");
    ringway.sessions_ended(5);
    let next: Vec<_> = (0..5).map(|_| connect_named(ringway.address())).collect();
    assert_eq!(on_a(&next), 5);
}

#[test]
fn random_uses_every_server() {
    let servers = ["a", "b", "c"].map(Server::named);
    let mut setup = Setup::new().backend(r#"balance = "random""#);
    for (name, server) in ["a", "b", "c"].into_iter().zip(&servers) {
        setup = setup.server(name, server.address());
    }
    let ringway = setup.start();

    // By chance alone one of three is left out about once in 10^10 runs.
    assert_eq!(shares(ringway.address(), 60).len(), 3);
}

#[test]
fn source_hash_gives_a_client_the_same_server_on_every_node() {
    let names = ["a", "b", "c"];
    let servers = names.map(Server::named);
    let start = |order: [usize; 3]| {
        let mut setup = Setup::new().backend(r#"balance = "source_hash""#);
        for index in order {
            setup = setup.server(names[index], servers[index].address());
        }
        setup.start()
    };
    let (one, other) = (start([0, 1, 2]), start([2, 0, 1]));
    let chosen = |client: u8, node: SocketAddr| {
        let source = IpAddr::from([127, 0, 1, client]);
        read_line(&connect_from(source, node))
    };

    let mut used = BTreeMap::<String, usize>::new();
    for client in 1..=32 {
        let server = chosen(client, one.address());
        assert_eq!(
            chosen(client, one.address()),
            server,
            "again, client {client}"
        );
        assert_eq!(
            chosen(client, other.address()),
            server,
            "on the other node, client {client}"
        );
        *used.entry(server).or_default() += 1;
    }
    assert_eq!(used.len(), 3, "{used:?}");
}

#[test]
fn first_fills_a_server_before_it_uses_the_next() {
    let [a, b] = ["a", "b"].map(Server::named);
    let ringway = Setup::new()
        .backend(r#"balance = "first""#)
        .server_with("a", a.address(), "max_sessions = 2")
        .server("b", b.address())
        .start();

    let mut sessions: Vec<_> = (0..4).map(|_| connect_named(ringway.address())).collect();
    let names: Vec<_> = sessions.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["a", "a", "b", "b"]);

    drop(sessions.remove(0));
    ringway.session_ended();
    assert_eq!(connect_named(ringway.address()).1, "a");
}

#[test]
fn a_dead_server_is_passed_over_and_no_client_sees_it() {
    const SESSIONS: usize = 20;
    let dead = RefusingPort::new();
    let live = Server::named("live");
    let ringway = Setup::new()
        .server("dead", dead.address())
        .server("live", live.address())
        .start();

    assert_eq!(
        shares(ringway.address(), SESSIONS),
        [("live".into(), SESSIONS)].into()
    );

    let lines = ringway.sessions_ended(SESSIONS);
    assert!(
        lines
            .iter()
            .all(|line| line.server == "app/live" && line.code == "--"),
        "{lines:?}"
    );
    let retried = lines.iter().filter(|line| line.retries == 1).count();
    assert!(retried > 0, "{lines:?}");
    assert!(lines.iter().all(|line| line.retries <= 1), "{lines:?}");
}

#[test]
fn without_a_usable_server_the_client_gets_a_reset() {
    let dead = [RefusingPort::new(), RefusingPort::new()];
    let ringway = Setup::new()
        .server("a", dead[0].address())
        .server("b", dead[1].address())
        .start();

    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);

    let line = ringway.session_ended();
    assert_eq!(line.code, "SC");
    assert_eq!(
        (
            line.connect_ms,
            line.bytes_from_client,
            line.bytes_from_server
        ),
        (-1, 0, 0)
    );
}

#[test]
fn retries_end_where_the_configuration_says() {
    let dead = RefusingPort::new();
    let ringway = Setup::new()
        .defaults("retries = 2")
        .server("a", dead.address())
        .start();

    assert_eq!(connect_to_end(ringway.address()), Ending::Reset);

    assert_eq!(ringway.session_ended().retries, 2);
}
