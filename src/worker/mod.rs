//! The data plane: one worker is one thread with one ring, its own listeners and its own sessions.
//!
//! This is the only place that sees both `logic` (what to do) and `io` (how to do it). Read
//! `session_driver` first: the begin, each step and the end of a session. A completion becomes an
//! event (`completions`), the session's machine replies with actions, and an action becomes an
//! operation (`operations`; `sending` for sends, `connecting` for connects). `event_loop` runs the
//! turns; `listener` accepts, and `paused` goes on when a limit of sessions has room again; `places`
//! chooses servers, `queue` wakes the sessions that wait for one; `preface` reads what a
//! client must send before that, `http` reads and edits heads;
//! `shortage` shares out few buffers, by the list of `stalled` directions; `counting` counts;
//! `config_generations` keeps the configurations that are in use and `adopt` takes a new one;
//! `sessions` lists and closes open sessions for the operator.
//!
//! A worker shares only [`crate::shared`] and [`crate::snapshot`] with the others, and touches them
//! when a session begins or ends and at most once a second in between, never for a byte.

mod access;
mod adopt;
mod chunks;
mod completions;
mod config_generations;
mod connecting;
mod counting;
mod event_loop;
mod http;
mod listener;
mod operations;
mod paused;
mod places;
mod preface;
mod queue;
mod sending;
mod session_driver;
mod sessions;
mod shortage;
mod slot;
mod stalled;
mod token;

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use slab::Slab;

pub use access::{AccessRecord, LogBatch, LogSink};
pub use adopt::{Adoption, Listening};
use config_generations::ConfigGenerations;
use counting::ByteAccounting;
pub use http::Exchange;
use listener::Accepting;
use paused::Limit;
use queue::{QueueKey, Target};
use sending::Outgoing;
use sessions::SessionScan;
pub use sessions::{Filter, Reply, Report, SessionCommand, SessionId, SessionInfo, Task};
use slot::Slot;
use stalled::Stalled;
use token::Key;

use crate::io::Engine;
use crate::logic::queues::Queues;
use crate::logic::session::Side;
use crate::logic::time::Instant;
use crate::logic::timer_wheel::TimerWheel;
use crate::shared::{Shared, WorkerCounters};
use crate::snapshot::Snapshot;

/// How long after a warning of a shortage the next one may come.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// An order from the control plane. The worker's waker is called after it was sent.
pub enum Command<L> {
    /// Close listeners that another process has too.
    Release(Release),
    /// Begin all accepts anew: another process that accepted on the same sockets has closed them.
    AcceptAnew,
    /// Stop accepting, and end when the last session has ended.
    Stop,
    /// End the sessions that are still open.
    Abort,
    /// Take this configuration for all that is new.
    Adopt(Box<Adoption<L>>),
    /// Do something with open sessions, a few in each turn.
    Sessions(SessionCommand),
}

/// Listeners to close while another process goes on accepting on them: who waits there is left to it.
#[derive(Clone)]
pub struct Release {
    /// As the control plane calls them; a worker passes over those that it does not have.
    pub listeners: Arc<[u64]>,
    /// Dropped once they are closed.
    pub closed: Arc<dyn Any + Send + Sync>,
}

/// What a worker is made from.
pub struct Setup<E: Engine> {
    /// Its number, from 0.
    pub index: usize,
    /// Its engine.
    pub engine: E,
    /// The configuration to begin with.
    pub snapshot: Arc<Snapshot>,
    /// What it shares.
    pub shared: Arc<Shared>,
    /// Its listeners, all of them opened.
    pub listeners: Vec<Listening<E::Listener>>,
    /// Commands from the control plane.
    pub commands: Receiver<Command<E::Listener>>,
    /// Where warnings and records of ended sessions go.
    pub log: LogSink,
    /// What the engine's clock shows at the start of the process.
    pub clock_zero: u64,
    /// Makes random choices differ between workers and runs.
    pub seed: u64,
}

/// One worker.
pub struct Worker<E: Engine> {
    index: usize,
    engine: E,
    configs: ConfigGenerations,
    shared: Arc<Shared>,
    commands: Receiver<Command<E::Listener>>,
    log: LogSink,
    clock_zero: u64,
    /// The time, read once per turn of the loop.
    now: Instant,
    sessions: Slab<Slot<E>>,
    /// The generation that the next session gets.
    generation: u16,
    timers: TimerWheel,
    /// Where heads are rewritten.
    scratch: Vec<u8>,
    /// The waiting session that is being called.
    calling: Option<Key>,
    /// Sessions that wait for a place on a server.
    queues: Queues<Target, QueueKey>,
    listeners: Slab<Accepting<E>>,
    /// Accepting pauses until then, for want of descriptors or memory.
    short_until: Option<Instant>,
    /// Sends of this turn.
    sends: Vec<Outgoing<E>>,
    /// Receives that found no buffer, longest first.
    starved: VecDeque<(Key, Side)>,
    /// Directions whose bytes wait.
    stalled: Stalled,
    stopping: bool,
    /// Nothing that comes now becomes a session any more.
    aborting: bool,
    /// Listeners that wait for places for sessions, by index.
    paused: Queues<Limit, ()>,
    /// This worker may have been told of places that are free.
    freed_due: bool,
    /// When the next warning of a shortage may be logged.
    warn_after: Instant,
    /// When the next warning of connections with several users may be logged.
    warn_mixed_after: Instant,
    /// How far the bytes of open sessions are counted.
    byte_accounting: ByteAccounting,
    /// Session commands under way, the next first.
    session_scans: VecDeque<SessionScan>,
}

impl<E: Engine> Worker<E> {
    /// A worker that is ready to run on the current thread.
    pub fn new(setup: Setup<E>) -> Self {
        let byte_accounting = ByteAccounting::new(setup.snapshot.config.admin.is_some());
        let mut worker = Worker {
            index: setup.index,
            now: Instant::ZERO,
            timers: TimerWheel::new(Instant::ZERO),
            sessions: Slab::new(),
            generation: 0,
            scratch: Vec::new(),
            calling: None,
            queues: Queues::default(),
            listeners: Slab::new(),
            short_until: None,
            sends: Vec::new(),
            starved: VecDeque::new(),
            stalled: Stalled::default(),
            stopping: false,
            aborting: false,
            paused: Queues::default(),
            freed_due: false,
            warn_after: Instant::ZERO,
            warn_mixed_after: Instant::ZERO,
            byte_accounting,
            session_scans: VecDeque::new(),
            engine: setup.engine,
            shared: setup.shared,
            commands: setup.commands,
            log: setup.log,
            clock_zero: setup.clock_zero,
            configs: ConfigGenerations::new(setup.snapshot, setup.seed),
        };
        for listening in setup.listeners {
            worker.add_listener(listening);
        }
        worker
    }

    /// Logs a warning of a shortage, once in a while and without ever blocking.
    fn warn(&mut self, text: impl FnOnce() -> String) {
        if self.warn_after <= self.now {
            self.warn_after = self.now + WARNING_PAUSE;
            let worker = self.index;
            self.log.warn(format!("worker {worker}: {}", text()));
        }
    }

    fn counters(&self) -> &WorkerCounters {
        &self.shared.workers[self.index]
    }
}
