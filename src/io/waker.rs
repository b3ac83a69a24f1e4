//! Ending the wait of a worker from another thread.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// Wakes a worker that waits in its engine: an eventfd, which the engine polls. Any thread may hold
/// one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new() -> std::io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Waker(Arc::new(eventfd(0, flags)?)))
    }

    /// Ends the worker's wait, now or the next one.
    pub fn wake(&self) {
        // It fails only when 2^64 - 1 calls are pending, which wake just as well.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// What the engine polls: it is readable once the waker was called.
    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes it unreadable until the next call.
    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}
