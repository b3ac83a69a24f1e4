//! Counting: what this worker did, for the process, each frontend and each server.
//!
//! Sessions count when they begin, take a server, fail to connect and end. Bytes count when their
//! session ends and, where there is an admin listener to show them, once a second before: a walk
//! over the open sessions, a few in each turn, and none while nothing happens.

use std::time::Duration;

use super::Worker;
use super::plan::{Place, Plan};
use super::slot::Slot;
use crate::io::Engine;
use crate::logic::session::Side;
use crate::logic::time::Instant;
use crate::shared::WorkerCounters;
use crate::snapshot::{ByWorker, ServerShared};

/// How long after a walk over the open sessions the next one may begin.
const TALLY_PERIOD: Duration = Duration::from_secs(1);

/// Places in the table of sessions that are looked at in one turn: some ten microseconds.
const TALLY_SLOTS: usize = 256;

/// The state of the walk over the open sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tally {
    /// Nobody would see it.
    Off,
    /// Nothing happened since the last one, which leaves the earliest time of the next.
    Rest { after: Instant },
    /// Something happened since the last one.
    Due { at: Instant },
    /// All before this place in the table are done; `again`: something happened meanwhile.
    Under { slot: usize, again: bool },
}

impl Tally {
    pub fn new(wanted: bool) -> Self {
        let after = Instant::ZERO;
        if wanted {
            Tally::Rest { after }
        } else {
            Tally::Off
        }
    }
}

impl<E: Engine> Worker<E> {
    /// A session began.
    pub(super) fn count_begun(&self, place: Place) {
        self.counters().sessions_started.add(1);
        let frontend = self.plans.frontend(place);
        frontend.counters[self.index].0.sessions_started.add(1);
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
        let plan = &self.plans[entry.place.plan];
        let Some(server) = plan.server_of(entry).filter(|_| !is_counted) else {
            return;
        };
        let counters = &server.counters[self.index].0;
        counters.sessions_started.add(1);
        if let Some(left) = entry.tried.last() {
            counters.retries.add(1);
            self.counters().retries.add(1);
            if entry.server == Some(*left) {
                counters.reconnects.add(1);
            } else {
                let backend = plan.backend_of(entry.place.frontend);
                let left = plan.snapshot.server(backend, usize::from(*left));
                left.counters[self.index].0.redispatches.add(1);
            }
        }
    }

    /// A connect failed.
    pub(super) fn count_connect_failure(&self, server: &ServerShared) {
        self.counters().connect_failures.add(1);
        server.counters[self.index].0.connect_failures.add(1);
        self.shared.connect_failed(server);
    }

    /// A session ended.
    pub(super) fn count_ended(&mut self, entry: &mut Slot<E>) {
        let summary = entry.session.summary(self.now);
        let plan = &self.plans[entry.place.plan];
        count_bytes(&self.shared.workers, plan, self.index, entry);
        self.counters().sessions_ended.add(1);
        if let Some(server) = self.server_of(entry) {
            server.counters[self.index].0.times.record(&summary);
        }
        if summary.outcome.is_connect_failure()
            && let Some(server) = self.server_of(entry)
        {
            self.count_connect_failure(server);
        }
        let exchange = entry.http.take().map(|http| http.exchange);
        let Place { plan, frontend } = entry.place;
        let snapshot = &self.plans[plan].snapshot;
        let (client, server) = (entry.client, entry.server);
        self.log
            .record(snapshot, client, frontend, server, summary, exchange);
    }

    /// Once in each turn, in which something happened or nothing did: goes on with the walk over
    /// the open sessions, or begins one.
    pub(super) fn tally(&mut self, happened: bool) {
        let (begin, again) = match self.tally {
            Tally::Off => return,
            Tally::Rest { .. } if !happened => return,
            Tally::Rest { after: at } | Tally::Due { at } if self.now < at => {
                self.tally = Tally::Due { at };
                return;
            }
            Tally::Rest { .. } | Tally::Due { .. } => (0, false),
            Tally::Under { slot, again } => (slot, again || happened),
        };
        let end = (begin + TALLY_SLOTS).min(self.sessions.capacity());
        for slot in begin..end {
            if let Some(entry) = self.sessions.get_mut(slot) {
                let plan = &self.plans[entry.place.plan];
                count_bytes(&self.shared.workers, plan, self.index, entry);
            }
        }
        let next = self.now + TALLY_PERIOD;
        self.tally = if end < self.sessions.capacity() {
            Tally::Under { slot: end, again }
        } else if again {
            Tally::Due { at: next }
        } else {
            Tally::Rest { after: next }
        };
    }

    /// When a turn is needed for the walk.
    pub(super) fn tally_due(&self) -> Option<Instant> {
        match self.tally {
            Tally::Off | Tally::Rest { .. } => None,
            // With its last session, everything is counted.
            Tally::Due { .. } if self.sessions.is_empty() => None,
            Tally::Due { at } => Some(at),
            Tally::Under { .. } => Some(self.now),
        }
    }
}

/// Counts the bytes of a session that are not counted yet, for the worker of this index.
fn count_bytes<E: Engine>(
    workers: &ByWorker<WorkerCounters>,
    plan: &Plan,
    index: usize,
    entry: &mut Slot<E>,
) {
    let bytes = Side::BOTH.map(|side| entry.session.bytes(side));
    let [from_client, from_server] = [0, 1].map(|side| bytes[side] - entry.counted[side]);
    if from_client == 0 && from_server == 0 {
        return;
    }
    entry.counted = bytes;
    let worker = &workers[index].0;
    worker.bytes_from_clients.add(from_client);
    worker.bytes_from_servers.add(from_server);
    let frontend = &plan.frontend(entry.place.frontend).counters[index].0;
    frontend.bytes_from_clients.add(from_client);
    frontend.bytes_from_servers.add(from_server);
    if let Some(server) = plan.server_of(entry) {
        let server = &server.counters[index].0;
        server.bytes_from_clients.add(from_client);
        server.bytes_from_server.add(from_server);
    }
}
