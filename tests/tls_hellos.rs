//! ClientHellos: real ones of several clients, and others that nobody wrote. Each is scanned whole and in
//! pieces by the library, and read by `reference.rs`, which does the same in the most obvious way; all must
//! agree. And what routes cost.

#[path = "support/random.rs"]
mod random;
#[path = "tls_hellos/reference.rs"]
mod reference;

use std::sync::Arc;
use std::time::{Duration, Instant};

use random::Random;
use reference::Found;
use ringway::logic::tls::{
    Conditions, HELLO_LEN_MAX, HelloFault, HelloProgress, HelloScan, NamePattern, RouteTable,
    scan_hello,
};

/// Hellos that are made and mutated.
const HELLO_COUNT: usize = 200_000;

/// What these clients sent when they were asked for `shop.example.com`. That of Chromium has GREASE, a
/// post-quantum key share, and an Encrypted Client Hello.
const CAPTURED: [(&str, &[u8]); 4] = [
    ("openssl", include_bytes!("tls_hellos/openssl.bin")),
    ("curl", include_bytes!("tls_hellos/curl.bin")),
    ("gnutls", include_bytes!("tls_hellos/gnutls.bin")),
    ("chromium", include_bytes!("tls_hellos/chromium.bin")),
];

fn scan(bytes: &[u8], progress: &mut HelloProgress) -> Found {
    let mut scratch = Vec::new();
    match scan_hello(bytes, progress, &mut scratch) {
        HelloScan::Partial => Found::Partial,
        HelloScan::Refused(HelloFault::NotTls) => Found::NotTls,
        HelloScan::Refused(HelloFault::Malformed) => Found::Malformed,
        HelloScan::Whole(hello) => Found::Whole {
            server_name: hello.server_name.map(str::to_owned),
            protocols: hello.protocols.iter().map(<[u8]>::to_vec).collect(),
            version: hello.version.0,
        },
    }
}

/// The answer to bytes that come in pieces, which end at these offsets and at the end.
fn scan_in_pieces(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Found {
    let mut progress = HelloProgress::default();
    for end in cuts.into_iter().chain([bytes.len()]) {
        match scan(&bytes[..end], &mut progress) {
            Found::Partial => {}
            other => return other,
        }
    }
    Found::Partial
}

/// The same message in records of these many bytes, in turn.
fn in_records(hello: &[u8], lens: &[usize]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = hello;
    while !rest.is_empty() {
        let len = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        message.extend_from_slice(&rest[5..5 + len]);
        rest = &rest[5 + len..];
    }
    let mut records = Vec::new();
    let mut lens = lens.iter().cycle();
    let mut rest = &message[..];
    while !rest.is_empty() {
        let (record, others) = rest.split_at(rest.len().min(*lens.next().unwrap()));
        records.extend([22, 3, 1]);
        records.extend((record.len() as u16).to_be_bytes());
        records.extend_from_slice(record);
        rest = others;
    }
    records
}

/// A hello with these extensions, in one record.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    let mut list = Vec::new();
    for (kind, data) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend((data.len() as u16).to_be_bytes());
        list.extend(data);
    }
    body.extend((list.len() as u16).to_be_bytes());
    body.extend(list);
    record(&body)
}

/// A body of a hello as a message in one record.
fn record(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![22, 3, 1];
    bytes.extend((body.len() as u16 + 4).to_be_bytes());
    bytes.extend([1, 0]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The extension with these names.
fn server_names(names: &[&[u8]]) -> (u16, Vec<u8>) {
    let mut list = Vec::new();
    for name in names {
        list.push(0);
        list.extend((name.len() as u16).to_be_bytes());
        list.extend_from_slice(name);
    }
    let mut data = (list.len() as u16).to_be_bytes().to_vec();
    data.extend(list);
    (0, data)
}

/// The hello of rustls.
fn rustls_hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};
    let builder = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// All real hellos.
fn real() -> Vec<(&'static str, Vec<u8>)> {
    let captured = CAPTURED.map(|(client, bytes)| (client, bytes.to_vec()));
    let mut all = captured.to_vec();
    all.push(("rustls", rustls_hello("shop.example.com", &["h2"])));
    all
}

fn whole(server_name: Option<&str>, protocols: &[&str], version: u16) -> Found {
    Found::Whole {
        server_name: server_name.map(str::to_owned),
        protocols: protocols.iter().map(|it| it.as_bytes().to_vec()).collect(),
        version,
    }
}

#[test]
fn real_hellos_say_what_their_clients_were_asked_to_say() {
    let name = Some("shop.example.com");
    for (client, bytes) in real() {
        let found = scan_in_pieces(&bytes, []);
        let expected = match client {
            "gnutls" | "rustls" => whole(name, &["h2"], 0x0304),
            "openssl" | "curl" | "chromium" => whole(name, &["h2", "http/1.1"], 0x0304),
            _ => unreachable!(),
        };
        assert_eq!(found, expected, "{client}");
        assert_eq!(reference::read(&bytes), expected, "{client}");
    }
}

#[test]
fn each_division_into_packets_and_records_says_the_same() {
    for (client, bytes) in real() {
        let expected = reference::read(&bytes);
        for cut in 0..bytes.len() {
            let found = scan_in_pieces(&bytes, [cut]);
            assert_eq!(found, expected, "{client}, cut at {cut}");
            assert_eq!(reference::read(&bytes[..cut]), Found::Partial, "{client}");
        }
        assert_eq!(scan_in_pieces(&bytes, 0..bytes.len()), expected);
        for len in 1..bytes.len() - 5 {
            let records = in_records(&bytes, &[len, bytes.len()]);
            assert_eq!(scan_in_pieces(&records, []), expected, "{client}, {len}");
            let cuts = (0..records.len()).step_by(7);
            assert_eq!(scan_in_pieces(&records, cuts), expected, "{client}, {len}");
        }
        // Every byte in a record of its own, and then in a packet of its own.
        let records = in_records(&bytes, &[1]);
        assert_eq!(scan_in_pieces(&records, 0..records.len()), expected);
        // What follows is not looked at.
        let more = [&bytes[..], b"GET / HTTP/1.1"].concat();
        assert_eq!(scan_in_pieces(&more, []), expected);
    }
}

#[test]
fn the_longest_hello_is_taken_and_a_longer_one_is_not() {
    let name = server_names(&[b"a.example"]);
    let empty = hello(&[name.clone(), (0x4000, Vec::new())]).len() - 5;
    let padded = |len: usize| {
        let mut bytes = hello(&[name.clone(), (0x4000, vec![0; len - empty])]);
        // The length of a message has three bytes.
        let body = (len - 4) as u32;
        bytes[5..9].copy_from_slice(&(1 << 24 | body).to_be_bytes());
        bytes
    };
    let longest = padded(HELLO_LEN_MAX);
    let expected = whole(Some("a.example"), &[], 0x0303);
    assert_eq!(scan_in_pieces(&longest, []), expected);
    assert_eq!(scan_in_pieces(&longest, 0..longest.len()), expected);
    let longer = in_records(&padded(HELLO_LEN_MAX + 1), &[1000]);
    assert_eq!(scan_in_pieces(&longer, [20]), Found::Malformed);
}

#[test]
fn names_are_taken_as_they_are_and_wrong_ones_refused() {
    let found = |names: &[&[u8]]| scan_in_pieces(&hello(&[server_names(names)]), []);
    let long = [b'a'; 256];
    for name in ["a", "A.Example.", "10.0.0.1", "a_b", "*"] {
        assert_eq!(found(&[name.as_bytes()]), whole(Some(name), &[], 0x0303));
    }
    assert!(matches!(found(&[&long[..255]]), Found::Whole { .. }));
    for wrong in [
        &[&long[..]][..],
        &[b""],
        &[],
        &[b"a", b"b"],
        &[b"a\0b"],
        &[b"\xfc"],
        &[b"a b"],
    ] {
        assert_eq!(found(wrong), Found::Malformed, "{wrong:?}");
    }
    let twice = hello(&[server_names(&[b"a"]), server_names(&[b"b"])]);
    assert_eq!(scan_in_pieces(&twice, []), Found::Malformed);
    // Without extensions, as old clients send it.
    let mut old = vec![3, 1];
    old.extend([7; 32]);
    old.extend([0, 0, 2, 0, 0x35, 1, 0]);
    assert_eq!(scan_in_pieces(&record(&old), []), whole(None, &[], 0x0301));
}

/// Changes one thing.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut below = |bound: usize| (random.next() % bound.max(1) as u64) as usize;
    // Lengths and kinds of extensions are looked at most.
    let at = below(bytes.len() + 1);
    match below(7) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
        2 if at < bytes.len() => bytes[at] = [0, 1, 2, 3, 16, 22, 43, 255][below(8)],
        3 => {
            let end = (at + 1 + below(4)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => drop(bytes.splice(at..at, [22, 3, 1, 0, below(3) as u8])),
        5 => {
            let early = below(bytes.len().min(12));
            if let Some(byte) = bytes.get_mut(early) {
                *byte = byte.wrapping_add(below(3) as u8);
            }
        }
        _ => bytes.extend((0..below(30)).map(|n| n as u8)),
    }
}

#[test]
fn hellos_are_what_the_reference_says() {
    let random = &mut Random::new(1);
    let real = real();
    let mut counts = [0; 4];
    for number in 0..HELLO_COUNT {
        let pick = random.next() as usize;
        let mut bytes = match pick % 4 {
            0 => real[pick / 4 % real.len()].1.clone(),
            _ => {
                // Small ones, of which a mutation meets what matters.
                let alpn = vec![
                    0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1',
                ];
                let mut extensions = vec![
                    server_names(&[b"a.example"]),
                    (16, alpn),
                    (43, vec![6, 0x0a, 0x0a, 3, 4, 3, 3]),
                    (0x0a0a, vec![]),
                ];
                extensions.rotate_left(pick / 4 % 4);
                extensions.truncate(pick / 16 % 5);
                hello(&extensions)
            }
        };
        if random.next().is_multiple_of(3) {
            let lens = [0; 3].map(|_: u8| 1 + (random.next() % 60) as usize);
            bytes = in_records(&bytes, &lens);
        }
        for _ in 0..random.next() % 4 {
            mutate(random, &mut bytes);
        }
        let expected = reference::read(&bytes);
        counts[match expected {
            Found::Partial => 0,
            Found::NotTls => 1,
            Found::Malformed => 2,
            Found::Whole { .. } => 3,
        }] += 1;
        let shown = || format!("hello {number}: {bytes:02x?}");
        assert_eq!(scan_in_pieces(&bytes, []), expected, "{}", shown());
        let mut cuts = [0; 3].map(|_: u8| (random.next() % (bytes.len() as u64 + 1)) as usize);
        cuts.sort_unstable();
        let found = scan_in_pieces(&bytes, cuts);
        assert_eq!(found, expected, "cut at {cuts:?}, {}", shown());
    }
    // Each answer is tried often.
    assert!(
        counts.iter().all(|count| *count > HELLO_COUNT / 50),
        "{counts:?}"
    );
}

#[test]
fn a_thousand_names_cost_no_more_than_one() {
    let table = |count: usize| {
        RouteTable::new((0..count).map(|n| {
            let names = [format!("www{n}.example.com"), format!("*.w{n}.example.com")];
            Conditions {
                names: names
                    .iter()
                    .map(|it| NamePattern::parse(it).unwrap())
                    .collect(),
                protocols: Vec::new(),
            }
        }))
    };
    // The best of several rounds, so that a busy machine changes nothing.
    let time = |table: &RouteTable, names: [&str; 3]| {
        let round = || {
            let start = Instant::now();
            for _ in 0..500 {
                for name in names {
                    let found = table.find(Some(std::hint::black_box(name)), std::iter::empty());
                    std::hint::black_box(found);
                }
            }
            start.elapsed()
        };
        (0..40).map(|_| round()).min().unwrap_or(Duration::MAX)
    };
    let (one, thousand) = (table(1), table(1000));
    let few = time(
        &one,
        ["www0.example.com", "a.w0.example.com", "b.example.org"],
    );
    let many = time(
        &thousand,
        ["www999.example.com", "a.w999.example.com", "b.example.org"],
    );
    assert!(many < few * 5, "one: {few:?}, a thousand: {many:?}");
}
