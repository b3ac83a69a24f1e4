//! A change of the servers of one backend.

use std::sync::Arc;

use super::Snapshot;
use super::backend::BackendShared;
use super::members::{Member, Members};

/// Where servers come from that the configuration does not have. Of servers with the same name in one backend,
/// the one of the configuration is used, else that of the first source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An operator added them.
    Operator,
    /// They were discovered.
    Discovery,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration has it.
    Configuration,
    /// Something else has it.
    Other(Source),
    /// It was removed, and still has sessions.
    Leaving,
}

/// The newest configuration has no backend of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBackend;

impl std::fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is no backend of this name")
    }
}

impl std::error::Error for UnknownBackend {}

/// Another set of servers of one backend. Workers use it from [`MembersChange::publish`] on.
#[derive(Debug)]
pub struct MembersChange {
    /// The configuration of the backend.
    pub snapshot: Arc<Snapshot>,
    /// Index of the backend in it.
    pub backend: usize,
    /// Whose servers have changed; `None`: servers that were leaving are forgotten.
    pub source: Option<Source>,
    /// The new set.
    pub members: Arc<Members>,
    /// Servers that were not in the set before: new ones, and ones that were leaving.
    pub added: Vec<Member>,
    /// Servers that stay, with another configuration.
    pub changed: Vec<Member>,
    /// Servers that are in the set no more: they get no new sessions from now on.
    pub removed: Vec<Member>,
    /// Servers that were removed before and have no sessions any more: they are forgotten.
    pub dropped: Vec<Member>,
}

impl MembersChange {
    /// The backend.
    pub fn backend(&self) -> &Arc<BackendShared> {
        &self.snapshot.backends[self.backend]
    }

    /// Gives the new set to the workers. Changes of a backend have to be published in their order. Notify the
    /// workers with sessions that wait after this.
    pub fn publish(&self) {
        self.backend().publish(Arc::clone(&self.members));
    }
}
