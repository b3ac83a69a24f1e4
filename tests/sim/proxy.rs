//! PROXY heads: what peers begin with that may send one, and what must have become of it.
//!
//! `logic::proxy` is called here as well, on what came in one piece; that it reads heads rightly is tested
//! elsewhere.

use std::net::SocketAddr;

use ringway::config::SendProxy;
use ringway::logic::proxy::{Endpoints, ProxyScan, ProxyVersion, scan_proxy, write_proxy_head};

use crate::end::Story;
use crate::kernel::Ended;
use crate::random::Random;

/// How often each was found.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Clients that a head named.
    pub named: u64,
    /// Sessions of the peer itself, because of what its head says.
    pub local: u64,
    /// The same, because there was none.
    pub absent: u64,
    /// Parts of a signature that were data.
    pub parts: u64,
    /// Heads that servers got.
    pub sent: u64,
}

/// What a peer begins with; nothing for one that sends no head.
pub fn beginning(random: &mut Random) -> Vec<u8> {
    let mut head = Vec::new();
    let version = match random.below(2) {
        0 => ProxyVersion::V1,
        _ => ProxyVersion::V2,
    };
    let client = SocketAddr::from((
        [192, 0, 2, random.below(256) as u8],
        1 + random.below(9) as u16,
    ));
    let endpoints = Endpoints::new(client, SocketAddr::from(([198, 51, 100, 1], 80)));
    let tlv = [&[0xe0, 2, 0][..], &[b'x'; 512]].concat();
    let tlvs = if random.chance(20) { &tlv[..] } else { &[] };
    match random.below(10) {
        0 => {}
        1 => write_proxy_head(version, None, &[], &mut head),
        2 => {
            write_proxy_head(version, Some(&endpoints), tlvs, &mut head);
            let at = random.below(head.len() as u64) as usize;
            head[at] ^= 0x40;
        }
        // A part of a signature, and then letters or nothing.
        3 => {
            write_proxy_head(version, Some(&endpoints), &[], &mut head);
            head.truncate(1 + random.below(11) as usize);
        }
        _ => write_proxy_head(version, Some(&endpoints), tlvs, &mut head),
    }
    head
}

/// Checks what a session's server got first, against all that was read of the client. Returns how many
/// bytes that were, and how many of the client's it did not get.
pub fn check(story: &Story<'_>, server: &Ended, coverage: &mut Coverage) -> (u64, u64) {
    let client = story.client;
    let text = &server.arrival.text[..];
    let sent = match (story.backend.send_proxy, text) {
        (SendProxy::Off, _) | (_, []) => None,
        (SendProxy::V1 | SendProxy::V2, text) => match scan_proxy(text) {
            ProxyScan::Whole(head) => Some(head),
            other => panic!("a server got {other:?} first"),
        },
    };
    let sent_len = sent.as_ref().map_or(0, |head| head.len);
    let Some(rules) = &story.frontend.accept_proxy else {
        return (sent_len as u64, 0);
    };
    let bytes: Vec<u8> = (0..client.read.min(1024))
        .map(|at| client.peer.byte(at))
        .collect();
    // Whether one was required when it came, another configuration may have said otherwise.
    let is_required = rules.required && story.settled;
    let peer = client.client_address();
    let is_peer = story
        .record
        .is_some_and(|record| record.client == Some(peer));
    let was_data = |is_named: bool| {
        // In a piece, if nothing came before the time was over.
        let passed = match text.get(sent_len) {
            Some(byte) => *byte == client.peer.byte(0),
            None => server.arrival.pieces_at == Some(0),
        };
        !is_required && (passed || is_named && is_peer)
    };
    let (head_len, named) = match scan_proxy(&bytes) {
        // Its rest came too late, after it was taken for data.
        ProxyScan::Whole(head) if was_data(head.endpoints.is_some()) => (0, peer),
        ProxyScan::Whole(head) => match head.endpoints {
            Some(endpoints) => {
                coverage.named += 1;
                (head.len, endpoints.client)
            }
            None => {
                coverage.local += 1;
                (head.len, peer)
            }
        },
        ProxyScan::Absent | ProxyScan::Partial { signed: false } => {
            assert!(!is_required, "a head is missing");
            coverage.absent += 1;
            coverage.parts += u64::from(!client.peer.head.is_empty() && client.read > 0);
            (0, peer)
        }
        // Behind a part of a signature that was taken for data, anything may come.
        other => {
            assert!(!is_required, "a server in spite of {other:?}");
            (0, peer)
        }
    };
    if let Some(record) = story.record {
        assert_eq!(record.client, Some(named));
        assert_eq!(record.peer, Some(peer));
    }
    if let Some(head) = sent {
        coverage.sent += 1;
        assert_eq!(head.endpoints.map(|told| told.client), Some(named));
    }
    // What is real of the client's own bytes is what it sent.
    let real = text[sent_len..].iter().enumerate();
    for (at, byte) in real {
        assert_eq!(
            *byte,
            client.peer.byte((head_len + at) as u64),
            "another byte"
        );
    }
    // So is what came in pieces, behind that or at once.
    if let Some(first) = server.arrival.pieces_at {
        assert_eq!(
            first as usize,
            head_len + text.len() - sent_len,
            "bytes are missing"
        );
    }
    (sent_len as u64, head_len as u64)
}
