//! What belongs to the process as a whole and is shared by both planes and all workers.
//!
//! [`crate::snapshot`] has what belongs to a frontend, a backend or a server; [`crate::sync`] has the kinds
//! of atomics that both are built of.

use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, unbounded};
use crossbeam_utils::CachePadded;

use crate::snapshot::{FrontendShared, QueueShared, ServerShared};
use crate::sync::{ClientTable, Counter, Failures, Flag, SessionLimit, WaitRegistry};

/// What one worker counts of itself.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Sessions that began.
    pub sessions_started: Counter,
    /// Sessions that ended.
    pub sessions_ended: Counter,
    /// Sessions of these that began here and whose connection another worker had accepted.
    pub sessions_handed_over: Counter,
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

/// What may have a free slot: a worker with sessions that wait for it is notified and looks.
#[derive(Clone, Debug)]
pub enum Freed {
    /// A server; or it has gone down. For the sessions in its queues.
    Server(Arc<ServerShared>),
    /// Servers of a backend have changed. For the sessions that wait for any of them.
    Queue(Arc<QueueShared>),
    /// The limit of a frontend: for its listeners.
    Frontend(Arc<FrontendShared>),
    /// The limit of the process: for all listeners.
    Process,
}

/// What belongs to the process as a whole.
pub struct Shared {
    /// Sessions of the process.
    pub session_limit: SessionLimit,
    /// Clients of frontends that limit each.
    pub clients: ClientTable,
    /// Workers that stopped accepting because the limit is reached.
    pub paused: WaitRegistry,
    /// By index of the worker. Each is written by that worker alone, and on cache lines of its own.
    pub workers: Box<[CachePadded<WorkerCounters>]>,
    /// Ends the wait of a worker, by index.
    wakers: Vec<Box<dyn Fn() + Send + Sync>>,
    /// By worker: notifications that it has not taken yet. None is in here twice.
    freed: Box<[(Sender<Freed>, Receiver<Freed>)]>,
    /// A thread ended by an internal error.
    failed: Flag,
    /// No new sessions are accepted any more.
    stopping: Flag,
    /// Notifies the health thread of a failed session, by [`ServerShared::id`].
    checker: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("session_limit", &self.session_limit)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// For one worker per waker.
    pub fn new(sessions_max: u32, wakers: Vec<Box<dyn Fn() + Send + Sync>>) -> Self {
        let workers = wakers.len();
        Shared {
            session_limit: SessionLimit::new(Some(sessions_max)),
            clients: ClientTable::default(),
            paused: WaitRegistry::new(workers),
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            freed: (0..workers).map(|_| unbounded()).collect(),
            wakers,
            failed: Flag::default(),
            stopping: Flag::default(),
            checker: OnceLock::new(),
        }
    }

    /// Sets what is called, with [`ServerShared::id`], when a session with it has failed. Only the first call counts.
    /// `checker` must not block.
    pub fn set_checker(&self, checker: Box<dyn Fn(u64) + Send + Sync>) {
        let _ = self.checker.set(checker);
    }

    /// Counts a connect to a server that failed, and notifies the health thread unless it was notified
    /// already.
    pub fn connect_failed(&self, server: &ServerShared) {
        self.failed(server, &server.connect_failures);
    }

    /// The same for a session that the server has not answered.
    pub fn left_unanswered(&self, server: &ServerShared) {
        self.failed(server, &server.answer_failures);
    }

    fn failed(&self, server: &ServerShared, failures: &Failures) {
        if failures.add()
            && let Some(checker) = self.checker.get()
        {
            checker(server.id);
        }
    }

    /// Notifies a worker of something that may be free. Returns whether it has to be woken; if not, it was
    /// notified of the same before and has not looked yet.
    #[must_use]
    pub fn notify(&self, worker: usize, freed: Freed) -> bool {
        if !self.registry(&freed).mark_notified(worker) {
            return false;
        }
        // Fails only after the worker has ended.
        let _ = self.freed[worker].0.send(freed);
        true
    }

    /// The next notification of a worker. It looks after this whether a slot is free.
    pub fn next_freed(&self, worker: usize) -> Option<Freed> {
        let freed = self.freed[worker].1.try_recv().ok()?;
        // What becomes free from now on is followed by another notice; what was free before is seen now.
        self.registry(&freed).clear_notified(worker);
        Some(freed)
    }

    fn registry<'a>(&'a self, freed: &'a Freed) -> &'a WaitRegistry {
        match freed {
            Freed::Server(server) => &server.waiting,
            Freed::Queue(queue) => &queue.waiting,
            Freed::Frontend(frontend) => &frontend.paused,
            Freed::Process => &self.paused,
        }
    }

    /// Notifies all workers with sessions that wait for this server, or for any of its backend, that it may
    /// have a free slot or has gone down. Call it after that was published.
    pub fn notify_waiters(&self, server: &Arc<ServerShared>) {
        for worker in 0..self.wakers.len() {
            let waits = server.waiting.waits(worker) || server.queue.waiting.waits(worker);
            if waits && self.notify(worker, Freed::Server(Arc::clone(server))) {
                self.wake(worker);
            }
        }
    }

    /// Notifies all workers with sessions that wait for any server of a backend that its servers have changed.
    /// Call it after that was published.
    pub fn notify_queue(&self, queue: &Arc<QueueShared>) {
        for worker in 0..self.wakers.len() {
            let waits = queue.waiting.waits(worker);
            if waits && self.notify(worker, Freed::Queue(Arc::clone(queue))) {
                self.wake(worker);
            }
        }
    }

    /// Ends the wait of a worker.
    pub fn wake(&self, worker: usize) {
        (self.wakers[worker])();
    }

    /// Notes that a thread ended by an internal error.
    pub fn mark_failed(&self) {
        self.failed.set();
    }

    /// Whether a thread did.
    pub fn has_failed(&self) -> bool {
        self.failed.is_set()
    }

    /// Notes that the process stops.
    pub fn mark_stopping(&self) {
        self.stopping.set();
    }

    /// Whether the process stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_set()
    }
}
