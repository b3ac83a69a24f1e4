//! Counters: what one worker counts for the process, each frontend and each server.
//!
//! Sessions are counted when they begin, are given a server, fail to connect, and end. Their bytes
//! are counted when they end and, if there is an admin listener that shows them, once a second
//! before: by a scan of the table of sessions, a part of it in each turn of the loop, and none
//! while nothing happens.

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::config_generations::{ConfigGenerations, LocalConfig};
use super::slot::{CountedFor, Slot};
use crate::io::Engine;
use crate::logic::session::{ProxyFault, Side, Summary, TerminationCause, TerminationPhase};
use crate::logic::time::Instant;
use crate::shared::{Shared, WorkerCounters};
use crate::snapshot::{FrontendShared, ServerShared};

/// From the end of a scan of the open sessions to the beginning of the next, at least.
const SCAN_PERIOD: Duration = Duration::from_secs(1);

/// Slots of the table of sessions that are scanned in one turn: some ten microseconds.
const SLOTS_PER_TURN: usize = 256;

/// How far the bytes of open sessions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteAccounting {
    /// They are counted only when their session ends: nothing shows them before.
    Off,
    /// Nothing happened since the last scan. The next begins no earlier than `after`.
    Idle { after: Instant },
    /// Something happened since the last scan. The next begins at this time.
    Due { at: Instant },
    /// Slots before this one are done. `again`: something happened since the scan began.
    Scanning { slot: usize, again: bool },
}

/// The counters of one worker.
pub struct Accounting {
    worker: usize,
    shared: Arc<Shared>,
    bytes: ByteAccounting,
}

impl Accounting {
    /// `shows_bytes`: bytes are counted while their session is open, too.
    pub fn new(worker: usize, shared: Arc<Shared>, shows_bytes: bool) -> Self {
        let after = Instant::ZERO;
        Accounting {
            worker,
            shared,
            bytes: if shows_bytes {
                ByteAccounting::Idle { after }
            } else {
                ByteAccounting::Off
            },
        }
    }

    /// The counters of the worker itself.
    pub fn counters(&self) -> &WorkerCounters {
        &self.shared.workers[self.worker]
    }

    /// A session of this frontend began.
    pub fn session_began(&self, frontend: &FrontendShared) {
        self.counters().sessions_started.add(1);
        frontend.counters[self.worker].sessions_started.add(1);
    }

    /// A session was given a server. During a shortage that happens again and again without a
    /// connect: then it is counted by [`Accounting::attempt_made`] alone.
    pub fn server_taken<E: Engine>(&self, entry: &mut Slot<E>) {
        if !entry.short {
            self.attempt_made(entry);
        }
    }

    /// A session connects or connected to its server. Each attempt is counted once.
    pub fn attempt_made<E: Engine>(&self, entry: &mut Slot<E>) {
        let server = CountedFor::of(entry.server.as_ref());
        let is_counted = entry.counted_for == server;
        entry.short = false;
        entry.counted_for = server;
        let Some(taken) = entry.server.as_ref().filter(|_| !is_counted) else {
            return;
        };
        let counters = &taken.counters[self.worker];
        counters.sessions_started.add(1);
        if let Some(left) = entry.tried.last() {
            counters.retries.add(1);
            self.counters().retries.add(1);
            if taken.id == left.id {
                counters.reconnects.add(1);
            } else {
                left.counters[self.worker].redispatches.add(1);
            }
        }
    }

    /// A connect to this server failed.
    pub fn connect_failed(&self, server: &ServerShared) {
        self.counters().connect_failures.add(1);
        server.counters[self.worker].connect_failures.add(1);
        self.shared.connect_failed(server);
    }

    /// A session ended.
    pub fn session_ended<E: Engine>(
        &self,
        entry: &mut Slot<E>,
        config: &LocalConfig,
        summary: &Summary,
    ) {
        self.count_bytes(entry, config);
        self.counters().sessions_ended.add(1);
        if let Some(fault) = summary.proxy_fault {
            let counters = &config.frontend(entry.route.frontend).counters[self.worker];
            match fault {
                ProxyFault::Wrong => counters.proxy_heads_wrong.add(1),
                ProxyFault::Late => counters.proxy_heads_late.add(1),
            }
        }
        if summary.outcome.phase == TerminationPhase::Hello {
            let counters = &config.frontend(entry.route.frontend).counters[self.worker];
            match summary.outcome.who {
                TerminationCause::Proxy => counters.hellos_wrong.add(1),
                TerminationCause::ClientTimeout => counters.hellos_late.add(1),
                _ => {}
            }
        }
        let Some(server) = &entry.server else {
            return;
        };
        server.counters[self.worker].times.record(summary);
        if summary.outcome.is_connect_failure() {
            self.connect_failed(server);
        } else if summary.outcome.is_answer_failure() {
            server.counters[self.worker].answer_failures.add(1);
            let backends = &config.snapshot.config.backends;
            if backends[entry.route.backend as usize].passive.is_some() {
                self.shared.left_unanswered(server);
            }
        }
    }

    /// Once in each turn: continues the scan of the open sessions, or begins one. `happened`: there
    /// were completions in this turn.
    pub fn scan_bytes<E: Engine>(
        &mut self,
        sessions: &mut Slab<Slot<E>>,
        configs: &ConfigGenerations,
        now: Instant,
        happened: bool,
    ) {
        let (begin, again) = match self.bytes {
            ByteAccounting::Off => return,
            ByteAccounting::Idle { .. } if !happened => return,
            ByteAccounting::Idle { after: at } | ByteAccounting::Due { at } if now < at => {
                self.bytes = ByteAccounting::Due { at };
                return;
            }
            ByteAccounting::Idle { .. } | ByteAccounting::Due { .. } => (0, false),
            ByteAccounting::Scanning { slot, again } => (slot, again || happened),
        };
        let end = (begin + SLOTS_PER_TURN).min(sessions.capacity());
        for slot in begin..end {
            if let Some(entry) = sessions.get_mut(slot) {
                let config = &configs[entry.route.config];
                self.count_bytes(entry, config);
            }
        }
        let next = now + SCAN_PERIOD;
        self.bytes = if end < sessions.capacity() {
            ByteAccounting::Scanning { slot: end, again }
        } else if again {
            ByteAccounting::Due { at: next }
        } else {
            ByteAccounting::Idle { after: next }
        };
    }

    /// When the scan needs a turn of the loop, if nothing else does.
    pub fn due(&self, has_sessions: bool, now: Instant) -> Option<Instant> {
        match self.bytes {
            ByteAccounting::Off | ByteAccounting::Idle { .. } => None,
            // The bytes of ended sessions are counted.
            ByteAccounting::Due { .. } if !has_sessions => None,
            ByteAccounting::Due { at } => Some(at),
            ByteAccounting::Scanning { .. } => Some(now),
        }
    }

    /// Counts the bytes of a session that are not counted yet.
    fn count_bytes<E: Engine>(&self, entry: &mut Slot<E>, config: &LocalConfig) {
        let bytes = Side::BOTH.map(|side| entry.session.bytes(side));
        let [from_client, from_server] = [0, 1].map(|side| bytes[side] - entry.counted[side]);
        if from_client == 0 && from_server == 0 {
            return;
        }
        entry.counted = bytes;
        let worker = self.counters();
        worker.bytes_from_clients.add(from_client);
        worker.bytes_from_servers.add(from_server);
        let frontend = &config.frontend(entry.route.frontend).counters[self.worker];
        frontend.bytes_from_clients.add(from_client);
        frontend.bytes_from_servers.add(from_server);
        if let Some(server) = &entry.server {
            let server = &server.counters[self.worker];
            server.bytes_from_clients.add(from_client);
            server.bytes_from_server.add(from_server);
        }
    }
}
