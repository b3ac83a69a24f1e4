//! Commands of the control plane to a worker.

use std::any::Any;
use std::sync::Arc;

use super::session_commands::SessionCommand;
use crate::snapshot::Snapshot;

/// A command from the control plane. The worker's waker is called after it was sent.
pub enum Command<L> {
    /// Close listeners that another process has too.
    Release(Release),
    /// Begin all accepts anew: another process that accepted on the same sockets has closed them.
    AcceptAnew,
    /// Stop accepting, and end when the last session has ended.
    Stop,
    /// End the sessions that are still open.
    Abort,
    /// Use this configuration for all new sessions.
    Adopt(Box<Adoption<L>>),
    /// List or end open sessions, a few in each turn of the loop.
    Sessions(SessionCommand),
}

/// Listeners to close while another process goes on accepting on them: connections in their kernel
/// queues are left to that process.
#[derive(Clone)]
pub struct Release {
    /// Ids of the control plane. Those that a worker does not have are ignored.
    pub listeners: Arc<[u64]>,
    /// Dropped once they are closed.
    pub closed: Arc<dyn Any + Send + Sync>,
}

/// A listener of one worker.
#[derive(Debug)]
pub struct Listening<L> {
    /// Its id in the control plane, the same in all configurations.
    pub id: u64,
    /// Index of its frontend.
    pub frontend: u16,
    /// It is a Unix socket.
    pub is_unix: bool,
    /// `None`: the worker has it already.
    pub opened: Option<L>,
}

/// A configuration for one worker to adopt.
pub struct Adoption<L> {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// All listeners of the configuration; the worker closes its others.
    pub listeners: Vec<Listening<L>>,
    /// Called when it is adopted; dropped if the worker stops instead.
    pub adopted: Box<dyn FnOnce() + Send>,
}
