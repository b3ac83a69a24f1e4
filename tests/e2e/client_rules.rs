//! Who may connect: lists of addresses, limits of each client, and what is told of those that may not.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write as _};
use std::net::{IpAddr, SocketAddr};

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::{
    Ending, connect, connect_from, connect_to_end_from, read_line, try_connect_from,
};
use crate::harness::{Launch, Ringway};
use crate::http::{get, stats};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// How a connection from this address ends that sends nothing.
fn ending_from(source: &str, address: SocketAddr) -> Ending {
    connect_to_end_from(ip(source), address)
}

/// Whether a server speaks to a connection from this address.
fn is_served(source: &str, address: SocketAddr) -> bool {
    let read = try_connect_from(ip(source), address).and_then(|mut client| client.read(&mut [0]));
    match read {
        Ok(count) => count == 1,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("from {source}: {error}"),
    }
}

fn refused(ringway: &Ringway) -> Value {
    stats(ringway.admin())["frontends"][0]["refused"].clone()
}

fn clients(ringway: &Ringway) -> Value {
    get(ringway.admin(), "/api/v1/clients?top=5").json()
}

#[test]
fn lists_say_who_may_connect_and_deny_wins() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .frontend(r#"allow = ["127.0.0.0/30", "127.9.0.0/16"]"#)
        .frontend(r#"deny = ["127.0.0.2", "127.9.9.0/24"]"#)
        .server("a", server.address())
        .start();

    let mut sessions = 0;
    for (source, served) in [
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("127.0.0.3", true),
        ("127.0.0.4", false),
        ("127.9.1.1", true),
        ("127.9.9.9", false),
    ] {
        if served {
            assert!(is_served(source, ringway.address()), "{source}");
            // The next one comes when this one is no session any more.
            sessions += 1;
            ringway.sessions_ended(sessions);
        } else {
            assert_eq!(
                ending_from(source, ringway.address()),
                Ending::Reset,
                "{source}"
            );
        }
    }

    let counts = refused(&ringway);
    assert_eq!(
        (&counts["denied"], &counts["not_allowed"]),
        (&2.into(), &1.into())
    );
    ringway.says("frontend web refused");
    // What is refused is no session: neither counted nor logged.
    assert_eq!(ringway.sessions_ended(3).len(), 3);
    assert_eq!(server.accepted(), 3);
    let stats = stats(ringway.admin());
    assert_eq!(stats["frontends"][0]["sessions"]["total"], 3);
    assert_eq!(stats["process"]["sessions"]["max"], 1);
}

#[test]
fn a_mapped_address_counts_as_one_of_ipv4() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .frontend(r#"allow = ["::ffff:127.0.0.1"]"#)
        .server("a", server.address())
        .start();
    assert!(is_served("127.0.0.1", ringway.address()));
    assert_eq!(ending_from("127.0.0.5", ringway.address()), Ending::Reset);
}

#[test]
fn a_file_is_read_again_at_a_reload_unless_it_is_wrong() {
    let server = Server::named("a");
    let lists = crate::harness::ScratchDirectory::new();
    let file = lists.path().join("deny.txt");
    fs::write(&file, "# nobody\n").expect("a file");
    let setup = Setup::new()
        .frontend(&format!("deny = [\"file:{}\"]", file.display()))
        .server("a", server.address());
    let configuration = setup.text();
    let ringway = setup.start();
    assert!(is_served("127.0.0.7", ringway.address()));
    let mut open = connect_from(ip("127.0.0.7"), ringway.address());
    assert_eq!(read_line(&open), "a");

    fs::write(&file, "127.0.0.7\n127.0.0.7/8\n").expect("a file");
    let told = ringway.reload(&configuration);
    assert!(told.contains("not reloaded"), "{told}");
    ringway.says(&format!(
        "{}:2: `127.0.0.7/8` has bits behind its prefix",
        file.display()
    ));
    assert!(is_served("127.0.0.7", ringway.address()));

    fs::write(&file, "127.0.0.7\n").expect("a file");
    ringway.reload(&configuration);
    assert_eq!(ending_from("127.0.0.7", ringway.address()), Ending::Reset);
    assert!(is_served("127.0.0.8", ringway.address()));
    // Who is in stays in.
    open.write_all(b"x").expect("the session goes on");
}

#[test]
fn open_sessions_of_a_client_are_limited_over_all_workers() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .workers(3)
        .frontend("per_client = { max_sessions = 2 }")
        .server("a", server.address())
        .start();
    let open = |source: &str| {
        let client = connect_from(ip(source), ringway.address());
        assert_eq!(read_line(&client), "a", "{source}");
        client
    };

    let first = open("127.0.0.1");
    let _second = open("127.0.0.1");
    for _ in 0..10 {
        assert_eq!(ending_from("127.0.0.1", ringway.address()), Ending::Reset);
    }
    let _others = [open("127.0.0.2"), open("127.0.0.2")];

    let all = clients(&ringway);
    assert_eq!(
        (&all["known"], &all["dropped"]),
        (&2.into(), &0.into()),
        "{all}"
    );
    let client = &all["refused"][0];
    assert_eq!(
        (&client["client"], &client["frontend"]),
        (&"127.0.0.1".into(), &"web".into())
    );
    assert_eq!(client["sessions"], 2);
    assert_eq!(client["refused"]["sessions"], 10);
    assert_eq!(all["busiest"].as_array().expect("a list").len(), 2);
    assert_eq!(refused(&ringway)["sessions"], 10);
    assert_eq!(server.accepted(), 4);

    drop(first);
    ringway.session_ended();
    let _third = open("127.0.0.1");
    let text = Ringway::command(&["clients", "--admin", &format!("http://{}", ringway.admin())]);
    assert!(text.output.contains("REFUSED MOST"), "{}", text.output);
    let text = Ringway::command(&["status", "--admin", &format!("http://{}", ringway.admin())]);
    assert!(
        text.output.contains("web refused: 10 sessions"),
        "{}",
        text.output
    );
    assert!(
        text.output
            .contains("refused most: 127.0.0.1 of web, 10 times"),
        "{}",
        text.output
    );
}

#[test]
fn a_network_counts_as_one_client_if_that_is_configured() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .frontend("per_client = { max_sessions = 1, ipv4_prefix = 24 }")
        .server("a", server.address())
        .start();
    let first = connect_from(ip("127.0.1.1"), ringway.address());
    assert_eq!(read_line(&first), "a");
    assert_eq!(ending_from("127.0.1.200", ringway.address()), Ending::Reset);
    assert!(is_served("127.0.2.1", ringway.address()));
    assert_eq!(clients(&ringway)["refused"][0]["client"], "127.0.1.0/24");
}

#[test]
fn new_sessions_of_a_client_are_limited() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .frontend(r#"per_client = { rate = "1/m", burst = 3 }"#)
        .server("a", server.address())
        .start();
    for _ in 0..3 {
        assert!(is_served("127.0.0.1", ringway.address()));
    }
    assert_eq!(ending_from("127.0.0.1", ringway.address()), Ending::Reset);
    assert!(is_served("127.0.0.2", ringway.address()));
    assert_eq!(refused(&ringway)["rate"], 1);

    // A reload changes the limit, and what was counted counts on.
    let reloaded = ringway.reload(
        &Setup::new()
            .admin_with(&format!("listen = \"{}\"", "127.0.0.1:0"))
            .frontend(r#"per_client = { rate = "1000000/s", burst = 1000 }"#)
            .listen(&ringway.address().to_string())
            .server("a", server.address())
            .text(),
    );
    assert!(reloaded.contains("reloaded: version 2"), "{reloaded}");
    eventually("the new limit holds", || {
        is_served("127.0.0.1", ringway.address())
    });
    assert_eq!(clients(&ringway)["known"], 2);
}

#[test]
fn whoever_waits_for_a_place_counts_and_gives_it_back() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .workers(1)
        .frontend("max_sessions = 1")
        .frontend("per_client = { max_sessions = 2 }")
        .server("a", server.address())
        .start();
    let first = connect(ringway.address());
    assert_eq!(read_line(&first), "a");
    // Not accepted before the first has ended: the limit of the frontend is reached.
    let second = connect(ringway.address());
    drop(first);
    assert_eq!(read_line(&second), "a");
    drop(second);
    ringway.sessions_ended(2);
    eventually("no session is counted", || {
        clients(&ringway)["busiest"][0]["sessions"] == 0
    });
    assert_eq!(clients(&ringway)["busiest"][0]["sessions_total"], 2);
}

#[test]
fn a_crowd_of_refused_clients_is_one_line_of_the_log() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .frontend(r#"deny = ["127.0.0.66"]"#)
        .server("a", server.address())
        .start();
    for _ in 0..500 {
        assert_eq!(ending_from("127.0.0.66", ringway.address()), Ending::Reset);
    }
    assert_eq!(refused(&ringway)["denied"], 500);
    // Each line tells how many came since the one before.
    let told = || -> Vec<u32> {
        let lines = ringway.errors_so_far();
        let told = lines.lines().filter_map(|line| {
            let (_, rest) = line.split_once("frontend web refused ")?;
            rest.split(' ').next()?.parse().ok()
        });
        told.collect()
    };
    eventually("all 500 are told of", || told().iter().sum::<u32>() == 500);
    let lines = told();
    assert!(lines.len() < 20, "{lines:?}");
    assert!(ringway.errors_so_far().contains("; one was 127.0.0.66"));
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_connection_without_a_byte_is_not_logged_if_that_is_configured() {
    let server = Server::echo();
    let mut ringway = Setup::new()
        .frontend("log_empty = false")
        .server("a", server.address())
        .start();
    for _ in 0..3 {
        drop(connect(ringway.address()));
    }
    eventually("all have ended", || server.accepted() == 3);
    let mut client = connect(ringway.address());
    client.write_all(b"x").expect("a byte");
    drop(client);
    assert_eq!(ringway.session_ended().bytes_from_client, 1);
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    let output = ringway.output();
    assert_eq!(output.lines().count(), 1, "{output}");
}

#[test]
fn a_list_of_a_hundred_thousand_networks_is_taken() {
    let server = Server::named("a");
    let lists = crate::harness::ScratchDirectory::new();
    let file = lists.path().join("deny.txt");
    let mut text = String::new();
    for number in 0..100_000_u32 {
        // Without 127.0.0.0/8.
        let network = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number * 512);
        writeln!(text, "{network}/24").expect("memory");
    }
    text.push_str("127.0.0.66\n");
    fs::write(&file, text).expect("a file");
    let ringway = Setup::new()
        .frontend(&format!("deny = [\"file:{}\"]", file.display()))
        .server("a", server.address())
        .start();
    assert!(is_served("127.0.0.1", ringway.address()));
    assert_eq!(ending_from("127.0.0.66", ringway.address()), Ending::Reset);
}

#[test]
fn what_cannot_be_meant_is_an_error_with_its_place() {
    for (keys, told) in [
        ("allow = []", "`allow` is empty"),
        (
            "deny = [\"10.0.0.7/8\"]",
            "write 10.0.0.0/8, or the address alone",
        ),
        ("per_client = {}", "limits nothing"),
        (
            "per_client = { rate = \"5\" }",
            "write \"5/s\" for a second",
        ),
        (
            "per_clients = { rate = \"5/s\" }",
            "did you mean `per_client`?",
        ),
    ] {
        let configuration = format!(
            "[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n{keys}\n\
             [backend.app]\nservers = [{{ name = \"a\", address = \"127.0.0.1:1\" }}]\n"
        );
        let mut ringway = Launch::config(&configuration).command("check").spawn();
        assert_eq!(ringway.exit_code(), Some(1), "{keys}");
        let errors = ringway.errors();
        assert!(errors.contains(told) && errors.contains(":4:"), "{errors}");
    }
}
