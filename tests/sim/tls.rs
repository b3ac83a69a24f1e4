//! TLS mode: ClientHellos, and who must have got them.
//!
//! `logic::tls` is called here as well, on the hello in one piece; that it reads hellos and finds routes rightly
//! is tested elsewhere.

use ringway::config::{Config, Frontend};
use ringway::logic::session::{ErrorAnswer, TerminationPhase};
use ringway::logic::tls::{Conditions, HelloProgress, HelloScan, RouteTable, scan_hello};

use crate::end::Story;
use crate::random::Random;

/// The names that routes may have, and one that none has.
pub const NAMES: [&str; 4] = ["a.example", "*.a.example", "b.example", "c.example"];

/// How often each was found.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Sessions that took a route, and whose server got the hello.
    pub routed: u64,
    /// The same of those that no route matched.
    pub unmatched: u64,
    /// Clients that read the alert.
    pub alerted: u64,
    /// Clients that sent no whole hello, or none at all.
    pub refused: u64,
}

/// What a client begins with: mostly a hello, in one record or several.
pub fn beginning(random: &mut Random) -> Vec<u8> {
    if random.chance(8) {
        return b"GET / HTTP/1.1\r\n\r\n".to_vec();
    }
    let name = ["a.example", "x.a.example", "b.example", "d.example", ""][random.below(5) as usize];
    let mut extensions = Vec::new();
    if !name.is_empty() {
        let len = name.len() as u8;
        extensions.extend([0, 0, 0, len + 5, 0, len + 3, 0, 0, len]);
        extensions.extend(name.as_bytes());
    }
    // As a post-quantum key share.
    let filler = random.below(1_500) as u16;
    extensions.extend([0x40, 0]);
    extensions.extend(filler.to_be_bytes());
    extensions.resize(extensions.len() + usize::from(filler), b'k');
    let mut message = vec![3, 3];
    message.extend([7; 32]);
    message.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    message.extend((extensions.len() as u16).to_be_bytes());
    message.extend(extensions);
    let len = (message.len() as u32).to_be_bytes();
    message.splice(0..0, [1, len[1], len[2], len[3]]);
    if random.chance(10) {
        message.truncate(random.up_to(message.len() as u64) as usize);
    }
    let record_len = if random.chance(70) {
        16_384
    } else {
        random.up_to(700) as usize
    };
    let mut bytes = Vec::new();
    for record in message.chunks(record_len) {
        bytes.extend([22, 3, 1]);
        bytes.extend((record.len() as u16).to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// The index of the backend that this frontend has for a client that sent this; `None`: it has none.
fn backend_of(frontend: &Frontend, bytes: &[u8]) -> Option<(usize, bool)> {
    let (mut progress, mut scratch) = (HelloProgress::default(), Vec::new());
    let HelloScan::Whole(hello) = scan_hello(bytes, &mut progress, &mut scratch) else {
        return None;
    };
    let conditions = |it: &ringway::config::Route| -> Conditions { it.conditions.clone() };
    let table = RouteTable::new(frontend.routes.iter().map(conditions));
    match table.find(hello.server_name, hello.protocols.iter()) {
        Some(found) => Some((frontend.routes[found.index].backend, true)),
        None => frontend.backend.map(|backend| (backend, false)),
    }
}

/// Checks who got the bytes of a client. The server that got them, if one did, got the same hello.
pub fn check(story: &Story<'_>, config: &Config, coverage: &mut Coverage) {
    let client = story.client;
    let bytes: Vec<u8> = (0..client.read.min(16_384))
        .map(|at| client.peer.byte(at))
        .collect();
    let expected = backend_of(story.frontend, &bytes);
    let text = &client.arrival.text[..];
    assert!(
        ErrorAnswer::UNRECOGNIZED_NAME.starts_with(text),
        "a client got {text:?}"
    );
    coverage.alerted += u64::from(text == ErrorAnswer::UNRECOGNIZED_NAME);
    let phase = story.record.map(|record| record.summary.outcome.phase);
    if phase == Some(TerminationPhase::Hello) {
        assert!(story.server.is_none(), "a server got what is no hello");
        coverage.refused += 1;
    }
    let Some(server) = story.server else {
        return;
    };
    assert_eq!(text, b"", "a client was refused and has a server");
    let (backend, is_route) = expected.expect("a server got what no backend has");
    // Where its frontend has changed, another backend may have had it before.
    if let Some(record) = story.record.filter(|_| story.settled) {
        assert_eq!(record.backend, Some(backend as u32));
        let chosen = record.server.as_ref().map(|server| server.name.as_str());
        let servers = &config.backends[backend].servers;
        assert!(
            servers.iter().any(|it| Some(it.name.as_str()) == chosen),
            "another backend"
        );
    }
    match is_route {
        true => coverage.routed += 1,
        false => coverage.unmatched += 1,
    }
    // What is real of it is what the client sent, and the rest goes on behind it.
    let text = &server.arrival.text;
    let same = text
        .iter()
        .zip(0..)
        .all(|(byte, at)| *byte == client.peer.byte(at));
    assert!(same, "another byte");
    if let Some(first) = server.arrival.pieces_at {
        assert_eq!(first as usize, text.len(), "bytes are missing");
    }
}
