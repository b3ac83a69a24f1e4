//! What is known of discovery, for whoever shows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::failure::Failure;

/// How the discovery of a backend's servers goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When the last usable answer came; `None`: there was none.
    pub last_success: Option<SystemTime>,
    /// The last round of queries brought no usable answer.
    pub is_failing: bool,
    /// Failed queries by cause, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Discovered servers.
    pub servers: usize,
    /// Servers of the last answer that there was no room for.
    pub left_out: usize,
}

/// The statuses of all backends that discover. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Statuses(Arc<Mutex<HashMap<String, Status>>>);

impl Statuses {
    /// That of a backend; `None`: its servers are not discovered.
    pub fn backend(&self, name: &str) -> Option<Status> {
        self.all().get(name).cloned()
    }

    pub(super) fn change(&self, backend: &str, change: impl FnOnce(&mut Status)) {
        if let Some(status) = self.all().get_mut(backend) {
            change(status);
        }
    }

    pub(super) fn add(&self, backend: &str) {
        self.all().entry(backend.to_owned()).or_default();
    }

    pub(super) fn remove(&self, backend: &str) {
        self.all().remove(backend);
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn all(&self) -> MutexGuard<'_, HashMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
