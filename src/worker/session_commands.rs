//! Commands on open sessions: to list or to end those that match a filter.
//!
//! Every worker carries out a [`SessionCommand`] on its own sessions and reports; the control plane
//! combines the reports. `session_scan` is the part that looks at the sessions.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::logic::session::KillReason;
use crate::logic::time::Instant;
use crate::snapshot::ServerShared;

/// Identifies a session in this process. A slot is used again, but never with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// Index of its worker.
    pub worker: usize,
    /// Its slot in the worker's table of sessions.
    pub slot: usize,
    /// When it was accepted, in nanoseconds of the worker's clock.
    pub started: u64,
}

/// Which sessions a command applies to: those that match every condition that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The session of this id.
    pub id: Option<SessionId>,
    /// Sessions of the frontend of this name.
    pub frontend: Option<String>,
    /// Sessions of the backend of this name.
    pub backend: Option<String>,
    /// Sessions that were given a server of this name.
    pub server: Option<String>,
    /// Sessions of clients with this address.
    pub client: Option<IpAddr>,
    /// Sessions that are connected to this server.
    pub connected_to: Option<Arc<ServerShared>>,
}

/// What to do with the sessions that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Describe them, no more than this number.
    List(usize),
    /// End those that were open when the worker received the command, for this reason.
    Close(KillReason),
}

/// A session, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Address of its client; `None`: the kernel no longer knows it.
    pub client: Option<SocketAddr>,
    /// The peer of the client's connection: another one if a PROXY head named the client.
    pub peer: Option<SocketAddr>,
    /// Name of its frontend.
    pub frontend: String,
    /// Name of its backend, if one is chosen.
    pub backend: Option<String>,
    /// Name of its server, if one was chosen.
    pub server: Option<String>,
    /// Time since it was accepted.
    pub age: Duration,
    /// Time since it last received or sent anything.
    pub idle: Duration,
    /// Bytes read from each side, by the side's index.
    pub bytes: [u64; 2],
    /// Name of its state.
    pub state: &'static str,
}

/// The result of a command at one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The listed sessions.
    pub sessions: Vec<SessionInfo>,
    /// How many matched.
    pub count: u64,
}

/// Called with the report of a worker. It must not block.
pub type ReportCallback = Arc<dyn Fn(Report) + Send + Sync>;

/// A command on open sessions, for each worker.
#[derive(Clone)]
pub struct SessionCommand {
    /// What to do.
    pub task: Task,
    /// With which sessions.
    pub filter: Filter,
    /// Called once by each worker, when it has finished.
    pub done: ReportCallback,
}

impl SessionCommand {
    /// Ends the sessions that are connected to a server that went down. A session that is still
    /// connecting continues: if its connect fails, it is given another server.
    pub fn shutdown_sessions_of(server: &Arc<ServerShared>) -> Self {
        let connected_to = Some(Arc::clone(server));
        SessionCommand {
            task: Task::Close(KillReason::Down),
            filter: Filter {
                connected_to,
                ..Filter::default()
            },
            done: Arc::new(|_| {}),
        }
    }
}

impl std::fmt::Debug for SessionCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCommand")
            .field("task", &self.task)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// A session command that is being carried out.
pub struct SessionScan {
    pub command: SessionCommand,
    /// When the worker received it.
    pub since: Instant,
    /// The next slot to look at.
    pub slot: usize,
    pub report: Report,
}

impl SessionScan {
    /// Begins to carry out a command.
    pub fn new(command: SessionCommand, now: Instant) -> Self {
        let slot = command.filter.id.map_or(0, |id| id.slot);
        SessionScan {
            command,
            since: now,
            slot,
            report: Report::default(),
        }
    }

    /// How many sessions it has ended.
    pub fn closed(&self) -> u64 {
        match self.command.task {
            Task::List(_) => 0,
            Task::Close(_) => self.report.count,
        }
    }
}
