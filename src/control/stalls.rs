//! Workers that stand still: one that is stopped by a debugger, starved of CPU or stuck gets no new sessions, and the
//! connections that wait for it are given to others.
//!
//! While nothing comes, nothing is done: this waits for a connection that is not accepted at once or that a worker
//! hands over. From then
//! on, until nothing has come for a second, this looks every 50 ms at which workers connections wait: in the queues of
//! their listeners, or on the way from other workers. A worker for which some wait is woken. If it has not made a
//! turn of its loop 100 ms later, it stands still: until it makes turns again, its connections are accepted here and
//! sent to the least loaded of the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::active::{Active, WorkerListener};
use super::workers::WorkerHandles;
use crate::io::{Arrivals, Fault, Listener, monotonic_nanos, waiting_at};
use crate::shared::{Freed, Shared};
use crate::snapshot::{FrontendShared, Snapshot};
use crate::worker::HandedOver;

/// Between two looks while connections come.
const INTERVAL: Duration = Duration::from_millis(50);

/// Without connections for so long, the next one is waited for.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// A worker with something to do that makes no turn for so long stands still.
const STALL_TIME: Duration = Duration::from_millis(100);

/// A worker that stood still and has made a turn between any two looks for so long does no more.
const RETURN_TIME: Duration = Duration::from_secs(1);

/// Connections that are accepted from one listener for a worker that stands still, in one look.
const ACCEPTS_MAX: usize = 256;

/// What was seen of one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The turns that it had made.
    turns: u64,
    /// Since when it has made none although something waits for it.
    idle_since: Option<Instant>,
    /// It stands still: since when, and since when it has made turns again.
    stall: Option<Stall>,
}

/// A worker stands still.
#[derive(Clone, Copy, Debug)]
struct Stall {
    since: Instant,
    turns_again: Option<Instant>,
}

/// What a look at a worker has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nothing new.
    Same,
    /// Something waits for it: it is to be woken.
    Wake,
    /// It stands still from now on.
    Stalled,
    /// It stands still, and what waits for it is to be given to others.
    StillStalled,
    /// It stood still for so long, and does no more.
    Returned(Duration),
}

impl Seen {
    /// Looks at a worker that has made so many turns. `waits`: something waits for it.
    fn look(&mut self, turns: u64, waits: bool, now: Instant) -> Look {
        let moved = turns != self.turns;
        self.turns = turns;
        if let Some(stall) = &mut self.stall {
            let Stall { since, turns_again } = stall;
            if !moved {
                *turns_again = None;
                return Look::StillStalled;
            }
            let again = *turns_again.get_or_insert(now);
            if now - again < RETURN_TIME {
                return Look::Wake;
            }
            let stood = again - *since;
            *self = Seen {
                turns,
                ..Seen::default()
            };
            return Look::Returned(stood);
        }
        if moved || !waits {
            self.idle_since = None;
            return Look::Same;
        }
        let since = *self.idle_since.get_or_insert(now);
        if since == now {
            return Look::Wake;
        }
        if now - since < STALL_TIME {
            return Look::Same;
        }
        self.stall = Some(Stall {
            since,
            turns_again: None,
        });
        Look::Stalled
    }

    /// The watching thread itself did not run: nothing is known of the time before.
    fn forget_time(&mut self) {
        self.idle_since = None;
    }
}

/// Watches over the workers.
struct Watch {
    handles: WorkerHandles,
    active: watch::Receiver<Arc<Active>>,
    /// Time of the system's clock at the start of that of the workers, in nanoseconds.
    clock_zero: u64,
    /// By index of the worker.
    seen: Vec<Seen>,
    arrivals: Arrivals,
    /// Something is on its way to a worker, and nobody looks.
    handed_over: Arc<Notify>,
    /// Sessions that had begun.
    sessions: u64,
}

/// Watches over these workers, for as long as it is polled. `clock_zero`: time of the system's clock at the start of
/// the workers' clock, in nanoseconds; `arrivals`: watches nothing yet.
pub async fn watch(
    handles: WorkerHandles,
    active: watch::Receiver<Arc<Active>>,
    clock_zero: u64,
    arrivals: Arrivals,
) {
    let workers = handles.hand_overs().loads().workers();
    if workers == 1 {
        // Nobody else could take anything.
        return;
    }
    let mut watch = Watch {
        handles,
        active,
        clock_zero,
        seen: vec![Seen::default(); workers],
        arrivals,
        handed_over: Arc::new(Notify::new()),
        sessions: 0,
    };
    let handed_over = Arc::clone(&watch.handed_over);
    let notify = Box::new(move || handed_over.notify_one());
    watch.handles.hand_overs().set_watcher(notify);
    loop {
        watch.next_arrival().await;
        let hand_overs = Arc::clone(watch.handles.hand_overs());
        let loads = hand_overs.loads();
        loads.set_watched(true);
        loop {
            watch.while_connections_come().await;
            loads.set_watched(false);
            if !(0..workers).any(|worker| loads.is_notified(worker)) {
                break;
            }
            loads.set_watched(true);
        }
    }
}

impl Watch {
    /// Waits until a connection comes to a listener and is not accepted at once, or is handed over.
    async fn next_arrival(&mut self) {
        loop {
            let active = Arc::clone(&self.active.borrow_and_update());
            let open = active.open_listeners();
            let is_watched = open
                .map(|(_, socket)| self.arrivals.watch(&socket))
                .all(|watched| watched.is_ok());
            let arrived = async {
                if is_watched {
                    self.arrivals.wait().await;
                } else {
                    // Out of memory: it looks again and again.
                    tokio::time::sleep(QUIET_TIME).await;
                }
            };
            let changed = tokio::select! {
                () = arrived => None,
                () = self.handed_over.notified() => None,
                changed = self.active.changed() => Some(changed),
            };
            match changed {
                None => {
                    let open = active.open_listeners();
                    return open.for_each(|(_, socket)| self.arrivals.forget(&socket));
                }
                Some(Ok(())) => {}
                Some(Err(_)) => return std::future::pending().await,
            }
        }
    }

    /// Looks at the workers until no connection has come for a while and none of them stands still.
    async fn while_connections_come(&mut self) {
        let mut last_busy = Instant::now();
        let mut last = last_busy;
        for seen in &mut self.seen {
            seen.forget_time();
        }
        loop {
            if self.look(last, Instant::now()) {
                last_busy = Instant::now();
            }
            last = Instant::now();
            if last - last_busy >= QUIET_TIME {
                return;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Looks at all workers, and does what is necessary. Returns whether anything was going on.
    fn look(&mut self, last: Instant, now: Instant) -> bool {
        let active = Arc::clone(&self.active.borrow());
        let listeners: Vec<_> = active.open_listeners().collect();
        let sockets = listeners.iter().map(|(_, socket)| &**socket);
        let Ok(waiting) = waiting_at(sockets) else {
            return false;
        };
        let hand_overs = Arc::clone(self.handles.hand_overs());
        let loads = hand_overs.loads();
        let is_late = now - last >= 2 * INTERVAL;
        let mut is_busy = self.sessions_began() || waiting.contains(&true);
        let mut stalled = Vec::new();
        for worker in 0..self.seen.len() {
            let at_listener = listeners.iter().zip(&waiting);
            let mut at_listener = at_listener.filter(|((it, _), _)| it.worker == worker);
            let waits = at_listener.any(|(_, waits)| *waits) || loads.is_notified(worker);
            let seen = &mut self.seen[worker];
            if is_late {
                // So the workers may not have run either.
                seen.forget_time();
            }
            match seen.look(loads.turns(worker), waits, now) {
                Look::Same => {}
                Look::Wake => self.handles.shared().wake(worker),
                Look::Stalled => {
                    loads.set_stalled(worker, true);
                    log::warn!(
                        "worker {worker} has stood still for {STALL_TIME:?}: others take its new connections"
                    );
                    stalled.push(worker);
                }
                Look::StillStalled => stalled.push(worker),
                Look::Returned(stood) => {
                    loads.set_stalled(worker, false);
                    log::warn!(
                        "worker {worker} goes on, after it had stood still for {:.1} s",
                        stood.as_secs_f64()
                    );
                }
            }
            is_busy |= waits || self.seen[worker].stall.is_some();
        }
        for worker in stalled {
            self.relieve(worker, &active, &listeners);
        }
        is_busy
    }

    /// Whether a session has begun since the last call.
    fn sessions_began(&mut self) -> bool {
        let workers = self.handles.shared().workers.iter();
        let sessions = workers.map(|it| it.sessions_started.get()).sum();
        std::mem::replace(&mut self.sessions, sessions) != sessions
    }

    /// Gives what waits for a worker to others.
    fn relieve(
        &self,
        stalled: usize,
        active: &Active,
        listeners: &[(&WorkerListener, Arc<Listener>)],
    ) {
        let hand_overs = self.handles.hand_overs();
        let now = self.now();
        while hand_overs.has_receiver(stalled, now)
            && let Some(handed) = hand_overs.take_back(stalled)
        {
            hand_overs.send_in_place_of(stalled, handed, now, self.handles.shared());
        }
        let of_worker = listeners.iter().filter(|(it, _)| it.worker == stalled);
        for (listener, socket) in of_worker {
            for _ in 0..ACCEPTS_MAX {
                if !hand_overs.has_receiver(stalled, now)
                    || !self.accept_for(stalled, listener, socket, &active.snapshot, now)
                {
                    break;
                }
            }
        }
        self.notify_others(stalled, &active.snapshot);
    }

    /// Accepts a connection in place of a worker, if there is one, the limits of sessions have room for it, and nothing
    /// is short.
    fn accept_for(
        &self,
        stalled: usize,
        listener: &WorkerListener,
        socket: &Listener,
        snapshot: &Arc<Snapshot>,
        now: u64,
    ) -> bool {
        let shared = self.handles.shared();
        let frontend = &snapshot.frontends[usize::from(listener.frontend)];
        if !shared.session_limit.try_acquire() {
            return false;
        }
        if !frontend.session_limit.try_acquire() {
            release_slot(shared, None);
            return false;
        }
        match socket.accept() {
            Ok(socket) => {
                let handed = HandedOver {
                    socket,
                    is_unix: listener.is_unix,
                    snapshot: Arc::clone(snapshot),
                    frontend: listener.frontend,
                    client: None,
                };
                let hand_overs = self.handles.hand_overs();
                // Workers are told to stop by this thread, so that none begins to meanwhile.
                hand_overs.send_in_place_of(stalled, handed, now, shared);
                true
            }
            Err(fault) => {
                release_slot(shared, Some(frontend));
                // The client left before it was accepted.
                fault == Fault::Reset
            }
        }
    }

    /// The worker that stands still may have been told of a free slot for which listeners of others wait.
    fn notify_others(&self, stalled: usize, snapshot: &Snapshot) {
        let shared = self.handles.shared();
        let notify = |worker, freed| {
            if shared.notify(worker, freed) {
                shared.wake(worker);
            }
        };
        for worker in (0..self.seen.len()).filter(|worker| *worker != stalled) {
            if shared.paused.waits(worker) && shared.session_limit.free() > 0 {
                notify(worker, Freed::Process);
            }
            for frontend in &snapshot.frontends {
                if frontend.paused.waits(worker) && frontend.session_limit.free() > 0 {
                    notify(worker, Freed::Frontend(Arc::clone(frontend)));
                }
            }
        }
    }

    /// The time of the workers, in nanoseconds.
    fn now(&self) -> u64 {
        monotonic_nanos().saturating_sub(self.clock_zero)
    }
}

/// Gives back a slot of the process, and one of this frontend, and notifies a worker that waits for one.
fn release_slot(shared: &Shared, frontend: Option<&Arc<FrontendShared>>) {
    let mut freed = Vec::new();
    if let Some(frontend) = frontend {
        frontend.session_limit.release();
        let worker = frontend.paused.longest_waiting();
        freed.extend(worker.map(|it| (it, Freed::Frontend(Arc::clone(frontend)))));
    }
    shared.session_limit.release();
    let worker = shared.paused.longest_waiting();
    freed.extend(worker.map(|it| (it, Freed::Process)));
    for (worker, freed) in freed {
        if shared.notify(worker, freed) {
            shared.wake(worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_something_to_do_and_does_nothing_stands_still() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut seen = Seen::default();
        assert_eq!(seen.look(1, true, at(0)), Look::Same, "it has moved");
        assert_eq!(seen.look(1, false, at(500)), Look::Same, "it sleeps");
        assert_eq!(seen.look(1, true, at(550)), Look::Wake);
        assert_eq!(seen.look(1, true, at(600)), Look::Same);
        assert_eq!(seen.look(2, true, at(650)), Look::Same, "it has answered");
        assert_eq!(seen.look(2, true, at(700)), Look::Wake);
        assert_eq!(seen.look(2, true, at(750)), Look::Same);
        assert_eq!(seen.look(2, true, at(800)), Look::Stalled);
        assert_eq!(seen.look(2, false, at(850)), Look::StillStalled);
        // It makes a turn, and stands still again.
        assert_eq!(seen.look(3, false, at(900)), Look::Wake);
        assert_eq!(seen.look(3, false, at(950)), Look::StillStalled);
        for step in 0..20 {
            assert_eq!(seen.look(4 + step, true, at(1000 + 50 * step)), Look::Wake);
        }
        let stood = Duration::from_millis(300);
        assert_eq!(seen.look(30, true, at(2000)), Look::Returned(stood));
        assert_eq!(seen.look(30, true, at(2050)), Look::Wake);
    }

    #[test]
    fn a_time_in_which_nobody_ran_does_not_count() {
        let start = Instant::now();
        let mut seen = Seen::default();
        assert_eq!(seen.look(0, true, start), Look::Wake);
        seen.forget_time();
        let later = start + Duration::from_secs(10);
        assert_eq!(seen.look(0, true, later), Look::Wake);
    }
}
