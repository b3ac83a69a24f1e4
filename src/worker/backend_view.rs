//! A backend of a configuration, as the balancer sees it.

use std::sync::Arc;

use crate::config;
use crate::logic::balance::{self, Servers};
use crate::snapshot::{ServerShared, Snapshot};

/// The servers of one backend. Indices are their positions in the configuration.
pub struct BackendView<'a> {
    servers: &'a [config::Server],
    pub shared: &'a [Arc<ServerShared>],
}

impl<'a> BackendView<'a> {
    /// The view of the backend of this index.
    pub fn of(snapshot: &'a Snapshot, backend: usize) -> Self {
        BackendView {
            servers: &snapshot.config.backends[backend].servers,
            shared: &snapshot.backends[backend].servers,
        }
    }

    /// Whether a new session would have to wait: for the server of this index, or for any.
    pub fn is_full(&self, pinned: Option<u16>) -> bool {
        match pinned {
            None => balance::is_full(self),
            Some(server) => {
                let server = &self.shared[usize::from(server)];
                server.availability.is_usable() && server.session_limit.free() == 0
            }
        }
    }
}

impl Servers for BackendView<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn usable(&self, index: usize) -> bool {
        self.shared[index].availability.is_usable()
    }

    fn weight(&self, index: usize) -> u32 {
        self.shared[index].availability.weight()
    }

    fn is_backup(&self, index: usize) -> bool {
        self.servers[index].backup
    }

    fn sessions(&self, index: usize) -> u32 {
        self.shared[index].session_limit.used()
    }

    fn has_room(&self, index: usize) -> bool {
        // Slots that sticky sessions wait for are not offered to others.
        let server = &self.shared[index];
        server.session_limit.free() > 0 && !server.waiting.any()
    }
}
