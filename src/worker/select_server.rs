//! Choosing a server for a session, taking a slot of it, and giving the slot back.
//!
//! A session whose cookie names a usable server is pinned to it and waits for that one alone; for
//! all others the balancer of the backend chooses. A new session does not overtake those that wait for
//! the same (`waiting`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Worker;
use super::notices::Notices;
use super::slot::{CountedFor, Slot};
use super::waiting::notify_longest_waiting;
use crate::io::Engine;
use crate::logic::balance::Choice;
use crate::logic::session::{self, ChooseReason, Side};
use crate::snapshot::ServerShared;

/// Choices of a server whose last free slot another worker took first, before the session waits.
const RACES_MAX: usize = 8;

impl<E: Engine> Worker<E> {
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
            Some(server) => self.take_pinned(slot, &server),
            None => self.take_balanced(slot),
        }
    }

    /// Pins a session to the server that its cookie names, if that is usable; one that drains is. If
    /// it is not, or could not be reached, the session can have any server.
    fn pin(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        let Some(http) = entry.extras.http_mut() else {
            return;
        };
        let is_tried = |server: &ServerShared| {
            let mut tried = entry.tried.lately().iter();
            tried.any(|tried| tried.id == server.id)
        };
        let named = http.cookie_server.as_ref();
        let pinned = named.filter(|server| server.availability.is_usable() && !is_tried(server));
        http.pinned_server = pinned.cloned();
    }

    fn take_pinned(&mut self, slot: usize, server: &Arc<ServerShared>) -> session::Choice {
        if !try_acquire(server) {
            return session::Choice::Full;
        }
        self.server_acquired(slot, Arc::clone(server));
        session::Choice::Chosen
    }

    fn take_balanced(&mut self, slot: usize) -> session::Choice {
        for _ in 0..RACES_MAX {
            let entry = &self.sessions[slot];
            let client = entry
                .client
                .ip()
                .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let backend = self.configs.refresh(entry.route);
            match backend.choose(client, entry.tried.lately()) {
                Choice::Server(index) => {
                    if self.take(slot, index) {
                        return session::Choice::Chosen;
                    }
                }
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
        let backend = self.configs.refresh(entry.route);
        let backup = backend.backup(entry.tried.lately());
        backup.is_some_and(|index| self.take(slot, index))
    }

    /// Takes a slot of the server of this index. False: another worker was first.
    fn take(&mut self, slot: usize, index: usize) -> bool {
        let route = self.sessions[slot].route;
        let backend = &self.configs[route.config].backends[route.backend as usize];
        let member = &backend.members().servers()[index];
        if !try_acquire(&member.server) {
            return false;
        }
        let server = Arc::clone(&member.server);
        if let Some(http) = self.sessions[slot].extras.http_mut() {
            http.chosen = Some(Arc::clone(&member.config));
        }
        self.server_acquired(slot, server);
        true
    }

    fn server_acquired(&mut self, slot: usize, server: Arc<ServerShared>) {
        let entry = &mut self.sessions[slot];
        entry.server = Some(server);
        entry.has_server_slot = true;
        self.reporting.accounting.server_taken(entry);
    }

    /// Closes the connection to the server, if there is one, and gives its slot back. The session
    /// still knows which server it was.
    pub(super) fn close_server(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        if let Some(socket) = entry.sockets[Side::Server.index()].take() {
            self.engine.close(socket);
        }
        if std::mem::take(&mut entry.has_server_slot) {
            release_server_slot(entry.server.as_ref(), &mut self.notices);
        }
    }

    /// The same, and the session has no server any more. `failed`: it could not be reached.
    fn leave_server(&mut self, slot: usize, failed: bool) {
        self.close_server(slot);
        let entry = &mut self.sessions[slot];
        if failed && let Some(server) = &entry.server {
            self.reporting.accounting.connect_failed(server);
        }
        let left = entry.server.take();
        if failed {
            entry.counted_for = CountedFor::default();
            if let Some(left) = left {
                entry.tried.push(left);
            }
        }
    }

    /// Gives back the slots of a session that ended.
    pub(super) fn release_slots(&mut self, entry: &Slot<E>) {
        if entry.has_server_slot {
            release_server_slot(entry.server.as_ref(), &mut self.notices);
        }
        let frontend = self.configs.frontend(entry.route);
        self.acceptor.release_slots(frontend, &mut self.notices);
    }
}

/// Gives back a slot of a server.
fn release_server_slot(server: Option<&Arc<ServerShared>>, notices: &mut Notices) {
    let Some(server) = server else {
        debug_assert!(false, "a slot without a server");
        return;
    };
    server.session_limit.release();
    notify_longest_waiting(server, notices);
}

/// Takes a slot of a server, unless the server was removed meanwhile. Either the control plane, which forgets
/// removed servers without sessions, sees the slot, or this sees that the server was removed.
fn try_acquire(server: &ServerShared) -> bool {
    if !server.session_limit.try_acquire() {
        return false;
    }
    let is_leaving = server.availability.is_leaving();
    if is_leaving {
        server.session_limit.release();
    }
    !is_leaving
}
