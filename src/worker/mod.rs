//! The data plane: one worker is one thread with one ring, its own listeners and its own sessions.
//!
//! This is the only place that sees both `logic` (what to do) and `io` (how to do it). A completion
//! becomes an event (`dispatch`), the session's machine answers with actions, and an action
//! becomes an operation (`apply`; `sending` for sends). `event_loop` goes round; `listener` accepts,
//! and `paused` goes on where there was no place for a session; `places` chooses servers, `queue`
//! serves those who wait for one; `http` reads and edits heads; `shortage` shares out few buffers, by
//! the list of `stalled` directions; `counting` counts; `config` keeps the configurations that are in
//! use and `adopt` takes a new one;
//! `sessions` lists and closes open sessions for the operator.
//!
//! A worker shares only [`crate::shared`] and [`crate::snapshot`] with the others, and touches them
//! when a session begins or ends and at most once a second in between, never for a byte.

mod acceptor;
mod access;
mod accounting;
mod admission;
mod adopt;
mod apply;
mod backend_view;
mod command;
mod config_generations;
mod connecting;
mod context;
mod dispatch;
mod event_loop;
mod http;
mod notices;
mod paused;
mod queueing;
mod reporting;
mod select_server;
mod sending;
mod session_commands;
mod session_scan;
mod shortage;
mod slot;
mod stalled;
mod token;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use slab::Slab;

use acceptor::Acceptor;
pub use access::{AccessRecord, LogBatch, LogSink};
pub use command::{Adoption, Command, Listening, Release};
use config_generations::ConfigGenerations;
use context::StopState;
pub use http::Exchange;
use notices::Notices;
use reporting::Reporting;
use sending::Outgoing;
pub use session_commands::{Filter, Reply, Report, SessionCommand, SessionId, SessionInfo, Task};
use slot::Slot;
use stalled::Stalled;
use token::Key;
use waiting::WaitingSessions;

use crate::io::Engine;
use crate::logic::session::{Event, Side};
use crate::logic::time::Instant;
use crate::logic::timer_wheel::TimerWheel;
use crate::shared::{Shared, WorkerCounters};
use crate::snapshot::Snapshot;

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
    commands: Receiver<Command<E::Listener>>,
    clock_zero: u64,
    /// The time, read once per turn of the loop.
    now: Instant,
    sessions: Slab<Slot<E>>,
    /// The generation that the next session gets.
    generation: u16,
    timers: TimerWheel,
    /// Where heads are rewritten.
    scratch: Vec<u8>,
    acceptor: Acceptor<E>,
    waiting: WaitingSessions,
    notices: Notices,
    /// Sends of this turn.
    sends: Vec<Outgoing<E>>,
    /// Receives that found no buffer, longest first.
    starved: VecDeque<(Key, Side)>,
    /// Directions whose bytes wait.
    stalled: Stalled,
    /// Events that actions of the current event led to.
    answers: VecDeque<Event>,
    stop: StopState,
    reporting: Reporting,
}

impl<E: Engine> Worker<E> {
    /// A worker that is ready to run on the current thread.
    pub fn new(setup: Setup<E>) -> Self {
        let shows_bytes = setup.snapshot.config.admin.is_some();
        let reporting = Reporting::new(setup.index, &setup.shared, setup.log, shows_bytes);
        let mut worker = Worker {
            index: setup.index,
            now: Instant::ZERO,
            timers: TimerWheel::new(Instant::ZERO),
            sessions: Slab::new(),
            generation: 0,
            scratch: Vec::new(),
            acceptor: Acceptor::new(setup.index, &setup.shared),
            waiting: WaitingSessions::new(setup.index),
            notices: Notices::new(setup.index, Arc::clone(&setup.shared)),
            sends: Vec::new(),
            starved: VecDeque::new(),
            stalled: Stalled::default(),
            answers: VecDeque::new(),
            stop: StopState::Running,
            reporting,
            engine: setup.engine,
            commands: setup.commands,
            clock_zero: setup.clock_zero,
            configs: ConfigGenerations::new(setup.snapshot, setup.seed),
        };
        for listening in setup.listeners {
            worker.acceptor.add(listening, &mut worker.configs);
        }
        worker
    }

    fn counters(&self) -> &WorkerCounters {
        self.reporting.accounting.counters()
    }
}
