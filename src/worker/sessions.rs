//! Open sessions, for the control plane: listing those of a kind, closing them.
//!
//! An [`SessionCommand`] looks at every place in the table of sessions, a few in each turn of the loop, so
//! that a million of them delay no byte. Session commands take turns with each other. Each worker reports
//! for itself; the control plane puts the reports together.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use super::slot::Slot;
use crate::io::Engine;
use crate::logic::session::{Event, KillReason, Side};
use crate::logic::time::Instant;
use crate::snapshot::ServerShared;

/// SessionLimit in the table that are looked at in one turn: some ten microseconds, and a system call
/// for each if clients' addresses are asked for.
const SLOTS_PER_TURN: usize = 128;

/// Sessions that are ended in one turn: the cancellations and closes of each are some ten
/// microseconds of system calls.
const CLOSES_PER_TURN: u64 = 32;

/// What names a session in this process for good: a place is used again, a moment is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// Index of its worker.
    pub worker: usize,
    /// Its place in the worker's table.
    pub slot: usize,
    /// When it was accepted, in nanoseconds of the worker's clock.
    pub started: u64,
}

/// Which sessions are meant: those for which everything holds that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// This one.
    pub id: Option<SessionId>,
    /// Those of the frontend of this name.
    pub frontend: Option<String>,
    /// Those of the backend of this name.
    pub backend: Option<String>,
    /// Those with a server of this name.
    pub server: Option<String>,
    /// Those of clients with this address.
    pub client: Option<IpAddr>,
    /// Those that are connected to this server.
    pub connected_to: Option<Arc<ServerShared>>,
}

/// What is to be done with the sessions that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Describe them, up to so many.
    List(usize),
    /// End those that were open when the errand came, by order of this one.
    Close(KillReason),
}

/// A session, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// What names it.
    pub id: SessionId,
    /// Where its client comes from, if the kernel still knows.
    pub client: Option<SocketAddr>,
    /// Name of its frontend.
    pub frontend: String,
    /// Name of its backend.
    pub backend: String,
    /// Name of its server, if one was chosen.
    pub server: Option<String>,
    /// Since it was accepted.
    pub age: Duration,
    /// Since anything moved.
    pub idle: Duration,
    /// Bytes read from each side, by the side's index.
    pub bytes: [u64; 2],
    /// What it waits for, in a word.
    pub state: &'static str,
}

/// What one worker found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Those that are listed.
    pub sessions: Vec<SessionInfo>,
    /// How many were meant.
    pub count: u64,
}

/// Takes the report of one worker. It must not block.
pub type Reply = Arc<dyn Fn(Report) + Send + Sync>;

/// Something to be done with open sessions, by each worker.
#[derive(Clone)]
pub struct SessionCommand {
    /// What.
    pub task: Task,
    /// With which.
    pub filter: Filter,
    /// Who is told, once by each worker.
    pub reply: Reply,
}

impl SessionCommand {
    /// Ends the sessions that are connected to a server that is down. One that is still connecting
    /// goes on: if that fails, it is tried elsewhere.
    pub fn shutdown_sessions_of(server: &Arc<ServerShared>) -> Self {
        let connected_to = Some(Arc::clone(server));
        SessionCommand {
            task: Task::Close(KillReason::Down),
            filter: Filter {
                connected_to,
                ..Filter::default()
            },
            reply: Arc::new(|_| {}),
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

/// An errand under way.
pub(super) struct SessionScan {
    errand: SessionCommand,
    /// When it came.
    since: Instant,
    /// The next place in the table.
    slot: usize,
    report: Report,
}

impl SessionScan {
    pub fn new(errand: SessionCommand, now: Instant) -> Self {
        let slot = errand.filter.id.map_or(0, |id| id.slot);
        SessionScan {
            errand,
            since: now,
            slot,
            report: Report::default(),
        }
    }

    /// How many sessions it has ended.
    fn closed(&self) -> u64 {
        match self.errand.task {
            Task::List(_) => 0,
            Task::Close(_) => self.report.count,
        }
    }
}

impl<E: Engine> Worker<E> {
    /// Once in each turn: goes on with the errand that waits longest.
    pub(super) fn scan_step(&mut self) {
        let Some(mut walk) = self.session_scans.pop_front() else {
            return;
        };
        let end = match walk.errand.filter.id {
            Some(id) if id.worker == self.index => id.slot.saturating_add(1),
            Some(_) => 0,
            None => self.sessions.capacity(),
        };
        let stop = walk.slot.saturating_add(SLOTS_PER_TURN).min(end);
        let closes_before = walk.closed();
        while walk.slot < stop && walk.closed() < closes_before + CLOSES_PER_TURN {
            self.visit(&mut walk);
            walk.slot += 1;
        }
        if walk.slot < end {
            self.session_scans.push_back(walk);
        } else {
            (walk.errand.reply)(walk.report);
        }
    }

    fn visit(&mut self, walk: &mut SessionScan) {
        let slot = walk.slot;
        let errand = &walk.errand;
        if !self.matches(walk) {
            return;
        }
        let client = match (errand.task, errand.filter.client) {
            (Task::Close(_), None) => None,
            (Task::List(_), _) | (Task::Close(_), Some(_)) => self.client(slot),
        };
        let wanted = errand.filter.client.map(|client| client.to_canonical());
        if wanted.is_some() && wanted != client.map(|client| client.ip().to_canonical()) {
            return;
        }
        walk.report.count += 1;
        match errand.task {
            Task::List(max) if walk.report.sessions.len() < max => {
                let info = self.describe(slot, client);
                walk.report.sessions.push(info);
            }
            Task::List(_) => {}
            Task::Close(reason) => self.drive(slot, Event::Killed(reason)),
        }
    }

    /// Whether there is an open session, and everything holds for it but, perhaps, the client.
    fn matches(&self, walk: &SessionScan) -> bool {
        let Some(entry) = self.sessions.get(walk.slot) else {
            return false;
        };
        let filter = &walk.errand.filter;
        let (frontend, backend, server) = self.names(entry);
        let is = |wanted: &Option<String>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == name)
        };
        let is_connected_to = |wanted: &Arc<ServerShared>| {
            let server = self.configs[entry.route.config].server_of(entry);
            let taken = server.is_some_and(|server| Arc::ptr_eq(server, wanted));
            taken && entry.session.is_connected()
        };
        filter.id.is_none_or(|id| id == self.id(walk.slot, entry))
            && is(&filter.frontend, Some(frontend))
            && is(&filter.backend, Some(backend))
            && is(&filter.server, server)
            && filter.connected_to.as_ref().is_none_or(is_connected_to)
            && entry.session.started() <= walk.since
            && !entry.session.is_closing()
    }

    /// Of its frontend, its backend, and the server if one was chosen.
    fn names<'a>(&'a self, entry: &Slot<E>) -> (&'a str, &'a str, Option<&'a str>) {
        let config = &self.configs[entry.route.config].snapshot.config;
        let frontend = &config.frontends[usize::from(entry.route.frontend)];
        let backend = &config.backends[frontend.backend];
        let server = entry
            .server
            .map(|server| &backend.servers[usize::from(server)]);
        let server = server.map(|server| server.name.as_str());
        (&frontend.name, &backend.name, server)
    }

    fn id(&self, slot: usize, entry: &Slot<E>) -> SessionId {
        SessionId {
            worker: self.index,
            slot,
            started: entry.session.started().as_nanos(),
        }
    }

    /// Where the client of a session comes from. The kernel is asked if nobody needed it before.
    fn client(&mut self, slot: usize) -> Option<SocketAddr> {
        let entry = self.sessions.get_mut(slot)?;
        if entry.client.is_none() {
            let socket = entry.sockets[Side::Client.index()].as_ref()?;
            entry.client = self.engine.peer(socket);
        }
        entry.client
    }

    fn describe(&self, slot: usize, client: Option<SocketAddr>) -> SessionInfo {
        let entry = &self.sessions[slot];
        let (frontend, backend, server) = self.names(entry);
        SessionInfo {
            id: self.id(slot, entry),
            client,
            frontend: frontend.to_owned(),
            backend: backend.to_owned(),
            server: server.map(str::to_owned),
            age: self.now.duration_since(entry.session.started()),
            idle: self.now.duration_since(entry.session.last_activity()),
            bytes: Side::BOTH.map(|side| entry.session.bytes(side)),
            state: entry.session.as_str(),
        }
    }
}
