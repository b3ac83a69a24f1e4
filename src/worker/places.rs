//! SessionLimit: choosing a server that has one, waiting for one, giving one back.
//!
//! Who waits is served in order: a new session goes behind those that wait for the same, and a place
//! that a worker gives back goes to the session that waits longest over all workers (`queue`). Who is
//! bound to a server by a cookie waits for that one alone, and comes before those
//! who wait for any.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Worker;
use super::queue::{QueueKey, Target, longest_waiting};
use super::slot::Slot;
use crate::config;
use crate::io::Engine;
use crate::logic::balance::{self, Choice, Servers};
use crate::logic::session::{Event, Side};
use crate::shared::{Freed, WaitRegistry};
use crate::snapshot::{BackendShared, ServerShared, Snapshot};

/// Tries to get a place that another worker may take first, before waiting for one.
const RACES_MAX: usize = 8;

/// The servers of one backend, for the balancer.
struct View<'a> {
    servers: &'a [config::Server],
    shared: &'a [Arc<ServerShared>],
}

impl<'a> View<'a> {
    fn of(snapshot: &'a Snapshot, backend: usize) -> Self {
        View {
            servers: &snapshot.config.backends[backend].servers,
            shared: &snapshot.backends[backend].servers,
        }
    }
}

impl Servers for View<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn usable(&self, index: usize) -> bool {
        self.shared[index].availability.is_usable()
    }

    fn weight(&self, index: usize) -> u32 {
        self.shared[index].availability.weight()
    }

    fn is_backup(&self, index: usize) -> bool {
        self.servers[index].backup
    }

    fn sessions(&self, index: usize) -> u32 {
        self.shared[index].session_limit.used()
    }

    fn has_room(&self, index: usize) -> bool {
        // A place that somebody waits for by name is not free.
        let server = &self.shared[index];
        server.session_limit.free() > 0 && !server.waiting.any()
    }
}

impl<E: Engine> Worker<E> {
    /// Where a session waits, or would wait.
    pub(super) fn queue_key_of(&self, entry: &Slot<E>) -> QueueKey {
        let config = entry.route.config;
        QueueKey {
            config,
            backend: entry.route.backend as usize,
            server: entry.pinned_server,
        }
    }

    pub(super) fn backend(&self, queue_key: QueueKey) -> &BackendShared {
        &self.configs[queue_key.config].snapshot.backends[queue_key.backend]
    }

    /// Who waits for the same, over all workers.
    pub(super) fn waiters(&self, queue_key: QueueKey) -> &WaitRegistry {
        let backend = self.backend(queue_key);
        match queue_key.server {
            None => &backend.queue.waiting,
            Some(server) => &backend.servers[usize::from(server)].waiting,
        }
    }

    pub(super) fn target(&self, queue_key: QueueKey) -> Target {
        let backend = self.backend(queue_key);
        match queue_key.server {
            None => Target::Any(backend.queue.id),
            Some(server) => Target::Server(backend.servers[usize::from(server)].id),
        }
    }

    /// The server that a session has taken, if any.
    pub(super) fn server_of(&self, entry: &Slot<E>) -> Option<&Arc<ServerShared>> {
        let config = &self.configs[entry.route.config];
        let server = entry.server?;
        Some(config.server(entry.route.backend, server))
    }

    /// Lets go of the server that failed, if there was one, and chooses another.
    pub(super) fn choose(&mut self, slot: usize, failed: bool) {
        self.leave_server(slot, failed);
        self.renew(slot);
        self.bind(slot);
        let entry = &self.sessions[slot];
        let queue_key = self.queue_key_of(entry);
        let called = entry.session.was_woken_from_queue();
        let answer = if !called && self.waiters(queue_key).any() {
            Event::Full
        } else {
            match queue_key.server {
                Some(server) => self.take_named(slot, queue_key, server),
                None => self.take_any(slot, queue_key),
            }
        };
        self.answers.push_back(answer);
    }

    /// Binds a session to the server that its cookie names, while that can be used: one that drains
    /// still can. Else, or if it could not be reached, any other will do.
    fn bind(&mut self, slot: usize) {
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

    fn take_named(&mut self, slot: usize, queue_key: QueueKey, server: u16) -> Event {
        let shared = &self.backend(queue_key).servers[usize::from(server)];
        if !shared.session_limit.try_acquire() {
            return Event::Full;
        }
        self.server_acquired(slot, server);
        Event::Chosen
    }

    fn take_any(&mut self, slot: usize, queue_key: QueueKey) -> Event {
        let entry = &mut self.sessions[slot];
        let client = entry
            .client
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
        let config = &mut self.configs[queue_key.config];
        let view = View::of(&config.snapshot, queue_key.backend);
        let balancer = &mut config.balancers[queue_key.backend];
        for _ in 0..RACES_MAX {
            match balancer.choose(client, &view, entry.tried_lately()) {
                Choice::Server(index) if view.shared[index].session_limit.try_acquire() => {
                    self.server_acquired(slot, index as u16);
                    return Event::Chosen;
                }
                Choice::Server(_) => {}
                Choice::Full => return Event::Full,
                Choice::Tried => return Event::AllTried,
                Choice::None => return Event::NoServer,
            }
        }
        Event::Full
    }

    /// Takes a backup for a session whose time in the queue is over, if one helps out.
    pub(super) fn choose_backup(&mut self, slot: usize) {
        let entry = &self.sessions[slot];
        let queue_key = self.queue_key_of(entry);
        let view = View::of(&self.configs[queue_key.config].snapshot, queue_key.backend);
        let backup = balance::spare(&view, entry.tried_lately());
        let answer = match backup.filter(|index| view.shared[*index].session_limit.try_acquire()) {
            Some(index) => {
                self.server_acquired(slot, index as u16);
                Event::Chosen
            }
            None => Event::Full,
        };
        self.answers.push_back(answer);
    }

    fn server_acquired(&mut self, slot: usize, server: u16) {
        let entry = &mut self.sessions[slot];
        entry.server = Some(server);
        entry.has_server_slot = true;
        let entry = &mut self.sessions[slot];
        let config = &self.configs[entry.route.config];
        self.reporting.accounting.server_taken(entry, config);
    }

    /// Closes the connection to the server, if there is one, and gives its place back. The session
    /// still knows which it was.
    pub(super) fn close_server(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        if let Some(socket) = entry.sockets[Side::Server.index()].take() {
            self.engine.close(socket);
        }
        if std::mem::take(&mut entry.has_server_slot)
            && let Some((worker, server)) = self.give_back_server(&self.sessions[slot])
        {
            self.tell(worker, Freed::Server(server));
        }
    }

    /// The same with a server that is not the session's any more, perhaps because it could not be
    /// had.
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

    pub(super) fn release_slots(&mut self, entry: &Slot<E>) {
        if entry.has_server_slot
            && let Some((worker, server)) = self.give_back_server(entry)
        {
            self.tell(worker, Freed::Server(server));
        }
        let frontend = self.configs.frontend(entry.route);
        frontend.session_limit.release();
        self.shared.session_limit.release();
        if let Some(worker) = frontend.paused.longest_waiting() {
            let frontend = Arc::clone(frontend);
            self.tell(worker, Freed::Frontend(frontend));
        } else if let Some(worker) = self.shared.paused.longest_waiting() {
            self.tell(worker, Freed::Process);
        }
    }

    /// Returns who is to be told of the route, if anybody waits for it.
    fn give_back_server(&self, entry: &Slot<E>) -> Option<(usize, Arc<ServerShared>)> {
        let Some(server) = self.server_of(entry) else {
            debug_assert!(false, "a place without a server");
            return None;
        };
        server.session_limit.release();
        let worker = longest_waiting(server)?;
        Some((worker, Arc::clone(server)))
    }

    /// Whether a choice would have to wait now.
    pub(super) fn is_full(&self, queue_key: QueueKey) -> bool {
        let snapshot = &self.configs[queue_key.config].snapshot;
        match queue_key.server {
            None => balance::is_full(&View::of(snapshot, queue_key.backend)),
            Some(server) => {
                let server = snapshot.server(queue_key.backend, usize::from(server));
                server.availability.is_usable() && server.session_limit.free() == 0
            }
        }
    }
}
