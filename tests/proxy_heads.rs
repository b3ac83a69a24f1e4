//! Heads of the PROXY protocol that nobody wrote: sound ones, some of them mutated or cut. Each is scanned
//! whole and in pieces by the library, and read by `reference.rs`, which does the same in the most obvious
//! way; all must agree. What the library makes of a sound one is read by the reference.

#[path = "support/random.rs"]
mod random;
#[path = "proxy_heads/reference.rs"]
mod reference;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use random::Random;
use reference::Found;
use ringway::logic::proxy::{Endpoints, ProxyScan, ProxyVersion, scan_proxy, write_proxy_head};

/// Heads that are scanned.
const HEAD_COUNT: usize = 1_000_000;

impl Random {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn address(&mut self, v6: bool) -> SocketAddr {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        let port = self.next() as u16;
        match (v6, self.below(4)) {
            (false, _) => (Ipv4Addr::from_bits(bits as u32), port).into(),
            (true, 0) => (Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped(), port).into(),
            (true, 1) => (
                Ipv6Addr::from_bits(bits & 0xffff << 100 | bits & 0xff),
                port,
            )
                .into(),
            (true, _) => (Ipv6Addr::from_bits(bits), port).into(),
        }
    }

    fn tlvs(&mut self) -> Vec<u8> {
        let mut tlvs = Vec::new();
        for _ in 0..self.below(4) {
            let kind = [1, 2, 3, 4, 5, 0x20, 0x30, 0xea][self.below(8)];
            let is_second = kind == 3 && tlvs.windows(3).any(|bytes| bytes == [3, 0, 4]);
            let len = if kind == 3 { 4 } else { self.below(9) as u8 };
            if !is_second {
                tlvs.extend([kind, 0, len]);
                tlvs.extend((0..len).map(|_| self.next() as u8));
            }
        }
        tlvs
    }

    /// A sound head.
    fn head(&mut self, out: &mut Vec<u8>) {
        let v6 = self.below(2) == 0;
        let endpoints = Endpoints::new(self.address(v6), self.address(v6));
        let version = match self.below(3) {
            0 => ProxyVersion::V1,
            _ => ProxyVersion::V2,
        };
        let endpoints = (self.below(20) > 0).then_some(&endpoints);
        let tlvs = self.tlvs();
        write_proxy_head(version, endpoints, &tlvs, out);
    }

    /// Changes one thing.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const BITS: [&[u8]; 12] = [
            b"\r", b"\n", b"\r\n", b" ", b"0", b"\0", b"UNKNOWN", b"TCP4", b"TCP6", b"::", b".",
            b"PROXY ",
        ];
        let at = self.below(bytes.len() + 1);
        // What the first bytes mean is looked at most.
        let early = self.below(bytes.len().min(18) + 1);
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let bit = BITS[self.below(BITS.len())];
                bytes.splice(at..at, bit.iter().copied());
            }
            2 => {
                let end = (at + 1 + self.below(4)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 if early < bytes.len() => {
                const VALUES: [u8; 9] = [0, 1, 0x10, 0x11, 0x12, 0x20, 0x21, 0x31, 0x41];
                bytes[early] = VALUES[self.below(VALUES.len())];
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ => bytes.extend((0..self.below(60)).map(|_| self.next() as u8)),
        }
    }
}

fn found(bytes: &[u8]) -> Found {
    match scan_proxy(bytes) {
        ProxyScan::Partial { signed } => Found::Partial { signed },
        ProxyScan::Absent => Found::Absent,
        ProxyScan::Malformed => Found::Malformed,
        ProxyScan::Whole(head) => Found::Whole {
            len: head.len,
            addresses: head
                .endpoints
                .map(|found| (found.client, found.destination)),
            tlvs: head.tlvs.to_vec(),
        },
    }
}

/// The answer to bytes that come in two pieces, then all at once.
fn found_in_pieces(bytes: &[u8], cut: usize) -> Found {
    match found(&bytes[..cut]) {
        Found::Partial { .. } => found(bytes),
        other => other,
    }
}

#[test]
fn heads_are_what_the_reference_says() {
    let random = &mut Random::new(1);
    let mut bytes = Vec::new();
    let mut counts = [0; 4];
    for number in 0..HEAD_COUNT {
        random.head(&mut bytes);
        for _ in 0..random.below(4) {
            random.mutate(&mut bytes);
        }
        let expected = reference::read(&bytes);
        counts[match expected {
            Found::Partial { .. } => 0,
            Found::Absent => 1,
            Found::Malformed => 2,
            Found::Whole { .. } => 3,
        }] += 1;
        let shown = || format!("head {number}: b\"{}\"", bytes.escape_ascii());
        assert_eq!(found(&bytes), expected, "{}", shown());
        let cut = random.below(bytes.len() + 1);
        assert_eq!(
            found_in_pieces(&bytes, cut),
            expected,
            "cut at {cut}, {}",
            shown()
        );
    }
    // Each answer is tried often.
    assert!(
        counts.iter().all(|count| *count > HEAD_COUNT / 50),
        "{counts:?}"
    );
}

#[test]
fn heads_that_are_written_are_read_by_the_reference() {
    let random = &mut Random::new(2);
    let mut bytes = Vec::new();
    for number in 0..HEAD_COUNT / 10 {
        let v6 = random.below(2) == 0;
        let endpoints = Endpoints::new(random.address(v6), random.address(v6));
        let tlvs = random.tlvs();
        for (version, kept) in [(ProxyVersion::V1, 0), (ProxyVersion::V2, tlvs.len())] {
            write_proxy_head(version, Some(&endpoints), &tlvs, &mut bytes);
            let Found::Whole {
                len,
                addresses,
                tlvs: read,
            } = reference::read(&bytes)
            else {
                panic!("head {number}: b\"{}\"", bytes.escape_ascii());
            };
            assert_eq!(len, bytes.len());
            assert_eq!(addresses, Some((endpoints.client, endpoints.destination)));
            assert_eq!(read.len(), kept);
        }
    }
}
