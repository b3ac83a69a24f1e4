//! Memory that both planes and all workers touch: places, who waits for one, counters.
//!
//! Here are its kinds, and what belongs to the process as a whole; [`crate::snapshot`] has what
//! belongs to a frontend, a backend or a server. Nothing here is touched for a byte that is
//! relayed; the counts of places change when a session begins, takes a server or ends. Every
//! ordering of an atomic in the program is in this file: a `SeqCst` fence on both sides where "give
//! back, then look who waits" meets "say that you wait, then look for a place" (either may come
//! first, never neither), `Relaxed` for counters that one thread writes. A model checker runs this
//! file through all its interleavings (`tests/model.rs`); it puts its own atomics in the place of
//! `crate::atomics`.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, unbounded};
use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use crate::logic::time::Instant;
use crate::snapshot::{FrontendShared, ServerShared};

/// A bounded number of places, taken and given back by all workers.
#[derive(Debug)]
pub struct SessionLimit {
    used: CachePadded<AtomicU32>,
    /// The most that were taken at once.
    peak: CachePadded<AtomicU32>,
    max: AtomicU32,
}

impl SessionLimit {
    /// `max` free places; `None`: as many as there are numbers.
    pub fn new(max: Option<u32>) -> Self {
        SessionLimit {
            used: CachePadded::default(),
            peak: CachePadded::default(),
            max: AtomicU32::new(max.unwrap_or(u32::MAX)),
        }
    }

    /// Changes the bound. What is taken beyond a lower one stays taken until it is given back. Have
    /// the workers look after this: one may wait for what a higher one allows.
    pub fn set_max(&self, max: Option<u32>) {
        self.max.store(max.unwrap_or(u32::MAX), Ordering::SeqCst);
    }

    /// Takes one, if one is free. The bound is never exceeded.
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
                    // Mostly a read of a line that nobody writes.
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

    /// Gives one back that was taken. Look who waits for one after this.
    pub fn release(&self) {
        let before = self.used.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "a place was given back that was not taken");
        // Whoever waits is seen now, or sees the place that is free.
        fence(Ordering::SeqCst);
    }

    /// SessionLimit taken now.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::SeqCst)
    }

    /// The most places that were taken at once.
    pub fn peak(&self) -> u32 {
        self.peak.load(Ordering::Relaxed)
    }

    /// SessionLimit free now.
    pub fn free(&self) -> u32 {
        self.max.load(Ordering::SeqCst).saturating_sub(self.used())
    }

    /// The bound, if there is one.
    pub fn max(&self) -> Option<u32> {
        let max = self.max.load(Ordering::SeqCst);
        (max != u32::MAX).then_some(max)
    }
}

/// Nobody waits.
const NOBODY: u64 = u64::MAX;

/// Which workers have somebody waiting, and since when the longest.
#[derive(Debug)]
pub struct WaitRegistry {
    /// Workers with somebody waiting: one look tells the usual case.
    count: AtomicU32,
    /// Nanoseconds, by worker.
    since: Box<[AtomicU64]>,
    /// By worker: it was told that there is something free, and has not taken note yet.
    notified: Box<[AtomicBool]>,
}

impl WaitRegistry {
    /// Nobody of `workers` waits.
    pub fn new(workers: usize) -> Self {
        WaitRegistry {
            count: AtomicU32::new(0),
            since: (0..workers).map(|_| AtomicU64::new(NOBODY)).collect(),
            notified: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Says since when the longest of `worker` waits; `None`: nobody. Only that worker calls this.
    /// Look for a place once more after this, one may just have been given back.
    pub fn publish(&self, worker: usize, since: Option<Instant>) {
        let new = since.map_or(NOBODY, |since| since.as_nanos().min(NOBODY - 1));
        let old = self.since[worker].load(Ordering::Relaxed);
        if new == old {
            return;
        }
        self.since[worker].store(new, Ordering::SeqCst);
        match (old == NOBODY, new == NOBODY) {
            (true, false) => self.count.fetch_add(1, Ordering::SeqCst),
            (false, true) => self.count.fetch_sub(1, Ordering::SeqCst),
            (true, true) | (false, false) => 0,
        };
        // Whoever gives a place back sees who waits now, or has given it back before the next look.
        fence(Ordering::SeqCst);
    }

    /// Whether anybody of this worker waits.
    fn waits(&self, worker: usize) -> bool {
        self.since[worker].load(Ordering::SeqCst) != NOBODY
    }

    /// Whether anybody waits.
    pub fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// The worker whose longest waiter waits longest of all.
    pub fn longest_waiting(&self) -> Option<usize> {
        self.first_after((0, 0))
    }

    /// The same, of the workers that come after this one in that order; of all of them if nobody
    /// of it waits.
    pub fn next_after(&self, worker: usize) -> Option<usize> {
        match self.since[worker].load(Ordering::SeqCst) {
            NOBODY => self.longest_waiting(),
            since => self.first_after((since, worker + 1)),
        }
    }

    /// The first from here on, in the order of their times and then of their numbers.
    fn first_after(&self, start: (u64, usize)) -> Option<usize> {
        if !self.any() {
            return None;
        }
        let times = self.since.iter().map(|since| since.load(Ordering::SeqCst));
        let waiting = times.zip(0..).filter(|(since, _)| *since != NOBODY);
        let first = waiting.filter(|waiting| *waiting >= start).min();
        first.map(|(_, worker)| worker)
    }
}

/// A count that one thread writes and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only the owning thread calls this, which is what makes it cheap.
    pub fn add(&self, n: u64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(n), Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that one worker sets and anybody reads.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts of itself.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Sessions that began.
    pub sessions_started: Counter,
    /// Sessions that ended.
    pub sessions_ended: Counter,
    /// Bytes read from clients.
    pub bytes_from_clients: Counter,
    /// Bytes read from servers.
    pub bytes_from_servers: Counter,
    /// Connect attempts that failed.
    pub connect_failures: Counter,
    /// Connect attempts after the first of a session.
    pub retries: Counter,
    /// Times that descriptors, memory or ports were short.
    pub shortages: Counter,
    /// Receives that found no buffer and were made again.
    pub buffer_misses: Counter,
    /// Completions for a session that is gone: always 0 unless something is wrong.
    pub stale_completions: Counter,
    /// Lines of the access log that were dropped because the log could not keep up.
    pub log_lines_dropped: Counter,
}

/// Whether new sessions may go to a server, and its weight: one word, so that no reader sees half
/// of a change. The health thread writes it, workers read it with every choice.
#[derive(Debug)]
pub struct ServerAvailability(AtomicU32);

/// The bit of a [`ServerAvailability`] that is not weight.
const USABLE: u32 = 1 << 31;

impl ServerAvailability {
    /// Usable, with this weight.
    pub fn new(weight: u32) -> Self {
        ServerAvailability(AtomicU32::new(weight | USABLE))
    }

    /// Changes it. Tell those who wait for it after this, with [`Shared::notify_waiters`].
    pub fn publish(&self, usable: bool, weight: u32) {
        debug_assert!(weight < USABLE);
        let usable = if usable { USABLE } else { 0 };
        self.0.store(weight | usable, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether new sessions may go there.
    pub fn is_usable(&self) -> bool {
        self.0.load(Ordering::SeqCst) & USABLE != 0
    }

    /// Its weight as it is now, whether it is usable or not.
    pub fn weight(&self) -> u32 {
        self.0.load(Ordering::SeqCst) & !USABLE
    }
}

/// Connects to a server that failed, as workers tell the health thread.
#[derive(Debug, Default)]
pub struct ConnectFailures {
    count: AtomicU64,
    /// The health thread was told and has not looked yet.
    notified: AtomicBool,
}

impl ConnectFailures {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The health thread probes the server now: it wants to be told of failures from here on.
    pub fn seen(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }
}

/// What may be free: a worker that waits for it is told, and looks.
#[derive(Clone, Debug)]
pub enum Freed {
    /// A place on a server, or the server has gone down: for the sessions in its queues.
    Server(Arc<ServerShared>),
    /// A place for a session of a frontend: for its listeners.
    Frontend(Arc<FrontendShared>),
    /// A place for a session of the process: for all listeners.
    Process,
}

/// The addresses of a server: its own, or those that its host name was last resolved to. Reading
/// them takes no lock.
#[derive(Debug)]
pub struct Addresses {
    /// Empty: the name has never been resolved.
    all: ArcSwap<Vec<SocketAddr>>,
    /// Index of the one to try first, modulo their number.
    first: AtomicUsize,
    /// The name has to be resolved again.
    stale: AtomicBool,
}

impl Addresses {
    /// These; without any, the name has to be resolved.
    pub fn new(all: Vec<SocketAddr>) -> Self {
        Addresses {
            first: AtomicUsize::new(0),
            stale: AtomicBool::new(all.is_empty()),
            all: ArcSwap::from_pointee(all),
        }
    }

    /// All of them, in the order of the resolver.
    pub fn all(&self) -> Arc<Vec<SocketAddr>> {
        self.all.load_full()
    }

    /// Whether there is any.
    pub fn is_resolved(&self) -> bool {
        !self.all.load().is_empty()
    }

    /// The name was resolved to these, at least one. Returns whether they are others than before:
    /// their order alone has no meaning.
    pub fn resolved(&self, all: Vec<SocketAddr>) -> bool {
        self.stale.store(false, Ordering::SeqCst);
        let old = self.all.load();
        let is_same = old.len() == all.len() && all.iter().all(|address| old.contains(address));
        if !is_same {
            self.all.store(Arc::new(all));
            self.first.store(0, Ordering::Relaxed);
        }
        !is_same
    }

    /// The name could not be resolved: what is known stays in use.
    pub fn mark_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// Whether the name has to be resolved again.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::SeqCst)
    }

    /// Index of the address to try first: the one that worked last.
    pub fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// The address of this index, modulo their number, unless `tried` are all of them.
    pub fn get(&self, index: usize, tried: usize) -> Option<SocketAddr> {
        let all = self.all.load();
        (tried < all.len()).then(|| all[index % all.len()])
    }

    /// The address of this index works.
    pub fn prefer(&self, index: usize) {
        // Mostly a read of a line that nobody writes.
        if self.first() != index {
            self.first.store(index, Ordering::Relaxed);
        }
    }

    /// The address of this index does not answer: the next connect begins with the one behind it.
    pub fn pass_over(&self, index: usize) {
        let next = index.wrapping_add(1);
        let order = Ordering::Relaxed;
        // Somebody else may have found a better one.
        let _ = self.first.compare_exchange(index, next, order, order);
    }
}

/// What belongs to the process as a whole.
pub struct Shared {
    /// Sessions of the process.
    pub session_limit: SessionLimit,
    /// Workers that stopped accepting because no place is free.
    pub paused: WaitRegistry,
    /// By index of the worker. Each is written by that worker alone, and on cache lines of its own.
    pub workers: Box<[CachePadded<WorkerCounters>]>,
    /// Ends the wait of a worker, by index.
    wakers: Vec<Box<dyn Fn() + Send + Sync>>,
    /// What a worker was told of, by index. Nothing is in here twice.
    freed: Box<[(Sender<Freed>, Receiver<Freed>)]>,
    /// A worker ended by a fault of ours.
    failed: AtomicBool,
    /// No new sessions are taken any more.
    stopping: AtomicBool,
    /// Tells the health thread of a failed connect, by [`ServerShared::id`].
    checker: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("places", &self.session_limit)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// For one worker per waker.
    pub fn new(sessions_max: u32, wakers: Vec<Box<dyn Fn() + Send + Sync>>) -> Self {
        let workers = wakers.len();
        Shared {
            session_limit: SessionLimit::new(Some(sessions_max)),
            paused: WaitRegistry::new(workers),
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            freed: (0..workers).map(|_| unbounded()).collect(),
            wakers,
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            checker: OnceLock::new(),
        }
    }

    /// Sets who is told of failed connects; the first call counts. `checker` must not block.
    pub fn set_checker(&self, checker: Box<dyn Fn(u64) + Send + Sync>) {
        let _ = self.checker.set(checker);
    }

    /// Notes that a connect to a server failed, and tells the health thread unless it knows.
    pub fn connect_failed(&self, server: &ServerShared) {
        let failures = &server.connect_failures;
        failures.count.fetch_add(1, Ordering::Relaxed);
        if !failures.notified.swap(true, Ordering::SeqCst)
            && let Some(checker) = self.checker.get()
        {
            checker(server.id);
        }
    }

    /// Tells a worker of something that may be free. Returns whether it has to be woken to take
    /// note; if not, it was told the same before, and will look later than now.
    #[must_use]
    pub fn notify(&self, worker: usize, freed: Freed) -> bool {
        if self.notified_flags(&freed)[worker].swap(true, Ordering::SeqCst) {
            return false;
        }
        // The worker keeps its end as long as it runs.
        let _ = self.freed[worker].0.send(freed);
        true
    }

    /// What a worker was told of, one after the other. It looks after this whether that is free.
    pub fn next_freed(&self, worker: usize) -> Option<Freed> {
        let freed = self.freed[worker].1.try_recv().ok()?;
        // Whoever tells it from now on tells it again; what was free before is seen.
        self.notified_flags(&freed)[worker].swap(false, Ordering::SeqCst);
        Some(freed)
    }

    fn notified_flags<'a>(&'a self, freed: &'a Freed) -> &'a [AtomicBool] {
        match freed {
            Freed::Server(server) => &server.waiting.notified,
            Freed::Frontend(frontend) => &frontend.paused.notified,
            Freed::Process => &self.paused.notified,
        }
    }

    /// Tells all workers that have somebody waiting for a server, or for any of its backend, that
    /// it may have a place or has gone down; call it after that was published.
    pub fn notify_waiters(&self, server: &Arc<ServerShared>) {
        for worker in 0..self.wakers.len() {
            let waits = server.waiting.waits(worker) || server.queue.waiting.waits(worker);
            if waits && self.notify(worker, Freed::Server(Arc::clone(server))) {
                self.wake(worker);
            }
        }
    }

    /// Ends the wait of a worker.
    pub fn wake(&self, worker: usize) {
        (self.wakers[worker])();
    }

    /// Notes that a worker ended by a fault of ours.
    pub fn mark_failed(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }

    /// Whether a worker did.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Notes that the workers are told to stop.
    pub fn mark_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether they were.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tried_from_the_one_that_worked_last() {
        let list = |ports: &[u16]| -> Vec<SocketAddr> {
            let ports = ports.iter();
            ports.map(|port| ([127, 0, 0, 1], *port).into()).collect()
        };
        let order = |addresses: &Addresses| -> Vec<u16> {
            let first = addresses.first();
            let tried = (0..).map_while(|tried| addresses.get(first + tried, tried));
            tried.map(|address| address.port()).collect()
        };
        let addresses = Addresses::new(Vec::new());
        assert!(addresses.is_stale() && !addresses.is_resolved());
        assert!(order(&addresses).is_empty());
        assert!(addresses.resolved(list(&[1, 2, 3])));
        assert!(!addresses.is_stale() && addresses.is_resolved());
        assert_eq!(order(&addresses), [1, 2, 3]);
        addresses.prefer(2);
        assert_eq!(order(&addresses), [3, 1, 2]);
        addresses.pass_over(1);
        assert_eq!(order(&addresses), [3, 1, 2], "it is not the first");
        addresses.pass_over(2);
        assert_eq!(order(&addresses), [1, 2, 3]);

        addresses.prefer(1);
        addresses.mark_stale();
        assert!(!addresses.resolved(list(&[3, 1, 2])), "another order");
        assert!(!addresses.is_stale());
        assert_eq!(order(&addresses), [2, 3, 1]);
        assert!(addresses.resolved(list(&[4, 2])));
        assert_eq!(order(&addresses), [4, 2]);
    }

    #[test]
    fn places_are_never_exceeded_by_many_threads() {
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
    fn liveness_is_read_as_it_was_published() {
        let availability = ServerAvailability::new(256);
        assert_eq!(
            (availability.is_usable(), availability.weight()),
            (true, 256)
        );
        availability.publish(false, 7);
        assert_eq!(
            (availability.is_usable(), availability.weight()),
            (false, 7)
        );
        availability.publish(true, 0);
        assert_eq!((availability.is_usable(), availability.weight()), (true, 0));
    }

    #[test]
    fn a_lower_bound_takes_nothing_away() {
        let session_limit = SessionLimit::new(Some(2));
        assert!(session_limit.try_acquire() && session_limit.try_acquire());
        session_limit.set_max(Some(1));
        assert_eq!((session_limit.used(), session_limit.free()), (2, 0));
        session_limit.release();
        assert!(!session_limit.try_acquire(), "the bound is reached");
        session_limit.set_max(None);
        assert!(session_limit.try_acquire());
        assert_eq!(session_limit.max(), None);
    }

    #[test]
    fn no_bound_is_no_bound() {
        let session_limit = SessionLimit::new(None);
        assert!(session_limit.try_acquire() && session_limit.try_acquire());
        session_limit.release();
        assert_eq!((session_limit.used(), session_limit.peak()), (1, 2));
        assert_eq!(session_limit.max(), None);
    }

    #[test]
    fn the_longest_waiter_is_found() {
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
            "who does not wait is before all"
        );
        waiters.publish(0, None);
        waiters.publish(2, None);
        assert!(!waiters.any());
        assert_eq!(waiters.longest_waiting(), None);
    }
}
