//! A configuration in use, and what all workers share of each frontend, backend and server in it.
//!
//! A [`Snapshot`] is made of a configuration, which never changes. A reload makes another one, in which
//! frontends, queues and servers that are still the same are the same objects: they keep their sessions,
//! counters and health. The [`Registry`] knows which are; the control plane has one. Workers hold a snapshot
//! for as long as one of its sessions is open.
//!
//! What is written in a configuration is [`Config`]; which servers a backend has now is its [`Members`]. These
//! can change without a reload, for one backend alone: the new set takes the place of the old one, and each
//! worker looks for a new one only when it chooses a server of that backend.
//!
//! Nothing here is touched for a byte that is relayed.

mod backend;
mod change;
mod counters;
mod frontend;
mod members;
mod objects;
mod registry;
mod server;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Config;

pub use backend::BackendShared;
pub use change::{MembersChange, Origin, Source, UnknownBackend};
pub use counters::{ByWorker, FrontendCounters, Histogram, RouteCounters, ServerCounters, Times};
pub use frontend::{FrontendShared, RouteShared};
pub use members::{Member, Members};
pub use registry::Registry;
pub use server::{QueueShared, ServerShared};
pub use turns::Turns;

/// A configuration in use.
#[derive(Debug)]
pub struct Snapshot {
    /// 1 for the first of the process, one more for each that follows.
    pub version: u64,
    /// The configuration.
    pub config: Config,
    /// By index of the frontend.
    pub frontends: Vec<Arc<FrontendShared>>,
    /// By index of the frontend, then of the route.
    pub routes: Vec<Vec<Arc<RouteShared>>>,
    /// By index of the backend.
    pub backends: Vec<Arc<BackendShared>>,
    /// Indices of frontends, by [`FrontendShared::id`].
    index_by_id: HashMap<u64, usize>,
}

impl Snapshot {
    /// The server of these indices, as the servers are now.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn server(&self, backend: usize, server: usize) -> Arc<ServerShared> {
        Arc::clone(&self.backends[backend].members().servers()[server].server)
    }

    /// The server of this name in the backend of this name, with the index of the backend.
    pub fn find(&self, backend: &str, server: &str) -> Option<(usize, Member)> {
        let mut backends = self.config.backends.iter();
        let index = backends.position(|candidate| candidate.name == backend)?;
        let member = self.backends[index].members().by_name(server).cloned()?;
        Some((index, member))
    }

    /// The index of a frontend, if this configuration has it.
    pub fn index_of(&self, frontend: &Arc<FrontendShared>) -> Option<usize> {
        self.index_by_id.get(&frontend.id).copied()
    }
}
