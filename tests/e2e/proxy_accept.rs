//! PROXY heads that come: who may say who the client is, and what becomes of every wrong head.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::{Ending, connect, ending, read_line, round_trip};
use crate::http::{get, stats};
use crate::proxy_heads::{CLIENT, SIGNATURE, accept, binary, heads, line, named, sent};
use crate::servers::Server;
use crate::setup::Setup;

#[test]
fn the_client_is_the_one_of_the_head_however_it_comes() {
    let server = Server::echo();
    let ringway = Setup::new()
        .frontend(&accept(""))
        .server("a", server.address())
        .start();
    let mut count = 0;
    for (head, client) in heads() {
        for pieces in [
            vec![[&head[..], b"hello"].concat()],
            vec![head.clone(), b"hello".to_vec()],
            head.iter()
                .chain(b"hello")
                .map(|byte| vec![*byte])
                .collect(),
        ] {
            let mut stream = connect(ringway.address());
            for piece in pieces {
                stream.write_all(&piece).expect("taken");
            }
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).expect("what was sent");
            assert_eq!(&answer, b"hello");
            round_trip(&stream, b"more");
            drop(stream);
            count += 1;
            let line = ringway.sessions_ended(count).pop().expect("a line");
            assert_eq!((line.client.as_str(), line.code.as_str()), (client, "--"));
            assert_eq!((line.bytes_from_client, line.bytes_from_server), (9, 9));
        }
    }
}

#[test]
fn the_address_of_the_head_is_shown_and_chosen_by() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let mut setup = Setup::new()
        .admin()
        .global("access_log = \"json\"")
        .frontend(&accept(""))
        .backend("balance = \"source_hash\"");
    for (name, server) in ["a", "b", "c"].iter().zip(&servers) {
        setup = setup.server(name, server.address());
    }
    let ringway = setup.start();
    let server_of = |client: &str| {
        let stream = sent(&ringway, &named(client, "198.51.100.1:80", b""));
        (read_line(&stream), stream)
    };
    let mut names: Vec<String> = Vec::new();
    for number in 0..32 {
        let client = format!("192.0.2.{number}:1");
        let name = server_of(&client).0;
        assert_eq!(name, server_of(&client).0);
        names.push(name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3, "all clients come from one peer");

    let (_, stream) = server_of(CLIENT);
    let peer = stream.local_addr().expect("an address").to_string();
    let admin = ringway.admin();
    let sessions = get(admin, "/api/v1/sessions?client=192.0.2.7").json();
    let listed = sessions["sessions"].as_array().expect("a list");
    let session = listed.iter().find(|session| session["client"] == CLIENT);
    assert_eq!(session.expect("the open one")["peer"], peer, "{sessions}");
    drop(stream);
    let logged: Value = ringway.printed("its line", |lines| {
        let mut lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["client"] == CLIENT)
    });
    assert_eq!(logged["peer"], peer, "{logged}");
}

#[test]
fn what_others_send_is_data_and_waits_for_nothing() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .frontend("accept_proxy = { from = [\"192.0.2.0/24\"], timeout = \"100d\" }")
        .server("a", server.address())
        .start();
    // The server speaks first, and the client says nothing.
    let stream = connect(ringway.address());
    assert_eq!(read_line(&stream), "a");
    let address = stream.local_addr().expect("an address").to_string();
    drop(stream);
    assert_eq!(ringway.session_ended().client, address);

    let echo = Server::echo();
    let ringway = Setup::new()
        .frontend("accept_proxy = { from = [\"192.0.2.0/24\"] }")
        .server("a", echo.address())
        .start();
    round_trip(
        &connect(ringway.address()),
        &line(CLIENT, "198.51.100.1:80"),
    );
}

/// What stands behind the length in a head of version 2.
fn tcp4(tlvs: &[u8]) -> Vec<u8> {
    let addresses = [127, 0, 0, 1, 127, 0, 0, 1, 0, 42, 5, 57];
    [&addresses[..], tlvs].concat()
}

/// Malformed ones. The last four are those of HAProxy's test of the validation of TLVs, and like it.
fn malformed() -> Vec<Vec<u8>> {
    vec![
        b"PROXY TCP4 192.0.2.7 198.51.100.1 04660 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 80\n".to_vec(),
        b"PROXY TCP5 192.0.2.7 198.51.100.1 4660 80\r\n".to_vec(),
        [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
        binary(0x11, 0x11, &tcp4(b"")),
        binary(0x22, 0x11, &tcp4(b"")),
        binary(0x21, 0x11, &tcp4(b"")[..11]),
        binary(0x21, 0x21, &[0; 35]),
        // A checksum that is wrong.
        binary(0x21, 0x11, &tcp4(b"\x03\0\x04\0\0\0\0")),
        // A TLV longer than the head, one byte too few, less than a TLV.
        binary(0x21, 0x11, &tcp4(b"\x02\0\x0a12345")),
        binary(0x21, 0x11, &tcp4(b"\x02\0\x041234x")),
        binary(0x21, 0x11, &tcp4(b"\x02\0")),
        binary(0x21, 0x11, &tcp4(b"\x02")),
    ]
}

#[test]
fn a_wrong_head_ends_that_one_connection() {
    let server = Server::echo();
    for required in [true, false] {
        let setup = Setup::new()
            .admin()
            .frontend(&accept(&format!(", required = {required}")));
        let ringway = setup.server("a", server.address()).start();
        let before = server.accepted();
        let bystander = sent(&ringway, &named(CLIENT, "198.51.100.1:80", b""));
        let mut ended = 0;
        for head in malformed() {
            let stream = sent(&ringway, &[&head[..], b"GET / HTTP/1.1\r\n\r\n"].concat());
            assert!(matches!(ending(&stream), Ending::Closed | Ending::Reset));
            ended += 1;
            let line = ringway.sessions_ended(ended).pop().expect("a line");
            let shown = head.escape_ascii();
            assert_eq!(
                (line.code.as_str(), line.server.as_str()),
                ("PP", "app/<NOSRV>"),
                "{shown}"
            );
        }
        // A signature, and then the end.
        let stream = sent(&ringway, SIGNATURE);
        stream.shutdown(Shutdown::Write).expect("open");
        assert_eq!(ending(&stream), Ending::Closed);
        ended += 1;
        assert_eq!(
            ringway.sessions_ended(ended).pop().expect("a line").code,
            "PP"
        );
        round_trip(&bystander, b"hello");
        assert_eq!(server.accepted() - before, 1);
        let frontend = &stats(ringway.admin())["frontends"][0];
        assert_eq!(frontend["proxy_heads_wrong"], ended);
        assert_eq!(frontend["proxy_heads_late"], 0);
        let page = get(ringway.admin(), "/").body;
        assert!(page.contains("</b> PROXY heads that"), "{page}");
    }
}

#[test]
fn a_required_head_that_is_missing_or_late_has_its_code() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .frontend(&accept(", timeout = \"200ms\""))
        .server("a", server.address())
        .start();
    assert!(
        !get(ringway.admin(), "/")
            .body
            .contains("</b> PROXY heads that")
    );
    let line = |count: usize| ringway.sessions_ended(count).pop().expect("a line").code;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\r\n\r\nx", b"PROPFIND"] {
        assert!(matches!(
            ending(&sent(&ringway, bytes)),
            Ending::Closed | Ending::Reset
        ));
    }
    assert_eq!(line(3), "PP");
    for bytes in [
        &b""[..],
        b"PRO",
        b"PROXY TCP4 ",
        &binary(0x21, 0x11, &tcp4(b""))[..27],
    ] {
        let begun = Instant::now();
        assert_eq!(ending(&sent(&ringway, bytes)), Ending::Closed);
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
    assert_eq!(line(7), "cR");
    // It has said nothing wrong.
    drop(connect(ringway.address()));
    assert_eq!(line(8), "CR");
    assert_eq!(server.accepted(), 0);
    let frontend = &stats(ringway.admin())["frontends"][0];
    assert_eq!(
        [
            &frontend["proxy_heads_wrong"],
            &frontend["proxy_heads_late"]
        ],
        [3, 4]
    );
}

#[test]
fn a_head_that_is_not_required_may_be_missing() {
    let server = Server::echo();
    let ringway = Setup::new()
        .frontend(&accept(", required = false, timeout = \"300ms\""))
        .server("a", server.address())
        .start();
    // Bytes that are no head are data at once; a part of a signature is, when the time is over.
    for (bytes, waits) in [
        (&b"hello"[..], false),
        (b"\r\n\r\nQUIT\r\n", false),
        (b"PRO", true),
        (b"\r\n\r\n\0\r\n", true),
    ] {
        let begun = Instant::now();
        let stream = connect(ringway.address());
        round_trip(&stream, bytes);
        let waited = begun.elapsed() >= Duration::from_millis(300);
        assert!(waited || !waits, "{}", bytes.escape_ascii());
        round_trip(&stream, b"and more");
    }
    // One that leaves its direction open gets what the server says after the end.
    let mut stream = sent(&ringway, b"PROXY"[..4].as_ref());
    stream.shutdown(Shutdown::Write).expect("open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end");
    assert_eq!(answer, b"PROX");
    let stream = sent(&ringway, &line(CLIENT, "198.51.100.1:80"));
    round_trip(&stream, b"hello");
    drop(stream);
    let lines = ringway.sessions_ended(6);
    let named = lines.iter().filter(|line| line.client == CLIENT).count();
    assert_eq!(named, 1);
    assert!(lines.iter().all(|line| line.code == "--"), "{lines:?}");

    // A server that speaks first is waited for.
    let server = Server::named("a");
    let ringway = Setup::new()
        .frontend(&accept(", required = false, timeout = \"100ms\""))
        .server("a", server.address())
        .start();
    assert_eq!(read_line(&connect(ringway.address())), "a");
    // A signature is more than nothing.
    let stream = sent(&ringway, b"PROXY TCP4");
    assert_eq!(ending(&stream), Ending::Closed);
    let code = ringway.sessions_ended(2).pop().expect("a line").code;
    assert_eq!(code, "cR");
}

#[test]
fn heads_that_name_nobody_mean_the_peer() {
    let server = Server::echo();
    let ringway = Setup::new()
        .frontend(&accept(""))
        .server("a", server.address())
        .start();
    let heads = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        binary(0x20, 0x00, b""),
        binary(0x20, 0x11, &tcp4(b"")),
        binary(0x21, 0x00, b""),
        binary(0x21, 0x12, &tcp4(b"")),
        binary(0x21, 0x31, &[b'x'; 216]),
    ];
    for (count, head) in heads.into_iter().enumerate() {
        let mut stream = sent(&ringway, &[&head[..], b"hello"].concat());
        stream.read_exact(&mut [0; 5]).expect("what was sent");
        let peer = stream.local_addr().expect("an address").to_string();
        drop(stream);
        let line = ringway.sessions_ended(count + 1).pop().expect("a line");
        assert_eq!(line.client, peer);
    }
}

#[test]
fn lists_and_limits_are_about_the_client_of_the_head() {
    let server = Server::echo();
    let ringway = Setup::new()
        .admin()
        .frontend(&accept(", required = false, timeout = \"100ms\""))
        .frontend("allow = [\"192.0.2.0/24\"]\ndeny = [\"192.0.2.8\"]")
        .frontend("per_client = { max_sessions = 1 }")
        .server("a", server.address())
        .start();
    let from = |client: &str| sent(&ringway, &named(client, "198.51.100.1:80", b""));
    let first = from(CLIENT);
    round_trip(&first, b"hello");
    let other = from("192.0.2.9:1");
    round_trip(&other, b"hello");
    // Of the same address, denied, not allowed, and the balancer itself, with a head and without.
    for client in ["192.0.2.7:1", "192.0.2.8:1", "203.0.113.1:1"] {
        assert_eq!(ending(&from(client)), Ending::Reset, "{client}");
    }
    for bytes in [&b"PROXY UNKNOWN\r\n"[..], b"hello", b""] {
        assert_eq!(ending(&sent(&ringway, bytes)), Ending::Reset);
    }
    assert_eq!(server.accepted(), 2);
    drop(first);
    assert_eq!(ringway.sessions_ended(1).len(), 1);
    round_trip(&from("192.0.2.7:2"), b"hello");
    let lines = ringway.sessions_ended(2);
    assert!(lines.iter().all(|line| line.code == "--"), "{lines:?}");
}
