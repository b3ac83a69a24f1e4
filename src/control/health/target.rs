//! What the health thread knows of each server and each backend.

use std::collections::HashSet;
use std::sync::Arc;

use super::probe::Probe;
use crate::config::{Address, Backend, OnDown};
use crate::control::server_change::Attribution;
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

/// A backend.
pub struct Pool {
    pub name: String,
    pub on_down: OnDown,
    pub shared: Arc<BackendShared>,
    /// Since when no server of it is usable, if so.
    pub lost_since: Option<Instant>,
    /// Servers that wait for their first result, by `ServerShared::id`.
    pub held: HashSet<u64>,
    /// They get sessions nevertheless: no other server is usable.
    pub opens_held: bool,
}

impl Pool {
    pub fn new(backend: &Backend, shared: &Arc<BackendShared>) -> Self {
        Pool {
            name: backend.name.clone(),
            on_down: backend.on_down,
            shared: Arc::clone(shared),
            lost_since: None,
            held: HashSet::new(),
            opens_held: false,
        }
    }
}
