//! The load of a server, for the algorithms that compare it.

use super::rules::{Open, Servers};

/// How busy a server is: its sessions for each unit of its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) index: usize,
    sessions: u64,
    weight: u64,
}

impl Load {
    pub(super) fn new<S: Servers>(open: &Open<'_, S>, index: usize, weight: u32) -> Self {
        Self {
            index,
            sessions: open.sessions(index).into(),
            weight: weight.into(),
        }
    }

    /// Whether this server is less busy than the `other`; exact, being a comparison of fractions.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.sessions * other.weight < other.sessions * self.weight
    }
}
