//! `random`: the better of two servers drawn at random.
//!
//! Each draw is by weight, the two servers are different, and the one with fewer sessions for its
//! weight is taken; of equals, the one that was drawn first. It avoids busy servers nearly as well
//! as `least_conn`, and workers that choose at the same moment do not all take the same one. Goes
//! over the servers three times.

use super::generator::Generator;
use super::load::Load;
use super::rules::{Open, Servers};

/// The algorithm `random`, with its source of randomness.
#[derive(Clone, Debug)]
pub struct Random {
    generator: Generator,
}

impl Random {
    pub(super) fn new(generator: Generator) -> Self {
        Self { generator }
    }

    pub(super) fn choose<S: Servers>(&mut self, open: &Open<'_, S>) -> Option<usize> {
        let total: u64 = open.iter().map(|(_, weight)| u64::from(weight)).sum();
        let first = self.draw(open, total, None)?;
        let rest = total.saturating_sub(first.1.into());
        let Some(second) = self.draw(open, rest, Some(first.0)) else {
            return Some(first.0);
        };
        let first = Load::new(open, first.0, first.1);
        let second = Load::new(open, second.0, second.1);
        Some(if second.is_below(&first) {
            second.index
        } else {
            first.index
        })
    }

    /// Draws by weight from all but the `excluded` server; `total` is the sum of their weights.
    fn draw<S: Servers>(
        &mut self,
        open: &Open<'_, S>,
        total: u64,
        excluded: Option<usize>,
    ) -> Option<(usize, u32)> {
        let mut ticket = self.generator.below(total);
        let mut last = None;
        for (index, weight) in open.iter().filter(|(index, _)| Some(*index) != excluded) {
            if ticket < weight.into() {
                return Some((index, weight));
            }
            ticket -= u64::from(weight);
            // Kept for the case that weights were lowered since they were summed up.
            last = Some((index, weight));
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use crate::logic::balance::tests::{Table, balancer, chi_square, pick, server};
    use crate::logic::balance::{Algorithm, Balancer};

    #[test]
    fn idle_servers_are_drawn_by_weight() {
        let weights = [1, 2, 3, 10, 50, 256];
        let servers = Table::new(weights.map(server));
        let mut random = balancer(Algorithm::Random, &servers);
        let mut counts = [0; 6];
        for _ in 0..100_000 {
            counts[pick(&mut random, &servers)] += 1;
        }
        let chi_square = chi_square(&counts, &weights.map(f64::from));
        // 99.9 % of all seeds give less than 20.5 with 5 degrees of freedom.
        assert!(chi_square < 20.5, "{chi_square}: {counts:?}");
    }

    #[test]
    fn the_busiest_is_taken_by_no_one_while_there_is_another() {
        let mut servers = Table::new([server(1), server(100), server(1)]);
        servers[1].sessions = 1_000;
        let mut random = balancer(Algorithm::Random, &servers);
        for _ in 0..1_000 {
            assert_ne!(pick(&mut random, &servers), 1);
        }
    }

    #[test]
    fn sessions_that_stay_are_spread_nearly_evenly() {
        let mut servers = Table::new([1; 100].map(server));
        let mut random = balancer(Algorithm::Random, &servers);
        for _ in 0..10_000 {
            let index = pick(&mut random, &servers);
            servers[index].sessions += 1;
        }
        // One draw alone would leave about 100 +- 30.
        for index in 0..100 {
            let sessions = servers[index].sessions;
            assert!((94..=106).contains(&sessions), "{sessions} at {index}");
        }
    }

    #[test]
    fn seeds_decide() {
        let servers = Table::new([1; 10].map(server));
        let names = servers.names();
        let sequence = |seed| {
            let mut random = Balancer::new(Algorithm::Random, &names, seed);
            [(); 20].map(|()| pick(&mut random, &servers))
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
