//! PROXY heads that servers get.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::clients::{Ending, connect, ending, round_trip};
use crate::http_servers::HttpServer;
use crate::pattern::Pattern;
use crate::proxy_heads::{CLIENT, HeadServer, accept, binary, heads, line, named, sent};
use crate::setup::Setup;

#[test]
fn servers_are_told_who_the_client_is() {
    for (version, number) in [("v1", 1), ("v2", 2)] {
        let server = HeadServer::start();
        let ringway = Setup::new()
            .backend(&format!("send_proxy = \"{version}\""))
            .server("a", server.address())
            .start();
        let stream = connect(ringway.address());
        let client = stream.local_addr().expect("an address").to_string();
        // Before the client has said anything.
        let head = server.head(1);
        let expected = (client, ringway.address().to_string());
        assert_eq!((head.version, head.endpoints), (number, Some(expected)));
        round_trip(&stream, b"hello");
        drop(stream);
        let line = ringway.session_ended();
        assert_eq!((line.bytes_from_client, line.bytes_from_server), (5, 5));
    }
}

/// Bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| u32::from(byte >> at & 1)))
    {
        crc = (crc >> 1) ^ if (crc ^ bit) & 1 == 1 { 0x82f6_3b78 } else { 0 };
    }
    !crc
}

#[test]
fn a_head_is_passed_on_in_the_configured_version() {
    let destination = "198.51.100.1:80";
    let tlvs = b"\x01\0\x02h2\x03\0\x04\0\0\0\0\x05\0\x03abc\xea\0\0";
    let mut summed = named(CLIENT, destination, tlvs);
    let crc = crc32c(&summed).to_be_bytes();
    summed[36..40].copy_from_slice(&crc);
    for (version, number) in [("v1", 1), ("v2", 2)] {
        let server = HeadServer::start();
        let ringway = Setup::new()
            .frontend(&accept(""))
            .backend(&format!("send_proxy = \"{version}\""))
            .server("a", server.address())
            .start();
        let expected =
            |client: &str, destination: &str| Some((client.to_owned(), destination.to_owned()));
        for (count, (head, client)) in heads().into_iter().enumerate() {
            let mut stream = sent(&ringway, &[&head[..], b"hello"].concat());
            stream.read_exact(&mut [0; 5]).expect("what was sent");
            let head = server.head(count + 1);
            let to = if client == CLIENT {
                destination
            } else {
                "[2001:db8::1]:80"
            };
            assert_eq!(
                (head.version, head.endpoints),
                (number, expected(client, to))
            );
        }
        let count = heads().len();
        let stream = sent(&ringway, &summed);
        let head = server.head(count + 1);
        assert_eq!(head.endpoints, expected(CLIENT, destination));
        match number {
            1 => assert!(head.tlvs.is_empty()),
            // The same head has the same checksum.
            _ => assert_eq!(head.bytes, summed),
        }
        round_trip(&stream, b"hello");
        // Mapped addresses are sent as what they are, so the checksum is another one.
        let mut mapped = named("[::ffff:192.0.2.7]:4660", "[::ffff:198.51.100.1]:80", tlvs);
        let crc = crc32c(&mapped).to_be_bytes();
        mapped[60..64].copy_from_slice(&crc);
        let _stream = sent(&ringway, &mapped);
        let head = server.head(count + 2);
        assert_eq!(head.endpoints, expected(CLIENT, destination));
        if number == 2 {
            assert_eq!(head.bytes, summed);
        }
        // The peer itself, with our own address.
        let stream = sent(&ringway, &binary(0x20, 0, b""));
        let head = server.head(count + 3);
        let peer = stream.local_addr().expect("an address").to_string();
        assert_eq!(
            head.endpoints,
            expected(&peer, &ringway.address().to_string())
        );
    }
}

#[test]
fn a_head_and_large_streams_pass_without_a_copy() {
    let server = HeadServer::start();
    let ringway = Setup::new()
        .workers(1)
        .frontend(&accept(""))
        .backend("send_proxy = \"v2\"")
        .server("a", server.address())
        .start();
    let length = 20_000_000;
    let content = Pattern::new(7).message(length);
    let mut stream = sent(&ringway, &named(CLIENT, "198.51.100.1:80", b""));
    let mut writer = stream.try_clone().expect("a second handle");
    let sending = content.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(&sending).expect("taken");
        writer.shutdown(Shutdown::Write).expect("open");
    });
    let mut answer = vec![0; length / 2];
    stream.read_exact(&mut answer).expect("what was sent");
    assert!(ringway.pipes() > 0, "it is spliced");
    stream.read_to_end(&mut answer).expect("an end");
    thread.join().expect("no panic");
    assert!(answer == content, "it differs");
    let line = ringway.session_ended();
    assert_eq!(
        (line.bytes_from_client, line.code.as_str()),
        (length as u64, "--")
    );
}

#[test]
fn heads_of_sixteen_kilobytes_pass_and_larger_ones_do_not() {
    let server = HeadServer::start();
    let ringway = Setup::new()
        .frontend(&accept(""))
        .backend("send_proxy = \"v2\"")
        .server("a", server.address())
        .start();
    let tlv = |length: usize| {
        let mut tlv = vec![0xe0];
        tlv.extend((length as u16).to_be_bytes());
        tlv.resize(3 + length, b'x');
        tlv
    };
    let whole = named(CLIENT, "198.51.100.1:80", &tlv((16 << 10) - 31));
    assert_eq!(whole.len(), 16 << 10);
    let mut stream = connect(ringway.address());
    for piece in whole.chunks(1000) {
        stream.write_all(piece).expect("taken");
    }
    round_trip(&stream, b"hello");
    assert_eq!(server.head(1).bytes, whole);
    let larger = named(CLIENT, "198.51.100.1:80", &tlv((16 << 10) - 30));
    assert!(matches!(
        ending(&sent(&ringway, &larger)),
        Ending::Closed | Ending::Reset
    ));
    assert_eq!(ringway.session_ended().code, "PP");
}

#[test]
fn a_check_that_asks_begins_with_a_head_that_names_nobody() {
    for (version, number) in [("v1", 1), ("v2", 2)] {
        let server = HeadServer::start();
        let other = HttpServer::named("health");
        let check = |port: &str| {
            Setup::new()
                .admin()
                .backend(&format!("send_proxy = \"{version}\""))
                .server("a", server.address())
                .health_check(&format!(
                    "type = \"http\"\ninterval = \"20ms\"\ntimeout = \"20ms\"\n{port}"
                ))
        };
        let ringway = check("").start();
        let head = server.head(1);
        assert_eq!((head.version, head.endpoints), (number, None));
        assert_eq!(head.bytes.len(), if number == 1 { 15 } else { 16 });
        // What the server sends back is no answer, but it is the request.
        ringway.says("server app/a is down: L7RSP");
        drop(ringway);
        // A service at another port expects none.
        let port = format!("port = {}", other.address().port());
        let ringway = check(&port).start();
        crate::wait::eventually("it is asked", || !other.requests().is_empty());
        assert!(other.last_request().head.starts_with("GET / "));
        assert!(!ringway.errors_so_far().contains("is down"));
    }
}

#[test]
fn a_reload_is_for_new_connections() {
    let server = HeadServer::start();
    let with = |lines: (&str, &str)| {
        let setup = Setup::new().frontend(lines.0).backend(lines.1);
        setup.server("a", server.address()).text()
    };
    let ringway = Setup::new()
        .backend("send_proxy = \"v1\"")
        .server("a", server.address())
        .start();
    let old = connect(ringway.address());
    assert_eq!(server.head(1).version, 1);
    let said = ringway.reload(&with((&accept(""), "send_proxy = \"v2\"")));
    assert!(!said.contains("failed"), "{said}");
    round_trip(&old, b"hello");
    let stream = sent(&ringway, &line(CLIENT, "198.51.100.1:80"));
    let head = server.head(2);
    assert_eq!(
        (head.version, head.endpoints.expect("named").0),
        (2, CLIENT.to_owned())
    );
    round_trip(&stream, b"hello");
}
