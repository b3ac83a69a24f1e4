//! The data plane: one worker is one thread with one ring, its own listeners and its own sessions.
//!
//! This is the only place that sees both `logic` (what to do) and `io` (how to do it). A completion
//! becomes an event (`dispatch`), the session's machine answers with actions, and an action
//! becomes an operation (`apply`). `event_loop` goes round; `listener` accepts; `places`
//! chooses servers and keeps those who wait for one; `http` reads and edits heads; `counting`
//! counts.
//!
//! A worker shares only [`crate::shared`] with the others, and touches it when a session begins or
//! ends and at most once a second in between, never for a byte.

mod access;
mod apply;
mod counting;
mod dispatch;
mod event_loop;
mod http;
mod listener;
mod places;
mod slot;
mod token;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use slab::Slab;

pub use access::{AccessRecord, LogMessage, LogSink};
use counting::Tally;
use http::Cookie;
pub use http::Exchange;
use listener::Accepting;
use slot::Slot;
use token::Key;

use crate::config::{Balance, Config, Mode};
use crate::io::Engine;
use crate::logic::balance::{Algorithm, Balancer};
use crate::logic::session::{Event, Policy, Protocol, Side};
use crate::logic::time::Instant;
use crate::logic::timer_wheel::TimerWheel;
use crate::shared::{Shared, WorkerCounters};

/// How long after a warning of a shortage the next one may come.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// An order from the control plane. The worker's waker is called after it was sent.
#[derive(Clone, Debug)]
pub enum Command {
    /// Stop accepting, and end when the last session has ended.
    Stop,
    /// End the sessions that are still open.
    Abort,
    /// End the sessions that are connected to this server: it is down.
    CutSessions {
        /// Index of its backend.
        backend: usize,
        /// Its index there.
        server: u16,
    },
}

/// What a worker is made from.
pub struct Setup<E: Engine> {
    /// Its number, from 0.
    pub index: usize,
    /// Its engine.
    pub engine: E,
    /// The configuration.
    pub config: Arc<Config>,
    /// What it shares.
    pub shared: Arc<Shared>,
    /// Its listeners, each with the index of its frontend.
    pub listeners: Vec<(u16, E::Listener)>,
    /// Orders from the control plane.
    pub commands: Receiver<Command>,
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
    config: Arc<Config>,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    log: LogSink,
    clock_zero: u64,
    /// The time, read once per turn of the loop.
    now: Instant,
    sessions: Slab<Slot<E>>,
    /// The generation that the next session gets.
    generation: u16,
    timers: TimerWheel,
    /// By index of the frontend.
    policies: Vec<Policy>,
    /// By index of the backend.
    balancers: Vec<Balancer>,
    /// Sticky cookies, by index of the backend.
    cookies: Vec<Option<Cookie>>,
    /// Where heads are rewritten.
    scratch: Vec<u8>,
    /// Sessions that wait for a place, by index of the backend, longest first.
    queues: Vec<VecDeque<Key>>,
    /// The waiting session that is being called.
    calling: Option<Key>,
    listeners: Vec<Accepting<E>>,
    /// Accepting pauses until then, for want of descriptors or memory.
    short_until: Option<Instant>,
    /// Receives that found no buffer.
    starved: VecDeque<(Key, Side)>,
    /// Events that actions of the current event led to.
    answers: VecDeque<Event>,
    stopping: bool,
    /// Nothing that comes now becomes a session any more.
    aborting: bool,
    /// Said to the others that this worker waits for places to accept.
    paused: bool,
    /// Places were given back that this worker waits for.
    resume_due: bool,
    /// When the next warning of a shortage may be logged.
    warn_after: Instant,
    /// When the next warning of connections with several users may be logged.
    warn_mixed_after: Instant,
    /// The client's address is needed, for the log or for hashing, by index of the frontend.
    wants_client: Vec<bool>,
    /// How far the bytes of open sessions are counted.
    tally: Tally,
}

impl<E: Engine> Worker<E> {
    /// A worker that is ready to run on the current thread.
    pub fn new(setup: Setup<E>) -> Self {
        let config = setup.config;
        let policies = config.frontends.iter().map(policy).collect();
        let balancers = config
            .backends
            .iter()
            .map(|backend| {
                let names: Vec<&str> = backend
                    .servers
                    .iter()
                    .map(|server| server.name.as_str())
                    .collect();
                Balancer::new(algorithm(backend.balance), &names, setup.seed)
            })
            .collect();
        let logged = setup.log.records_sessions();
        let wants_client = config
            .frontends
            .iter()
            .map(|frontend| {
                logged || config.backends[frontend.backend].balance == Balance::SourceHash
            })
            .collect();
        let mut worker = Worker {
            index: setup.index,
            now: Instant::ZERO,
            timers: TimerWheel::new(Instant::ZERO),
            sessions: Slab::new(),
            generation: 0,
            policies,
            balancers,
            cookies: config.backends.iter().map(Cookie::of).collect(),
            scratch: Vec::new(),
            queues: config.backends.iter().map(|_| VecDeque::new()).collect(),
            calling: None,
            listeners: Vec::new(),
            short_until: None,
            starved: VecDeque::new(),
            answers: VecDeque::new(),
            stopping: false,
            aborting: false,
            paused: false,
            resume_due: false,
            warn_after: Instant::ZERO,
            warn_mixed_after: Instant::ZERO,
            wants_client,
            tally: Tally::new(config.admin.is_some()),
            engine: setup.engine,
            shared: setup.shared,
            commands: setup.commands,
            log: setup.log,
            clock_zero: setup.clock_zero,
            config,
        };
        for (frontend, listener) in setup.listeners {
            worker.listeners.push(Accepting::new(frontend, listener));
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
        &self.shared.workers[self.index].worker.0
    }
}

fn policy(frontend: &crate::config::Frontend) -> Policy {
    Policy {
        protocol: match frontend.mode {
            Mode::Tcp => Protocol::Tcp,
            Mode::Http(_) => Protocol::Http,
        },
        request_timeout: frontend.timeouts.request,
        connect_timeout: frontend.timeouts.connect,
        idle_timeout: frontend.timeouts.idle,
        half_closed_timeout: frontend.timeouts.half_closed,
        queue_timeout: frontend.timeouts.queue,
        retries: frontend.retries,
    }
}

fn algorithm(balance: Balance) -> Algorithm {
    match balance {
        Balance::RoundRobin => Algorithm::RoundRobin,
        Balance::LeastConn => Algorithm::LeastConn,
        Balance::Random => Algorithm::Random,
        Balance::SourceHash => Algorithm::SourceHash,
        Balance::First => Algorithm::First,
    }
}
