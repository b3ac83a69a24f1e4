//! The servers of the backends, which can change while the process serves.
//!
//! Servers come from the configuration, from discovery and from operators ([`Source`]). Each source sets all of
//! its servers of one backend with [`BackendRegistry::set_members`]; what a backend then has is all of them.
//! Nothing is done for other backends, and no configuration is made.
//!
//! ```text
//!   set_members --> Registry: the new set --> health thread: checks it, publishes it --> workers, on each choice
//! ```
//!
//! A server that is removed is leaving: it gets no new sessions, is checked and shown as before, and is
//! forgotten when its last session has ended. If it comes back before that, it is the same server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::health::Statuses;
use super::journal::Journal;
use super::names::Resolved;
use super::overrides::Overrides;
use crate::config::{Config, Server};
use crate::snapshot::{
    Member, Members, MembersChange, Origin, Registry, Snapshot, Source, UnknownBackend,
};

/// How often servers whose last session has ended are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);

/// The servers of all backends. Clones are the same.
#[derive(Clone)]
pub struct BackendRegistry(Arc<Inner>);

struct Inner {
    /// Held while a change is given to the health thread, too, so that changes keep their order.
    registry: Mutex<Registry>,
    statuses: Statuses,
    overrides: Arc<Overrides>,
}

/// [`BackendRegistry::set_members`] has changed something.
#[derive(Debug)]
pub struct SetMembers {
    /// How many servers the backend has now.
    pub count: usize,
    /// Resolves when the workers have the new set.
    pub in_effect: oneshot::Receiver<()>,
}

impl BackendRegistry {
    /// Over the registry that has made the first snapshot.
    pub fn new(registry: Registry, statuses: Statuses, overrides: Arc<Overrides>) -> Self {
        BackendRegistry(Arc::new(Inner {
            registry: Mutex::new(registry),
            statuses,
            overrides,
        }))
    }

    /// The next snapshot, for a reload. Servers of other sources stay in the backends that it has.
    pub fn snapshot(&self, config: Config) -> Arc<Snapshot> {
        let mut registry = self.registry();
        let snapshot = registry.snapshot(config);
        self.0.overrides.added().put_into(&snapshot, &mut registry);
        snapshot
    }

    /// The servers of the backend of this name.
    pub fn members(&self, backend: &str) -> Option<Arc<Members>> {
        self.registry().members(backend)
    }

    /// Where the server of this name in the backend of this name comes from; see [`Registry::find`].
    pub fn find(&self, backend: &str, server: &str) -> Option<(Origin, Member)> {
        self.registry().find(backend, server)
    }

    /// Makes these the servers of `source` in the backend of this name, instead of those that it had. Their
    /// names have to differ from each other; a server of the configuration with the same name is used instead
    /// of one of these.
    ///
    /// It does not wait. Its time is linear in the number of servers of this backend; that of each worker too,
    /// once, when it chooses a server next.
    ///
    /// `None`: nothing has changed.
    ///
    /// # Errors
    ///
    /// The newest configuration has no such backend.
    pub fn set_members(
        &self,
        backend: &str,
        source: Source,
        servers: Vec<Server>,
    ) -> Result<Option<SetMembers>, UnknownBackend> {
        self.set_resolved(backend, source, servers, None)
    }

    /// The same; new servers with host names get these addresses. What cannot be resolved is told to the journal.
    ///
    /// # Errors
    ///
    /// The newest configuration has no such backend.
    pub fn set_resolved(
        &self,
        backend: &str,
        source: Source,
        servers: Vec<Server>,
        resolved: Option<(&Resolved, &Journal)>,
    ) -> Result<Option<SetMembers>, UnknownBackend> {
        let mut registry = self.registry();
        let Some(change) = registry.set_members(backend, source, servers)? else {
            return Ok(None);
        };
        if let Some((resolved, journal)) = resolved {
            for member in &change.added {
                resolved.give(backend, member, journal);
            }
        }
        let count = change.members.servers().len();
        Ok(Some(SetMembers {
            count,
            in_effect: self.put_into_effect(backend, change),
        }))
    }

    /// Every second, for as long as it is polled: forgets servers that were removed and whose last session has
    /// ended.
    pub async fn forget_left(self) {
        let mut interval = tokio::time::interval(FORGET_INTERVAL);
        loop {
            interval.tick().await;
            self.forget_left_now();
        }
    }

    /// The same, once.
    pub fn forget_left_now(&self) {
        let mut registry = self.registry();
        for change in registry.drop_left() {
            let backend = change.snapshot.config.backends[change.backend].name.clone();
            self.put_into_effect(&backend, change);
        }
    }

    fn put_into_effect(&self, backend: &str, change: MembersChange) -> oneshot::Receiver<()> {
        let changes = self.0.overrides.changes_of(backend, &change.added);
        self.0.statuses.set_members(change, changes)
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = self.0.registry.lock();
        registry.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
