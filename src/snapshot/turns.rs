//! The balancer of a backend, which goes along with the changes of its servers.

use std::collections::HashMap;
use std::net::IpAddr;

use super::members::Members;
use crate::logic::balance::{Algorithm, Balancer, Choice, Servers};

/// A balancer, and the set of servers that it was last asked for.
#[derive(Clone, Debug)]
pub struct Turns {
    /// The version of that set.
    version: u64,
    /// Ids of its servers, by index.
    ids: Vec<u64>,
    balancer: Balancer,
}

impl Turns {
    /// A balancer of this algorithm and seed, for the servers of this version.
    pub fn new(algorithm: Algorithm, seed: u64, version: u64, members: &Members) -> Self {
        Turns {
            version,
            ids: ids(members),
            balancer: Balancer::new(algorithm, &names(members), seed),
        }
    }

    /// Goes on with the servers of this version, unless it has had a newer one. Servers that stay keep their turns.
    /// Returns whether it has this version now.
    pub fn follow(&mut self, version: u64, members: &Members) -> bool {
        if self.version >= version {
            return self.version == version;
        }
        self.version = version;
        let ids = ids(members);
        if self.ids != ids {
            let former: HashMap<u64, usize> = self.ids.iter().copied().zip(0..).collect();
            let former: Vec<_> = ids.iter().map(|id| former.get(id).copied()).collect();
            self.balancer.update(&names(members), &former);
            self.ids = ids;
        }
        true
    }

    /// Chooses among these servers, of its version, for a session of `client` that failed to connect to those in
    /// `tried`.
    pub fn choose(&mut self, members: &Members, client: IpAddr, tried: &[u16]) -> Choice {
        self.balancer.choose(client, members, tried)
    }
}

fn names(members: &Members) -> Vec<&str> {
    let servers = members.servers().iter();
    servers.map(|member| member.config.name.as_str()).collect()
}

fn ids(members: &Members) -> Vec<u64> {
    let servers = members.servers().iter();
    servers.map(|member| member.server.id).collect()
}

impl Servers for Members {
    fn len(&self) -> usize {
        self.servers().len()
    }

    fn usable(&self, index: usize) -> bool {
        self.servers()[index].server.availability.is_usable()
    }

    fn weight(&self, index: usize) -> u32 {
        self.servers()[index].server.availability.weight()
    }

    fn is_backup(&self, index: usize) -> bool {
        self.servers()[index].backup
    }

    fn sessions(&self, index: usize) -> u32 {
        self.servers()[index].server.session_limit.used()
    }

    fn has_room(&self, index: usize) -> bool {
        // Slots that sticky sessions wait for are not offered to others.
        let server = &self.servers()[index].server;
        server.session_limit.free() > 0 && !server.waiting.any()
    }
}
