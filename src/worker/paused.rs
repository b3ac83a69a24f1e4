//! Listeners that accept nothing until a slot is free: of their frontend's limit, or of the
//! process's.
//!
//! A listener is in the queue for the limit that is reached, the longest paused first. A freed slot
//! wakes one worker, which resumes the listeners that wait for that limit as long as slots are free,
//! and notifies the next worker if some are left. Listeners that wait for another limit cost
//! nothing then.

use std::sync::Arc;

use super::notices::Notices;
use crate::logic::queues::Queues;
use crate::logic::time::Instant;
use crate::shared::{Freed, Shared};
use crate::snapshot::FrontendShared;
use crate::sync::{SessionLimit, WaitRegistry};

/// A limit of the number of sessions.
#[derive(Clone, Debug)]
pub enum Limit {
    /// That of the process.
    Process,
    /// That of a frontend.
    Frontend(Arc<FrontendShared>),
}

/// Identifies a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum QueueId {
    Process,
    /// By [`FrontendShared::id`].
    Frontend(u64),
}

/// Why and since when a listener is paused.
struct Pause {
    limit: Limit,
    since: Instant,
}

/// The paused listeners of one worker.
pub struct PausedListeners {
    worker: usize,
    shared: Arc<Shared>,
    queues: Queues<QueueId, ()>,
    /// By index of the listener; `None`: it is not paused.
    pauses: Vec<Option<Pause>>,
}

impl PausedListeners {
    /// None, of the worker of this index.
    pub fn new(worker: usize, shared: Arc<Shared>) -> Self {
        PausedListeners {
            worker,
            shared,
            queues: Queues::default(),
            pauses: Vec::new(),
        }
    }

    /// Whether a listener is paused.
    pub fn contains(&self, index: usize) -> bool {
        self.pauses.get(index).is_some_and(Option::is_some)
    }

    /// Pauses a listener that is not paused, for want of a slot of this limit.
    pub fn pause(&mut self, index: usize, limit: Limit, now: Instant, notices: &mut Notices) {
        self.queues.push(limit.queue(), (), index as u32);
        if self.pauses.len() <= index {
            self.pauses.resize_with(index + 1, || None);
        }
        self.pauses[index] = Some(Pause {
            limit: limit.clone(),
            since: now,
        });
        self.publish(&limit);
        // A slot may have been freed before others could see that this worker waits.
        self.pass_on(&limit, notices);
    }

    /// Ends the pause of a listener, if it is paused.
    pub fn end(&mut self, index: usize) {
        if let Some(Pause { limit, .. }) = self.pauses.get_mut(index).and_then(Option::take) {
            self.queues.remove(limit.queue(), &(), index as u32);
            self.publish(&limit);
        }
    }

    /// The listener that has waited longest for a slot of this limit, if one is free.
    pub fn next(&self, limit: &Limit) -> Option<usize> {
        let is_free = limit.sessions(&self.shared).free() > 0;
        let first = self.queues.first(limit.queue(), &());
        first.filter(|_| is_free).map(|index| index as usize)
    }

    /// Notifies the worker that has waited longest for a slot of this limit, if one is free.
    pub fn pass_on(&self, limit: &Limit, notices: &mut Notices) {
        if limit.sessions(&self.shared).free() > 0 {
            notify_next(limit, &self.shared, notices);
        }
    }

    /// Publishes to the other workers since when a listener of this one waits for this limit.
    fn publish(&self, limit: &Limit) {
        let first = self.queues.first(limit.queue(), &());
        let pause = first.and_then(|index| self.pauses[index as usize].as_ref());
        let since = pause.map(|pause| pause.since);
        limit.waiting(&self.shared).publish(self.worker, since);
    }
}

/// Notifies the worker that has waited longest for a slot of this limit. False: none waits.
pub fn notify_next(limit: &Limit, shared: &Shared, notices: &mut Notices) -> bool {
    let next = limit.waiting(shared).longest_waiting();
    if let Some(worker) = next {
        notices.send(worker, limit.freed());
    }
    next.is_some()
}

impl Limit {
    fn queue(&self) -> QueueId {
        match self {
            Limit::Process => QueueId::Process,
            Limit::Frontend(frontend) => QueueId::Frontend(frontend.id),
        }
    }

    fn sessions<'a>(&'a self, shared: &'a Shared) -> &'a SessionLimit {
        match self {
            Limit::Process => &shared.session_limit,
            Limit::Frontend(frontend) => &frontend.session_limit,
        }
    }

    fn waiting<'a>(&'a self, shared: &'a Shared) -> &'a WaitRegistry {
        match self {
            Limit::Process => &shared.paused,
            Limit::Frontend(frontend) => &frontend.paused,
        }
    }

    fn freed(&self) -> Freed {
        match self {
            Limit::Process => Freed::Process,
            Limit::Frontend(frontend) => Freed::Frontend(Arc::clone(frontend)),
        }
    }
}
