//! Sessions enter and leave the queues, and are woken when a slot may be free.
//!
//! A notice names the server: this worker looks at the queues for that one alone, and passes on to
//! the next worker what it does not need. Queues that no notice concerns cost nothing.

use std::sync::Arc;

use super::Worker;
use super::paused::Limit;
use super::slot::Slot;
use super::waiting::{QueueKey, Target};
use crate::io::Engine;
use crate::logic::session::Event;
use crate::logic::time::Instant;
use crate::shared::Freed;
use crate::snapshot::ServerShared;

/// Notices that are taken in one turn, before bytes are relayed again.
const NOTICES_PER_TURN: usize = 64;

impl<E: Engine> Worker<E> {
    /// Takes the notices of the last turn.
    pub(super) fn serve_freed(&mut self) {
        for _ in 0..NOTICES_PER_TURN {
            match self.notices.next() {
                None => return,
                Some(Freed::Server(server)) => self.serve_server(&server),
                Some(Freed::Queue(queue)) => {
                    self.serve(Target::Any(queue.id), None);
                }
                Some(Freed::Frontend(frontend)) => {
                    self.resume_paused(&Limit::Frontend(frontend));
                }
                Some(Freed::Process) => self.resume_paused(&Limit::Process),
            }
        }
    }

    /// The queue in which a session waits, or would wait.
    pub(super) fn queue_key_of(&self, entry: &Slot<E>) -> QueueKey {
        QueueKey {
            config: entry.route.config,
            backend: entry.route.backend as usize,
            server: entry.pinned_server().cloned(),
        }
    }

    /// A session begins to wait. One that was woken and found no free slot stays the first.
    pub(super) fn enqueue(&mut self, slot: usize) {
        let entry = &self.sessions[slot];
        let queue_key = self.queue_key_of(entry);
        let end = self.waiting.end_for(self.key(slot));
        let session = (slot, self.queued_since(slot));
        let route = entry.route;
        self.waiting.push(&queue_key, end, session, &self.configs);
        self.waiting.publish(&queue_key, &self.configs);
        // Only now: a change of the servers from here on is followed by a notice to this worker.
        self.configs.refresh(route);
        let notices = &mut self.notices;
        self.waiting.look_again(&queue_key, &self.configs, notices);
    }

    /// A session no longer waits. If there is a free slot for it, its worker was notified, and passes
    /// that on.
    pub(super) fn dequeue(&mut self, slot: usize) {
        let queue_key = self.queue_key_of(&self.sessions[slot]);
        self.waiting.remove(&queue_key, slot, &self.configs);
        self.waiting.publish(&queue_key, &self.configs);
    }

    /// A slot of this server may be free, or it went down: wakes sessions that are pinned to it, then
    /// those that wait for any server of its backend. What is not needed here is passed on.
    fn serve_server(&mut self, server: &Arc<ServerShared>) {
        let before_pinned = self.serve(Target::Server(server.id), Some(server));
        let before_any = self.serve(Target::Any(server.queue.id), Some(server));
        // If this worker's sessions cannot have the slot, because their configuration does not have
        // the server, the next worker gets it.
        let (pinned, here) = (&server.waiting, self.index);
        let next = if pinned.any() && server.is_open() {
            before_pinned.or_else(|| pinned.next_after(here))
        } else if server.is_open_to_any() {
            before_any.or_else(|| server.queue.waiting.next_after(here))
        } else {
            None
        };
        if let Some(worker) = next.filter(|worker| *worker != here) {
            let freed = Freed::Server(Arc::clone(server));
            self.notices.send(worker, freed);
        }
    }

    /// Wakes the sessions that wait for this, in each queue the longest waiting first, until one
    /// finds no slot, or until a session of another worker has waited longer for a slot of this server; that
    /// worker is returned.
    fn serve(&mut self, target: Target, server: Option<&ServerShared>) -> Option<usize> {
        for queue_key in self.waiting.queues(target) {
            while let Some(slot) = self.waiting.first(&queue_key, &self.configs) {
                let key = self.key(slot);
                self.waiting.begin_wake(&queue_key, key, &self.configs);
                self.drive(slot, Event::SlotFreed);
                if !self.waiting.end_wake(&queue_key, &self.configs) {
                    break;
                }
                if !server.is_some_and(ServerShared::is_open) {
                    continue;
                }
                let longest = queue_key.registry(&self.configs).longest_waiting();
                if let Some(worker) = longest.filter(|worker| *worker != self.index) {
                    return Some(worker);
                }
            }
            let notices = &mut self.notices;
            (self.waiting).pass_on_if_empty(&queue_key, &self.configs, notices);
        }
        None
    }

    /// Since when a session has waited.
    pub(super) fn queued_since(&self, slot: usize) -> Instant {
        let since = self.sessions[slot].session.queued_since();
        debug_assert!(since.is_some(), "a session in a queue does not wait");
        since.unwrap_or(self.now)
    }
}
