//! What is checked: every server of the newest snapshot, and what the next one makes of it.
//!
//! A server that stays keeps its health and its place in the schedule; what is asked of it and how
//! often follow the new configuration. A new one counts as up and is probed at once. One that is
//! gone is forgotten.

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
    /// See [`schedule::phase`].
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
    pub suspected: bool,
    /// When a probe was last made for that reason.
    pub suspected_at: Option<Instant>,
    /// It has had no result yet.
    pub awaited: bool,
    /// The weight of the configuration.
    pub weight_configured: u32,
    /// What an operator set in its place.
    pub weight_set: Option<u32>,
    /// The operator whose order came last.
    pub by: Option<Attribution>,
}

/// A backend.
pub struct Pool {
    pub name: String,
    pub on_down: OnDown,
    pub shared: BackendShared,
    /// Since when no server of it is usable, if so.
    pub lost_since: Option<Instant>,
}

impl Pool {
    pub fn new(backend: &Backend, shared: &BackendShared) -> Self {
        Pool {
            name: backend.name.clone(),
            on_down: backend.on_down,
            shared: shared.clone(),
            lost_since: None,
        }
    }
}
