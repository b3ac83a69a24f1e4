//! Taking a new configuration while sessions go on.
//!
//! Sessions keep the one they began with for as long as they have their server. A session without
//! one, which waits for a place or whose server could not be had, goes over to the new
//! configuration if that still has its frontend, and otherwise stays. Listeners that stay are only
//! told where their clients belong now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Worker;
use super::plan::{Place, Plan};
use crate::config::{Mode, Sticky};
use crate::io::Engine;
use crate::logic::session::Side;
use crate::snapshot::{ServerShared, Snapshot};

/// A listener of one worker.
#[derive(Debug)]
pub struct Listening<L> {
    /// As the control plane calls it, in all configurations.
    pub id: u64,
    /// Index of its frontend.
    pub frontend: u16,
    /// `None`: the worker has it already.
    pub opened: Option<L>,
}

/// A configuration to take, for one worker.
pub struct Adoption<L> {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// All listeners that there are now; the others are closed.
    pub listeners: Vec<Listening<L>>,
    /// Called when it is done; dropped if that is not going to be.
    pub adopted: Box<dyn FnOnce() + Send>,
}

impl<E: Engine> Worker<E> {
    /// Takes a configuration for all that is new. The caller makes listeners accept and serves the
    /// queues.
    pub(super) fn adopt(&mut self, adoption: Adoption<E::Listener>) {
        if self.stopping {
            let opened = adoption.listeners.into_iter();
            for listener in opened.filter_map(|listening| listening.opened) {
                self.engine.close_listener(listener);
            }
            return;
        }
        self.withdraw_paused();
        self.plans.adopt(adoption.snapshot);
        self.adopt_listeners(adoption.listeners);
        self.adopt_waiting();
        (adoption.adopted)();
    }

    fn adopt_listeners(&mut self, listeners: Vec<Listening<E::Listener>>) {
        let plan = self.plans.newest();
        let (known, opened): (Vec<_>, Vec<_>) = listeners
            .into_iter()
            .partition(|listening| listening.opened.is_none());
        let frontends: HashMap<u64, u16> = (known.iter())
            .map(|listening| (listening.id, listening.frontend))
            .collect();
        let mut leaving = Vec::new();
        for index in self.listener_indices() {
            let (id, place) = (self.listeners[index].id, self.listeners[index].place);
            match frontends.get(&id) {
                Some(&frontend) => self.move_listener(index, Place { plan, frontend }),
                None => {
                    leaving.push(index);
                    if let Some(place) = self.plans.newest_place(place) {
                        self.move_listener(index, place);
                    }
                }
            }
        }
        for listening in opened {
            self.add_listener(listening);
        }
        // Only now, because it may announce who waits at which frontend.
        for index in leaving {
            self.leave_listener(index);
        }
    }

    /// Moves those who wait for a place to the queues of the new configuration, as far as it has
    /// their frontends.
    fn adopt_waiting(&mut self) {
        let (mut waiting, mut lines) = (Vec::new(), BTreeMap::new());
        for (line, slots) in self.queues.take_all() {
            self.count_left(line, slots.len());
            lines.insert(self.target(line), line);
            waiting.extend(slots);
        }
        waiting.sort_by_key(|slot| self.queued_since(*slot));
        for slot in waiting {
            let slot = slot as usize;
            self.renew(slot);
            let line = self.line_of(&self.sessions[slot]);
            self.enter(line, slot, false);
            lines.insert(self.target(line), line);
        }
        for line in lines.into_values() {
            self.announce(line);
        }
    }

    /// Gives a session that has no server the newest configuration, if that has its frontend and
    /// means the same by what was read of it so far.
    pub(super) fn renew(&mut self, slot: usize) {
        let old = self.sessions[slot].place;
        let Some(new) = self.plans.newest_place(old).filter(|new| *new != old) else {
            return;
        };
        let [old_view, new_view] = [old, new].map(|place| View::of(&self.plans[place.plan], place));
        if old_view.mode != new_view.mode || old_view.sticky != new_view.sticky {
            return;
        }
        let moved = |server: u16| {
            let server = &old_view.servers[usize::from(server)];
            let mut servers = new_view.servers.iter();
            let index = servers.position(|candidate| Arc::ptr_eq(candidate, server))?;
            Some(index as u16)
        };
        let entry = &mut self.sessions[slot];
        debug_assert!(entry.server.is_none(), "it has a server");
        let (before, lately) = entry.tried.split_at(entry.tried_before);
        let mut tried: Vec<u16> = before.iter().copied().filter_map(moved).collect();
        let tried_before = tried.len();
        tried.extend(lately.iter().copied().filter_map(moved));
        (entry.tried, entry.tried_before) = (tried, tried_before);
        entry.bound = entry.bound.and_then(moved);
        entry.counted_for = entry.counted_for.and_then(moved);
        if let Some(http) = &mut entry.http {
            http.named = http.named.and_then(moved);
        }
        entry.place = new;
        let wants_client = self.plans[new.plan].wants_client[usize::from(new.frontend)];
        if wants_client && entry.client.is_none() {
            let client = entry.sockets[Side::Client.index()].as_ref();
            entry.client = client.and_then(|socket| self.engine.peer(socket));
        }
        self.plans.acquire(new.plan);
        self.plans.release(old.plan);
        self.set_timer(slot);
    }
}

/// What a session that has no server may already have to do with a configuration.
struct View<'a> {
    mode: Mode,
    sticky: Option<&'a Sticky>,
    servers: &'a [Arc<ServerShared>],
}

impl<'a> View<'a> {
    fn of(plan: &'a Plan, place: Place) -> Self {
        let config = &plan.snapshot.config;
        let backend = plan.backend_of(place.frontend);
        View {
            mode: config.frontends[usize::from(place.frontend)].mode,
            sticky: config.backends[backend].sticky.as_ref(),
            servers: &plan.snapshot.backends[backend].servers,
        }
    }
}
