//! A limit on open sessions: of the process, of a frontend or of a server.

use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicU32, Ordering, fence};

/// A limit on sessions that are open at once, counted by all workers together. Each session takes a slot
/// and gives it back when it ends.
#[derive(Debug)]
pub struct SessionLimit {
    used: CachePadded<AtomicU32>,
    /// The most slots that were in use at once.
    peak: CachePadded<AtomicU32>,
    max: AtomicU32,
}

impl SessionLimit {
    /// `max` free slots; `None`: no limit.
    pub fn new(max: Option<u32>) -> Self {
        SessionLimit {
            used: CachePadded::default(),
            peak: CachePadded::default(),
            max: AtomicU32::new(max.unwrap_or(u32::MAX)),
        }
    }

    /// Changes the limit. Slots in use beyond a lower limit stay in use until they are given back. Notify
    /// the workers after this: a session may be queued for a slot that a higher limit allows.
    pub fn set_max(&self, max: Option<u32>) {
        self.max.store(max.unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    /// Takes a slot, if one is free. The limit is never exceeded.
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        let mut used = self.used.load(Ordering::SeqCst);
        while used < self.max.load(Ordering::SeqCst) {
            match self.used.compare_exchange_weak(
                used,
                used + 1,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => {
                    // Usually this only reads a cache line that nobody writes.
                    if used >= self.peak.load(Ordering::Relaxed) {
                        self.peak.fetch_max(used + 1, Ordering::Relaxed);
                    }
                    return true;
                }
                Err(now) => used = now,
            }
        }
        false
    }

    /// Gives a slot back. Look into the wait registry after this, and notify a worker.
    pub fn release(&self) {
        let before = self.used.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "a slot was given back that was not taken");
        // Either this thread now sees the worker that waits, or that worker sees the free slot.
        fence(Ordering::SeqCst);
    }

    /// Slots in use now.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::SeqCst)
    }

    /// The most slots that were in use at once.
    pub fn peak(&self) -> u32 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Slots free now; [`u32::MAX`] if there is no limit. Then the count is not read, which others write with every
    /// session: a worker asks this of each server of a backend before it chooses one.
    pub fn free(&self) -> u32 {
        match self.max.load(Ordering::SeqCst) {
            u32::MAX => u32::MAX,
            max => max.saturating_sub(self.used()),
        }
    }

    /// The limit; `None`: there is none.
    pub fn max(&self) -> Option<u32> {
        let max = self.max.load(Ordering::SeqCst);
        (max != u32::MAX).then_some(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_never_exceed_the_limit() {
        let session_limit = SessionLimit::new(Some(10));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if session_limit.try_acquire() {
                            assert!(session_limit.used() <= 10);
                            session_limit.release();
                        }
                    }
                });
            }
        });
        assert_eq!(session_limit.used(), 0);
        assert_eq!(session_limit.free(), 10);
        assert!(
            (1..=10).contains(&session_limit.peak()),
            "{}",
            session_limit.peak()
        );
    }

    #[test]
    fn a_lower_limit_takes_no_slot_away() {
        let session_limit = SessionLimit::new(Some(2));
        assert!(session_limit.try_acquire() && session_limit.try_acquire());
        session_limit.set_max(Some(1));
        assert_eq!((session_limit.used(), session_limit.free()), (2, 0));
        session_limit.release();
        assert!(!session_limit.try_acquire(), "the limit is reached");
        session_limit.set_max(None);
        assert!(session_limit.try_acquire());
        assert_eq!(session_limit.max(), None);
    }

    #[test]
    fn without_a_limit_all_slots_are_free() {
        let session_limit = SessionLimit::new(None);
        assert!(session_limit.try_acquire() && session_limit.try_acquire());
        session_limit.release();
        assert_eq!((session_limit.used(), session_limit.peak()), (1, 2));
        assert_eq!(session_limit.max(), None);
    }
}
