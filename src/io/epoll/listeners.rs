//! The registered listeners of an engine, and the accepts that they have in flight.

use std::collections::HashMap;
use std::hash::Hash;

use slab::Slab;

use crate::io::operation::Token;

/// An accept that is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accept {
    pub token: Token,
    /// It goes on after a connection.
    pub multi: bool,
}

/// A registered listener.
#[derive(Debug)]
pub(super) struct ListenerState<I> {
    /// Names it in system calls.
    pub id: I,
    /// Tells it from others that had its index before.
    pub generation: u16,
    /// Connections may be in its queue.
    pub ready: bool,
    /// It is in the queue of those that are examined.
    pub is_queued: bool,
    pub accept: Option<Accept>,
}

/// Listeners by index, and their indices.
#[derive(Debug)]
pub(super) struct Listeners<I> {
    states: Slab<ListenerState<I>>,
    indices: HashMap<I, u32>,
}

impl<I: Copy + Eq + Hash> Listeners<I> {
    pub fn new() -> Self {
        Listeners {
            states: Slab::new(),
            indices: HashMap::new(),
        }
    }

    /// The index of a listener, if it is registered.
    pub fn index(&self, id: I) -> Option<u32> {
        self.indices.get(&id).copied()
    }

    pub fn insert(&mut self, id: I, generation: u16) -> u32 {
        let index = self.states.insert(ListenerState {
            id,
            generation,
            ready: false,
            is_queued: false,
            accept: None,
        }) as u32;
        self.indices.insert(id, index);
        index
    }

    pub fn remove(&mut self, id: I) -> Option<ListenerState<I>> {
        let index = self.indices.remove(&id)?;
        self.states.try_remove(index as usize)
    }

    pub fn get(&mut self, index: u32) -> Option<&mut ListenerState<I>> {
        self.states.get_mut(index as usize)
    }
}
