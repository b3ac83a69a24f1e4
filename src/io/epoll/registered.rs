//! A socket with the index of its state in the engine.

use std::cell::Cell;

/// No state yet.
const NONE: u32 = u32::MAX;

/// A socket, and where the engine keeps its state.
#[derive(Debug)]
pub struct Registered<S> {
    pub(super) socket: S,
    index: Cell<u32>,
}

impl<S> Registered<S> {
    /// One that has no state yet.
    pub(super) fn new(socket: S) -> Self {
        Registered {
            socket,
            index: Cell::new(NONE),
        }
    }

    /// The index of its state, if it is registered.
    pub(super) fn index(&self) -> Option<u32> {
        Some(self.index.get()).filter(|index| *index != NONE)
    }

    pub(super) fn set_index(&self, index: u32) {
        self.index.set(index);
    }
}
