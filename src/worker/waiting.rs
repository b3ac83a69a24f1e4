//! Sessions that wait for a slot of a server: of any server of their backend, or of the one that
//! their cookie names.
//!
//! Each worker has queues of its own, first in first out, and publishes since when the first of
//! each has waited. A freed slot wakes one worker, that of the session that has waited longest of all.
//! Sessions that are pinned to the server come before those that wait for any.
//!
//! `queueing` puts sessions in and wakes them.

use std::sync::Arc;

use super::config_generations::{ConfigGenerations, ConfigIndex};
use super::local_backend::LocalBackend;
use super::notices::Notices;
use super::token::Key;
use crate::logic::queues::Queues;
use crate::logic::time::Instant;
use crate::shared::Freed;
use crate::snapshot::{QueueShared, ServerShared};
use crate::sync::WaitRegistry;

/// Identifies a queue of one worker. Sessions of different configurations wait in different queues:
/// some may be able to continue where others are not.
#[derive(Clone, Debug)]
pub struct QueueKey {
    /// The configuration of the sessions.
    pub config: ConfigIndex,
    /// Index of the backend in it.
    pub backend: usize,
    /// The server that they are pinned to; `None`: they wait for any.
    pub server: Option<Arc<ServerShared>>,
}

impl PartialEq for QueueKey {
    fn eq(&self, other: &Self) -> bool {
        let id = |key: &Self| key.server.as_ref().map(|server| server.id);
        (self.config, self.backend, id(self)) == (other.config, other.backend, id(other))
    }
}

impl Eq for QueueKey {}

impl QueueKey {
    /// The backend that its sessions wait for.
    pub fn backend<'a>(&self, configs: &'a ConfigGenerations) -> &'a LocalBackend {
        &configs[self.config].backends[self.backend]
    }

    /// The queue of that backend, as all workers share it.
    fn queue<'a>(&self, configs: &'a ConfigGenerations) -> &'a Arc<QueueShared> {
        &self.backend(configs).shared.queue
    }

    /// Which workers have sessions that wait for the same.
    pub fn registry<'a>(&'a self, configs: &'a ConfigGenerations) -> &'a WaitRegistry {
        match &self.server {
            None => &self.queue(configs).waiting,
            Some(server) => &server.waiting,
        }
    }

    /// What its sessions wait for.
    pub fn target(&self, configs: &ConfigGenerations) -> Target {
        match &self.server {
            None => Target::Any(self.queue(configs).id),
            Some(server) => Target::Server(server.id),
        }
    }

    /// Whether a new session would have to wait in it now.
    pub fn is_full(&self, configs: &ConfigGenerations) -> bool {
        self.backend(configs).is_full(self.server.as_deref())
    }
}

/// What sessions wait for, the same in all configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Any server of a backend, by [`QueueShared::id`](crate::snapshot::QueueShared::id).
    Any(u64),
    /// This server, by [`ServerShared::id`](crate::snapshot::ServerShared::id).
    Server(u64),
}

/// At which end of its queue a session begins to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Before all others.
    Front,
    /// Behind all others.
    Back,
}

/// The queues of one worker.
pub struct WaitingSessions {
    worker: usize,
    queues: Queues<Target, QueueKey>,
    /// Since when a session waits, by slot. Those of other slots mean nothing.
    since: Vec<Instant>,
    /// The session that was taken out of its queue because a slot may be free. It stays the first if
    /// that is taken by another worker meanwhile.
    woken: Option<Key>,
}

impl WaitingSessions {
    /// None, of the worker of this index.
    pub fn new(worker: usize) -> Self {
        WaitingSessions {
            worker,
            queues: Queues::default(),
            since: Vec::new(),
            woken: None,
        }
    }

    /// Adds a session that has waited since this time. [`WaitingSessions::publish`] has to follow.
    pub fn push(
        &mut self,
        queue_key: &QueueKey,
        end: End,
        (slot, since): (usize, Instant),
        configs: &ConfigGenerations,
    ) {
        if self.since.len() <= slot {
            self.since.resize(slot + 1, Instant::ZERO);
        }
        self.since[slot] = since;
        let target = queue_key.target(configs);
        match end {
            End::Front => self
                .queues
                .push_first(target, queue_key.clone(), slot as u32),
            End::Back => self.queues.push(target, queue_key.clone(), slot as u32),
        }
        let waiting = &queue_key.queue(configs).sessions_waiting[self.worker];
        waiting.set(waiting.get() + 1);
    }

    /// Removes a session, wherever it is in its queue. [`WaitingSessions::publish`] has to follow.
    pub fn remove(&mut self, queue_key: &QueueKey, slot: usize, configs: &ConfigGenerations) {
        let target = queue_key.target(configs);
        self.queues.remove(target, queue_key, slot as u32);
        self.count_removed(queue_key, 1, configs);
    }

    fn count_removed(&self, queue_key: &QueueKey, count: usize, configs: &ConfigGenerations) {
        let waiting = &queue_key.queue(configs).sessions_waiting[self.worker];
        waiting.set(waiting.get().saturating_sub(count as u64));
    }

    /// Removes all sessions. Returns the queues, and the sessions that were in them, the longest
    /// waiting first.
    pub fn take_all(&mut self, configs: &ConfigGenerations) -> (Vec<QueueKey>, Vec<usize>) {
        let mut slots = Vec::new();
        let mut queue_keys = Vec::new();
        for (queue_key, members) in self.queues.take_all() {
            self.count_removed(&queue_key, members.len(), configs);
            queue_keys.push(queue_key);
            slots.extend(members.into_iter().map(|slot| slot as usize));
        }
        slots.sort_by_key(|slot| self.since[*slot]);
        (queue_keys, slots)
    }

    /// The session that has waited longest in a queue.
    pub fn first(&self, queue_key: &QueueKey, configs: &ConfigGenerations) -> Option<usize> {
        let first = self.queues.first(queue_key.target(configs), queue_key);
        first.map(|slot| slot as usize)
    }

    /// The queues of a target, in the order of the time of their first sessions.
    pub fn queues(&self, target: Target) -> Vec<QueueKey> {
        let mut queues: Vec<(QueueKey, u32)> = self.queues.queues(target).collect();
        queues.sort_by_key(|(_, first)| self.since[*first as usize]);
        queues.into_iter().map(|(queue_key, _)| queue_key).collect()
    }

    /// Publishes to the other workers since when a session of this one, of whatever configuration,
    /// has waited for the same as those of this queue.
    pub fn publish(&self, queue_key: &QueueKey, configs: &ConfigGenerations) {
        let firsts = self.queues.queues(queue_key.target(configs));
        let since = firsts.map(|(_, first)| self.since[first as usize]);
        queue_key
            .registry(configs)
            .publish(self.worker, since.min());
    }

    /// Removes a session to wake it. Until [`WaitingSessions::end_wake`] it is the woken one.
    pub fn begin_wake(&mut self, queue_key: &QueueKey, key: Key, configs: &ConfigGenerations) {
        self.remove(queue_key, key.slot as usize, configs);
        self.woken = Some(key);
    }

    /// The woken session has taken a slot, waits again, or has ended. False: it waits again in the
    /// same queue, because none is free for it.
    pub fn end_wake(&mut self, queue_key: &QueueKey, configs: &ConfigGenerations) -> bool {
        self.publish(queue_key, configs);
        let woken = self.woken.take();
        woken.is_none_or(|key| self.first(queue_key, configs) != Some(key.slot as usize))
    }

    /// Where a session begins to wait.
    pub fn end_for(&self, key: Key) -> End {
        if self.woken == Some(key) {
            End::Front
        } else {
            End::Back
        }
    }

    /// After a session began to wait: looks once more, since a slot may have been freed, or the last
    /// usable server may have gone down, before others could see that it waits.
    pub fn look_again(
        &self,
        queue_key: &QueueKey,
        configs: &ConfigGenerations,
        notices: &mut Notices,
    ) {
        if queue_key.is_full(configs) {
            return;
        }
        let server = queue_key.server.as_ref();
        let server = server.or_else(|| queue_key.backend(configs).server_for_any());
        let (worker, freed) = match server {
            Some(server) if server.is_open() => {
                (longest_waiting(server), Freed::Server(Arc::clone(server)))
            }
            Some(server) => (None, Freed::Server(Arc::clone(server))),
            None => (None, Freed::Queue(Arc::clone(queue_key.queue(configs)))),
        };
        notices.send(worker.unwrap_or(self.worker), freed);
    }

    /// If a queue is empty now, notifies the worker whose session is to have what is free for it: one
    /// that waits for the same elsewhere or, of a server that no session is pinned to any more, for
    /// any server.
    pub fn pass_on_if_empty(
        &self,
        queue_key: &QueueKey,
        configs: &ConfigGenerations,
        notices: &mut Notices,
    ) {
        if self.first(queue_key, configs).is_some() {
            return;
        }
        let server = match &queue_key.server {
            None if !queue_key.registry(configs).any() => None,
            None => queue_key.backend(configs).server_for_any(),
            Some(server) => Some(server),
        };
        if let Some(server) = server.filter(|server| server.is_open()) {
            notify_longest_waiting(server, notices);
        }
    }

    /// Has this worker look at all its queues, after a change that may concern any.
    pub fn look_at_all(&self, configs: &ConfigGenerations, notices: &mut Notices) {
        for target in self.queues.targets() {
            let Some((queue_key, _)) = self.queues.queues(target).next() else {
                continue;
            };
            let freed = match &queue_key.server {
                Some(server) => Freed::Server(Arc::clone(server)),
                None => Freed::Queue(Arc::clone(queue_key.queue(configs))),
            };
            notices.send(self.worker, freed);
        }
    }
}

/// Notifies the worker whose session is to have a slot of this server, if there is one.
pub fn notify_longest_waiting(server: &Arc<ServerShared>, notices: &mut Notices) {
    if let Some(worker) = longest_waiting(server) {
        notices.send(worker, Freed::Server(Arc::clone(server)));
    }
}

/// The worker whose session is to have a slot of this server: sessions that are pinned to it come
/// first.
fn longest_waiting(server: &ServerShared) -> Option<usize> {
    let pinned = server.waiting.longest_waiting();
    pinned.or_else(|| server.queue.waiting.longest_waiting())
}
