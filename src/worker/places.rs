//! Places: choosing a server that has one, waiting for one, giving one back.
//!
//! Who waits is served in order: a new session goes behind those that wait, and a place that a
//! worker gives back goes to the session that waits longest over all workers, by waking its worker.

use std::net::{IpAddr, Ipv4Addr};

use super::Worker;
use super::slot::Slot;
use crate::config;
use crate::io::Engine;
use crate::logic::balance::{self, Choice, Servers};
use crate::logic::session::{Event, Side};
use crate::logic::time::Instant;
use crate::shared::ServerShared;

/// Tries to get a place that another worker may take first, before waiting for one.
const RACES_MAX: usize = 8;

/// The servers of one backend, for the balancer.
struct View<'a> {
    servers: &'a [config::Server],
    shared: &'a [ServerShared],
}

impl Servers for View<'_> {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn usable(&self, index: usize) -> bool {
        self.shared[index].liveness.is_usable()
    }

    fn weight(&self, index: usize) -> u32 {
        self.shared[index].liveness.weight()
    }

    fn is_backup(&self, index: usize) -> bool {
        self.servers[index].backup
    }

    fn sessions(&self, index: usize) -> u32 {
        self.shared[index].places.used()
    }

    fn has_room(&self, index: usize) -> bool {
        self.shared[index].places.free() > 0
    }
}

impl<E: Engine> Worker<E> {
    pub(super) fn backend_of(&self, frontend: u16) -> usize {
        self.config.frontends[usize::from(frontend)].backend
    }

    /// Lets go of the server that failed, if there was one, and chooses another.
    pub(super) fn choose(&mut self, slot: usize, failed: bool) {
        self.leave_server(slot, failed);
        let entry = &self.sessions[slot];
        let backend = self.backend_of(entry.frontend);
        let called = entry.session.was_called();
        let answer = if !called && self.shared.backends[backend].waiting.any() {
            Event::Full
        } else {
            self.take_server(slot, backend)
        };
        self.answers.push_back(answer);
    }

    fn take_server(&mut self, slot: usize, backend: usize) -> Event {
        let entry = &mut self.sessions[slot];
        let client = entry
            .client
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
        let view = View {
            servers: &self.config.backends[backend].servers,
            shared: &self.shared.backends[backend].servers,
        };
        let named = entry.http.as_ref().and_then(|http| http.named);
        if let Some(server) = named.filter(|server| !entry.tried.contains(server)) {
            let shared = &view.shared[usize::from(server)];
            if shared.liveness.is_usable() {
                if !shared.places.try_take() {
                    return Event::Full;
                }
                entry.server = Some(server);
                self.count_taken(slot, backend);
                return Event::Chosen;
            }
        }
        for _ in 0..RACES_MAX {
            match self.balancers[backend].choose(client, &view, &entry.tried) {
                Choice::Server(index) if view.shared[index].places.try_take() => {
                    entry.server = Some(index as u16);
                    self.count_taken(slot, backend);
                    return Event::Chosen;
                }
                Choice::Server(_) => {}
                Choice::Full => return Event::Full,
                Choice::None => return Event::NoServer,
            }
        }
        Event::Full
    }

    /// Closes the connection to a server that could not be had and gives its place back.
    fn leave_server(&mut self, slot: usize, failed: bool) {
        let entry = &mut self.sessions[slot];
        if let Some(socket) = entry.sockets[Side::Server.index()].take() {
            self.engine.close(socket);
        }
        let Some(server) = entry.server.take() else {
            return;
        };
        let frontend = entry.frontend;
        let backend = self.backend_of(frontend);
        if failed {
            self.sessions[slot].tried.push(server);
            self.count_connect_failure(backend, server);
        }
        self.give_back_server(backend, server);
    }

    pub(super) fn give_back_places(&mut self, entry: &Slot<E>) {
        if let Some(server) = entry.server {
            self.give_back_server(self.backend_of(entry.frontend), server);
        }
        let frontend = &self.shared.frontends[usize::from(entry.frontend)];
        frontend.places.give_back();
        self.shared.places.give_back();
        let paused = frontend.paused.oldest();
        if let Some(worker) = paused.or_else(|| self.shared.paused.oldest()) {
            if worker == self.index {
                // Not here and now: the sessions that begin may end at once.
                self.resume_due = true;
            } else {
                self.shared.wake(worker);
            }
        }
    }

    fn give_back_server(&mut self, backend: usize, server: u16) {
        let shared = &self.shared.backends[backend];
        shared.servers[usize::from(server)].places.give_back();
        if let Some(worker) = shared.waiting.oldest() {
            // Not served here and now: this may be inside an event of another session.
            self.shared.wake(worker);
        }
    }

    /// Appends a session to those that wait. One that was called in vain keeps its place in front.
    pub(super) fn enqueue(&mut self, slot: usize) {
        let key = self.key(slot);
        let backend = self.backend_of(self.sessions[slot].frontend);
        let queue = &mut self.queues[backend];
        if self.calling == Some(key) {
            queue.push_front(key);
        } else {
            queue.push_back(key);
        }
        self.announce(backend);
        if !self.is_full(backend) {
            // A place was given back between the choice and the announcement, or the last server
            // went down.
            self.shared.wake(self.index);
        }
    }

    pub(super) fn dequeue(&mut self, slot: usize) {
        let key = self.key(slot);
        let backend = self.backend_of(self.sessions[slot].frontend);
        self.queues[backend].retain(|waiting| *waiting != key);
        self.announce(backend);
    }

    /// Calls those that wait for a place of this backend, longest first, until one finds none.
    pub(super) fn serve_queue(&mut self, backend: usize) {
        while let Some(key) = self.queues[backend].pop_front() {
            self.calling = Some(key);
            self.drive(key.slot as usize, Event::PlaceFreed);
            if self.queues[backend].front() == Some(&key) {
                break;
            }
        }
        self.calling = None;
        self.announce(backend);
        if self.queues[backend].is_empty()
            && let Some(worker) = self.shared.backends[backend].waiting.oldest()
            && !self.is_full(backend)
        {
            // What this worker was woken for and does not need is for the next.
            self.shared.wake(worker);
        }
    }

    /// Whether a choice would have to wait now.
    fn is_full(&self, backend: usize) -> bool {
        balance::is_full(&View {
            servers: &self.config.backends[backend].servers,
            shared: &self.shared.backends[backend].servers,
        })
    }

    fn announce(&self, backend: usize) {
        self.count_waiting(backend);
        let since = self.waiting_since(backend);
        self.shared.backends[backend]
            .waiting
            .announce(self.index, since);
    }

    fn waiting_since(&self, backend: usize) -> Option<Instant> {
        let key = self.queues[backend].front()?;
        self.sessions[key.slot as usize].session.queued_since()
    }
}
