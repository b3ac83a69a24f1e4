//! Which server of a backend a new session goes to.
//!
//! A [`Balancer`] belongs to one worker and one backend. The worker asks it once for each attempt
//! to connect that neither a cookie nor an operator has decided already. It knows the servers only
//! through [`Servers`], keeps no count of sessions of its own, and opens nothing.
//!
//! Rules that hold for every algorithm:
//!
//! 1. Candidates are the usable servers of a weight above 0 that are not backups.
//! 2. Candidates without room and those that were tried already are left out.
//! 3. If there is no candidate, or one was tried and rule 2 leaves none, the first usable backup of a
//!    weight above 0 that was not tried is chosen, in the order of the file, if it has room.
//! 4. If rule 3 brings nothing and a server that was tried has room, the answer is
//!    [`Choice::Tried`], else [`Choice::Full`] while any is usable.
//!
//! For a session that has waited for a candidate with room until `queue_timeout`, the worker asks
//! [`spare`] for a backup.
//!
//! The algorithm then chooses among what is left. Every choice costs time linear in the number of
//! servers, and no memory. Each algorithm is a file; `rules` has
//! what holds for all.

mod algorithm;
mod candidates;
mod first;
mod generator;
mod least_conn;
mod load;
mod logarithm;
mod random;
mod round_robin;
mod rules;
mod source_hash;
mod without_busiest;

pub use algorithm::Algorithm;
pub use candidates::{Candidates, Obstacle, obstacle};
use first::First;
use generator::Generator;
use least_conn::LeastConn;
use random::Random;
use round_robin::RoundRobin;
pub use rules::{Choice, Servers, is_full, spare};
use rules::{Survey, survey};
use source_hash::SourceHash;
use std::net::IpAddr;
pub use without_busiest::{WithoutBusiest, without_busiest};

/// The algorithm of a backend, with its state.
#[derive(Clone, Debug)]
pub enum Balancer {
    /// See [`Algorithm::RoundRobin`].
    RoundRobin(RoundRobin),
    /// See [`Algorithm::LeastConn`].
    LeastConn(LeastConn),
    /// See [`Algorithm::Random`].
    Random(Random),
    /// See [`Algorithm::SourceHash`].
    SourceHash(SourceHash),
    /// See [`Algorithm::First`].
    First(First),
}

impl Balancer {
    /// A balancer for the servers of these names, in the order of the file.
    ///
    /// Workers should differ in their `seed`: it decides where in its cycle a worker begins and what
    /// it draws, so that many workers with one session each do not all take the same server.
    /// `source_hash` does not look at it.
    pub fn new(algorithm: Algorithm, names: &[&str], seed: u64) -> Self {
        let generator = Generator::new(seed);
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(names.len(), generator)),
            Algorithm::LeastConn => Self::LeastConn(LeastConn::new(names.len(), generator)),
            Algorithm::Random => Self::Random(Random::new(generator)),
            Algorithm::SourceHash => Self::SourceHash(SourceHash::new(names)),
            Algorithm::First => Self::First(First),
        }
    }

    /// Goes on with another set of servers, in an order of its own: `names`, and for each the index that it had
    /// in the old set, if it was there. The state of those that stay is kept.
    ///
    /// # Panics
    ///
    /// If there are more names than former indices, or one of these was none.
    pub fn update(&mut self, names: &[&str], former: &[Option<usize>]) {
        match self {
            Self::RoundRobin(algorithm) => algorithm.update(former),
            Self::LeastConn(algorithm) => algorithm.update(former),
            Self::Random(_) | Self::First(_) => {}
            Self::SourceHash(algorithm) => *algorithm = SourceHash::new(names),
        }
    }

    /// Chooses a server for a session of `client` that failed to connect to those in `tried`.
    ///
    /// # Panics
    ///
    /// If there are more `servers` than the balancer was given names.
    pub fn choose(&mut self, client: IpAddr, servers: &impl Servers, tried: &[u16]) -> Choice {
        let open = match survey(servers, tried) {
            Survey::Open(open) => open,
            Survey::Decided(choice) => return choice,
        };
        let chosen = match self {
            Self::RoundRobin(algorithm) => algorithm.choose(&open),
            Self::LeastConn(algorithm) => algorithm.choose(&open),
            Self::Random(algorithm) => algorithm.choose(&open),
            Self::SourceHash(algorithm) => algorithm.choose(client, &open),
            Self::First(algorithm) => algorithm.choose(&open),
        };
        // The survey saw room; if the algorithm did not, it went to other workers meanwhile.
        chosen.map_or(Choice::Full, Choice::Server)
    }
}

#[cfg(test)]
mod tests;
