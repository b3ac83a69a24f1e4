//! Workers share the load: a connection that this worker has accepted goes to the least loaded one if it would have
//! clearly more sessions than that.
//!
//! What the others have is looked at once in a millisecond at most, unless it seems that a connection has to be handed
//! over: then it is looked at now. While workers are even, they read and write nothing of each other for a connection.

use std::sync::Arc;
use std::time::Duration;

use super::hand_over_channels::{HandOvers, HandedOver};
use crate::logic::load::hands_over;
use crate::logic::time::Instant;
use crate::sync::Loads;

/// How long what is known of the others counts.
const SEEN_MAX: Duration = Duration::from_millis(1);

/// One worker's part in it.
pub struct LoadSharing<S> {
    worker: usize,
    hand_overs: Arc<HandOvers<S>>,
    /// Sessions of the least loaded of the others, when they were looked at last; `None`: none takes any.
    least: Option<u32>,
    /// When that was; `None`: never.
    seen_at: Option<Instant>,
}

impl<S> LoadSharing<S> {
    /// Of the worker of this index.
    pub fn new(worker: usize, hand_overs: Arc<HandOvers<S>>) -> Self {
        LoadSharing {
            worker,
            hand_overs,
            least: None,
            seen_at: None,
        }
    }

    /// What is on its way, and to whom.
    pub fn hand_overs(&self) -> &Arc<HandOvers<S>> {
        &self.hand_overs
    }

    fn loads(&self) -> &Loads {
        self.hand_overs.loads()
    }

    /// A turn of the loop.
    pub fn turn(&self) {
        self.loads().turn(self.worker);
    }

    /// A session began.
    pub fn began(&self) {
        self.loads().add(self.worker);
    }

    /// A session ended.
    pub fn ended(&self) {
        self.loads().remove(self.worker);
    }

    /// The worker that begins the next session in place of this one, for which it is counted now; `None`: this one
    /// does.
    pub fn receiver(&mut self, now: Instant) -> Option<usize> {
        let loads = self.hand_overs.loads();
        if loads.workers() == 1 {
            return None;
        }
        let own = loads.sessions(self.worker).saturating_add(1);
        let is_old = (self.seen_at).is_none_or(|at| now.duration_since(at) >= SEEN_MAX);
        if !is_old && self.least.is_none_or(|least| !hands_over(own, least)) {
            return None;
        }
        self.seen_at = Some(now);
        loop {
            let least = self.hand_overs.least_loaded(self.worker, now);
            self.least = least.map(|(_, sessions)| sessions);
            let (receiver, sessions) = least?;
            if !hands_over(own, sessions) {
                return None;
            }
            // Otherwise it has got one meanwhile, or one of its own has ended.
            if loads.try_add(receiver, sessions) {
                return Some(receiver);
            }
        }
    }

    /// Whether something was handed over since the last call.
    pub fn take_notice(&self) -> bool {
        self.loads().take_notice(self.worker)
    }

    /// Nothing more is to be handed over to this worker; what is on its way is taken after this.
    pub fn close(&self) {
        self.loads().close(self.worker);
    }

    /// The next connection that was handed over to this worker; it is counted as if it had begun.
    pub fn next(&self) -> Option<HandedOver<S>> {
        self.hand_overs.next(self.worker)
    }

    /// The next connection that is on its way to a worker which stops. It is counted as if it had begun here.
    pub fn take_back(&self, from: usize) -> Option<HandedOver<S>> {
        let handed = self.hand_overs.take_back(from)?;
        self.loads().add(self.worker);
        Some(handed)
    }
}
