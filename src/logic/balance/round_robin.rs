//! `round_robin`: each server in its turn, by weight and smoothly.
//!
//! Weights 5, 1, 1 give `A A B A C A A`, never `A A A A A B C`. Goes over the servers twice; in
//! the first choice up to 64 times more.
//!
//! # How it works
//!
//! Each server has a balance. With every choice, each open server earns its weight; the one with
//! the highest balance is chosen and pays `W`, the sum that all have earned. This is the rule of
//! nginx. From the start, any `W / g` choices in a row are exact, `g` being the greatest common
//! divisor of the weights.
//!
//! We add one thing: a balance is worth turns, and a turn costs `W`. When `W` changes, because a
//! server came, went, filled up, or changed its weight, all balances are converted at the rate of
//! new to old. Otherwise a server that owes one turn at the price of 258 would, after the heavy one
//! went down, pay it off by waiting 100 turns at the price of 2, all of which another one would
//! get. After a change, choices are exact again within a few cycles, and off by a turn or two
//! until then.
//!
//! When the set of servers changes, those that stay keep their balances. A new one begins with the mean of
//! them, so that it has no precedence and owes nothing.
//!
//! A server that is not open neither earns nor pays. It comes back with the fraction of a turn that
//! it left with, and so gets no burst for the time that it missed.

use super::generator::Generator;
use super::rules::{Open, Servers, moved_start};

/// Balances count in parts of a unit of weight, so that conversion keeps fractions.
const PARTS: i64 = 1 << 10;

/// Most choices made in advance to begin at a random point of the cycle; bounds the cost of the
/// first choice when weights are large.
const SKIPPED_MAX: u64 = 64;

/// The algorithm `round_robin`, with the balance of each server.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    /// In 1 / [`PARTS`] of a unit of weight, by index of the server.
    balances: Vec<i64>,
    /// The price of a turn that the balances are worth: the sum of weights at the last choice; 0
    /// before the first.
    price: i64,
    /// Index of the server that has precedence among equals; those after it follow.
    start: usize,
    generator: Generator,
}

impl RoundRobin {
    pub(super) fn new(count: usize, mut generator: Generator) -> Self {
        Self {
            balances: vec![0; count],
            price: 0,
            start: generator.below(count as u64) as usize,
            generator,
        }
    }

    pub(super) fn update(&mut self, former: &[Option<usize>]) {
        let kept = || former.iter().flatten().map(|index| self.balances[*index]);
        let mean = kept().sum::<i64>() / kept().count().max(1) as i64;
        let balance = |former: &Option<usize>| former.map_or(mean, |index| self.balances[index]);
        let balances = former.iter().map(balance).collect();
        self.start = match kept().next() {
            Some(_) => moved_start(self.start, former),
            // Workers begin at different servers, as they did with the first set.
            None => self.generator.below(former.len() as u64) as usize,
        };
        self.balances = balances;
    }

    pub(super) fn choose<S: Servers>(&mut self, open: &Open<'_, S>) -> Option<usize> {
        let price = open.iter().map(|(_, weight)| i64::from(weight)).sum();
        if price == 0 {
            return None;
        }
        if self.price == 0 {
            self.skip(open, price);
        } else if self.price != price {
            self.convert(price);
        }
        self.price = price;
        self.turn(open, price)
    }

    /// Moves to a random point of the cycle, by making the choices before it. The precedence among
    /// equals is random already; alone it would let every worker begin with the heaviest server.
    fn skip<S: Servers>(&mut self, open: &Open<'_, S>, price: i64) {
        let divisor = open
            .iter()
            .fold(0, |divisor, (_, weight)| gcd(divisor, weight));
        let cycle = price as u64 / u64::from(divisor.max(1));
        for _ in 0..self.generator.below(cycle.min(SKIPPED_MAX)) {
            self.turn(open, price);
        }
    }

    /// Makes balances worth the same number of turns at a new price.
    fn convert(&mut self, price: i64) {
        for balance in &mut self.balances {
            *balance = balance.saturating_mul(price) / self.price;
        }
    }

    fn turn<S: Servers>(&mut self, open: &Open<'_, S>, price: i64) -> Option<usize> {
        let mut best: Option<(usize, i64)> = None;
        for (index, weight) in open.iter_from(self.start) {
            let balance = &mut self.balances[index];
            *balance += i64::from(weight) * PARTS;
            if best.is_none_or(|(_, highest)| *balance > highest) {
                best = Some((index, *balance));
            }
        }
        let (index, _) = best?;
        self.balances[index] -= price * PARTS;
        Some(index)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use crate::logic::balance::tests::{Table, balancer, choose_again, pick, server};
    use crate::logic::balance::{Algorithm, Balancer, Choice};
    use proptest::prelude::*;

    fn round_robin(servers: &Table, seed: u64) -> Balancer {
        Balancer::new(Algorithm::RoundRobin, &servers.names(), seed)
    }

    /// How often each server is chosen in `picks` choices.
    fn counts(balancer: &mut Balancer, servers: &Table, picks: u32) -> Vec<u32> {
        let mut counts = vec![0; servers.count()];
        for _ in 0..picks {
            counts[pick(balancer, servers)] += 1;
        }
        counts
    }

    #[test]
    fn is_smooth() {
        let servers = Table::new([5, 1, 1].map(server));
        let rotations: Vec<Vec<usize>> = [[0, 0, 1, 0, 2, 0, 0], [0, 0, 2, 0, 1, 0, 0]]
            .iter()
            .flat_map(|cycle| (0..7).map(|start| cycle[start..].iter().chain(&cycle[..start])))
            .map(|cycle| cycle.copied().collect())
            .collect();
        for seed in 0..50 {
            let mut balancer = round_robin(&servers, seed);
            let sequence: Vec<usize> = (0..7).map(|_| pick(&mut balancer, &servers)).collect();
            assert!(rotations.contains(&sequence), "{sequence:?}");
        }
    }

    #[test]
    fn every_window_of_a_cycle_is_exact() {
        let cases: [&[u32]; 7] = [
            &[1, 1, 1],
            &[1, 2, 3],
            &[256, 1],
            &[256, 256, 256, 128],
            &[0, 3, 7],
            &[100, 1, 1, 1, 9],
            &[13, 0, 0, 0],
        ];
        for weights in cases {
            let servers = Table::new(weights.iter().map(|weight| server(*weight)));
            let cycle: u32 = weights.iter().sum();
            for seed in 0..20 {
                let mut balancer = round_robin(&servers, seed);
                for picks in 0..cycle.min(20) {
                    counts(&mut balancer, &servers, picks);
                    assert_eq!(
                        counts(&mut balancer, &servers, cycle),
                        weights,
                        "seed {seed}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_cycle_is_shorter_when_weights_have_a_common_divisor() {
        let servers = Table::new([200, 100, 100].map(server));
        assert_eq!(
            counts(&mut round_robin(&servers, 3), &servers, 4),
            [2, 1, 1]
        );
    }

    #[test]
    fn workers_begin_at_different_servers_in_proportion_to_weights() {
        for weights in [[1, 1, 1, 1], [8, 4, 2, 2]] {
            let servers = Table::new(weights.map(server));
            let cycle: u32 = weights.iter().sum();
            let mut firsts = [0; 4];
            for seed in 0..1_000 {
                firsts[pick(&mut round_robin(&servers, seed), &servers)] += 1;
            }
            for (first, weight) in firsts.iter().zip(weights) {
                let expected = 1_000 * weight / cycle;
                assert!(expected.abs_diff(*first) < 60, "{firsts:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn a_server_that_comes_back_gets_no_burst() {
        let mut servers = Table::new([1; 10].map(server));
        let mut balancer = balancer(Algorithm::RoundRobin, &servers);
        counts(&mut balancer, &servers, 7);
        servers[4].usable = false;
        let without = counts(&mut balancer, &servers, 9 * 100);
        assert_eq!(without[4], 0);
        assert!(
            without
                .iter()
                .enumerate()
                .all(|(i, n)| i == 4 || n.abs_diff(100) <= 1)
        );
        servers[4].usable = true;
        let first_cycle = counts(&mut balancer, &servers, 10);
        assert!(first_cycle[4] <= 2, "{first_cycle:?}");
        let later = counts(&mut balancer, &servers, 10 * 100);
        assert!(later.iter().all(|n| n.abs_diff(100) <= 1), "{later:?}");
    }

    #[test]
    fn the_loss_of_a_heavy_server_starves_no_light_one() {
        for picks in 0..258 {
            let mut servers = Table::new([256, 1, 1].map(server));
            let mut balancer = balancer(Algorithm::RoundRobin, &servers);
            counts(&mut balancer, &servers, picks);
            servers[0].usable = false;
            let after = counts(&mut balancer, &servers, 20);
            assert!(after[1].abs_diff(10) <= 1, "{after:?} after {picks}");
        }
    }

    #[test]
    fn a_rising_weight_is_followed() {
        let mut servers = Table::new([100, 100].map(server));
        let mut balancer = balancer(Algorithm::RoundRobin, &servers);
        for weight in 1..=100 {
            servers[1].weight = weight;
            let counts = counts(&mut balancer, &servers, 100);
            let expected = 100 * weight / (100 + weight);
            assert!(counts[1].abs_diff(expected) <= 2, "{counts:?} at {weight}");
        }
    }

    #[test]
    fn a_server_that_is_full_every_other_time_gets_its_share_of_the_rest() {
        let mut servers = Table::new([1, 1, 1].map(server));
        let mut balancer = balancer(Algorithm::RoundRobin, &servers);
        let mut counts = [0_u32; 3];
        for turn in 0..3_000 {
            servers[0].full = turn % 2 == 1;
            counts[pick(&mut balancer, &servers)] += 1;
        }
        // A third of the 1500 turns with all three, and half of what is left for each of the others.
        for (count, expected) in counts.into_iter().zip([500, 1_250, 1_250]) {
            assert!(count.abs_diff(expected) <= 30, "{counts:?}");
        }
    }

    #[test]
    fn retries_leave_the_order_of_the_others_fair() {
        let servers = Table::new([1; 5].map(server));
        let mut balancer = balancer(Algorithm::RoundRobin, &servers);
        let mut counts = [0_u32; 5];
        for _ in 0..1_000 {
            let index = pick(&mut balancer, &servers);
            counts[index] += 1;
            if index == 2 {
                let Choice::Server(other) = choose_again(&mut balancer, &servers, &[2]) else {
                    panic!("four are left");
                };
                assert_ne!(other, 2);
                counts[other] += 1;
            }
        }
        let others: u32 = counts.iter().sum::<u32>() - counts[2];
        for index in [0, 1, 3, 4] {
            assert!(counts[index].abs_diff(others / 4) <= 30, "{counts:?}");
        }
    }

    #[test]
    fn servers_that_come_and_go_leave_the_others_their_turns() {
        let mut servers = Table::new([1; 6].map(server));
        let mut balancer = round_robin(&servers, 7);
        counts(&mut balancer, &servers, 100 * 6 + 4);
        // The second and the fifth are gone; a new one is first, another last; the rest is reversed.
        let former = [None, Some(5), Some(3), Some(2), Some(0), None];
        balancer.update(&servers.names(), &former);
        let cycles = counts(&mut balancer, &servers, 6 * 10);
        assert!(cycles.iter().all(|n| n.abs_diff(10) <= 1), "{cycles:?}");
        servers = Table::new([3, 1].map(server));
        balancer.update(&servers.names(), &[Some(4), None]);
        counts(&mut balancer, &servers, 8);
        assert_eq!(counts(&mut balancer, &servers, 8), [6, 2]);
        // None is left of the old ones, then none at all, then there are some again.
        balancer.update(&servers.names(), &[None, None]);
        balancer.update(&[], &[]);
        balancer.update(&servers.names(), &[None, None]);
        assert_eq!(counts(&mut balancer, &servers, 4), [3, 1]);
    }

    #[test]
    fn what_a_server_owes_moves_with_it() {
        let servers = Table::new([1, 1].map(server));
        for seed in 0..20 {
            let mut balancer = round_robin(&servers, seed);
            let first = pick(&mut balancer, &servers);
            // They change places, so the index of the one that had its turn is that of the other.
            balancer.update(&servers.names(), &[Some(1), Some(0)]);
            assert_eq!(pick(&mut balancer, &servers), first, "seed {seed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn is_exact_again_soon_after_any_changes(
            changes in prop::collection::vec((0_usize..6, 0_u32..20, 0_u32..30), 1..20),
            seed in any::<u64>(),
        ) {
            let mut servers = Table::new([1; 7].map(server));
            let mut balancer = round_robin(&servers, seed);
            for (index, weight, picks) in changes {
                servers[index].weight = weight;
                counts(&mut balancer, &servers, picks);
            }
            let weights: Vec<u32> = (0..7).map(|index| servers[index].weight).collect();
            let cycle = weights.iter().sum();
            let first = counts(&mut balancer, &servers, cycle);
            for (count, weight) in first.iter().zip(&weights) {
                prop_assert!(count.abs_diff(*weight) <= 3, "{first:?} of {weights:?}");
            }
            counts(&mut balancer, &servers, 3 * cycle);
            prop_assert_eq!(counts(&mut balancer, &servers, cycle), weights);
        }
    }
}
