//! Out of descriptors or ports: the process pauses, says so, and recovers by itself.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::clients::{connect, connect_named, is_silent, read_line, round_trip};
use crate::http::stats;
use crate::http_servers::HttpServer;
use crate::namespace::in_namespace;
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{all_through, eventually, settled};

#[test]
fn a_shortage_of_descriptors_neither_crashes_nor_spins_nor_lasts() {
    let server = Server::echo();
    let mut ringway = Setup::new()
        .workers(1)
        // More than the descriptors suffice for, so that the kernel is the one to refuse.
        .global("max_sessions = 1_000")
        .server("a", server.address())
        .launch()
        .open_files_max(64)
        .start();

    let first = connect(ringway.address());
    round_trip(&first, b"before the shortage");
    // Any of these may be turned away, at once or later.
    let crowd = (0..100).filter_map(|_| TcpStream::connect(ringway.address()).ok());
    let mut clients: Vec<_> = crowd.collect();
    for client in &mut clients {
        let _ = client.write_all(b"x");
    }
    let served = settled("no more sessions are opened", || server.accepted());
    assert!((1..60).contains(&served), "{served} sessions");
    round_trip(&first, b"an open session does not suffer");

    let before = ringway.cpu_time();
    let time = Duration::from_secs(1);
    all_through("the process rests", time, || {
        ringway.cpu_time() - before < time / 5
    });
    let lines = ringway.errors_so_far().lines().count();
    assert!(lines < 40, "{lines} lines in the log");

    drop((first, clients));
    eventually("all sessions end", || server.open() == 0);
    for _ in 0..10 {
        round_trip(&connect(ringway.address()), b"served again");
    }
    assert!(ringway.runs());
}

#[test]
fn sessions_go_elsewhere_while_all_ports_to_a_server_are_in_use() {
    let name = "shortage::sessions_go_elsewhere_while_all_ports_to_a_server_are_in_use";
    in_namespace(name, || {
        let (a, b) = (Server::named("a"), Server::named("b"));
        let mut ringway = Setup::new()
            .workers(1)
            .listen("0.0.0.0:0")
            .defaults("connect_timeout = \"20s\"")
            .backend("balance = \"first\"")
            .server("a", a.address())
            .server("b", b.address())
            .start();
        let port = ringway.address().port();
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        fs::write(range, "40000 40003").expect("a namespace of our own");
        // Every client has an address of the listener for itself, so that none is short of ports.
        let address = |client: u8| SocketAddr::from(([127, 0, 1, client], port));

        let sessions: Vec<_> = (0..8)
            .map(|client| connect_named(address(client)))
            .collect();
        let names: Vec<_> = sessions.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["a", "a", "a", "a", "b", "b", "b", "b"]);
        let messages = ringway.errors_so_far();
        assert!(!messages.contains("have to wait"), "{messages}");

        // No server is left: this is no failure of theirs.
        let waiting = connect(address(8));
        assert!(is_silent(&waiting));
        ringway.says("new sessions have to wait: no local port is left for a server");
        drop(sessions);
        assert!(["a", "b"].contains(&read_line(&waiting).as_str()));
        assert!(ringway.runs());
    });
}

#[test]
fn a_session_in_a_shortage_counts_its_server_once() {
    let server = HttpServer::named("a");
    let ringway = Setup::plain_http()
        .workers(1)
        .admin()
        .global("max_sessions = 1_000")
        .server("a", server.address())
        .launch()
        .open_files_max(64)
        .start();
    let begun = |admin| stats(admin)["process"]["sessions"]["total"].clone();
    assert_eq!(begun(ringway.admin()), 0);

    // Their connections take all descriptors, so that none is left for the server.
    let mut clients: Vec<_> = (0..100)
        .filter_map(|_| TcpStream::connect(ringway.address()).ok())
        .collect();
    settled("no more connections are accepted", || ringway.descriptors());
    for client in &mut clients {
        let _ = client.write_all(b"GET / HTTP/1.1\r\n\r\n");
    }
    let time = Duration::from_millis(500);
    all_through("they try again and again", time, || server.accepted() < 20);
    drop(clients);

    eventually("all sessions end", || ringway.descriptors() < 32);
    let all = stats(ringway.admin());
    let number = |path: &str| all.pointer(path).and_then(Value::as_u64);
    let begun = number("/process/sessions/total");
    let given = number("/backends/0/servers/0/sessions/total");
    assert!(given <= begun, "{given:?} of {begun:?}");
    let shortages = number("/workers/0/shortages");
    assert!(shortages > begun.map(|begun| 2 * begun), "{shortages:?}");
}
