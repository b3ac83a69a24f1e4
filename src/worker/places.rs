//! Places: choosing a server that has one, waiting for one, giving one back.
//!
//! Who waits is served in order: a new session goes behind those that wait, and a place that a
//! worker gives back goes to the session that waits longest over all workers, by waking its worker.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Worker;
use super::plan::PlanIndex;
use super::slot::Slot;
use super::token::Key;
use crate::config;
use crate::io::Engine;
use crate::logic::balance::{self, Choice, Servers};
use crate::logic::session::{Event, Side};
use crate::logic::time::Instant;
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

/// A backend of one of the plans, and those who wait for it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// Which plan.
    pub plan: PlanIndex,
    /// Index of the backend in it.
    pub backend: usize,
}

impl<E: Engine> Worker<E> {
    fn queue_of(&self, entry: &Slot<E>) -> Queue {
        let plan = entry.place.plan;
        let backend = self.plans[plan].backend_of(entry.place.frontend);
        Queue { plan, backend }
    }

    fn backend(&self, queue: Queue) -> &BackendShared {
        &self.plans[queue.plan].snapshot.backends[queue.backend]
    }

    /// The server that a session has taken, if any.
    pub(super) fn server_of(&self, entry: &Slot<E>) -> Option<&Arc<ServerShared>> {
        self.plans[entry.place.plan].server_of(entry)
    }

    /// Lets go of the server that failed, if there was one, and chooses another.
    pub(super) fn choose(&mut self, slot: usize, failed: bool) {
        self.leave_server(slot, failed);
        let entry = &self.sessions[slot];
        let queue = self.queue_of(entry);
        let called = entry.session.was_called();
        let answer = if !called && self.backend(queue).queue.waiting.any() {
            Event::Full
        } else {
            self.take_server(slot, queue)
        };
        self.answers.push_back(answer);
    }

    fn take_server(&mut self, slot: usize, queue: Queue) -> Event {
        let entry = &mut self.sessions[slot];
        let client = entry
            .client
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
        let plan = &mut self.plans[queue.plan];
        let view = View::of(&plan.snapshot, queue.backend);
        let named = entry.http.as_ref().and_then(|http| http.named);
        if let Some(server) = named.filter(|server| !entry.tried.contains(server)) {
            let shared = &view.shared[usize::from(server)];
            if shared.liveness.is_usable() {
                if !shared.places.try_take() {
                    return Event::Full;
                }
                entry.server = Some(server);
                self.count_taken(slot);
                return Event::Chosen;
            }
        }
        let balancer = &mut plan.balancers[queue.backend];
        for _ in 0..RACES_MAX {
            match balancer.choose(client, &view, &entry.tried) {
                Choice::Server(index) if view.shared[index].places.try_take() => {
                    entry.server = Some(index as u16);
                    self.count_taken(slot);
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
        let entry = &self.sessions[slot];
        if let Some(server) = self.server_of(entry) {
            if failed {
                self.count_connect_failure(server);
            }
            self.give_back_server(self.backend(self.queue_of(entry)), server);
        }
        let entry = &mut self.sessions[slot];
        let left = entry.server.take();
        if failed {
            entry.tried.extend(left);
        }
    }

    pub(super) fn give_back_places(&mut self, entry: &Slot<E>) {
        if let Some(server) = self.server_of(entry) {
            self.give_back_server(self.backend(self.queue_of(entry)), server);
        }
        let frontend = self.plans.frontend(entry.place);
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

    fn give_back_server(&self, backend: &BackendShared, server: &ServerShared) {
        server.places.give_back();
        if let Some(worker) = backend.queue.waiting.oldest() {
            // Not served here and now: this may be inside an event of another session.
            self.shared.wake(worker);
        }
    }

    /// Appends a session to those that wait. One that was called in vain keeps its place in front.
    pub(super) fn enqueue(&mut self, slot: usize) {
        let key = self.key(slot);
        let queue = self.queue_of(&self.sessions[slot]);
        let waiting = &mut self.plans[queue.plan].queues[queue.backend];
        if self.calling == Some(key) {
            waiting.push_front(key);
        } else {
            waiting.push_back(key);
        }
        self.announce(queue);
        if !self.is_full(queue) {
            // A place was given back between the choice and the announcement, or the last server
            // went down.
            self.shared.wake(self.index);
        }
    }

    pub(super) fn dequeue(&mut self, slot: usize) {
        let key = self.key(slot);
        let queue = self.queue_of(&self.sessions[slot]);
        self.plans[queue.plan].queues[queue.backend].retain(|waiting| *waiting != key);
        self.announce(queue);
    }

    /// Calls those that wait for a place of this backend, longest first, until one finds none.
    pub(super) fn serve_queue(&mut self, queue: Queue) {
        while let Some(key) = self.plans[queue.plan].queues[queue.backend].pop_front() {
            self.calling = Some(key);
            self.drive(key.slot as usize, Event::PlaceFreed);
            if self.plans[queue.plan].queues[queue.backend].front() == Some(&key) {
                break;
            }
        }
        self.calling = None;
        self.announce(queue);
        if self.plans[queue.plan].queues[queue.backend].is_empty()
            && let Some(worker) = self.backend(queue).queue.waiting.oldest()
            && worker != self.index
            && !self.is_full(queue)
        {
            // What this worker was woken for and does not need is for the next.
            self.shared.wake(worker);
        }
    }

    /// Whether a choice would have to wait now.
    fn is_full(&self, queue: Queue) -> bool {
        let snapshot = &self.plans[queue.plan].snapshot;
        balance::is_full(&View::of(snapshot, queue.backend))
    }

    /// Tells the others who waits here for the servers of this backend, in all plans that have it.
    pub(super) fn announce(&self, queue: Queue) {
        let shared = &self.backend(queue).queue;
        let (mut count, mut since) = (0, None);
        for (_, plan) in self.plans.iter() {
            for (backend, waiting) in plan.snapshot.backends.iter().zip(&plan.queues) {
                let Some(first) = waiting.front() else {
                    continue;
                };
                if Arc::ptr_eq(&backend.queue, shared) {
                    count += waiting.len() as u64;
                    since = since.into_iter().chain(self.queued_since(*first)).min();
                }
            }
        }
        shared.sessions_waiting[self.index].0.set(count);
        shared.waiting.announce(self.index, since);
    }

    fn queued_since(&self, key: Key) -> Option<Instant> {
        self.sessions[key.slot as usize].session.queued_since()
    }
}
