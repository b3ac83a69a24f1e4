//! What becomes of connections that come to a listener.

use super::config_generations::Route;
use crate::io::Fault;

/// What becomes of an accepted connection. Decided before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A session of this route begins: its slots of both limits are taken.
    Begin(Route),
    /// It waits at its listener for slots.
    Park,
    /// It is reset: the worker begins no more sessions.
    Reject,
}

/// What is in the kernel's queue of a listener that is to be closed.
pub enum Queued<S> {
    /// A connection. There may be more.
    Connection(S),
    /// Nothing that this worker should take: the listener can be closed.
    Nothing,
    /// It cannot be looked at now, and the listener stays open.
    NotNow,
    /// The same, because the kernel is short of this.
    Shortage(Fault),
}
