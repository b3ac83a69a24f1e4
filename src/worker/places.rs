//! Places: choosing a server that has one, waiting for one, giving one back.
//!
//! Who waits is served in order: a new session goes behind those that wait for the same, and a place
//! that a worker gives back goes to the session that waits longest over all workers, by waking its
//! worker. Who is bound to a server by a cookie waits for that one alone, and comes before those
//! who wait for any.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Worker;
use super::plan::PlanIndex;
use super::queue::{Line, Queue};
use super::slot::Slot;
use super::token::Key;
use crate::config;
use crate::io::Engine;
use crate::logic::balance::{self, Choice, Servers};
use crate::logic::session::{Event, Side};
use crate::logic::time::Instant;
use crate::shared::Waiters;
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
        // A place that somebody waits for by name is not free.
        let server = &self.shared[index];
        server.places.free() > 0 && !server.waiting.any()
    }
}

impl<E: Engine> Worker<E> {
    /// Where a session waits, or would wait.
    pub(super) fn line_of(&self, entry: &Slot<E>) -> Line {
        let plan = entry.place.plan;
        Line {
            plan,
            backend: self.plans[plan].backend_of(entry.place.frontend),
            server: entry.bound,
        }
    }

    fn backend(&self, line: Line) -> &BackendShared {
        &self.plans[line.plan].snapshot.backends[line.backend]
    }

    /// Who waits for the same, over all workers.
    fn waiters(&self, line: Line) -> &Waiters {
        let backend = self.backend(line);
        match line.server {
            None => &backend.queue.waiting,
            Some(server) => &backend.servers[usize::from(server)].waiting,
        }
    }

    pub(super) fn queue(&mut self, line: Line) -> &mut Queue {
        &mut self.plans[line.plan].queues[line.backend]
    }

    /// The server that a session has taken, if any.
    pub(super) fn server_of(&self, entry: &Slot<E>) -> Option<&Arc<ServerShared>> {
        self.plans[entry.place.plan].server_of(entry)
    }

    /// Lets go of the server that failed, if there was one, and chooses another.
    pub(super) fn choose(&mut self, slot: usize, failed: bool) {
        self.leave_server(slot, failed);
        self.renew(slot);
        self.bind(slot);
        let entry = &self.sessions[slot];
        let line = self.line_of(entry);
        let called = entry.session.was_called();
        let answer = if !called && self.waiters(line).any() {
            Event::Full
        } else {
            match line.server {
                Some(server) => self.take_named(slot, line, server),
                None => self.take_any(slot, line),
            }
        };
        self.answers.push_back(answer);
    }

    /// Binds a session to the server that its cookie names, while that can be used: one that drains
    /// still can. Else, or if it could not be reached, any other will do.
    fn bind(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        let plan = &self.plans[entry.place.plan];
        let servers = &plan.snapshot.backends[plan.backend_of(entry.place.frontend)].servers;
        let named = entry.http.as_ref().and_then(|http| http.named);
        let tried = entry.tried_lately();
        let bound = named.filter(|server| {
            let liveness = &servers[usize::from(*server)].liveness;
            liveness.is_usable() && !tried.contains(server)
        });
        entry.bound = bound;
    }

    fn take_named(&mut self, slot: usize, line: Line, server: u16) -> Event {
        let shared = &self.backend(line).servers[usize::from(server)];
        if !shared.places.try_take() {
            return Event::Full;
        }
        self.took_place(slot, server);
        Event::Chosen
    }

    fn take_any(&mut self, slot: usize, line: Line) -> Event {
        let entry = &mut self.sessions[slot];
        let client = entry
            .client
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
        let plan = &mut self.plans[line.plan];
        let view = View::of(&plan.snapshot, line.backend);
        let balancer = &mut plan.balancers[line.backend];
        for _ in 0..RACES_MAX {
            match balancer.choose(client, &view, entry.tried_lately()) {
                Choice::Server(index) if view.shared[index].places.try_take() => {
                    self.took_place(slot, index as u16);
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
        let line = self.line_of(entry);
        let view = View::of(&self.plans[line.plan].snapshot, line.backend);
        let backup = balance::spare(&view, entry.tried_lately());
        let answer = match backup.filter(|index| view.shared[*index].places.try_take()) {
            Some(index) => {
                self.took_place(slot, index as u16);
                Event::Chosen
            }
            None => Event::Full,
        };
        self.answers.push_back(answer);
    }

    fn took_place(&mut self, slot: usize, server: u16) {
        let entry = &mut self.sessions[slot];
        entry.server = Some(server);
        entry.has_place = true;
        self.count_taken(slot);
    }

    /// Closes the connection to the server, if there is one, and gives its place back. The session
    /// still knows which it was.
    pub(super) fn close_server(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        if let Some(socket) = entry.sockets[Side::Server.index()].take() {
            self.engine.close(socket);
        }
        if std::mem::take(&mut entry.has_place) {
            self.give_back_server(&self.sessions[slot]);
        }
    }

    /// The same with a server that is not the session's any more, perhaps because it could not be
    /// had.
    fn leave_server(&mut self, slot: usize, failed: bool) {
        self.close_server(slot);
        if failed && let Some(server) = self.server_of(&self.sessions[slot]) {
            self.count_connect_failure(server);
        }
        let entry = &mut self.sessions[slot];
        let left = entry.server.take();
        if failed {
            entry.tried.extend(left);
        }
    }

    pub(super) fn give_back_places(&mut self, entry: &Slot<E>) {
        if entry.has_place {
            self.give_back_server(entry);
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

    fn give_back_server(&self, entry: &Slot<E>) {
        let Some(server) = self.server_of(entry) else {
            debug_assert!(false, "a place without a server");
            return;
        };
        let backend = self.backend(self.line_of(entry));
        server.places.give_back();
        // Those who can go nowhere else come first.
        let named = server.waiting.oldest();
        if let Some(worker) = named.or_else(|| backend.queue.waiting.oldest()) {
            // Not served here and now: this may be inside an event of another session.
            self.shared.wake(worker);
        }
    }

    /// Appends a session to those that wait. One that was called in vain keeps its place in front.
    pub(super) fn enqueue(&mut self, slot: usize) {
        let key = self.key(slot);
        let line = self.line_of(&self.sessions[slot]);
        if self.calling == Some(key) {
            self.queue(line).push_first(line.server, key);
        } else {
            self.queue(line).push(line.server, key);
        }
        self.announce(line);
        if !self.is_full(line) {
            // A place was given back between the choice and the announcement, or the last server
            // went down.
            self.shared.wake(self.index);
        }
    }

    pub(super) fn dequeue(&mut self, slot: usize) {
        let key = self.key(slot);
        let line = self.line_of(&self.sessions[slot]);
        self.queue(line).remove(line.server, key);
        self.announce(line);
        self.pass_on(line);
    }

    /// Calls those that wait here for servers of this backend, in each line longest first, until
    /// one finds no place.
    pub(super) fn serve_queue(&mut self, plan: PlanIndex, backend: usize) {
        let named: Vec<u16> = self.plans[plan].queues[backend].named().collect();
        for server in named.into_iter().map(Some).chain([None]) {
            self.serve(Line {
                plan,
                backend,
                server,
            });
        }
    }

    fn serve(&mut self, line: Line) {
        while let Some(key) = self.queue(line).pop(line.server) {
            self.calling = Some(key);
            self.drive(key.slot as usize, Event::PlaceFreed);
            if self.queue(line).first(line.server) == Some(key) {
                break;
            }
        }
        self.calling = None;
        self.announce(line);
        self.pass_on(line);
    }

    /// What this worker was woken for and does not need is for the next: one that waits for the
    /// same, then one that waits for any server.
    fn pass_on(&self, line: Line) {
        let here = self.plans[line.plan].queues[line.backend].first(line.server);
        if here.is_some() || self.is_full(line) {
            return;
        }
        let next = self.waiters(line).oldest();
        if let Some(worker) = next.filter(|worker| *worker != self.index) {
            self.shared.wake(worker);
            return;
        }
        let any = Line {
            server: None,
            ..line
        };
        if line.server.is_some()
            && let Some(worker) = self.waiters(any).oldest()
            && !self.is_full(any)
        {
            self.shared.wake(worker);
        }
    }

    /// Whether a choice would have to wait now.
    fn is_full(&self, line: Line) -> bool {
        let snapshot = &self.plans[line.plan].snapshot;
        match line.server {
            None => balance::is_full(&View::of(snapshot, line.backend)),
            Some(server) => {
                let server = snapshot.server(line.backend, usize::from(server));
                server.liveness.is_usable() && server.places.free() == 0
            }
        }
    }

    /// Tells the others who waits here for the same, in all plans that have it.
    pub(super) fn announce(&self, line: Line) {
        let backend = self.backend(line);
        let server = line
            .server
            .map(|server| &backend.servers[usize::from(server)]);
        let (mut count, mut since) = (0, None);
        for (_, plan) in self.plans.iter() {
            let backends = plan.snapshot.backends.iter().zip(&plan.queues);
            for (other, queue) in backends {
                if queue.len() == 0 || !Arc::ptr_eq(&other.queue, &backend.queue) {
                    continue;
                }
                count += queue.len() as u64;
                let same = |index: &u16| {
                    server.is_some_and(|server| {
                        Arc::ptr_eq(&other.servers[usize::from(*index)], server)
                    })
                };
                let first = match line.server {
                    None => queue.first(None),
                    Some(_) => queue
                        .named()
                        .find(same)
                        .and_then(|index| queue.first(Some(index))),
                };
                let first = first.and_then(|key| self.queued_since(key));
                since = since.into_iter().chain(first).min();
            }
        }
        backend.queue.sessions_waiting[self.index].0.set(count);
        self.waiters(line).announce(self.index, since);
    }

    pub(super) fn queued_since(&self, key: Key) -> Option<Instant> {
        self.sessions[key.slot as usize].session.queued_since()
    }
}
