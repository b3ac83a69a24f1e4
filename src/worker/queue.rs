//! Sessions that wait for a place on a server: for any of a backend, or for the one that their cookie
//! names.
//!
//! A place that is given back wakes one worker, that of the session that waits longest over all. The
//! worker is told of the server, looks at the queues for that one alone, and tells the next of what
//! it does not need. Nothing here is done for queues that nobody was told of.

use std::sync::Arc;

use super::Worker;
use super::config_generations::ConfigIndex;
use crate::io::Engine;
use crate::logic::session::Event;
use crate::logic::time::Instant;
use crate::shared::Freed;
use crate::snapshot::ServerShared;

/// SessionLimit that were given back that are looked at in one turn, before bytes are relayed again.
const FREED_PER_TURN: usize = 64;

/// A queue of sessions of one config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueKey {
    /// Which config.
    pub config: ConfigIndex,
    /// Index of the backend in it.
    pub backend: usize,
    /// Index of the server that they wait for; `None`: any.
    pub server: Option<u16>,
}

/// The same for all configs, by ids of what all workers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Any server of a backend, by [`QueueShared::id`](crate::snapshot::QueueShared::id).
    Any(u64),
    /// This server, by [`ServerShared::id`](crate::snapshot::ServerShared::id).
    Server(u64),
}

impl<E: Engine> Worker<E> {
    /// Tells a worker of something that may be free. This one looks later in the same turn: now may
    /// be inside an event of another session.
    pub(super) fn tell(&mut self, worker: usize, freed: Freed) {
        if worker == self.index {
            self.freed_due = true;
            // It need not be woken.
            let _ = self.shared.notify(worker, freed);
        } else if self.shared.notify(worker, freed) {
            self.shared.wake(worker);
        }
    }

    /// Looks at what this worker was told of since the last turn, and at no other queue.
    pub(super) fn serve_freed(&mut self) {
        if !std::mem::take(&mut self.freed_due) {
            return;
        }
        for _ in 0..FREED_PER_TURN {
            match self.shared.next_freed(self.index) {
                None => return,
                Some(Freed::Server(server)) => self.serve_server(&server),
                Some(Freed::Frontend(frontend)) => self.resume_frontend(&frontend),
                Some(Freed::Process) => self.resume_any(),
            }
        }
        self.freed_due = true;
    }

    /// Looks at all queues in which somebody waits here, after a change that may concern any.
    pub(super) fn serve_all(&mut self) {
        let targets: Vec<Target> = self.queues.targets().collect();
        for target in targets {
            let Some((queue_key, _)) = self.queues.queues(target).next() else {
                continue;
            };
            let server = usize::from(queue_key.server.unwrap_or(0));
            let server = Arc::clone(&self.backend(queue_key).servers[server]);
            self.tell(self.index, Freed::Server(server));
        }
    }

    /// Appends a session to those that wait. One that was called in vain keeps its place in front.
    pub(super) fn enqueue(&mut self, slot: usize) {
        let queue_key = self.queue_key_of(&self.sessions[slot]);
        self.enter(queue_key, slot, self.calling == Some(self.key(slot)));
        self.announce(queue_key);
        if self.is_full(queue_key) {
            return;
        }
        // A place was given back between the choice and the announcement, or the last server went
        // down.
        let server = match queue_key.server {
            Some(server) => Some(&self.backend(queue_key).servers[usize::from(server)]),
            None => self.open_server(queue_key),
        };
        let (worker, server) = match server {
            Some(server) if server.is_open() => (longest_waiting(server), server),
            Some(server) => (None, server),
            None => (None, &self.backend(queue_key).servers[0]),
        };
        let server = Arc::clone(server);
        self.tell(worker.unwrap_or(self.index), Freed::Server(server));
    }

    pub(super) fn dequeue(&mut self, slot: usize) {
        let queue_key = self.queue_key_of(&self.sessions[slot]);
        self.leave(queue_key, slot);
        // If there is a route, its worker was told, and passes that on.
        self.announce(queue_key);
    }

    /// Puts a session into a queue; the caller announces it.
    pub(super) fn enter(&mut self, queue_key: QueueKey, slot: usize, in_front: bool) {
        let target = self.target(queue_key);
        if in_front {
            self.queues.push_first(target, queue_key, slot as u32);
        } else {
            self.queues.push(target, queue_key, slot as u32);
        }
        let waiting = &self.backend(queue_key).queue.sessions_waiting[self.index];
        waiting.set(waiting.get() + 1);
    }

    /// So many have left a queue.
    pub(super) fn count_left(&self, queue_key: QueueKey, count: usize) {
        let waiting = &self.backend(queue_key).queue.sessions_waiting[self.index];
        waiting.set(waiting.get().saturating_sub(count as u64));
    }

    fn leave(&mut self, queue_key: QueueKey, slot: usize) {
        let target = self.target(queue_key);
        self.queues.remove(target, queue_key, slot as u32);
        self.count_left(queue_key, 1);
    }

    /// Serves those who may have a place on this server, or had hopes of one: sessions that are
    /// bound to it come first. What is not needed here is for the next worker.
    fn serve_server(&mut self, server: &Arc<ServerShared>) {
        let older_bound = self.serve(Target::Server(server.id), server);
        let older = self.serve(Target::Any(server.queue.id), server);
        // SendHint those who wait in vain, for want of this server in an older configuration.
        let (waiting, here) = (&server.waiting, self.index);
        let next = if waiting.any() && server.is_open() {
            older_bound.or_else(|| waiting.next_after(here))
        } else if server.is_open_to_any() {
            older.or_else(|| server.queue.waiting.next_after(here))
        } else {
            None
        };
        if let Some(worker) = next.filter(|worker| *worker != self.index) {
            self.tell(worker, Freed::Server(Arc::clone(server)));
        }
    }

    /// Calls those who wait here, in each queue longest first, until one finds no route, or until
    /// somebody has waited longer for the place at another worker, which is returned.
    fn serve(&mut self, target: Target, server: &ServerShared) -> Option<usize> {
        let mut lines: Vec<(QueueKey, u32)> = self.queues.queues(target).collect();
        lines.sort_by_key(|(_, first)| self.queued_since(*first));
        for (queue_key, _) in lines {
            while let Some(slot) = self.queues.first(target, queue_key) {
                self.leave(queue_key, slot as usize);
                self.calling = Some(self.key(slot as usize));
                self.drive(slot as usize, Event::SlotFreed);
                self.calling = None;
                self.announce(queue_key);
                if self.queues.first(target, queue_key) == Some(slot) {
                    break;
                }
                if !server.is_open() {
                    continue;
                }
                let oldest = self.waiters(queue_key).longest_waiting();
                if let Some(worker) = oldest.filter(|worker| *worker != self.index) {
                    return Some(worker);
                }
            }
            self.pass_on_if_empty(queue_key);
        }
        None
    }

    /// If nobody waits here in a queue any more, what is free for it is for those who wait
    /// elsewhere; a place that nobody is bound to any more is for those who wait for any.
    fn pass_on_if_empty(&mut self, queue_key: QueueKey) {
        if self
            .queues
            .first(self.target(queue_key), queue_key)
            .is_some()
        {
            return;
        }
        let server = match queue_key.server {
            None if !self.waiters(queue_key).any() => None,
            None => self.open_server(queue_key),
            Some(server) => Some(&self.backend(queue_key).servers[usize::from(server)]),
        };
        let Some(server) = server.filter(|server| server.is_open()) else {
            return;
        };
        if let Some(worker) = longest_waiting(server) {
            let server = Arc::clone(server);
            self.tell(worker, Freed::Server(server));
        }
    }

    /// A server of the backend that any session could have a place on.
    fn open_server(&self, queue_key: QueueKey) -> Option<&Arc<ServerShared>> {
        if self.is_full(queue_key) {
            return None;
        }
        let mut servers = self.backend(queue_key).servers.iter();
        servers.find(|server| server.is_open_to_any())
    }

    /// Tells the others since when the longest waits here for the same, in all configs.
    pub(super) fn announce(&self, queue_key: QueueKey) {
        let firsts = self.queues.queues(self.target(queue_key));
        let since = firsts.filter_map(|(_, first)| self.queued_since(first));
        self.waiters(queue_key).publish(self.index, since.min());
    }

    pub(super) fn queued_since(&self, slot: u32) -> Option<Instant> {
        self.sessions[slot as usize].session.queued_since()
    }
}

/// The worker whose session is to have a place on a server: who can go nowhere else comes first.
pub fn longest_waiting(server: &ServerShared) -> Option<usize> {
    let named = server.waiting.longest_waiting();
    named.or_else(|| server.queue.waiting.longest_waiting())
}
