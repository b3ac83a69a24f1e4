//! Carries out session commands: looks at every slot of the table of sessions, a few in each turn of
//! the loop, so that commands delay no bytes even with a million sessions. Commands take turns.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Worker;
use super::session_commands::{SessionId, SessionInfo, SessionScan, Task};
use super::slot::Slot;
use crate::io::Engine;
use crate::logic::session::{Event, Side};
use crate::snapshot::ServerShared;

/// Slots that are looked at in one turn: some ten microseconds, and a system call for each session
/// whose client's address the kernel has to be asked for.
const SLOTS_PER_TURN: usize = 128;

/// Sessions that are ended in one turn. Each takes some ten microseconds of system calls, to cancel
/// its operations and to close its sockets.
const CLOSES_PER_TURN: u64 = 32;

impl<E: Engine> Worker<E> {
    /// Once in each turn: continues the command whose last turn was the longest ago.
    pub(super) fn scan_step(&mut self) {
        let Some(mut scan) = self.reporting.session_scans.pop_front() else {
            return;
        };
        let end = match scan.command.filter.id {
            Some(id) if id.worker == self.index => id.slot.saturating_add(1),
            Some(_) => 0,
            None => self.sessions.capacity(),
        };
        let stop = scan.slot.saturating_add(SLOTS_PER_TURN).min(end);
        let closes_before = scan.closed();
        while scan.slot < stop && scan.closed() < closes_before + CLOSES_PER_TURN {
            self.visit(&mut scan);
            scan.slot += 1;
        }
        if scan.slot < end {
            self.reporting.session_scans.push_back(scan);
        } else {
            (scan.command.done)(scan.report);
        }
    }

    fn visit(&mut self, scan: &mut SessionScan) {
        let slot = scan.slot;
        let command = &scan.command;
        if !self.matches(scan) {
            return;
        }
        let client = match (command.task, command.filter.client) {
            (Task::Close(_), None) => None,
            (Task::List(_), _) | (Task::Close(_), Some(_)) => self.client(slot),
        };
        let wanted = command.filter.client.map(|client| client.to_canonical());
        if wanted.is_some() && wanted != client.map(|client| client.ip().to_canonical()) {
            return;
        }
        scan.report.count += 1;
        match command.task {
            Task::List(max) if scan.report.sessions.len() < max => {
                let info = self.describe(slot, client);
                scan.report.sessions.push(info);
            }
            Task::List(_) => {}
            Task::Close(reason) => self.drive(slot, Event::Killed(reason)),
        }
    }

    /// Whether there is an open session that matches the filter. The client's address is not
    /// compared here.
    fn matches(&self, scan: &SessionScan) -> bool {
        let Some(entry) = self.sessions.get(scan.slot) else {
            return false;
        };
        let filter = &scan.command.filter;
        let (frontend, backend, server) = self.names(entry);
        let is = |wanted: &Option<String>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == name)
        };
        let is_connected_to = |wanted: &Arc<ServerShared>| {
            let server = entry.server.as_ref();
            let taken = server.is_some_and(|server| Arc::ptr_eq(server, wanted));
            taken && entry.session.is_connected()
        };
        filter.id.is_none_or(|id| id == self.id(scan.slot, entry))
            && is(&filter.frontend, Some(frontend))
            && is(&filter.backend, backend)
            && is(&filter.server, server)
            && filter.connected_to.as_ref().is_none_or(is_connected_to)
            && entry.session.started() <= scan.since
            && !entry.session.is_closing()
    }

    /// Names of a session's frontend, and of its backend and server if they were chosen.
    fn names<'a>(&'a self, entry: &'a Slot<E>) -> (&'a str, Option<&'a str>, Option<&'a str>) {
        let config = &self.configs[entry.route.config].snapshot.config;
        let frontend = &config.frontends[usize::from(entry.route.frontend)];
        let backend = entry
            .backend()
            .map(|it| config.backends[it as usize].name.as_str());
        let server = entry.server.as_ref();
        let server = server.map(|server| server.name.as_str());
        (&frontend.name, backend, server)
    }

    fn id(&self, slot: usize, entry: &Slot<E>) -> SessionId {
        SessionId {
            worker: self.index,
            slot,
            started: entry.session.started().as_nanos(),
        }
    }

    /// Address of a session's client. The kernel is asked if the address was not needed before.
    fn client(&mut self, slot: usize) -> Option<SocketAddr> {
        let entry = self.sessions.get_mut(slot)?;
        entry.find_client(&mut self.engine)
    }

    fn describe(&self, slot: usize, client: Option<SocketAddr>) -> SessionInfo {
        let entry = &self.sessions[slot];
        let (frontend, backend, server) = self.names(entry);
        SessionInfo {
            id: self.id(slot, entry),
            client,
            peer: entry.peer(),
            frontend: frontend.to_owned(),
            backend: backend.map(str::to_owned),
            server: server.map(str::to_owned),
            age: self.now.duration_since(entry.session.started()),
            idle: self.now.duration_since(entry.session.last_activity()),
            bytes: Side::BOTH.map(|side| entry.session.bytes(side)),
            state: entry.session.as_str(),
        }
    }
}
