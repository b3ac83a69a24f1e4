//! Heads of the PROXY protocol as tests write and read them, by a plain copy of the specification.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::clients::connect;
use crate::harness::Ringway;
use crate::servers::Server;
use crate::wait::eventually;

pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The line of a frontend whose clients are all on this host.
pub fn accept(more: &str) -> String {
    format!("accept_proxy = {{ from = [\"127.0.0.0/8\"]{more} }}")
}

pub fn sent(ringway: &Ringway, bytes: &[u8]) -> TcpStream {
    let mut client = connect(ringway.address());
    client.write_all(bytes).expect("taken");
    client
}

pub const CLIENT: &str = "192.0.2.7:4660";
pub const CLIENT6: &str = "[2001:db8::7]:4660";

/// Heads that name this client, in both versions.
pub fn heads() -> Vec<(Vec<u8>, &'static str)> {
    let (to, to6) = ("198.51.100.1:80", "[2001:db8::1]:80");
    let mapped = ("[::ffff:192.0.2.7]:4660", "[::ffff:198.51.100.1]:80");
    vec![
        (line(CLIENT, to), CLIENT),
        (line(CLIENT6, to6), CLIENT6),
        (named(CLIENT, to, b""), CLIENT),
        (named(CLIENT6, to6, b"\x02\0\x03abc"), CLIENT6),
        (named(mapped.0, mapped.1, b""), CLIENT),
        (line(mapped.0, mapped.1), CLIENT),
    ]
}

/// A head of version 1.
pub fn line(client: &str, destination: &str) -> Vec<u8> {
    let [client, destination]: [SocketAddr; 2] = [client, destination].map(|a| a.parse().unwrap());
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.port(), destination.port());
    let (client, destination) = (client.ip(), destination.ip());
    format!("PROXY {family} {client} {destination} {from} {to}\r\n").into_bytes()
}

/// A head of version 2 with this command and family and what follows the length.
pub fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

/// A head of version 2 that names a client, with TLVs.
pub fn named(client: &str, destination: &str, tlvs: &[u8]) -> Vec<u8> {
    let [client, destination]: [SocketAddr; 2] = [client, destination].map(|a| a.parse().unwrap());
    let (family, mut rest) = match (client, destination) {
        (SocketAddr::V4(a), SocketAddr::V4(b)) => {
            (0x11, [a.ip().octets(), b.ip().octets()].concat())
        }
        (SocketAddr::V6(a), SocketAddr::V6(b)) => {
            (0x21, [a.ip().octets(), b.ip().octets()].concat())
        }
        _ => panic!("two families"),
    };
    for port in [client.port(), destination.port()] {
        rest.extend(port.to_be_bytes());
    }
    rest.extend(tlvs);
    binary(0x21, family, &rest)
}

/// A head as a server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: u8,
    /// Client and destination; `None`: the peer.
    pub endpoints: Option<(String, String)>,
    pub tlvs: Vec<u8>,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

impl Head {
    /// Reads one; `None`: the stream ends before.
    pub fn read(mut from: impl Read) -> Option<Self> {
        let mut bytes = vec![0; 12];
        from.read_exact(&mut bytes).ok()?;
        let mut more = |bytes: &mut Vec<u8>, count: usize| {
            let start = bytes.len();
            bytes.resize(start + count, 0);
            from.read_exact(&mut bytes[start..]).ok()
        };
        if bytes != SIGNATURE {
            assert!(bytes.starts_with(b"PROXY "), "no head: {bytes:?}");
            while !bytes.ends_with(b"\r\n") {
                more(&mut bytes, 1)?;
            }
            let text = String::from_utf8(bytes.clone()).expect("text");
            let words: Vec<&str> = text.trim_end().split(' ').collect();
            let endpoints = match words[..] {
                ["PROXY", "TCP4", client, to, from_port, to_port] => {
                    Some((format!("{client}:{from_port}"), format!("{to}:{to_port}")))
                }
                ["PROXY", "TCP6", client, to, from_port, to_port] => Some((
                    format!("[{client}]:{from_port}"),
                    format!("[{to}]:{to_port}"),
                )),
                ["PROXY", "UNKNOWN"] => None,
                _ => panic!("a strange head: {text}"),
            };
            let (version, tlvs) = (1, Vec::new());
            return Some(Head {
                version,
                endpoints,
                tlvs,
                bytes,
            });
        }
        more(&mut bytes, 4)?;
        let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
        more(&mut bytes, length)?;
        let rest = &bytes[16..];
        let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        let (endpoints, start) = match (bytes[12], bytes[13]) {
            (0x20, _) => (None, length),
            (0x21, 0x11) => {
                let ip = |at: usize| <[u8; 4]>::try_from(&rest[at..at + 4]).expect("four");
                let client = SocketAddr::from((ip(0), port(8)));
                let destination = SocketAddr::from((ip(4), port(10)));
                (Some((client.to_string(), destination.to_string())), 12)
            }
            (0x21, 0x21) => {
                let ip = |at: usize| <[u8; 16]>::try_from(&rest[at..at + 16]).expect("sixteen");
                let client = SocketAddr::from((ip(0), port(32)));
                let destination = SocketAddr::from((ip(16), port(34)));
                (Some((client.to_string(), destination.to_string())), 36)
            }
            other => panic!("a strange head: {other:?}"),
        };
        let (version, tlvs) = (2, rest[start..].to_vec());
        Some(Head {
            version,
            endpoints,
            tlvs,
            bytes,
        })
    }
}

/// A server that expects a head, keeps it, and then sends back what it gets.
pub struct HeadServer {
    server: Server,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl HeadServer {
    pub fn start() -> Self {
        let heads = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&heads);
        let server = Server::start(move |stream| {
            if let Some(head) = Head::read(stream) {
                kept.lock().expect("no panic").push(head);
                crate::servers::echo(stream);
            }
        });
        Self { server, heads }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many connections it was given so far.
    pub fn accepted(&self) -> usize {
        self.server.accepted()
    }

    /// How many heads it has got so far.
    pub fn count(&self) -> usize {
        self.heads.lock().expect("no panic").len()
    }

    /// Waits until it has got this many heads, and returns the newest.
    #[track_caller]
    pub fn head(&self, count: usize) -> Head {
        eventually("a head has come", || {
            self.heads.lock().expect("no panic").len() >= count
        });
        self.heads.lock().expect("no panic")[count - 1].clone()
    }
}
