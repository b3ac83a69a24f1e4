//! Sessions with a server that failed in one way: workers report them to the health thread.

use crate::atomics::{AtomicBool, AtomicU64, Ordering};

/// How many sessions with a server failed in one way, and whether the health thread knows of the newest.
#[derive(Debug, Default)]
pub struct Failures {
    count: AtomicU64,
    /// The health thread was notified and has not looked since.
    notified: AtomicBool,
}

impl Failures {
    /// Counts one. Returns whether the health thread has to be notified.
    #[must_use]
    pub fn add(&self) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        !self.notified.swap(true, Ordering::SeqCst)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The health thread looks now, or probes the server, and has to be notified of later failures.
    pub fn seen(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }
}
