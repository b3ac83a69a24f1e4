//! Counting: what this worker did, for the process, each frontend and each server.
//!
//! Sessions count when they begin, take a server, fail to connect and end. Bytes count when their
//! session ends and, where there is an admin listener to show them, once a second before: a walk
//! over the open sessions, a few in each turn, and none while nothing happens.

use std::time::Duration;

use super::Worker;
use super::config_generations::{LocalConfig, Route};
use super::slot::Slot;
use crate::io::Engine;
use crate::logic::session::Side;
use crate::logic::time::Instant;
use crate::shared::WorkerCounters;
use crate::snapshot::{ByWorker, ServerShared};

/// How long after a walk over the open sessions the next one may begin.
const ACCOUNTING_PERIOD: Duration = Duration::from_secs(1);

/// SessionLimit in the table of sessions that are looked at in one turn: some ten microseconds.
const ACCOUNTING_SLOTS: usize = 256;

/// The state of the walk over the open sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteAccounting {
    /// Nobody would see it.
    Off,
    /// Nothing happened since the last one, which leaves the earliest time of the next.
    Idle { after: Instant },
    /// Something happened since the last one.
    Due { at: Instant },
    /// All before this place in the table are done; `again`: something happened meanwhile.
    Scanning { slot: usize, again: bool },
}

impl ByteAccounting {
    pub fn new(wanted: bool) -> Self {
        let after = Instant::ZERO;
        if wanted {
            ByteAccounting::Idle { after }
        } else {
            ByteAccounting::Off
        }
    }
}

impl<E: Engine> Worker<E> {
    /// A session began.
    pub(super) fn count_begun(&self, route: Route) {
        self.counters().sessions_started.add(1);
        let frontend = self.configs.frontend(route);
        frontend.counters[self.index].sessions_started.add(1);
    }

    /// A session took a server. In a shortage it does so again and again without an attempt.
    pub(super) fn count_taken(&mut self, slot: usize) {
        if !self.sessions[slot].short {
            self.count_attempt(slot);
        }
    }

    /// A session connects to the server that it took, or did; each attempt counts once.
    pub(super) fn count_attempt(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        let is_counted = entry.counted_for == entry.server;
        entry.short = false;
        entry.counted_for = entry.server;
        let entry = &self.sessions[slot];
        let config = &self.configs[entry.route.config];
        let Some(server) = config.server_of(entry).filter(|_| !is_counted) else {
            return;
        };
        let counters = &server.counters[self.index];
        counters.sessions_started.add(1);
        if let Some(left) = entry.tried.last() {
            counters.retries.add(1);
            self.counters().retries.add(1);
            if entry.server == Some(*left) {
                counters.reconnects.add(1);
            } else {
                let backend = entry.route.backend as usize;
                let left = config.snapshot.server(backend, usize::from(*left));
                left.counters[self.index].redispatches.add(1);
            }
        }
    }

    /// A connect failed.
    pub(super) fn count_connect_failure(&self, server: &ServerShared) {
        self.counters().connect_failures.add(1);
        server.counters[self.index].connect_failures.add(1);
        self.shared.connect_failed(server);
    }

    /// A session ended.
    pub(super) fn count_ended(&mut self, entry: &mut Slot<E>) {
        let summary = entry.session.summary(self.now);
        let config = &self.configs[entry.route.config];
        count_bytes(&self.shared.workers, config, self.index, entry);
        self.counters().sessions_ended.add(1);
        if let Some(server) = self.server_of(entry) {
            server.counters[self.index].times.record(&summary);
        }
        if summary.outcome.is_connect_failure()
            && let Some(server) = self.server_of(entry)
        {
            self.count_connect_failure(server);
        }
        let exchange = entry.http.take().map(|http| http.exchange);
        let Route {
            config, frontend, ..
        } = entry.route;
        let snapshot = &self.configs[config].snapshot;
        let (client, server) = (entry.client, entry.server);
        self.log
            .record(snapshot, client, frontend, server, summary, exchange);
    }

    /// Once in each turn, in which something happened or nothing did: goes on with the walk over
    /// the open sessions, or begins one.
    pub(super) fn account_bytes(&mut self, happened: bool) {
        let (begin, again) = match self.byte_accounting {
            ByteAccounting::Off => return,
            ByteAccounting::Idle { .. } if !happened => return,
            ByteAccounting::Idle { after: at } | ByteAccounting::Due { at } if self.now < at => {
                self.byte_accounting = ByteAccounting::Due { at };
                return;
            }
            ByteAccounting::Idle { .. } | ByteAccounting::Due { .. } => (0, false),
            ByteAccounting::Scanning { slot, again } => (slot, again || happened),
        };
        let end = (begin + ACCOUNTING_SLOTS).min(self.sessions.capacity());
        for slot in begin..end {
            if let Some(entry) = self.sessions.get_mut(slot) {
                let config = &self.configs[entry.route.config];
                count_bytes(&self.shared.workers, config, self.index, entry);
            }
        }
        let next = self.now + ACCOUNTING_PERIOD;
        self.byte_accounting = if end < self.sessions.capacity() {
            ByteAccounting::Scanning { slot: end, again }
        } else if again {
            ByteAccounting::Due { at: next }
        } else {
            ByteAccounting::Idle { after: next }
        };
    }

    /// When a turn is needed for the walk.
    pub(super) fn accounting_due(&self) -> Option<Instant> {
        match self.byte_accounting {
            ByteAccounting::Off | ByteAccounting::Idle { .. } => None,
            // With its last session, everything is counted.
            ByteAccounting::Due { .. } if self.sessions.is_empty() => None,
            ByteAccounting::Due { at } => Some(at),
            ByteAccounting::Scanning { .. } => Some(self.now),
        }
    }
}

/// Counts the bytes of a session that are not counted yet, for the worker of this index.
fn count_bytes<E: Engine>(
    workers: &ByWorker<WorkerCounters>,
    config: &LocalConfig,
    index: usize,
    entry: &mut Slot<E>,
) {
    let bytes = Side::BOTH.map(|side| entry.session.bytes(side));
    let [from_client, from_server] = [0, 1].map(|side| bytes[side] - entry.counted[side]);
    if from_client == 0 && from_server == 0 {
        return;
    }
    entry.counted = bytes;
    let worker = &workers[index];
    worker.bytes_from_clients.add(from_client);
    worker.bytes_from_servers.add(from_server);
    let frontend = &config.frontend(entry.route.frontend).counters[index];
    frontend.bytes_from_clients.add(from_client);
    frontend.bytes_from_servers.add(from_server);
    if let Some(server) = config.server_of(entry) {
        let server = &server.counters[index];
        server.bytes_from_clients.add(from_client);
        server.bytes_from_server.add(from_server);
    }
}
