//! `least_conn`: to the server with the fewest sessions for its weight.
//!
//! For sessions that differ much in length. The sessions counted are those of all workers. Looks at
//! every server once.

use super::generator::Generator;
use super::load::Load;
use super::rules::{Open, Servers, moved_start};

/// The algorithm `least_conn`. Its state is where to begin, so that equals take turns.
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

    pub(super) fn update(&mut self, former: &[Option<usize>]) {
        self.start = moved_start(self.start, former);
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
    #[test]
    fn equals_take_their_turns_when_the_set_changes() {
        let servers = Table::new([1; 4].map(server));
        let mut least_conn = balancer(Algorithm::LeastConn, &servers);
        let chosen = pick(&mut least_conn, &servers);
        let next = (chosen + 1) % 4;
        // In reverse order.
        let former = [Some(3), Some(2), Some(1), Some(0)];
        least_conn.update(&servers.names(), &former);
        assert_eq!(former[pick(&mut least_conn, &servers)], Some(next));
    }
}
