//! One listener of a worker: the accept that it has in flight, and the connections that came through
//! it.
//!
//! ```text
//!           accept                      cancel
//!   Idle ------------> Once, Multishot ---------> Canceling
//!    ^                        |                       |
//!    +------------------------+-----------------------+  the accept has ended
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use super::accepted::Accepted;
use super::config_generations::Route;
use super::token::Owner;
use crate::io::{Engine, Fault};
use crate::snapshot::FrontendShared;

/// The accept that a listener has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptState {
    /// None.
    Idle,
    /// Of one connection.
    Once,
    /// Of one connection after the other.
    Multishot,
    /// One that is being cancelled.
    Canceling,
}

/// A listener, and the connections that came through it.
pub struct Listener<E: Engine> {
    /// Its id in the control plane.
    pub id: u64,
    /// The route of its clients.
    pub route: Route,
    /// The frontend of the route.
    pub frontend: Arc<FrontendShared>,
    /// It is a Unix socket.
    pub is_unix: bool,
    /// `None`: it is closed.
    handle: Option<E::Listener>,
    /// It is closed as soon as its accept has ended: the configuration no longer has it.
    pub leaving: bool,
    /// Another process has it too, and the connections of its queue are left to that one. Dropped
    /// when it is closed.
    pub released: Option<Arc<dyn Any + Send + Sync>>,
    accept: AcceptState,
    /// Accepted connections that wait for slots, the oldest first.
    pub parked: VecDeque<Accepted<E>>,
}

impl<E: Engine> Listener<E> {
    /// An open listener that accepts nothing yet.
    pub fn new(
        (id, is_unix): (u64, bool),
        route: Route,
        frontend: Arc<FrontendShared>,
        handle: E::Listener,
    ) -> Self {
        Listener {
            id,
            route,
            frontend,
            is_unix,
            handle: Some(handle),
            leaving: false,
            released: None,
            accept: AcceptState::Idle,
            parked: VecDeque::new(),
        }
    }

    /// It is not closed yet.
    pub fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    /// No accept is in flight.
    pub fn is_idle(&self) -> bool {
        self.accept == AcceptState::Idle
    }

    /// It is closed, and all its connections have become sessions.
    pub fn is_done(&self) -> bool {
        self.handle.is_none() && self.parked.is_empty()
    }

    /// Begins an accept. It must be idle. `index` is its own, for the token.
    pub fn accept(&mut self, index: usize, multishot: bool, engine: &mut E) {
        debug_assert!(self.is_idle(), "an accept is in flight");
        if let Some(handle) = &self.handle {
            self.accept = match multishot {
                true => AcceptState::Multishot,
                false => AcceptState::Once,
            };
            engine.accept(handle, multishot, Owner::Listener(index).token());
        }
    }

    /// Cancels the accept, if one is in flight.
    pub fn cancel(&mut self, index: usize, engine: &mut E) {
        match self.accept {
            AcceptState::Once | AcceptState::Multishot => {
                if let Some(handle) = &self.handle {
                    self.accept = AcceptState::Canceling;
                    engine.cancel_accept(handle, Owner::Listener(index).token());
                }
            }
            AcceptState::Idle | AcceptState::Canceling => {}
        }
    }

    /// The accept has ended.
    pub fn accept_ended(&mut self) {
        self.accept = AcceptState::Idle;
    }

    /// Takes a connection from the kernel's queue, if there is one that this worker should take.
    pub fn take_queued(&self, engine: &mut E) -> Result<Option<E::Socket>, Fault> {
        let Some(handle) = self.handle.as_ref().filter(|_| self.released.is_none()) else {
            return Ok(None);
        };
        loop {
            match engine.accept_now(handle) {
                Ok(socket) => return Ok(Some(socket)),
                // The client left before it was accepted.
                Err(Fault::Reset) => {}
                Err(Fault::WouldBlock) => return Ok(None),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Closes it. It must be idle.
    pub fn close(&mut self, engine: &mut E) {
        debug_assert!(self.is_idle(), "an accept is in flight");
        if let Some(handle) = self.handle.take() {
            engine.close_listener(handle);
            self.released = None;
        }
    }
}
