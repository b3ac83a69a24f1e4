//! `source_hash`: the address of the client decides.
//!
//! Weighted rendezvous hashing: every server has a score for every client, and the highest score
//! among the open servers wins. So all sessions of a client go to one server, no table is needed,
//! and there is nothing to rebuild when servers change:
//!
//! - A server that is lost, full or tried is passed over; its clients, and no others, go each to
//!   the next best of their own.
//! - A new server, or one whose weight rises, takes clients from all others in proportion to their
//!   weights, and no client moves between two others.
//!
//! # The formula
//!
//! ```text
//! server = xxh3_64(name, seed 0)                                   name: UTF-8
//! hash   = xxh3_64(little-endian server ++ address, seed SEED)     8 + 16 bytes
//! u      = ((hash >> 12) + 0.5) / 2^52                             exact, 0 < u < 1
//! score  = -weight / ln(u)                                         f64, ln of `logarithm`
//! ```
//!
//! The address is that of the client as IPv6, an IPv4 address in its mapped form
//! (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2); the port is left out. Of equal scores the greater `server`
//! wins. `-ln(u)` is exponentially distributed, so the chance of the highest score is in proportion
//! to the weight.
//!
//! # A promise
//!
//! A score depends on the name, the weight and the client only: not on the order of the file, on
//! other servers, on the worker, the machine, or the time. Nodes with the same configuration that
//! see the same servers open therefore agree. **The formula stays the same in all versions**;
//! another one would be another algorithm under another name, since it would move the clients of a
//! farm whose nodes are upgraded one by one. Tests hold it to values that were computed outside
//! this program.
//!
//! # Cost
//!
//! One short hash for each server. Logarithms only where the greater hash and the greater weight
//! are not on the same side, so never with equal weights.

use super::logarithm::ln;
use super::rules::{Open, Servers};
use std::net::IpAddr;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Seed of the hash of server and client. Part of the promise.
const SEED: u64 = u64::from_le_bytes(*b"ringway1");

/// The algorithm `source_hash`, with the hash of each server's name.
#[derive(Clone, Debug)]
pub struct SourceHash {
    servers: Vec<u64>,
}

impl SourceHash {
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            servers: names.iter().map(|name| xxh3_64(name.as_bytes())).collect(),
        }
    }

    pub(super) fn choose<S: Servers>(&self, client: IpAddr, open: &Open<'_, S>) -> Option<usize> {
        let mut key = [0; 24];
        key[8..].copy_from_slice(&address(client));
        open.iter()
            .map(|(index, weight)| Draw::new(index, weight, self.servers[index], &mut key))
            .reduce(|best, draw| if draw.beats(&best) { draw } else { best })
            .map(|best| best.index)
    }
}

/// The address as IPv6.
fn address(client: IpAddr) -> [u8; 16] {
    match client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// What a server has drawn for a client.
#[derive(Clone, Copy, Debug)]
struct Draw {
    index: usize,
    server: u64,
    weight: u32,
    /// The upper 52 bits of the hash.
    bits: u64,
}

impl Draw {
    /// The draw of a server for the client whose address fills the end of `key`.
    fn new(index: usize, weight: u32, server: u64, key: &mut [u8; 24]) -> Self {
        key[..8].copy_from_slice(&server.to_le_bytes());
        Self {
            index,
            server,
            weight,
            bits: xxh3_64_with_seed(key, SEED) >> 12,
        }
    }

    fn score(&self) -> f64 {
        let u = (self.bits as f64 + 0.5) / (1_u64 << 52) as f64;
        -f64::from(self.weight) / ln(u)
    }

    /// Whether the score is higher than that of the `other`.
    ///
    /// The score rises with the weight and with the hash. Where neither is lower, both scores
    /// need not be computed, and no rounding of a logarithm can get between two equal weights.
    fn beats(&self, other: &Self) -> bool {
        let by_parts = (self.weight.cmp(&other.weight), self.bits.cmp(&other.bits));
        let order = match by_parts {
            (weight, bits) if weight == bits || bits.is_eq() => weight,
            (weight, bits) if weight.is_eq() => bits,
            _ => self.score().total_cmp(&other.score()),
        };
        order.then(self.server.cmp(&other.server)).is_gt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::balance::tests::{Table, balancer, chi_square, client, pick_for, server};
    use crate::logic::balance::{Algorithm, Balancer, Choice};

    /// As long as a name may be: the hash takes another path from 17, and from 33 bytes on.
    const LONG: &str = "a-rather_long.server-name.of-64-characters.with-digits-012345678";

    /// Name, weight, client; hash and score as computed with another implementation of XXH3 and
    /// logarithms of 40 digits.
    const SCORES: [(&str, u32, &str, u64, f64); 12] = [
        (
            "web1",
            1,
            "192.0.2.1",
            0x1e50_3f79_ab39_54b3,
            0.4686946375100947,
        ),
        (
            "web2",
            2,
            "192.0.2.1",
            0x9ec8_e588_dcf0_02bc,
            4.1873599208645915,
        ),
        (
            "web3",
            256,
            "192.0.2.1",
            0x41f6_9c97_75d9_cf11,
            188.7796304747579,
        ),
        (
            LONG,
            100,
            "192.0.2.1",
            0x3665_95ca_1507_7b9f,
            64.56312240339689,
        ),
        (
            "web1",
            1,
            "255.255.255.255",
            0x4ca0_5089_7378_054e,
            0.82902378269297,
        ),
        (
            "web2",
            2,
            "255.255.255.255",
            0x927b_18b2_a713_1d6f,
            3.5824139718179446,
        ),
        (
            "web3",
            256,
            "255.255.255.255",
            0x42f5_776b_a214_8ee3,
            190.888199192953,
        ),
        (
            LONG,
            100,
            "255.255.255.255",
            0xc3ef_e9da_d533_f0e6,
            373.9947420185509,
        ),
        (
            "web1",
            1,
            "2001:db8::1",
            0x2f23_3ebb_42c0_7f43,
            0.5909799268949761,
        ),
        (
            "web2",
            2,
            "2001:db8::1",
            0x597d_8591_fbda_ffc3,
            1.9028644978431943,
        ),
        (
            "web3",
            256,
            "2001:db8::1",
            0x1e2d_47c1_45b9_4afa,
            119.73238853376185,
        ),
        (
            LONG,
            100,
            "2001:db8::1",
            0xd239_0338_e1e8_6073,
            507.5885150164572,
        ),
    ];

    /// Client; the servers `web1` to `web4` of weights 1, 1, 2, 10 from best to worst, computed
    /// likewise.
    const ORDERS: [(&str, [usize; 4]); 12] = [
        ("10.0.0.1", [3, 2, 0, 1]),
        ("10.0.0.2", [1, 3, 2, 0]),
        ("10.0.0.3", [3, 1, 2, 0]),
        ("10.0.0.4", [3, 2, 0, 1]),
        ("10.0.0.5", [3, 0, 2, 1]),
        ("10.0.0.6", [2, 3, 0, 1]),
        ("2001:db8::1", [3, 1, 2, 0]),
        ("2001:db8::2", [2, 3, 1, 0]),
        ("2001:db8::3", [1, 2, 3, 0]),
        ("2001:db8::4", [1, 0, 3, 2]),
        ("2001:db8::5", [3, 2, 0, 1]),
        ("2001:db8::6", [1, 3, 2, 0]),
    ];

    const CLIENTS: u32 = 20_000;

    /// The server of each client.
    fn map(servers: &Table) -> Vec<usize> {
        let mut balancer = balancer(Algorithm::SourceHash, servers);
        (0..CLIENTS)
            .map(|number| pick_for(&mut balancer, client(number), servers))
            .collect()
    }

    fn parse(address: &str) -> IpAddr {
        address.parse().expect("an address of the table")
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        for (name, weight, client, hash, score) in SCORES {
            let mut key = [0; 24];
            key[8..].copy_from_slice(&address(parse(client)));
            let draw = Draw::new(0, weight, xxh3_64(name.as_bytes()), &mut key);
            assert_eq!(draw.bits, hash >> 12, "{name}, {client}");
            let error = (draw.score() / score - 1.0).abs();
            assert!(error < 1e-15, "{name}, {client}: {} {score}", draw.score());
        }
    }

    #[test]
    fn orders_are_those_of_the_formula() {
        let servers = Table::new([1, 1, 2, 10].map(server));
        let names = ["web1", "web2", "web3", "web4"];
        let mut balancer = Balancer::new(Algorithm::SourceHash, &names, 0);
        for (client, order) in ORDERS {
            for passed_over in 0..4 {
                let tried: Vec<u16> = order[..passed_over].iter().map(|&i| i as u16).collect();
                let mut full = servers.clone();
                for &index in &order[..passed_over] {
                    full[index].full = true;
                }
                let best = Choice::Server(order[passed_over]);
                assert_eq!(
                    balancer.choose(parse(client), &servers, &tried),
                    best,
                    "{client}"
                );
                assert_eq!(balancer.choose(parse(client), &full, &[]), best, "{client}");
            }
        }
    }

    #[test]
    fn ten_thousand_clients_are_where_the_formula_puts_them() {
        let weights: [u32; 10] = std::array::from_fn(|index| index as u32 + 1);
        let servers = Table::new(weights.map(server));
        let mut balancer = balancer(Algorithm::SourceHash, &servers);
        let mut counts = [0; 10];
        let servers_of_clients: Vec<u8> = (0..10_000)
            .map(|number| {
                let client = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
                let index = pick_for(&mut balancer, client.into(), &servers);
                counts[index] += 1;
                index as u8
            })
            .collect();
        // Computed as the tables above.
        assert_eq!(
            counts,
            [177, 334, 559, 734, 946, 1081, 1272, 1434, 1670, 1793]
        );
        assert_eq!(xxh3_64(&servers_of_clients), 0x65b7_ab7a_2331_7484);
    }

    #[test]
    fn an_ipv4_client_is_the_same_in_its_mapped_form() {
        let servers = Table::new([1, 2, 3, 4].map(server));
        let mut balancer = balancer(Algorithm::SourceHash, &servers);
        for number in 0..100_u8 {
            let v4 = parse(&format!("192.0.2.{number}"));
            let mapped = parse(&format!("::ffff:192.0.2.{number}"));
            assert_eq!(
                pick_for(&mut balancer, v4, &servers),
                pick_for(&mut balancer, mapped, &servers)
            );
        }
    }

    #[test]
    fn the_order_of_the_file_and_the_seed_do_not_matter() {
        let names = ["a", "b", "c", "d", "e"];
        let weights = [3, 1, 4, 1, 5];
        let reversed: Vec<&str> = names.iter().rev().copied().collect();
        let forward_servers = Table::new(weights.map(server));
        let reversed_servers = Table::new(weights.iter().rev().map(|weight| server(*weight)));
        let mut forward = Balancer::new(Algorithm::SourceHash, &names, 1);
        let mut backward = Balancer::new(Algorithm::SourceHash, &reversed, 2);
        for number in 0..CLIENTS {
            assert_eq!(
                names[pick_for(&mut forward, client(number), &forward_servers)],
                reversed[pick_for(&mut backward, client(number), &reversed_servers)]
            );
        }
    }

    #[test]
    fn clients_are_spread_by_weight() {
        for weights in [[1; 5], [1, 2, 3, 4, 5], [256, 128, 64, 32, 16]] {
            let mut counts = [0; 5];
            for index in map(&Table::new(weights.map(server))) {
                counts[index] += 1;
            }
            let chi_square = chi_square(&counts, &weights.map(f64::from));
            // 99.9 % of all hash functions give less than 18.5 with 4 degrees of freedom.
            assert!(chi_square < 18.5, "{chi_square}: {counts:?} of {weights:?}");
        }
    }

    #[test]
    fn losing_one_of_ten_moves_its_clients_only() {
        let all = Table::new([1; 10].map(server));
        let before = map(&all);
        for lost in 0..10 {
            let mut nine = all.clone();
            nine[lost].usable = false;
            let mut moved = 0;
            let mut heirs = [0; 10];
            for (before, after) in before.iter().zip(map(&nine)) {
                if *before == lost {
                    moved += 1;
                    heirs[after] += 1;
                } else {
                    assert_eq!(*before, after, "a client of another server moved");
                }
            }
            assert!((1_850..=2_150).contains(&moved), "{moved} of {lost}");
            assert!(
                heirs.iter().all(|heir| *heir < 290),
                "one inherits too much: {heirs:?}"
            );
        }
    }

    #[test]
    fn adding_one_takes_a_share_from_each_and_moves_no_other_client() {
        let before = map(&Table::new([1; 10].map(server)));
        let after = map(&Table::new([1; 11].map(server)));
        let mut given = [0; 10];
        for (before, after) in before.into_iter().zip(after) {
            if before != after {
                assert_eq!(after, 10, "a client moved between two old servers");
                given[before] += 1;
            }
        }
        let moved: u32 = given.iter().sum();
        assert!((1_670..=1_970).contains(&moved), "{moved}");
        assert!(
            given.iter().all(|given| (130..=235).contains(given)),
            "{given:?}"
        );
    }

    #[test]
    fn the_name_decides_at_whatever_index_a_server_is() {
        let servers = Table::new([1; 3].map(server));
        let mut balancer = Balancer::new(Algorithm::SourceHash, &["a", "b", "c"], 0);
        let before: Vec<usize> = (0..100)
            .map(|number| pick_for(&mut balancer, client(number), &servers))
            .collect();
        balancer.update(&["c", "a", "b"], &[Some(2), Some(0), Some(1)]);
        for (number, before) in (0..).zip(before) {
            let after = pick_for(&mut balancer, client(number), &servers);
            assert_eq!(after, (before + 1) % 3);
        }
    }

    #[test]
    fn a_rising_weight_only_attracts() {
        let mut servers = Table::new([100; 4].map(server));
        servers[2].weight = 0;
        let mut before = map(&servers);
        for weight in [1, 2, 50, 100, 101, 256] {
            servers[2].weight = weight;
            let after = map(&servers);
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || *after == 2, "at weight {weight}");
            }
            before = after;
        }
    }

    #[test]
    fn shortcuts_agree_with_scores() {
        let draws = (0..2_000_u64).map(|number| {
            let mut key = [0; 24];
            Draw::new(0, (number % 7) as u32 + 1, number, &mut key)
        });
        let draws: Vec<Draw> = draws.collect();
        for pair in draws.windows(2) {
            let by_score = pair[0].score() > pair[1].score();
            assert_eq!(pair[0].beats(&pair[1]), by_score, "{pair:?}");
            assert_eq!(pair[1].beats(&pair[0]), !by_score, "{pair:?}");
        }
    }

    #[test]
    fn equal_draws_are_decided_by_the_name() {
        let low = Draw {
            index: 0,
            server: 1,
            weight: 5,
            bits: 77,
        };
        let high = Draw {
            index: 1,
            server: 2,
            ..low
        };
        assert!(high.beats(&low));
        assert!(!low.beats(&high));
        let extreme = Draw {
            bits: (1 << 52) - 1,
            ..low
        };
        assert!(extreme.score().is_finite() && extreme.beats(&low));
        let least = Draw { bits: 0, ..low };
        assert!(least.score() > 0.0 && low.beats(&least));
    }
}
