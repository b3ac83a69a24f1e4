//! A server, and the queue of its backend, as all workers share them.

use std::sync::Arc;

use super::counters::{ByWorker, ServerCounters};
use crate::logic::session::Fault;
use crate::sync::{
    Addresses, Counter, Failures, Gauge, Last, ServerAvailability, SessionLimit, WaitRegistry,
};

/// The queue of a backend: which workers have sessions in it, and how many. A reload keeps the object
/// if the backend's name is the same.
#[derive(Debug)]
pub struct QueueShared {
    /// Unique in this process.
    pub id: u64,
    /// Workers with sessions that wait for any server of the backend.
    pub waiting: WaitRegistry,
    /// How many sessions of each worker wait now, for any server or for a certain one.
    pub sessions_waiting: ByWorker<Gauge>,
    /// Times that the last usable server was lost; the health thread counts them.
    pub downs: Counter,
    /// What was counted for servers of the backend that were removed and are forgotten, so that its sums only
    /// grow. The control plane counts it.
    pub forgotten: ServerCounters,
}

/// A server as all workers share it: its addresses, sessions, health and counters. What refers to a server
/// has this object, whatever its position among the servers of its backend. It stays the same, when the
/// configuration is read again or the set of servers changes, as long as the name of its backend, its own
/// name and its address as it is written do.
#[derive(Debug)]
pub struct ServerShared {
    /// Unique in this process.
    pub id: u64,
    /// Its name in its backend.
    pub name: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// Open sessions that were given to it.
    pub session_limit: SessionLimit,
    /// Whether it takes new sessions, and its weight.
    pub availability: ServerAvailability,
    /// Workers with sessions that are pinned to this server and wait for a slot.
    pub waiting: WaitRegistry,
    /// The queue of its backend.
    pub queue: Arc<QueueShared>,
    /// Connects that failed.
    pub connect_failures: Failures,
    /// Why the last of them failed, until the recorder has it.
    pub connect_fault: Last<Fault>,
    /// Sessions in HTTP mode that ended before the server had answered; only while its backend has passive
    /// checks.
    pub answer_failures: Failures,
    /// What each worker counts.
    pub counters: ByWorker<ServerCounters>,
}

impl ServerShared {
    /// Whether it is usable and has a free slot.
    pub fn is_open(&self) -> bool {
        self.availability.is_usable() && self.session_limit.free() > 0
    }

    /// Whether it has a free slot for any session: slots that pinned sessions wait for are not offered
    /// to others.
    pub fn is_open_to_any(&self) -> bool {
        self.is_open() && self.availability.weight() > 0 && !self.waiting.any()
    }
}
