//! Notices between workers that a slot was freed: on a server, of a frontend or of the process.
//!
//! A worker that frees a slot notifies one worker that has a session or a listener waiting for it.
//! That worker looks once per turn at what it was notified of, and passes on what it does not need.

use std::sync::Arc;

use crate::shared::{Freed, Shared};

/// One worker's access to the notices.
pub struct Notices {
    worker: usize,
    shared: Arc<Shared>,
    /// There may be notices for this worker that it has not read.
    pending: bool,
}

impl Notices {
    /// For the worker of this index.
    pub fn new(worker: usize, shared: Arc<Shared>) -> Self {
        Notices {
            worker,
            shared,
            pending: false,
        }
    }

    /// Notifies a worker. This worker reads its own notices later in the same turn: now may be
    /// within an event of another session.
    pub fn send(&mut self, worker: usize, freed: Freed) {
        let is_news = self.shared.notify(worker, freed);
        if worker == self.worker {
            self.pending = true;
        } else if is_news {
            self.shared.wake(worker);
        }
    }

    /// The worker was woken, perhaps for a notice.
    pub fn expect(&mut self) {
        self.pending = true;
    }

    /// There may be notices to read.
    pub fn are_pending(&self) -> bool {
        self.pending
    }

    /// The next notice. `None`: all were read.
    pub fn next(&mut self) -> Option<Freed> {
        if !self.pending {
            return None;
        }
        let next = self.shared.next_freed(self.worker);
        self.pending = next.is_some();
        next
    }
}
