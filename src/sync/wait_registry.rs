//! Which workers have sessions that wait for a slot, so that a slot that is given back is offered to the
//! session that waits longest.

use crate::atomics::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use crate::logic::time::Instant;

/// The time of a worker in which no session waits.
const NONE: u64 = u64::MAX;

/// For each worker: since when its longest waiting session waits, and whether it was notified that a slot
/// may be free.
#[derive(Debug)]
pub struct WaitRegistry {
    /// Workers in which a session waits: usually none, which one load shows.
    count: AtomicU32,
    /// By worker: the time of its longest waiting session in nanoseconds, or [`NONE`].
    since: Box<[AtomicU64]>,
    /// By worker: it was notified and has not looked yet.
    notified: Box<[AtomicBool]>,
}

impl WaitRegistry {
    /// For this many workers; no session waits.
    pub fn new(workers: usize) -> Self {
        WaitRegistry {
            count: AtomicU32::new(0),
            since: (0..workers).map(|_| AtomicU64::new(NONE)).collect(),
            notified: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Sets since when the longest waiting session of `worker` waits; `None`: none waits. Only that worker
    /// calls this. Look for a free slot once more after this: one may just have been given back.
    pub fn publish(&self, worker: usize, since: Option<Instant>) {
        let new = since.map_or(NONE, |since| since.as_nanos().min(NONE - 1));
        let old = self.since[worker].load(Ordering::Relaxed);
        if new == old {
            return;
        }
        self.since[worker].store(new, Ordering::SeqCst);
        match (old == NONE, new == NONE) {
            (true, false) => self.count.fetch_add(1, Ordering::SeqCst),
            (false, true) => self.count.fetch_sub(1, Ordering::SeqCst),
            (true, true) | (false, false) => 0,
        };
        // A thread that gives a slot back now sees this worker, or has done so before the next look.
        fence(Ordering::SeqCst);
    }

    /// Whether a session of this worker waits.
    pub fn waits(&self, worker: usize) -> bool {
        self.since[worker].load(Ordering::SeqCst) != NONE
    }

    /// Whether a session of any worker waits.
    pub fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// The worker with the session that waits longest of all.
    pub fn longest_waiting(&self) -> Option<usize> {
        self.first_after((0, 0))
    }

    /// The same among the workers that come after this one in the order of waiting; among all if no session
    /// of this one waits.
    pub fn next_after(&self, worker: usize) -> Option<usize> {
        match self.since[worker].load(Ordering::SeqCst) {
            NONE => self.longest_waiting(),
            since => self.first_after((since, worker + 1)),
        }
    }

    /// The first worker at or after `start`, ordered by time and then by index.
    fn first_after(&self, start: (u64, usize)) -> Option<usize> {
        if !self.any() {
            return None;
        }
        let times = self.since.iter().map(|since| since.load(Ordering::SeqCst));
        let waiting = times.zip(0..).filter(|(since, _)| *since != NONE);
        let first = waiting.filter(|waiting| *waiting >= start).min();
        first.map(|(_, worker)| worker)
    }

    /// Notes that `worker` is notified. Returns whether it was not yet, so that a notice has to be sent.
    #[must_use]
    pub fn mark_notified(&self, worker: usize) -> bool {
        !self.notified[worker].swap(true, Ordering::SeqCst)
    }

    /// Notes that `worker` looks for a free slot after this: a slot that is freed later needs another notice.
    pub fn clear_notified(&self, worker: usize) {
        self.notified[worker].swap(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiting_worker_is_found() {
        let waiters = WaitRegistry::new(3);
        assert_eq!(waiters.longest_waiting(), None);
        waiters.publish(2, Some(Instant::from_nanos(50)));
        waiters.publish(0, Some(Instant::from_nanos(70)));
        assert_eq!(waiters.longest_waiting(), Some(2));
        waiters.publish(2, Some(Instant::from_nanos(90)));
        assert_eq!(waiters.longest_waiting(), Some(0));
        waiters.publish(1, Some(Instant::from_nanos(90)));
        let following = [0, 1, 2].map(|worker| waiters.next_after(worker));
        assert_eq!(following, [Some(1), Some(2), None], "by time, then number");
        waiters.publish(1, None);
        assert_eq!(
            waiters.next_after(1),
            Some(0),
            "a worker without a waiting session comes before all"
        );
        waiters.publish(0, None);
        waiters.publish(2, None);
        assert!(!waiters.any());
        assert_eq!(waiters.longest_waiting(), None);
    }
}
