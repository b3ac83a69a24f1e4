//! The data plane: one worker is one thread with one ring, its own listeners and its own sessions.
//!
//! Only here do `logic` (what to do) and `io` (how to do it) meet. Read `session_driver` first: the begin,
//! each step and the end of a session. A completion becomes an event of a session (`completions`), the
//! session's state machine orders actions, and an action becomes an operation (`operations`; `sending`
//! for sends, `connecting` for connects). `event_loop` is the loop around this.
//!
//! [`Worker`] is made of parts, each with its fields and methods, which know nothing of the worker:
//!
//! | Part | Is | Used by |
//! | --- | --- | --- |
//! | `acceptor` | the listeners (`listener`), those paused at a limit (`paused`) | `admission` |
//! | `unadmitted` | accepted connections that are not admitted yet | `admission` |
//! | `waiting` | queues of sessions that wait for a server | `queueing`, `select_server` |
//! | `reporting` | counters (`accounting`), log (`access`), `session_commands` | `session_scan` |
//! | `config_generations` | the configurations in use; the servers of each backend, and its balancer (`local_backend`) | `adopt`, `select_server` |
//! | `notices` | messages between workers that a slot is free | `queueing` |
//! | `load_sharing` | which worker begins a session that this one accepted; what is on its way (`hand_over_channels`) | `hand_over` |
//!
//! `client_admission` refuses clients by their address; `preface` reads what a client must send before a
//! server is chosen, `proxy_head` reads who the client is and tells servers, `http` reads and edits heads,
//! `hello` reads ClientHellos and takes routes, `error_answer` writes what a client without a server is told;
//! `shortage` distributes buffers when few are left, by the list of `stalled` directions; `connecting`
//! tries the addresses of a server. What they keep for each session is in files of data alone (`slot`,
//! `chunks`, `pipes`, `attempt`, `tried`, `optional_address`, `extras`, `partial_preface`, `http_state`, `exchange`, `hello_info`), which use none of them.
//!
//! A worker shares only [`crate::shared`], [`crate::snapshot`] and [`HandOvers`] with the others. What they write
//! too it touches when a session begins, takes a server or ends, never for a byte: `tests/cache_lines.rs` counts the
//! cache lines. Counters of its own it writes then, with each turn, and at most once a second for bytes.

mod accepted;
mod acceptor;
mod access;
mod accounting;
mod admission;
mod adopt;
mod attempt;
mod chunks;
mod client;
mod client_admission;
mod client_rules;
mod command;
mod completions;
mod config_generations;
mod connecting;
mod context;
mod error_answer;
mod event_loop;
mod exchange;
mod extras;
mod hand_over;
mod hand_over_channels;
mod hello;
mod hello_info;
mod http;
mod http_state;
mod listener;
mod load_sharing;
mod local_backend;
mod notices;
mod operations;
mod optional_address;
mod outgoing;
mod partial_preface;
mod paused;
mod pipes;
mod preface;
mod proxy_head;
mod queueing;
mod reporting;
mod select_server;
mod sending;
mod session_commands;
mod session_driver;
mod session_scan;
mod shortage;
mod slot;
mod socket_options;
mod stalled;
mod sticky;
mod token;
mod tried;
mod unadmitted;
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
pub use exchange::Exchange;
pub use hand_over_channels::{AdmittedClient, HandOvers, HandedOver};
pub use hello_info::HelloInfo;
use load_sharing::LoadSharing;
use notices::Notices;
use outgoing::Outgoing;
use reporting::Reporting;
pub use session_commands::{
    Filter, Report, ReportCallback, SessionCommand, SessionId, SessionInfo, Task,
};
use slot::Slot;
pub use socket_options::socket_options;
use stalled::Stalled;
use token::Key;
use unadmitted::Unadmitted;
use waiting::WaitingSessions;

use crate::io::Engine;
use crate::logic::session::Side;
use crate::logic::time::Instant;
use crate::logic::timer_wheel::TimerWheel;
use crate::shared::{Shared, WorkerCounters};
use crate::snapshot::Snapshot;

/// Everything that a worker is made from.
pub struct Setup<E: Engine> {
    /// Its index, from 0.
    pub index: usize,
    /// Its engine.
    pub engine: E,
    /// The configuration to begin with.
    pub snapshot: Arc<Snapshot>,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Connections on their way between workers.
    pub hand_overs: Arc<HandOvers<E::Detached>>,
    /// Its listeners, all of them opened.
    pub listeners: Vec<Listening<E::Listener>>,
    /// Commands from the control plane.
    pub commands: Receiver<Command<E::Listener>>,
    /// Where warnings and records of ended sessions go.
    pub log: LogSink,
    /// Time of the engine's clock at the start of the process, in nanoseconds.
    pub clock_zero: u64,
    /// Seed of the random choices; workers and runs should differ in it.
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
    /// The generation of the newest session.
    generation: u16,
    timers: TimerWheel,
    /// Memory in which heads are rewritten.
    scratch: Vec<u8>,
    /// Memory in which a Set-Cookie line is written.
    set_cookie: String,
    acceptor: Acceptor<E>,
    unadmitted: Unadmitted<E::Socket>,
    waiting: WaitingSessions,
    notices: Notices,
    load_sharing: LoadSharing<E::Detached>,
    /// Sends of this turn.
    sends: Vec<Outgoing<E>>,
    /// Receives that found no buffer, the oldest first.
    starved: VecDeque<(Key, Side)>,
    /// Directions with buffered bytes that cannot be sent yet.
    stalled: Stalled,
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
            set_cookie: String::new(),
            acceptor: Acceptor::new(setup.index, &setup.shared),
            unadmitted: Unadmitted::new(),
            waiting: WaitingSessions::new(setup.index),
            notices: Notices::new(setup.index, Arc::clone(&setup.shared)),
            load_sharing: LoadSharing::new(setup.index, setup.hand_overs),
            sends: Vec::new(),
            starved: VecDeque::new(),
            stalled: Stalled::default(),
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
