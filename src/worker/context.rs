//! What the parts of a worker need of each other.

use super::config_generations::ConfigGenerations;
use super::notices::Notices;
use crate::logic::time::Instant;

/// Borrowed by a part for one call.
pub struct Context<'a, E> {
    pub engine: &'a mut E,
    pub configs: &'a mut ConfigGenerations,
    pub notices: &'a mut Notices,
    pub stop: StopState,
    pub now: Instant,
}

/// Whether a worker is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopState {
    /// It is not.
    Running,
    /// It accepts no more, and ends when its last session has ended.
    Stopping,
    /// The same, but its sessions were ended, and connections that are not sessions yet are reset.
    Aborting,
}

impl StopState {
    /// Whether accepting has ended for good.
    pub fn is_stopping(self) -> bool {
        match self {
            StopState::Running => false,
            StopState::Stopping | StopState::Aborting => true,
        }
    }

    /// Whether connections are reset instead of becoming sessions.
    pub fn is_aborting(self) -> bool {
        self == StopState::Aborting
    }
}
