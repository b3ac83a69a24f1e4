//! How many sessions each worker has, and whether it can take more: what other workers look at before they hand a
//! session over.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use crate::logic::time::Instant;

/// A worker that has not looked for so long at what was handed over to it gets nothing more.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// What is known of each worker. Each has cache lines of its own: others read them when they hand a session over, and
/// write to them then; while sessions stay where they were accepted, each worker writes to its own alone.
#[derive(Debug)]
pub struct Loads {
    workers: Box<[CachePadded<Load>]>,
    /// Turns of its loop, by index of the worker. It alone writes this.
    turns: Box<[CachePadded<AtomicU64>]>,
    /// The control plane looks at the workers from time to time.
    is_watched: CachePadded<AtomicBool>,
}

/// What is known of one worker.
#[derive(Debug, Default)]
struct Load {
    /// Sessions that it has, and those that are on their way to it.
    sessions: AtomicU32,
    /// Something was handed over to it, and it has not looked yet.
    is_notified: AtomicBool,
    /// Since when, in nanoseconds.
    notified_at: AtomicU64,
    /// It takes nothing more: it stops.
    is_closed: AtomicBool,
    /// It stands still: it has something to do and does not do it.
    is_stalled: AtomicBool,
}

impl Loads {
    /// Of this many workers, which have no sessions.
    pub fn new(workers: usize) -> Self {
        Loads {
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            turns: (0..workers)
                .map(|_| CachePadded::new(AtomicU64::new(0)))
                .collect(),
            is_watched: CachePadded::new(AtomicBool::new(false)),
        }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Sessions that a worker has or gets.
    pub fn sessions(&self, worker: usize) -> u32 {
        self.workers[worker].sessions.load(Ordering::Relaxed)
    }

    /// Counts a session of this worker.
    pub fn add(&self, worker: usize) {
        self.workers[worker]
            .sessions
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session for a worker that has exactly `seen`, and otherwise does nothing: of several workers that
    /// saw the same one as the least loaded, one hands over to it.
    #[must_use]
    pub fn try_add(&self, worker: usize, seen: u32) -> bool {
        let sessions = &self.workers[worker].sessions;
        let (relaxed, next) = (Ordering::Relaxed, seen.wrapping_add(1));
        sessions
            .compare_exchange(seen, next, relaxed, relaxed)
            .is_ok()
    }

    /// A session has ended, or did not begin.
    pub fn remove(&self, worker: usize) {
        let before = self.workers[worker]
            .sessions
            .fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a session ended that was not counted");
    }

    /// Notes, after something was sent to it, that a worker has to look. Returns whether it has to be woken: if not,
    /// it was notified before and has not looked since.
    #[must_use]
    pub fn notify(&self, worker: usize, now: Instant) -> bool {
        let load = &self.workers[worker];
        if !load.is_notified.load(Ordering::Relaxed) {
            load.notified_at.store(now.as_nanos(), Ordering::Relaxed);
        }
        !load.is_notified.swap(true, Ordering::SeqCst)
    }

    /// Whether something was handed over to a worker at which it has not looked.
    pub fn is_notified(&self, worker: usize) -> bool {
        self.workers[worker].is_notified.load(Ordering::SeqCst)
    }

    /// Whether that is so, and no more: the worker looks after this.
    #[must_use]
    pub fn take_notice(&self, worker: usize) -> bool {
        let is_notified = &self.workers[worker].is_notified;
        is_notified.load(Ordering::Relaxed) && is_notified.swap(false, Ordering::SeqCst)
    }

    /// Notes that a worker takes nothing more. It looks once more after this: whoever hands something over later
    /// sees this, by [`Loads::is_closed`] after the sending, and takes it back.
    pub fn close(&self, worker: usize) {
        self.workers[worker].is_closed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether a worker takes nothing more. To be asked after something was sent to it.
    pub fn is_closed(&self, worker: usize) -> bool {
        fence(Ordering::SeqCst);
        self.workers[worker].is_closed.load(Ordering::SeqCst)
    }

    /// Notes whether a worker stands still. Only the control plane calls this.
    pub fn set_stalled(&self, worker: usize, stalled: bool) {
        self.workers[worker]
            .is_stalled
            .store(stalled, Ordering::Relaxed);
    }

    /// Whether a worker stands still.
    pub fn is_stalled(&self, worker: usize) -> bool {
        self.workers[worker].is_stalled.load(Ordering::Relaxed)
    }

    /// Whether a session may be handed over to a worker: it does not stop, and has not left something lying for
    /// longer than 100 ms.
    pub fn takes(&self, worker: usize, now: Instant) -> bool {
        let load = &self.workers[worker];
        let is_closed = load.is_closed.load(Ordering::Relaxed);
        if is_closed || load.is_stalled.load(Ordering::Relaxed) {
            return false;
        }
        let notified_at = Instant::from_nanos(load.notified_at.load(Ordering::Relaxed));
        let is_notified = load.is_notified.load(Ordering::Relaxed);
        !is_notified || now.duration_since(notified_at) <= ANSWER_TIME
    }

    /// Notes whether the control plane looks at the workers from time to time. After it has said that it does not, it
    /// looks once more at which of them are notified.
    pub fn set_watched(&self, watched: bool) {
        self.is_watched.swap(watched, Ordering::SeqCst);
    }

    /// Whether it does. To be asked after a worker was notified.
    pub fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::SeqCst)
    }

    /// Counts a turn of the loop of a worker. Only that worker calls this.
    pub fn turn(&self, worker: usize) {
        let turns = self.turns[worker].load(Ordering::Relaxed);
        self.turns[worker].store(turns.wrapping_add(1), Ordering::Relaxed);
    }

    /// How many turns a worker has made.
    pub fn turns(&self, worker: usize) -> u64 {
        self.turns[worker].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_workers_that_saw_the_same_one_hands_over() {
        let loads = Loads::new(2);
        let seen = loads.sessions(1);
        assert!(loads.try_add(1, seen));
        assert!(!loads.try_add(1, seen));
        assert_eq!(loads.sessions(1), 1);
        loads.remove(1);
        assert_eq!(loads.sessions(1), 0);
    }

    #[test]
    fn a_worker_that_leaves_something_lying_gets_nothing_more_after_100_ms() {
        let loads = Loads::new(1);
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        assert!(loads.notify(0, at(10)), "it is woken");
        assert!(!loads.notify(0, at(60)), "it was woken before");
        assert!(loads.takes(0, at(110)));
        assert!(!loads.takes(0, at(111)));
        assert!(loads.take_notice(0) && !loads.take_notice(0));
        assert!(loads.takes(0, at(111)), "it has looked");
        loads.set_stalled(0, true);
        assert!(!loads.takes(0, at(111)));
        loads.set_stalled(0, false);
        loads.close(0);
        assert!(loads.is_closed(0) && !loads.takes(0, at(111)));
    }
}
