//! Choosing a server for a session, taking a slot of it, and giving the slot back.
//!
//! A session whose cookie names a usable server is pinned to it and waits for that one alone; for
//! all others the balancer of the backend chooses. A new session does not overtake those that wait for
//! the same (`waiting`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Worker;
use super::backend_view::BackendView;
use super::slot::Slot;
use super::waiting::{QueueKey, notify_longest_waiting};
use crate::io::Engine;
use crate::logic::balance::{self, Choice};
use crate::logic::session::{self, ChooseReason, Side};
use crate::snapshot::ServerShared;

/// Choices of a server whose last free slot another worker took first, before the session waits.
const RACES_MAX: usize = 8;

impl<E: Engine> Worker<E> {
    /// The server that a session was given, if any.
    pub(super) fn server_of(&self, entry: &Slot<E>) -> Option<&Arc<ServerShared>> {
        let config = &self.configs[entry.route.config];
        let server = entry.server?;
        Some(config.server(entry.route.backend, server))
    }

    /// Chooses a server for a session, which gives back the one that it may have had.
    pub(super) fn choose(&mut self, slot: usize, reason: ChooseReason) -> session::Choice {
        self.leave_server(slot, reason == ChooseReason::Failed);
        self.renew(slot);
        self.pin(slot);
        let queue_key = self.queue_key_of(&self.sessions[slot]);
        if reason != ChooseReason::Woken && queue_key.registry(&self.configs).any() {
            return session::Choice::Full;
        }
        match queue_key.server {
            Some(server) => self.take_pinned(slot, queue_key, server),
            None => self.take_balanced(slot, queue_key),
        }
    }

    /// Pins a session to the server that its cookie names, if that is usable; one that drains is. If
    /// it is not, or could not be reached, the session can have any server.
    fn pin(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        let config = &self.configs[entry.route.config];
        let servers = &config.snapshot.backends[entry.route.backend as usize].servers;
        let named = entry.http.as_ref().and_then(|http| http.cookie_server);
        let tried = entry.tried_lately();
        let pinned_server = named.filter(|server| {
            let availability = &servers[usize::from(*server)].availability;
            availability.is_usable() && !tried.contains(server)
        });
        entry.pinned_server = pinned_server;
    }

    fn take_pinned(&mut self, slot: usize, queue_key: QueueKey, server: u16) -> session::Choice {
        let shared = &queue_key.backend(&self.configs).servers[usize::from(server)];
        if !shared.session_limit.try_acquire() {
            return session::Choice::Full;
        }
        self.server_acquired(slot, server);
        session::Choice::Chosen
    }

    fn take_balanced(&mut self, slot: usize, queue_key: QueueKey) -> session::Choice {
        let entry = &mut self.sessions[slot];
        let client = entry
            .client
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
        let config = &mut self.configs[queue_key.config];
        let view = BackendView::of(&config.snapshot, queue_key.backend);
        let balancer = &mut config.balancers[queue_key.backend];
        for _ in 0..RACES_MAX {
            match balancer.choose(client, &view, entry.tried_lately()) {
                Choice::Server(index) if view.shared[index].session_limit.try_acquire() => {
                    self.server_acquired(slot, index as u16);
                    return session::Choice::Chosen;
                }
                Choice::Server(_) => {}
                Choice::Full => return session::Choice::Full,
                Choice::Tried => return session::Choice::AllTried,
                Choice::None => return session::Choice::NoServer,
            }
        }
        session::Choice::Full
    }

    /// Takes a backup server for a session that has waited for `queue_timeout`. False: none has a
    /// free slot.
    pub(super) fn choose_backup(&mut self, slot: usize) -> bool {
        let entry = &self.sessions[slot];
        let queue_key = self.queue_key_of(entry);
        let snapshot = &self.configs[queue_key.config].snapshot;
        let view = BackendView::of(snapshot, queue_key.backend);
        let backup = balance::spare(&view, entry.tried_lately());
        let taken = backup.filter(|index| view.shared[*index].session_limit.try_acquire());
        if let Some(index) = taken {
            self.server_acquired(slot, index as u16);
        }
        taken.is_some()
    }

    fn server_acquired(&mut self, slot: usize, server: u16) {
        let entry = &mut self.sessions[slot];
        entry.server = Some(server);
        entry.has_server_slot = true;
        let entry = &mut self.sessions[slot];
        let config = &self.configs[entry.route.config];
        self.reporting.accounting.server_taken(entry, config);
    }

    /// Closes the connection to the server, if there is one, and gives its slot back. The session
    /// still knows which server it was.
    pub(super) fn close_server(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        if let Some(socket) = entry.sockets[Side::Server.index()].take() {
            self.engine.close(socket);
        }
        if std::mem::take(&mut entry.has_server_slot) {
            let server = self.server_of(&self.sessions[slot]).map(Arc::clone);
            self.release_server_slot(server);
        }
    }

    /// The same, and the session has no server any more. `failed`: it could not be reached.
    fn leave_server(&mut self, slot: usize, failed: bool) {
        self.close_server(slot);
        if failed && let Some(server) = self.server_of(&self.sessions[slot]) {
            self.reporting.accounting.connect_failed(server);
        }
        let entry = &mut self.sessions[slot];
        let left = entry.server.take();
        if failed {
            entry.counted_for = None;
            entry.tried.extend(left);
        }
    }

    /// Gives back the slots of a session that ended.
    pub(super) fn release_slots(&mut self, entry: &Slot<E>) {
        if entry.has_server_slot {
            let server = self.server_of(entry).map(Arc::clone);
            self.release_server_slot(server);
        }
        let frontend = self.configs.frontend(entry.route);
        self.acceptor.release_slots(frontend, &mut self.notices);
    }

    fn release_server_slot(&mut self, server: Option<Arc<ServerShared>>) {
        let Some(server) = server else {
            debug_assert!(false, "a slot without a server");
            return;
        };
        server.session_limit.release();
        notify_longest_waiting(&server, &mut self.notices);
    }
}
