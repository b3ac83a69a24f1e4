//! Servers with host names: when they are resolved, what happens when they cannot be, and which of
//! several addresses is used.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::{connect_from, connect_named, read_line};
use crate::harness::Ringway;
use crate::http::stats;
use crate::namespace::{EtcFile, in_namespace};
use crate::servers::{Server, SilentPort};
use crate::setup::Setup;
use crate::wait::eventually;

/// No name server answers, and that is known at once.
const REFUSING: &str = "nameserver 127.0.0.1\n";

/// A server of the backend, by its index, as the statistics have it.
fn server(ringway: &Ringway, index: usize) -> Value {
    stats(ringway.admin())["backends"][0]["servers"][index].clone()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_name_that_cannot_be_resolved_is_no_error_and_is_resolved_later() {
    in_namespace(
        "names::a_name_that_cannot_be_resolved_is_no_error_and_is_resolved_later",
        || {
            let _resolver = EtcFile::new("resolv.conf", REFUSING);
            let hosts = EtcFile::new("hosts", "");
            let (a, b) = (Server::named("a"), Server::named("b"));
            let port = b.address().port();
            let setup = Setup::new()
                .admin()
                .backend("balance = \"first\"")
                .server_named("b", "late.test", port)
                .server("a", a.address());
            let check = setup.launch().command("check");
            let mut check = check.spawn();
            assert_eq!(check.exit_code(), Some(1));
            let report = check.errors();
            assert!(report.contains("cannot resolve `late.test`"), "{report}");

            let ringway = setup.start();
            ringway.says("WARN");
            let line = ringway.says("server app/b is down: RESOLVE");
            assert!(line.contains("WARN"), "{line}");
            let b = server(&ringway, 0);
            assert_eq!(
                (&b["state"], &b["reason"]),
                (&"down".into(), &"RESOLVE".into())
            );
            assert_eq!(b["address"], format!("late.test:{port}"));
            assert_eq!(connect_named(ringway.address()).1, "a");

            // Without a reload, after the pause.
            hosts.write("127.0.0.1 late.test\n");
            ringway.says("server app/b is no check: resolved, was down for ");
            assert_eq!(connect_named(ringway.address()).1, "b");
            let b = server(&ringway, 0);
            assert_eq!(b["addresses"][0], format!("127.0.0.1:{port}"));
        },
    );
}

#[test]
fn a_reload_resolves_anew_and_keeps_what_it_cannot_resolve() {
    in_namespace(
        "names::a_reload_resolves_anew_and_keeps_what_it_cannot_resolve",
        || {
            let _resolver = EtcFile::new("resolv.conf", REFUSING);
            let hosts = EtcFile::new("hosts", "");
            let first = Server::named_on(ip("127.0.0.2"), "first");
            let port = first.address().port();
            let other = SocketAddr::new(ip("127.0.0.3"), port);
            let setup = Setup::new()
                .admin()
                .health_check("interval = \"1h\"\nfast_interval = \"1h\"\nrise = 3")
                .server_named("a", "app.test", port);
            let ringway = setup.start();
            ringway.says("server app/a is down: RESOLVE");

            // The first probe that passes is enough for a server that only had no address.
            hosts.write("127.0.0.2 app.test\n");
            assert!(ringway.reload(&setup.text()).contains("version 2"));
            ringway.says("server app/a is up: L4OK, 1/1 checks passed");
            assert_eq!(connect_named(ringway.address()).1, "first");
            let id = server(&ringway, 0)["id"].clone();

            hosts.write("");
            assert!(ringway.reload(&setup.text()).contains("version 3"));
            ringway.says("cannot resolve `app.test:");
            assert_eq!(connect_named(ringway.address()).1, "first");

            // It moves, and is the same server all the same.
            let moved = Server::named_at(other, "moved");
            hosts.write("127.0.0.3 app.test\n");
            assert!(ringway.reload(&setup.text()).contains("version 4"));
            assert_eq!(connect_named(ringway.address()).1, "moved");
            assert_eq!(server(&ringway, 0)["id"], id);
            assert_eq!(server(&ringway, 0)["sessions"]["total"], 3);
            eventually("it is probed there at once", || {
                server(&ringway, 0)["checks"]["passed"].as_u64() > Some(1)
            });
            drop((first, moved));
        },
    );
}

#[test]
fn silent_name_servers_delay_a_start_by_a_few_seconds_and_nothing_else() {
    in_namespace(
        "names::silent_name_servers_delay_a_start_by_a_few_seconds_and_nothing_else",
        || {
            let _resolver = EtcFile::new("resolv.conf", REFUSING);
            let _hosts = EtcFile::new("hosts", "127.0.0.1 known.test\n");
            // It never answers.
            let _name_server = UdpSocket::bind("127.0.0.1:53").expect("a port of this namespace");
            let known = Server::named("known");
            let mut setup = Setup::new()
                .admin()
                .backend("balance = \"first\"")
                .health_check("interval = \"50ms\"\ntimeout = \"50ms\"");
            for index in 0..40 {
                setup = setup.server_named(&format!("s{index}"), &format!("n{index}.test"), 80);
            }
            let port = known.address().port();
            let setup = setup.server_named("known", "known.test", port);
            let start = Instant::now();
            let ringway = setup.start();
            let time = start.elapsed();
            assert!(time < Duration::from_secs(8), "{time:?}");
            ringway.says("cannot resolve `n0.test:80`: no answer within 3s");

            // All of this goes on while forty questions are open.
            assert_eq!(connect_named(ringway.address()).1, "known");
            let passed = || server(&ringway, 40)["checks"]["passed"].as_u64();
            eventually("it is probed", || passed() > Some(5));
            assert_eq!(server(&ringway, 7)["reason"], "RESOLVE");
            ringway.signal(rustix::process::Signal::TERM);
            let mut ringway = ringway;
            let stop = Instant::now();
            assert_eq!(ringway.exit_code(), Some(0));
            assert!(stop.elapsed() < Duration::from_secs(3));
        },
    );
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    in_namespace("names::all_addresses_of_a_name_are_tried", || {
        // In the order of the file, since all are equally near.
        let hosts = "127.0.0.2 three.test\n127.0.0.3 three.test\n127.0.0.4 three.test\n";
        let _hosts = EtcFile::new("hosts", hosts);
        let third = Server::named_on(ip("127.0.0.4"), "third");
        let port = third.address().port();
        let setup = || {
            Setup::new()
                .workers(1)
                .defaults("connect_timeout = \"500ms\"\nretries = 1")
                .server_named("a", "three.test", port)
        };
        // Two refuse: the same attempt comes to the third.
        let ringway = setup().start();
        assert_eq!(connect_named(ringway.address()).1, "third");
        assert_eq!(ringway.session_ended().retries, 0);
        drop(ringway);

        // One says nothing: the next attempt begins with the one behind it.
        let _silent = SilentPort::at(SocketAddr::new(ip("127.0.0.2"), port));
        let ringway = setup().start();
        for _ in 0..2 {
            assert_eq!(connect_named(ringway.address()).1, "third");
        }
        let mut retries: Vec<_> = (ringway.sessions_ended(2).iter())
            .map(|line| line.retries)
            .collect();
        // Both sessions end by themselves, in any order.
        retries.sort_unstable();
        assert_eq!(retries, [0, 1], "the one that worked is preferred");
        drop(ringway);

        // A probe has tried them all before the first session.
        let check = "interval = \"5s\"\ntimeout = \"3s\"";
        let ringway = setup().admin().health_check(check).start();
        eventually("it is probed", || {
            server(&ringway, 0)["checks"]["passed"].as_u64() > Some(0)
        });
        assert!(!ringway.errors_so_far().contains("is down"));
        assert_eq!(connect_named(ringway.address()).1, "third");
        assert_eq!(ringway.session_ended().retries, 0);
    });
}

#[test]
fn without_ipv6_a_server_of_ipv6_fails_and_a_name_with_both_does_not() {
    in_namespace(
        "names::without_ipv6_a_server_of_ipv6_fails_and_a_name_with_both_does_not",
        || {
            for which in ["all", "default"] {
                let setting = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                fs::write(setting, "1").expect("a namespace of our own");
            }
            let hosts = "::1 both.test\n127.0.0.1 both.test\n";
            let _hosts = EtcFile::new("hosts", hosts);
            let b = Server::named("b");
            let port = b.address().port();
            let setup = || {
                Setup::new()
                    .workers(1)
                    .admin()
                    .frontend("retries = 1")
                    .backend("balance = \"source_hash\"")
                    .server("a", SocketAddr::new(ip("::1"), 9))
            };
            // By other clients: some of them would go to the server that nobody can reach.
            let all_are_served = |ringway: &Ringway| {
                for client in 1..=16 {
                    let client = connect_from(ip(&format!("127.0.1.{client}")), ringway.address());
                    assert_eq!(read_line(&client), "b");
                }
            };
            let ringway = setup().server("b", b.address()).start();
            all_are_served(&ringway);
            let retries: u32 = (ringway.sessions_ended(16).iter())
                .map(|line| line.retries)
                .sum();
            assert!(retries > 0);
            let failures = server(&ringway, 0)["connect_failures"].as_u64();
            assert_eq!(failures, Some(retries.into()));
            assert!(!ringway.errors_so_far().contains("local port"));
            drop(ringway);

            let ringway = setup()
                .server("b", b.address())
                .health_check("interval = \"1s\"")
                .start();
            ringway.says("server app/a is down: L4CON no local address or port, 1/1 checks failed");
            all_are_served(&ringway);
            drop(ringway);

            let ringway = Setup::new().server_named("b", "both.test", port).start();
            assert_eq!(connect_named(ringway.address()).1, "b");
            assert_eq!(ringway.session_ended().retries, 0);
        },
    );
}
