//! Ways to start, what can go wrong then, and what is said about it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::clients::{connect, connect_named, round_trip};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{get, send};
use crate::http_servers::HttpServer;
use crate::servers::{LOOPBACK, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// Runs the process to its end; returns its exit code and what it printed to standard error.
fn run_to_end(launch: Launch) -> (Option<i32>, String) {
    let mut ringway: Ringway = launch.spawn();
    let code = ringway.exit_code();
    (code, ringway.errors())
}

/// A configuration that is valid, whoever listens at its server's address.
fn valid() -> String {
    Setup::new()
        .server("a", "127.0.0.1:9".parse().expect("an address"))
        .text()
}

#[test]
fn check_says_by_its_exit_code_whether_a_file_is_valid() {
    let (code, errors) = run_to_end(Launch::config(&valid()).command("check"));
    assert_eq!(code, Some(0), "{errors}");

    let invalid = valid()
        .replace("backend = \"app\"", "backend = \"ap\"")
        .replace("workers = 2", "workres = 2");
    let (code, errors) = run_to_end(Launch::config(&invalid).command("check"));
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("`workres`") && errors.contains("`workers`"),
        "{errors}"
    );
    assert!(errors.contains("`ap`"), "all errors of one run: {errors}");
    assert!(errors.contains("ringway.toml:2:1"), "where it is: {errors}");

    let (code, errors) = run_to_end(Launch::arguments(&["check", "--no-such-option"]));
    assert_eq!(code, Some(2), "{errors}");
}

/// Fails unless a start was refused with one clear sentence that names the culprit.
fn refused(launch: Launch, culprit: &str, cause: &str) {
    let (code, errors) = run_to_end(launch);
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains(culprit) && errors.to_lowercase().contains(cause),
        "{errors}"
    );
    assert!(
        !errors.contains("panicked") && !errors.contains("Os {"),
        "{errors}"
    );
    assert!(!errors.contains("ringway is ready"), "{errors}");
}

#[test]
fn an_address_in_use_is_refused_with_a_sentence() {
    let other = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let address = other.local_addr().expect("an address").to_string();
    let setup = Setup::new()
        .listen(&address)
        .server("a", "127.0.0.1:9".parse().expect("an address"));

    let us = format!("already: process {} (", std::process::id());
    refused(setup.launch(), &address, &us);
    let setup = Setup::new()
        .admin_with(&format!("listen = \"{address}\""))
        .server("a", "127.0.0.1:9".parse().expect("an address"));
    refused(setup.launch(), &address, &us);
}

#[test]
fn it_starts_again_at_once_after_it_was_killed_with_many_sessions() {
    let server = Server::echo();
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let setup = |listen: &str, admin: &str| {
        Setup::new()
            .listen(listen)
            .admin_with(&format!("listen = \"{admin}\""))
            .admin_with(&format!("socket = \"{}\"", socket.display()))
            .server("a", server.address())
    };
    let mut ringway = setup("127.0.0.1:0", "127.0.0.1:0").start();
    let (web, admin) = (ringway.address(), ringway.admin());
    let again = setup(&web.to_string(), &admin.to_string());
    for _ in 0..3 {
        let clients: Vec<_> = (0..300).map(|_| connect(web)).collect();
        for client in &clients {
            round_trip(client, b"x");
        }
        ringway.signal(Signal::KILL);
        eventually("it is dead", || !ringway.runs());
        ringway.forget();
        ringway = again.start();
        round_trip(&connect(web), b"again");
        assert_eq!(get(admin, "/healthz").status, 200);
    }
}

/// A port of all addresses that nobody else is given: it is bound, and nobody listens.
fn reserved() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.set_reuse_port(true).expect("an option");
    let any: SocketAddr = "0.0.0.0:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("an address").as_socket();
    (socket, address.expect("an IP address").port())
}

#[test]
fn a_wildcard_and_an_address_of_its_port_go_together_however_they_come() {
    let [all, one] = ["all", "one"].map(Server::named);
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let (_held, port) = reserved();
    let text = |specific: &str| {
        let setup = Setup::new()
            .listen(&format!("0.0.0.0:{port}"))
            .admin_with(&format!("socket = \"{}\"", socket.display()))
            .server("a", all.address());
        format!(
            "{}[frontend.one]\nlisten = [\"{specific}:{port}\"]\nbackend = \"one\"\n\
             [backend.one]\nservers = [{{ name = \"b\", address = \"{}\" }}]\n",
            setup.text(),
            one.address()
        )
    };
    let both = text("[::ffff:127.0.0.1]");
    let look = || {
        let at = |ip: [u8; 4]| connect_named(SocketAddr::from((ip, port))).1;
        assert_eq!(at([127, 0, 0, 1]), "one");
        assert_eq!(at([127, 0, 0, 2]), "all");
    };
    let (code, errors) = run_to_end(Launch::config(&both).command("check"));
    assert_eq!(code, Some(0), "{errors}");
    let mut ringway = Launch::config(&both).start();
    look();
    let other = ringway.reload(&text("127.0.0.3"));
    assert!(other.contains("is in use"), "{other}");
    assert_eq!(
        connect_named(SocketAddr::from(([127, 0, 0, 1], port))).1,
        "all"
    );
    let back = ringway.reload(&both);
    assert!(back.contains("is in use"), "{back}");
    look();
    let next = Launch::config(&both).argument("--takeover").start();
    assert_eq!(ringway.exit_code(), Some(0));
    look();
    // A second process with other sets of addresses shares none of them.
    refused(
        Launch::config(&both.replace("admin.sock", "b.sock")),
        "0.0.0.0",
        "already",
    );
    drop(next);
}

#[test]
fn a_file_that_is_not_there_is_refused_with_a_sentence() {
    let path = "/nonexistent/ringway.toml";

    refused(Launch::arguments(&["run", "-c", path]), path, "not exist");
}

#[test]
fn run_refuses_what_check_refuses() {
    let invalid = valid().replace("workers", "workres");

    refused(Launch::config(&invalid), "`workres`", "ringway.toml:2:1");
}

#[test]
fn ipv6_works_on_both_sides() {
    let server = Server::named_on(IpAddr::V6(Ipv6Addr::LOCALHOST), "six");
    let ringway = Setup::new()
        .listen("[::1]:0")
        .server("six", server.address())
        .start();
    assert!(ringway.address().is_ipv6());

    let (client, name) = connect_named(ringway.address());

    assert_eq!(name, "six");
    let address = client.local_addr().expect("an address");
    drop(client);
    let line = ringway.session_ended();
    assert!(
        line.client.contains("::1") && line.client.ends_with(&address.port().to_string()),
        "{line:?}"
    );
}

#[test]
fn a_frontend_may_listen_on_several_addresses() {
    let server = Server::named("a");
    let text = Setup::new().server("a", server.address()).text();
    let ringway =
        Launch::config(&text.replace("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\", \"[::1]:0\"]"))
            .start();

    let addresses = ringway.addresses("frontend web ");

    assert!(
        addresses.iter().any(|address| address.is_ipv6()),
        "{addresses:?}"
    );
    assert!(
        addresses.iter().any(|address| address.is_ipv4()),
        "{addresses:?}"
    );
    for address in addresses {
        assert_eq!(connect_named(address).1, "a");
    }
}

#[test]
fn forty_frontends_with_forty_backends_keep_apart() {
    let servers: Vec<_> = (0..40)
        .map(|number| Server::named(&format!("server {number}")))
        .collect();
    let mut text = String::from("[global]\nworkers = 2\n");
    for (number, server) in servers.iter().enumerate() {
        text += &format!(
            "[frontend.f{number}]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"b{number}\"\n\
             [backend.b{number}]\nservers = [{{ name = \"a\", address = \"{}\" }}]\n",
            server.address()
        );
    }
    let ringway = Launch::config(&text).start();

    for number in 0..40 {
        let address = ringway.address_of(&format!("f{number}"));
        let (_one, name) = connect_named(address);
        let (_other, same) = connect_named(address);
        assert_eq!(
            (name, same),
            (format!("server {number}"), format!("server {number}"))
        );
    }
}

#[test]
fn tcp_needs_no_file() {
    let [a, b] = ["a", "b"].map(Server::named);
    let (first, second) = (a.address().to_string(), b.address().to_string());
    let arguments = [
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--balance",
        "round_robin",
        "--workers",
        "1",
        &first,
        &second,
    ];
    let ringway = Launch::arguments(&arguments).start();
    let address = ringway.addresses("")[0];

    let names = [connect_named(address).1, connect_named(address).1];

    assert!(names == ["a", "b"] || names == ["b", "a"], "{names:?}");
}

#[test]
fn http_needs_no_file() {
    let servers = ["a", "b"].map(HttpServer::named);
    let addresses = servers
        .each_ref()
        .map(|server| server.address().to_string());
    for cookie in [&[][..], &["--cookie", "own"]] {
        let servers = [addresses[0].as_str(), &addresses[1]];
        let arguments = [&["http", "--listen", "127.0.0.1:0"], cookie, &servers].concat();
        let ringway = Launch::arguments(&arguments).start();
        let address = ringway.addresses("")[0];
        let first = get(address, "/");
        let set = first.header("set-cookie").expect("a cookie");
        let name = cookie.last().unwrap_or(&"RINGWAY");
        assert!(set.starts_with(&format!("{name}=")), "{set}");

        let pair = set.split(';').next().expect("a pair");
        let request = format!("GET / HTTP/1.1\r\nCookie: {pair}\r\n\r\n");
        for _ in 0..4 {
            let answer = send(address, request.as_bytes()).expect("an answer");
            assert_eq!(
                (&answer.body, answer.headers("set-cookie").len()),
                (&first.body, 0)
            );
        }
    }
}

#[test]
fn the_demo_shows_three_servers_and_a_cookie() {
    let demo = Launch::arguments(&["demo"]).start();
    let address: SocketAddr = demo.printed("where it is", |lines| {
        let line = lines
            .iter()
            .find(|line| line.contains("stand behind http://"))?;
        let (_, address) = line.split_once("http://")?;
        address.trim_end_matches('/').parse().ok()
    });
    let answers: Vec<_> = (0..12).map(|_| get(address, "/")).collect();
    let bodies: BTreeSet<_> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    let set = answers
        .iter()
        .map(|answer| answer.header("set-cookie").expect("a cookie"));
    assert!(
        set.clone().all(|line| line.starts_with("RINGWAY=")),
        "{set:?}"
    );
}

/// Starts with a listener of ours as descriptor 3, and uses it.
fn inherited(listen: &str, variables: &str) {
    let server = Server::named("a");
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let setup = Setup::new().listen(listen).server("a", server.address());
    let mut ringway = setup.launch().inherit(listener, variables).start();

    for _ in 0..20 {
        assert_eq!(connect_named(address).1, "a");
    }

    ringway.sessions_ended(20);
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn a_listener_can_be_inherited_by_number() {
    inherited("fd:3", "UNUSED=1");
}

#[test]
fn a_listener_can_come_from_socket_activation() {
    inherited(
        "systemd:web",
        "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web",
    );
}

#[test]
fn an_inherited_socket_that_a_reload_leaves_out_stays_open_for_who_passed_it() {
    for (listen, variables) in [
        ("fd:3", "UNUSED=1"),
        (
            "systemd:web",
            "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web",
        ),
    ] {
        let server = Server::named("a");
        let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let passed = listener.try_clone().expect("a descriptor");
        let setup = || Setup::new().workers(2).server("a", server.address());
        let launch = setup().listen("127.0.0.1:0").listen(listen).launch();
        let ringway = launch.inherit(passed, variables).start();
        assert_eq!(connect_named(address).1, "a");
        ringway.reload(&setup().listen("127.0.0.1:0").text());
        let waiting = connect(address);
        let own = waiting.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a mode");
        eventually("it is for the other owner", || {
            let accepted = listener.accept();
            accepted.is_ok_and(|(_, peer)| peer == own)
        });
    }
}

#[test]
fn a_listener_that_socket_activation_did_not_pass_is_refused_with_a_sentence() {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let setup = Setup::new()
        .listen("systemd:other")
        .server("a", "127.0.0.1:9".parse().expect("an address"));
    let launch = setup
        .launch()
        .inherit(listener, "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web");

    refused(launch, "other", "systemd");
}
