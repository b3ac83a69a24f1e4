//! `least_conn`: to the server with the fewest sessions for its weight.
//!
//! For sessions that differ much in length. The sessions counted are those of all workers. Looks at
//! every server once.

use super::candidates::{Open, Servers};
use super::generator::Generator;

/// The algorithm `least_conn`, which remembers where to begin so that equals take turns.
#[derive(Clone, Debug)]
pub struct LeastConn {
    /// Index of the server that has precedence among equals; those after it follow.
    start: usize,
}

impl LeastConn {
    pub(super) fn new(count: usize, mut generator: Generator) -> Self {
        Self {
            start: generator.below(count as u64) as usize,
        }
    }

    pub(super) fn choose<S: Servers>(&mut self, open: &Open<'_, S>) -> Option<usize> {
        let best = open
            .iter_from(self.start)
            .map(|(index, weight)| Load::new(open, index, weight))
            // The first of equals stays.
            .reduce(|best, load| if load.is_below(&best) { load } else { best })?;
        self.start = best.index + 1;
        Some(best.index)
    }
}

/// How busy a server is: its sessions for each unit of its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) index: usize,
    sessions: u64,
    weight: u64,
}

impl Load {
    pub(super) fn new<S: Servers>(open: &Open<'_, S>, index: usize, weight: u32) -> Self {
        Self {
            index,
            sessions: open.sessions(index).into(),
            weight: weight.into(),
        }
    }

    /// Whether this server is less busy than the `other`; exact, being a comparison of fractions.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.sessions * other.weight < other.sessions * self.weight
    }
}

#[cfg(test)]
mod tests {
    use crate::logic::balance::tests::{Table, balancer, choose, pick, server};
    use crate::logic::balance::{Algorithm, Choice};

    #[test]
    fn takes_the_fewest_sessions_per_weight() {
        let cases: [(&[(u32, u32)], usize); 6] = [
            (&[(1, 5), (1, 4), (1, 6)], 1),
            (&[(1, 1), (10, 9), (5, 6)], 1),
            (&[(256, 255), (1, 1), (256, 257)], 0),
            (&[(3, 10), (7, 23), (5, 17)], 1),
            (&[(1, u32::MAX), (256, u32::MAX), (255, u32::MAX)], 1),
            (&[(u32::MAX, u32::MAX - 1), (u32::MAX, u32::MAX)], 0),
        ];
        for (weights_and_sessions, expected) in cases {
            let mut servers = Table::new(
                weights_and_sessions
                    .iter()
                    .map(|(weight, _)| server(*weight)),
            );
            for (index, (_, sessions)) in weights_and_sessions.iter().enumerate() {
                servers[index].sessions = *sessions;
            }
            let mut least_conn = balancer(Algorithm::LeastConn, &servers);
            for _ in 0..4 {
                assert_eq!(
                    choose(&mut least_conn, &servers),
                    Choice::Server(expected),
                    "{weights_and_sessions:?}"
                );
            }
        }
    }

    #[test]
    fn equals_take_turns() {
        let mut servers = Table::new([server(1), server(2), server(4), server(8)]);
        for (index, sessions) in [3, 6, 13, 24].into_iter().enumerate() {
            servers[index].sessions = sessions;
        }
        let mut least_conn = balancer(Algorithm::LeastConn, &servers);
        let mut counts = [0; 4];
        for _ in 0..30 {
            counts[pick(&mut least_conn, &servers)] += 1;
        }
        assert_eq!(counts, [10, 10, 0, 10]);
    }

    #[test]
    fn sessions_that_stay_are_spread_by_weight() {
        let mut servers = Table::new([server(1), server(3), server(6)]);
        let mut least_conn = balancer(Algorithm::LeastConn, &servers);
        for _ in 0..1_000 {
            let index = pick(&mut least_conn, &servers);
            servers[index].sessions += 1;
        }
        assert_eq!(
            [
                servers[0].sessions,
                servers[1].sessions,
                servers[2].sessions
            ],
            [100, 300, 600]
        );
    }
}
