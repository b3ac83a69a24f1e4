//! What the health thread knows of each server and each backend.

use std::collections::HashSet;
use std::sync::Arc;

use super::probe::{Connector, Probe};
use crate::config::{Address, Backend, OnDown};
use crate::control::server_change::Attribution;
use crate::logic::ejection::{Ejection, EjectionRules};
use crate::logic::health::Health;
use crate::logic::time::Instant;
use crate::snapshot::{BackendShared, ServerShared};

/// A server.
pub struct Target {
    /// Index of its backend.
    pub backend: usize,
    pub shared: Arc<ServerShared>,
    /// `BACKEND/SERVER`
    pub name: String,
    pub health: Health,
    /// As it is written.
    pub address: Address,
    /// Its host name is being resolved, or will be again.
    pub resolving: bool,
    /// `None`: it is not checked.
    pub probe: Option<Arc<Probe>>,
    /// See [`super::schedule::phase`].
    pub phase: u32,
    /// A probe is under way, or begins as soon as the limits allow it.
    pub probing: bool,
    /// When the last one began.
    pub probed_at: Instant,
    /// When the next one begins.
    pub probe_due: Option<Instant>,
    /// When its weight rises again.
    pub weight_due: Option<Instant>,
    /// A worker failed to connect since the last probe began.
    pub connect_failed: bool,
    /// When a probe was last made for that reason.
    pub connect_failed_at: Option<Instant>,
    /// Whether it is left out because of failed sessions; `None`: its backend has no passive checks.
    pub ejection: Option<Ejection>,
    /// How many connects had failed, and how many sessions had got no answer, when that was looked at last.
    pub failures_seen: [u64; 2],
    /// The same, when the recorder was told of it last.
    pub failures_recorded: [u64; 2],
    /// The recorder will be told of further ones.
    pub failures_due: bool,
    /// It has had no result yet.
    pub awaited: bool,
    /// It gets no sessions before its first result; see [`super::first_result`].
    pub held: bool,
    /// The weight of the configuration.
    pub weight_configured: u32,
    /// The weight that an operator set; `None`: that of the configuration.
    pub weight_set: Option<u32>,
    /// Who changed its administrative state or weight last.
    pub by: Option<Attribution>,
}

impl Target {
    /// How many connects have failed, and how many sessions have got no answer.
    pub fn failure_counts(&self) -> [u64; 2] {
        let failures = [&self.shared.connect_failures, &self.shared.answer_failures];
        failures.map(|failures| failures.count())
    }

    /// Workers notify of the next failure.
    pub fn expect_failures(&self) {
        let failures = [&self.shared.connect_failures, &self.shared.answer_failures];
        failures.iter().for_each(|failures| failures.seen());
    }

    /// The rules by which it is left out because of failed sessions, if it is.
    pub fn ejected_by(&self) -> Option<EjectionRules> {
        let ejection = self.ejection.as_ref();
        let ejection = ejection.filter(|ejection| ejection.until().is_some());
        ejection.map(|ejection| ejection.rules())
    }

    /// Whether it is left out because of failed sessions.
    pub fn is_ejected(&self) -> bool {
        self.ejected_by().is_some()
    }
}

/// A backend.
pub struct Pool {
    pub name: String,
    pub on_down: OnDown,
    /// How its checks speak TLS, if they do.
    pub connector: Option<Connector>,
    pub shared: Arc<BackendShared>,
    /// Since when no server of it is usable, if so.
    pub lost_since: Option<Instant>,
    /// Servers that wait for their first result or are left out because of failed sessions, by
    /// `ServerShared::id`.
    pub held: HashSet<u64>,
    /// They get sessions nevertheless: no other server is usable.
    pub opens_held: bool,
}

impl Pool {
    pub fn new(backend: &Backend, shared: &Arc<BackendShared>) -> Self {
        Pool {
            name: backend.name.clone(),
            on_down: backend.on_down,
            connector: backend.health_check.as_ref().and_then(Connector::new),
            shared: Arc::clone(shared),
            lost_since: None,
            held: HashSet::new(),
            opens_held: false,
        }
    }

    /// Whether balancing may choose a server other than this one that is not held back.
    pub fn has_another(&self, id: u64) -> bool {
        let members = self.shared.members();
        let mut servers = members.servers().iter().map(|member| &member.server);
        servers.any(|server| server.id != id && self.is_chosen_from(server))
    }

    /// Whether balancing may choose a server although no server is held back.
    pub fn is_chosen_from(&self, server: &ServerShared) -> bool {
        let availability = &server.availability;
        availability.is_usable() && availability.weight() > 0 && !self.held.contains(&server.id)
    }
}
