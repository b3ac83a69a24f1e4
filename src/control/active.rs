//! The configuration in use, for whoever shows or changes something of it.

use std::sync::{Arc, Weak};

use super::bound::Bound;
use crate::io::Listener;
use crate::snapshot::Snapshot;

/// The configuration in use, and where it listens.
#[derive(Debug)]
pub struct Active {
    /// The configuration, and what is shared of it.
    pub snapshot: Arc<Snapshot>,
    /// Where its frontends listen, by index.
    pub bound: Vec<Vec<Bound>>,
    /// The listening sockets of the workers.
    pub listeners: Vec<WorkerListener>,
}

impl Active {
    /// The listening sockets that are open still. Whoever has one keeps it open: not beyond a moment.
    pub fn open_listeners(&self) -> impl Iterator<Item = (&WorkerListener, Arc<Listener>)> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|listener| Some((listener, listener.socket.upgrade()?)))
    }
}

/// A listening socket of a worker.
#[derive(Clone, Debug)]
pub struct WorkerListener {
    /// Index of the worker.
    pub worker: usize,
    /// Index of its frontend in the configuration in use.
    pub frontend: u16,
    /// It is a Unix socket.
    pub is_unix: bool,
    /// It is gone once the control plane has closed its handle.
    pub socket: Weak<Listener>,
}
