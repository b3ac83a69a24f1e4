//! What a choice would be, without making it: for whoever explains choices.

use std::net::IpAddr;

use super::load::Load;
use super::rules::{Choice, Servers, Survey, survey};
use super::{Balancer, is_full};

/// Who may get a new session that has tried no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// One of these, by index: which one depends on the turn of the worker that has the session, or on chance.
    AnyOf(Vec<usize>),
    /// Nobody yet: the session waits, since all usable servers are full.
    Full,
    /// Nobody: no server is usable.
    None,
}

/// Why balancing does not choose a server, whatever the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not usable.
    Unusable,
    /// Its weight is 0.
    NoWeight,
    /// It is a backup, and there are others.
    Backup,
    /// It has no free slot.
    Full,
}

/// What keeps a server from being chosen, if anything does.
pub fn obstacle(servers: &impl Servers, index: usize) -> Option<Obstacle> {
    let is_candidate = |index: usize| servers.usable(index) && servers.weight(index) > 0;
    let has_others = || {
        let mut all = 0..servers.len();
        all.any(|other| is_candidate(other) && !servers.is_backup(other))
    };
    if !servers.usable(index) {
        Some(Obstacle::Unusable)
    } else if servers.weight(index) == 0 {
        Some(Obstacle::NoWeight)
    } else if servers.is_backup(index) && has_others() {
        Some(Obstacle::Backup)
    } else if !servers.has_room(index) {
        Some(Obstacle::Full)
    } else {
        None
    }
}

impl Balancer {
    /// Who may get a new session of `client`. The state of the algorithm stays as it is.
    ///
    /// # Panics
    ///
    /// As [`Balancer::choose`].
    pub fn candidates(&self, client: IpAddr, servers: &impl Servers) -> Candidates {
        let open = match survey(servers, &[]) {
            Survey::Open(open) => open,
            Survey::Decided(Choice::Server(index)) => return Candidates::AnyOf(vec![index]),
            Survey::Decided(_) if is_full(servers) => return Candidates::Full,
            Survey::Decided(_) => return Candidates::None,
        };
        let loads: Vec<Load> = (open.iter())
            .map(|(index, weight)| Load::new(&open, index, weight))
            .collect();
        let chosen: Vec<usize> = match self {
            Self::RoundRobin(_) => loads.iter().map(|load| load.index).collect(),
            Self::LeastConn(_) => {
                let has_least = |load: &&Load| !loads.iter().any(|other| other.is_below(load));
                let least = loads.iter().filter(has_least);
                least.map(|load| load.index).collect()
            }
            // Of two that are drawn the less busy one is chosen: the one that is busier than all others never is.
            Self::Random(_) => {
                let is_busiest = |load: &&Load| {
                    let mut others = loads.iter().filter(|other| other.index != load.index);
                    loads.len() > 1 && others.all(|other| other.is_below(load))
                };
                let may_be = loads.iter().filter(|load| !is_busiest(load));
                may_be.map(|load| load.index).collect()
            }
            Self::SourceHash(algorithm) => algorithm.choose(client, &open).into_iter().collect(),
            Self::First(algorithm) => algorithm.choose(&open).into_iter().collect(),
        };
        // The survey saw room; if the algorithm did not, it went to others meanwhile.
        match chosen.is_empty() {
            true => Candidates::Full,
            false => Candidates::AnyOf(chosen),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::logic::balance::Algorithm;
    use crate::logic::balance::tests::{Entry, Table};

    const ALGORITHMS: [Algorithm; 5] = [
        Algorithm::RoundRobin,
        Algorithm::LeastConn,
        Algorithm::Random,
        Algorithm::SourceHash,
        Algorithm::First,
    ];

    fn entry() -> impl Strategy<Value = Entry> {
        (
            any::<bool>(),
            0..3u32,
            any::<bool>(),
            0..4u32,
            any::<bool>(),
        )
            .prop_map(|(usable, weight, backup, sessions, full)| Entry {
                usable,
                weight,
                backup,
                sessions,
                full,
            })
    }

    proptest! {
        /// What is explained is what is chosen, by every algorithm and every seed.
        #[test]
        fn candidates_are_those_that_are_chosen(
            entries in prop::collection::vec(entry(), 0..5),
            client in any::<u32>(),
        ) {
            let servers = Table::new(entries);
            let client = IpAddr::V4(client.into());
            for algorithm in ALGORITHMS {
                let balancer = |seed| Balancer::new(algorithm, &servers.names(), seed);
                let candidates = balancer(0).candidates(client, &servers);
                let mut chosen = BTreeSet::new();
                for seed in 0..40 {
                    let mut balancer = balancer(seed);
                    for _ in 0..6 {
                        match balancer.choose(client, &servers, &[]) {
                            Choice::Server(index) => {
                                prop_assert_eq!(obstacle(&servers, index), None);
                                chosen.insert(index);
                            }
                            Choice::Full => prop_assert_eq!(&candidates, &Candidates::Full),
                            Choice::Tried | Choice::None => {
                                prop_assert_eq!(&candidates, &Candidates::None);
                            }
                        }
                    }
                }
                if let Candidates::AnyOf(candidates) = candidates {
                    prop_assert_eq!(candidates.into_iter().collect::<BTreeSet<_>>(), chosen);
                }
            }
        }
    }
}
