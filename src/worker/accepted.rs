//! What becomes of connections that come to a listener.

use std::net::SocketAddr;

use super::config_generations::Route;
use crate::io::{Engine, Fault};
use crate::sync::ClientPlace;

/// A connection whose client may come.
pub struct Accepted<E: Engine> {
    /// The connection.
    pub socket: E::Socket,
    /// It came by a Unix socket: its peer has no address.
    pub is_unix: bool,
    /// The address of its peer, if that was asked for.
    pub peer: Option<SocketAddr>,
    /// Its place among the open sessions of its client, if these are limited.
    pub client_place: Option<ClientPlace>,
}

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
