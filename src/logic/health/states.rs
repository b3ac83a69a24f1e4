//! The operational and the administrative state of a server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What probes say of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operational {
    /// It is not checked.
    Unchecked,
    /// It answers; `failures` is how many probes failed in a row, fewer than `fall`.
    Up {
        /// Failures in a row.
        failures: u32,
    },
    /// It does not; `successes` is how many probes passed in a row, fewer than `rise`.
    Down {
        /// Successes in a row.
        successes: u32,
    },
}

impl Operational {
    /// The same without counts.
    pub const fn state(self) -> OperationalState {
        match self {
            Operational::Unchecked => OperationalState::Unchecked,
            Operational::Up { .. } => OperationalState::Up,
            Operational::Down { .. } => OperationalState::Down,
        }
    }
}

/// The operational state of a server: what probes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationalState {
    /// It is not checked.
    Unchecked,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}

impl OperationalState {
    /// Its name in logs and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            OperationalState::Unchecked => "no check",
            OperationalState::Up => "up",
            OperationalState::Down => "down",
        }
    }
}

/// An administrative state, as files and requests write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// It takes sessions.
    #[default]
    Ready,
    /// Balancing gives it no new sessions; cookies still lead there, open ones go on, it is still
    /// checked.
    Drain,
    /// It gets no new sessions at all, and no checks; when it is ready again it counts as up until its first
    /// result.
    Maint,
}

impl AdminState {
    /// All of them.
    pub const ALL: [AdminState; 3] = [AdminState::Ready, AdminState::Drain, AdminState::Maint];

    /// Its name in logs and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maint => "maint",
        }
    }
}
