//! The loop of the health thread: begins probes when they are due, evaluates their results, and publishes the
//! availability that follows.
//!
//! Every probe is a task of its own, so one that hangs costs nothing to the others; a server has at
//! most one. Everything else happens here, one thing after the other, so nothing needs a lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::announce;
use super::limit::{Begun, Limiter, Slot};
use super::probe::Probe;
use super::schedule::{self, Agenda, Task};
use super::statuses::{HealthCommand, Statuses};
use super::target::{Pool, Target};
use crate::config::OnDown;
use crate::control::journal::Journal;
use crate::control::names::{Answer, Names};
use crate::control::recorder::ProbeRecord;
use crate::control::server_change::ServerChange;
use crate::control::workers::WorkerHandles;
use crate::logic::health::{Cause, Change, Operational};
use crate::logic::time::Instant;
use crate::snapshot::Snapshot;
use crate::worker::{Command, SessionCommand};

/// How long after a warning that this host cannot probe the next one may come.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// A sleep that only something else ends.
const NEVER: Duration = Duration::from_secs(3600);

/// What becomes due within this time is begun together: with many servers, waking up for each
/// costs more than its probe.
const TICK: Duration = Duration::from_millis(10);

/// What the health thread knows.
pub struct Checker {
    /// By [`crate::snapshot::ServerShared::id`].
    pub(super) targets: HashMap<u64, Target>,
    /// The version of the configuration that it has.
    pub(super) version: u64,
    /// By index of the backend.
    pub(super) pools: Vec<Pool>,
    pub(super) agenda: Agenda,
    limiter: Limiter,
    probes: JoinSet<ProbeResult>,
    pub(super) names: Names,
    /// Host names that are being resolved, by the id of the server.
    pub(super) lookups: JoinSet<(u64, Answer)>,
    pub(super) statuses: Statuses,
    pub(super) workers: WorkerHandles,
    pub(super) journal: Journal,
    /// Servers without a first result.
    pub(super) awaited: usize,
    /// Servers that were ever checked.
    pub(super) phases: usize,
    /// Sent when every server has its first result.
    first_round: Option<oneshot::Sender<()>>,
    /// The time that [`Instant::ZERO`] stands for.
    start: tokio::time::Instant,
    /// When the next warning that this host cannot probe may be logged.
    warn_after: Instant,
}

/// The id of the server, its probe, the slot that the probe had, and the result.
type ProbeResult = (u64, Arc<Probe>, Slot, ProbeRecord);

impl Checker {
    /// Must be called on the health thread's runtime. The changes of operators, by
    /// [`crate::snapshot::ServerShared::id`], are in effect before the first probe.
    pub fn new(
        (snapshot, changes): (&Snapshot, &[(u64, ServerChange)]),
        names: Names,
        statuses: Statuses,
        (workers, journal): (WorkerHandles, Journal),
        first_round: oneshot::Sender<()>,
    ) -> Self {
        let mut checker = Checker {
            targets: HashMap::new(),
            version: 0,
            pools: Vec::new(),
            agenda: Agenda::default(),
            limiter: Limiter::default(),
            probes: JoinSet::new(),
            names,
            lookups: JoinSet::new(),
            statuses,
            workers,
            journal,
            awaited: 0,
            phases: 0,
            first_round: None,
            start: tokio::time::Instant::now(),
            warn_after: Instant::ZERO,
        };
        checker.adopt(snapshot, Instant::ZERO);
        for (server, change) in changes {
            checker.apply_change(*server, change);
        }
        checker.first_round = Some(first_round);
        checker.end_first_round_if_complete();
        checker
    }

    /// Runs until [`HealthCommand::Stop`].
    pub async fn run(
        mut self,
        mut failures: mpsc::UnboundedReceiver<u64>,
        mut commands: mpsc::UnboundedReceiver<HealthCommand>,
    ) {
        loop {
            let wakeup = self.start + self.wakeup().duration_since(Instant::ZERO);
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(HealthCommand::Apply { server, change, done }) => {
                        self.apply_change(server, &change);
                        let _ = done.send(());
                    }
                    Some(HealthCommand::Adopt { snapshot, done }) => {
                        self.adopt(&snapshot, self.now());
                        let _ = done.send(());
                    }
                    Some(HealthCommand::SetMembers { change, changes, done }) => {
                        self.set_members(&change, &changes, self.now());
                        let _ = done.send(());
                    }
                    Some(HealthCommand::Stop) | None => return,
                },
                Some(server) = failures.recv() => self.report_failures(server),
                Some(result) = self.probes.join_next() => self.on_result(result),
                Some(Ok((server, answer))) = self.lookups.join_next() => {
                    self.looked_up(server, answer);
                }
                () = tokio::time::sleep_until(wakeup) => self.begin_due(),
            }
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// When something is to be begun: at a tick, or now if that is overdue.
    fn wakeup(&self) -> Instant {
        let now = self.now();
        let due = self.agenda.next_due().into_iter();
        match due.chain(self.limiter.next_begin()).min() {
            None => now + NEVER,
            Some(due) if due <= now => now,
            Some(due) => schedule::next_tick(due, TICK),
        }
    }

    /// Begins what is due.
    fn begin_due(&mut self) {
        let now = self.now();
        while let Some((due, id, task)) = self.agenda.take(now) {
            let Some(target) = self.targets.get_mut(&id) else {
                continue;
            };
            match task {
                Task::Probe if target.probe_due == Some(due) => {
                    target.probe_due = None;
                    let probe = target.probe.as_ref().filter(|_| !target.probing);
                    if let Some(address) = probe.and_then(|probe| probe.address()) {
                        target.probing = true;
                        self.limiter.add(id, address.clone(), due);
                    }
                }
                Task::Resolve => self.look_up(id),
                Task::Return => self.end_pause(id, now),
                Task::Failures => self.record_later_failures(id, now),
                Task::Weight if target.weight_due == Some(due) => {
                    target.weight_due = None;
                    self.publish(id, now);
                }
                // The plan has changed since.
                Task::Probe | Task::Weight => {}
            }
        }
        self.begin_probes(now);
    }

    /// Begins the probes that are due, as many as may be under way.
    fn begin_probes(&mut self, now: Instant) {
        while let Some(Begun { server, due, slot }) = self.limiter.begin(now) {
            // As planned, or the wait for the tick would add up.
            let late = now.duration_since(due) > TICK;
            self.begin_probe(server, slot, if late { now } else { due });
        }
    }

    fn begin_probe(&mut self, id: u64, slot: Slot, now: Instant) {
        let target = self.targets.get_mut(&id);
        let Some(target) = target.filter(|target| target.health.interval().is_some()) else {
            // It is gone, or in maintenance, since the probe was due.
            self.drop_probe(id, slot);
            return;
        };
        let Some(probe) = target.probe.clone() else {
            self.drop_probe(id, slot);
            return;
        };
        if std::mem::take(&mut target.connect_failed) {
            target.connect_failed_at = Some(now);
        }
        target.shared.connect_failures.seen();
        target.probed_at = now;
        let server = Arc::clone(&target.shared);
        self.probes.spawn(async move {
            let (began, clock) = (SystemTime::now(), std::time::Instant::now());
            let cause = probe.run(&server).await;
            let took = clock.elapsed();
            let result = ProbeRecord { began, took, cause };
            (id, probe, slot, result)
        });
    }

    /// A probe that was due is not made.
    fn drop_probe(&mut self, id: u64, slot: Slot) {
        self.limiter.end(slot);
        if let Some(target) = self.targets.get_mut(&id) {
            target.probing = false;
        }
    }

    /// Takes the result of a probe.
    fn on_result(&mut self, result: Result<ProbeResult, tokio::task::JoinError>) {
        let (id, probe, slot, result) = match result {
            Ok(result) => result,
            // An internal error says nothing about a server.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let now = self.now();
        self.limiter.end(slot);
        self.take_result(id, &probe, result, now);
        self.begin_probes(now);
    }

    fn take_result(&mut self, id: u64, probe: &Arc<Probe>, result: ProbeRecord, now: Instant) {
        let cause = result.cause;
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.probing = false;
        if !target
            .probe
            .as_ref()
            .is_some_and(|now| Arc::ptr_eq(now, probe))
        {
            // A reload has changed or removed its probe.
            self.plan_probe_at(id, now);
            return;
        }
        if std::mem::take(&mut target.awaited) {
            self.awaited -= 1;
        }
        self.journal.recorder().probe(&target.name, result);
        let was_up = matches!(target.health.operational(), Operational::Up { .. });
        self.statuses.count_check(&target.shared, cause, was_up);
        if let Cause::Socket(_) = cause
            && self.warn_after <= now
        {
            self.warn_after = now + WARNING_PAUSE;
            announce::cannot_probe(&self.journal, cause);
        }
        let backend = target.backend;
        let change = target.health.probed(now, cause);
        let was_held = cause.passed().is_some() && self.let_go(id);
        self.follow(id, change, now);
        if was_held {
            self.update_held_of(backend, now);
            self.update_pool(backend, now);
        }
        self.plan_probe(id, now);
        self.end_first_round_if_complete();
    }

    /// A worker failed to connect to a server that is supposed to be up.
    pub(super) fn verify_connect_failure(&mut self, id: u64) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if let Operational::Up { .. } = target.health.operational() {
            let is_planned = std::mem::replace(&mut target.connect_failed, true);
            if !target.probing && !is_planned {
                self.plan_probe(id, self.now());
            }
        }
    }

    /// Plans the next probe of a server that has none under way.
    pub(super) fn plan_probe(&mut self, id: u64, now: Instant) {
        let Some(target) = self.targets.get(&id) else {
            return;
        };
        let Some(interval) = target.health.interval() else {
            return;
        };
        let calm = schedule::next(target.phase, interval, now);
        let due = match target.health.operational() {
            // A connect failure is verified at once, but at most every fast interval.
            Operational::Up { .. } if target.connect_failed => {
                let fast = target.health.fast_interval();
                let again = target.connect_failed_at.map_or(now, |last| last + fast);
                again.max(now).min(calm)
            }
            _ if target.health.is_moving() => (target.probed_at + interval).max(now),
            _ => calm,
        };
        self.plan_probe_at(id, due);
    }

    pub(super) fn plan_probe_at(&mut self, id: u64, due: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        // None in maintenance, whatever the configuration says.
        let wanted = target.probe.is_some() && target.health.interval().is_some();
        if !wanted || target.probe_due == Some(due) {
            return;
        }
        target.probe_due = Some(due);
        self.agenda.add(due, id, Task::Probe);
    }

    /// Publishes a server's health after a result or an action; a change is announced, and may close sessions.
    pub(super) fn follow(&mut self, id: u64, change: Option<Change>, now: Instant) {
        self.publish(id, now);
        let Some(change) = change else { return };
        self.announce(id, &change);
        let Some(target) = self.targets.get(&id) else {
            return;
        };
        let backend = target.backend;
        if change.transition.is_down() && self.pools[backend].on_down == OnDown::Close {
            let cut = || Command::Sessions(SessionCommand::shutdown_sessions_of(&target.shared));
            self.workers.send(cut);
        }
        self.update_held_of(backend, now);
        self.update_pool(backend, now);
    }

    /// Publishes a server's health, and what follows from it for the backend.
    pub(super) fn publish_with_backend(&mut self, id: u64, now: Instant) {
        self.publish(id, now);
        if let Some(target) = self.targets.get(&id) {
            let backend = target.backend;
            self.update_held_of(backend, now);
            self.update_pool(backend, now);
        }
    }

    /// Announces a change of a server.
    pub(super) fn announce(&self, id: u64, change: &Change) {
        if let Some(target) = self.targets.get(&id) {
            let by = target.by.as_ref();
            announce::server_changed(&self.journal, &target.name, change, by);
            let when = SystemTime::now();
            self.statuses.changed(&target.shared, change, when);
        }
    }

    /// Announces that a backend has lost its last usable server, or has one again.
    pub(super) fn update_pool(&mut self, backend: usize, now: Instant) {
        let pool = &mut self.pools[backend];
        let usable = pool.shared.has_usable();
        match pool.lost_since {
            None if !usable => {
                pool.lost_since = Some(now);
                pool.shared.queue.downs.add(1);
                announce::backend_lost(&self.journal, &pool.name);
            }
            Some(since) if usable => {
                pool.lost_since = None;
                let lasted = now.duration_since(since);
                match pool.shared.queue.downs.get() {
                    0 => announce::backend_usable(&self.journal, &pool.name),
                    _ => announce::backend_back(&self.journal, &pool.name, lasted),
                }
            }
            None | Some(_) => {}
        }
    }

    /// Publishes a server's health for the workers and for readers of [`Statuses`].
    pub(super) fn publish(&mut self, id: u64, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let health = &target.health;
        let availability = &target.shared.availability;
        let opens_held = self.pools[target.backend].opens_held;
        let ejected = target.ejected_by().filter(|_| !opens_held);
        let is_closed = ejected.is_some() || (target.held && !opens_held);
        let (usable, weight) = (health.is_usable() && !is_closed, health.weight(now));
        let (was_usable, old_weight) = availability.published();
        let balanced = |usable, weight| usable && weight > 0;
        let turned =
            usable != was_usable || balanced(usable, weight) != balanced(was_usable, old_weight);
        if turned || weight != old_weight {
            availability.publish(usable, weight);
        }
        self.statuses.publish(&target.shared, health, ejected, now);
        if turned {
            // Queued sessions may get a slot now, or have no server to wait for any more.
            self.workers.shared().notify_waiters(&target.shared);
        }
        target.weight_due = target.health.next_rise(now);
        if let Some(due) = target.weight_due {
            self.agenda.add(due, id, Task::Weight);
        }
    }

    pub(super) fn end_first_round_if_complete(&mut self) {
        if self.awaited == 0
            && let Some(first_round) = self.first_round.take()
        {
            let _ = first_round.send(());
        }
    }
}
