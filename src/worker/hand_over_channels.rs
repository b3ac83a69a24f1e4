//! Accepted connections on their way from one worker to another.
//!
//! Whoever hands one over has admitted its client and taken its slots of the limits of sessions, has counted it for
//! the receiver ([`Loads`]), and wakes that one. A receiver that stops says so and then looks once more; whoever has
//! sent it something since takes that back. What was handed over to a worker that stands still is taken back by the
//! control plane.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::logic::load::least_loaded;
use crate::logic::time::Instant;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::sync::{ClientPlace, Loads};

/// An accepted connection on its way to the worker that begins its session. Its slots of both limits are taken.
#[derive(Debug)]
pub struct HandedOver<S> {
    /// The connection, with which no engine has to do.
    pub socket: S,
    /// It came by a Unix socket.
    pub is_unix: bool,
    /// The configuration by which it was accepted.
    pub snapshot: Arc<Snapshot>,
    /// Index of its frontend in it.
    pub frontend: u16,
    /// What was decided on its client; `None`: nothing yet.
    pub client: Option<AdmittedClient>,
}

/// A client that was admitted.
#[derive(Debug)]
pub struct AdmittedClient {
    /// The address of its peer, if that was asked for.
    pub peer: Option<SocketAddr>,
    /// Its place among the open sessions of its client, if these are limited.
    pub place: Option<ClientPlace>,
}

/// Both ends of what is on its way to a worker.
type Channel<S> = (Sender<HandedOver<S>>, Receiver<HandedOver<S>>);

/// What is on its way to each worker, and how loaded each is.
pub struct HandOvers<S> {
    loads: Arc<Loads>,
    /// Tells who watches over the workers that something is on its way.
    watcher: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// By index of the worker. The second half is used by that worker, and by whoever takes something back.
    channels: Box<[Channel<S>]>,
}

impl<S> fmt::Debug for HandOvers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOvers")
            .field("loads", &self.loads)
            .finish_non_exhaustive()
    }
}

impl<S> HandOvers<S> {
    /// Among this many workers.
    pub fn new(workers: usize) -> Self {
        HandOvers {
            loads: Arc::new(Loads::new(workers)),
            watcher: OnceLock::new(),
            channels: (0..workers).map(|_| unbounded()).collect(),
        }
    }

    /// The same where every worker keeps what it accepts.
    pub fn none(workers: usize) -> Self {
        let hand_overs = HandOvers::new(workers);
        for worker in 0..workers {
            hand_overs.loads.close(worker);
        }
        hand_overs
    }

    /// How loaded the workers are.
    pub fn loads(&self) -> &Arc<Loads> {
        &self.loads
    }

    /// Sets what is called when something is on its way while nobody watches ([`Loads::set_watched`]). Only the
    /// first call counts. `watcher` must not block.
    pub fn set_watcher(&self, watcher: Box<dyn Fn() + Send + Sync>) {
        let _ = self.watcher.set(watcher);
    }

    /// Sends a connection to a worker, for which it is counted already, and wakes that one. `false`: the worker
    /// stops. The caller then takes back what is on the way to it.
    #[must_use]
    pub fn send(
        &self,
        worker: usize,
        handed: HandedOver<S>,
        now: Instant,
        shared: &Shared,
    ) -> bool {
        // Both ends are here.
        let _ = self.channels[worker].0.send(handed);
        if self.loads.notify(worker, now) {
            shared.wake(worker);
            if !self.loads.is_watched()
                && let Some(watcher) = self.watcher.get()
            {
                watcher();
            }
        }
        !self.loads.is_closed(worker)
    }

    /// The least loaded of the workers that take something, `besides` this one, with its number of sessions.
    pub fn least_loaded(&self, besides: usize, now: Instant) -> Option<(usize, u32)> {
        let taking = (0..self.loads.workers()).filter(|worker| self.loads.takes(*worker, now));
        let loads = taking.map(|worker| (worker, self.loads.sessions(worker)));
        least_loaded(loads, besides)
    }

    /// Whether any worker takes what `stalled` does not. `nanos`: the time of the workers, in nanoseconds.
    pub fn has_receiver(&self, stalled: usize, nanos: u64) -> bool {
        let now = Instant::from_nanos(nanos);
        self.least_loaded(stalled, now).is_some()
    }

    /// The next connection on its way to a worker, which is not counted for that any more.
    pub fn take_back(&self, stalled: usize) -> Option<HandedOver<S>> {
        let handed = self.next(stalled)?;
        self.loads.remove(stalled);
        Some(handed)
    }

    /// Sends a connection that a worker does not take to the least loaded of the others. No worker may begin to stop
    /// meanwhile. `nanos`: the time of the workers, in nanoseconds.
    pub fn send_in_place_of(
        &self,
        stalled: usize,
        handed: HandedOver<S>,
        nanos: u64,
        shared: &Shared,
    ) {
        let now = Instant::from_nanos(nanos);
        let receiver = self.least_loaded(stalled, now);
        let receiver = receiver.map_or(stalled, |(worker, _)| worker);
        self.loads.add(receiver);
        let taken = self.send(receiver, handed, now, shared);
        debug_assert!(taken, "a worker has begun to stop");
    }

    /// The next connection on its way to a worker, for which it stays counted.
    pub fn next(&self, worker: usize) -> Option<HandedOver<S>> {
        self.channels[worker].1.try_recv().ok()
    }
}
