//! The loop of the health thread: begins probes when they are due, judges their results, publishes
//! what follows.
//!
//! Every probe is a task of its own, so one that hangs costs nothing to the others; a server has at
//! most one. Everything else happens here, one thing after the other, so nothing needs a lock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::announce;
use super::probe::Probe;
use super::schedule::{self, Agenda, Task};
use super::{Order, Statuses};
use crate::config::{Config, OnDown};
use crate::control::workers::Orders;
use crate::logic::health::{Admin, Cause, Change, CheckRules, Health, Operational, Rules};
use crate::logic::time::Instant;
use crate::shared::Shared;
use crate::worker::Command;

/// How long after a warning that this host cannot probe the next one may come.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// A sleep that only something else ends.
const NEVER: Duration = Duration::from_secs(3600);

/// What becomes due within this time is begun together: with many servers, waking up for each
/// costs more than its probe.
const TICK: Duration = Duration::from_millis(10);

/// A server, in the order of the file over all backends.
struct Target {
    backend: usize,
    server: usize,
    /// `BACKEND/SERVER`
    name: String,
    health: Health,
    /// `None`: it is not checked.
    probe: Option<Arc<Probe>>,
    /// See [`schedule::phase`].
    phase: u32,
    /// A probe is under way.
    probing: bool,
    /// When the last one began.
    probed_at: Instant,
    /// When the next one begins.
    probe_due: Option<Instant>,
    /// When its weight rises again.
    weight_due: Option<Instant>,
    /// A worker failed to connect since the last probe began.
    suspected: bool,
    /// When a probe was last made for that reason.
    suspected_at: Option<Instant>,
    /// The first round waits for its first result.
    awaited: bool,
}

/// A backend.
struct Pool {
    name: String,
    on_down: OnDown,
    /// Index of its first server among the targets.
    first: usize,
    /// Since when no server of it is usable, if so.
    lost_since: Option<Instant>,
}

/// What the health thread knows.
pub struct Checker {
    targets: Vec<Target>,
    pools: Vec<Pool>,
    agenda: Agenda,
    probes: JoinSet<(usize, Cause)>,
    statuses: Statuses,
    shared: Arc<Shared>,
    workers: Orders,
    /// Servers without a first result.
    awaited: usize,
    /// Told when there are none left.
    first_round: Option<oneshot::Sender<()>>,
    /// The zero of time here.
    start: tokio::time::Instant,
    /// When the next warning that this host cannot probe may be logged.
    warn_after: Instant,
}

impl Checker {
    /// Must be called on the health thread's runtime.
    pub fn new(
        config: &Config,
        statuses: Statuses,
        workers: Orders,
        first_round: oneshot::Sender<()>,
    ) -> Self {
        let mut checker = Checker {
            targets: Vec::new(),
            pools: Vec::new(),
            agenda: Agenda::default(),
            probes: JoinSet::new(),
            shared: Arc::clone(workers.shared()),
            statuses,
            workers,
            awaited: 0,
            first_round: Some(first_round),
            start: tokio::time::Instant::now(),
            warn_after: Instant::ZERO,
        };
        let servers = config.backends.iter().filter(|b| b.health_check.is_some());
        let checked = servers.map(|backend| backend.servers.len()).sum();
        for (index, backend) in config.backends.iter().enumerate() {
            checker.pools.push(Pool {
                name: backend.name.clone(),
                on_down: backend.on_down,
                first: checker.targets.len(),
                lost_since: None,
            });
            for server in 0..backend.servers.len() {
                checker.add(config, (index, server), checked);
            }
        }
        for index in 0..checker.pools.len() {
            // One whose servers all have weight 0 has not lost anything.
            checker.pools[index].lost_since = (!checker.has_usable(index)).then_some(Instant::ZERO);
        }
        checker.end_first_round_if_complete();
        checker
    }

    fn add(&mut self, config: &Config, (backend, server): (usize, usize), checked: usize) {
        let pool = &config.backends[backend];
        let written = &pool.servers[server];
        let check = pool.health_check.as_ref();
        let rules = Rules {
            check: check.map(|check| CheckRules {
                fall: check.fall,
                rise: check.rise,
                interval: check.interval,
                fast_interval: check.fast_interval,
                down_interval: check.down_interval,
            }),
            weight: written.weight.into(),
            slow_start: pool.slow_start,
        };
        let due = check.map(|_| schedule::first(self.awaited, checked));
        let index = self.targets.len();
        self.targets.push(Target {
            backend,
            server,
            name: format!("{}/{}", pool.name, written.name),
            health: Health::new(rules, Instant::ZERO),
            probe: check.map(|check| Arc::new(Probe::new(check, written.address))),
            phase: schedule::phase(self.awaited),
            probing: false,
            probed_at: Instant::ZERO,
            probe_due: due,
            weight_due: None,
            suspected: false,
            suspected_at: None,
            awaited: due.is_some(),
        });
        if let Some(due) = due {
            self.awaited += 1;
            self.agenda.add(due, index, Task::Probe);
        }
        self.publish(index, Instant::ZERO);
    }

    /// Runs until it is ordered to stop.
    pub async fn run(
        mut self,
        mut suspects: mpsc::UnboundedReceiver<(usize, usize)>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        loop {
            let wakeup = self.start + self.wakeup().duration_since(Instant::ZERO);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::SetAdmin { backend, server, admin }) => {
                        self.set_admin(backend, server, admin);
                    }
                    Some(Order::Stop) | None => return,
                },
                Some((backend, server)) = suspects.recv() => self.suspect(backend, server),
                Some(result) = self.probes.join_next() => self.judge(result),
                () = tokio::time::sleep_until(wakeup) => self.begin_due(),
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// When something is to be begun: at a tick, or now if that is overdue.
    fn wakeup(&self) -> Instant {
        let now = self.now();
        match self.agenda.next_due() {
            None => now + NEVER,
            Some(due) if due <= now => now,
            Some(due) => schedule::next_tick(due, TICK),
        }
    }

    /// Begins what is due.
    fn begin_due(&mut self) {
        let now = self.now();
        while let Some((due, index, task)) = self.agenda.take(now) {
            let target = &mut self.targets[index];
            match task {
                Task::Probe if target.probe_due == Some(due) => {
                    target.probe_due = None;
                    // As planned, or the wait for the tick would add up.
                    let late = now.duration_since(due) > TICK;
                    self.begin_probe(index, if late { now } else { due });
                }
                Task::Weight if target.weight_due == Some(due) => {
                    target.weight_due = None;
                    self.publish(index, now);
                }
                // The plan has changed since.
                Task::Probe | Task::Weight => {}
            }
        }
    }

    fn begin_probe(&mut self, index: usize, now: Instant) {
        let target = &mut self.targets[index];
        let Some(probe) = target.probe.clone().filter(|_| !target.probing) else {
            return;
        };
        if std::mem::take(&mut target.suspected) {
            target.suspected_at = Some(now);
        }
        let server = &self.shared.backends[target.backend].servers[target.server];
        server.connect_failures.seen();
        target.probing = true;
        target.probed_at = now;
        self.probes.spawn(async move { (index, probe.run().await) });
    }

    /// Takes the result of a probe.
    fn judge(&mut self, result: Result<(usize, Cause), tokio::task::JoinError>) {
        let (index, cause) = match result {
            Ok(result) => result,
            // A fault of ours, which is not to be taken for one of a server.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let now = self.now();
        let target = &mut self.targets[index];
        target.probing = false;
        if std::mem::take(&mut target.awaited) {
            self.awaited -= 1;
        }
        self.statuses
            .count_check(target.backend, target.server, cause);
        if let Cause::Socket(_) = cause
            && self.warn_after <= now
        {
            self.warn_after = now + WARNING_PAUSE;
            announce::cannot_probe(cause);
        }
        let change = target.health.probed(now, cause);
        self.follow(index, change, now);
        self.plan_probe(index, now);
        self.end_first_round_if_complete();
    }

    /// A worker failed to connect to a server that is supposed to be up.
    fn suspect(&mut self, backend: usize, server: usize) {
        let index = self.pools[backend].first + server;
        let target = &mut self.targets[index];
        if let Operational::Up { .. } = target.health.operational() {
            target.suspected = true;
            if !target.probing {
                self.plan_probe(index, self.now());
            }
        }
    }

    fn set_admin(&mut self, backend: usize, server: usize, admin: Admin) {
        let index = self.pools[backend].first + server;
        let now = self.now();
        let target = &mut self.targets[index];
        let from = target.health.admin();
        let change = target.health.set_admin(now, admin);
        if change.is_none() {
            return;
        }
        self.follow(index, change, now);
        if from == Admin::Maint {
            // What happened meanwhile is not known.
            self.targets[index].probed_at = now;
            self.plan_probe_at(index, now);
        } else if admin == Admin::Maint {
            self.targets[index].probe_due = None;
        }
    }

    /// Plans the next probe of a server that has none under way.
    fn plan_probe(&mut self, index: usize, now: Instant) {
        let target = &self.targets[index];
        let Some(interval) = target.health.interval() else {
            return;
        };
        let calm = schedule::next(target.phase, interval, now);
        let due = match target.health.operational() {
            // A worker's word is checked at once, but not again and again.
            Operational::Up { .. } if target.suspected => {
                let fast = target.health.fast_interval();
                let again = target.suspected_at.map_or(now, |last| last + fast);
                again.max(now).min(calm)
            }
            _ if target.health.is_moving() => (target.probed_at + interval).max(now),
            _ => calm,
        };
        self.plan_probe_at(index, due);
    }

    fn plan_probe_at(&mut self, index: usize, due: Instant) {
        if self.targets[index].probe.is_none() || self.targets[index].probe_due == Some(due) {
            return;
        }
        self.targets[index].probe_due = Some(due);
        self.agenda.add(due, index, Task::Probe);
    }

    /// After a result or an order: publishes, and does what a change demands.
    fn follow(&mut self, index: usize, change: Option<Change>, now: Instant) {
        self.publish(index, now);
        let Some(change) = change else { return };
        let target = &self.targets[index];
        let (backend, server) = (target.backend, target.server);
        announce::server_changed(&target.name, &change);
        self.statuses
            .changed(backend, server, &change, SystemTime::now());
        if change.to == "down" && self.pools[backend].on_down == OnDown::Close {
            let server = server as u16;
            self.workers.send(&Command::CutSessions { backend, server });
        }
        let usable = self.has_usable(backend);
        let pool = &mut self.pools[backend];
        match pool.lost_since {
            None if !usable => {
                pool.lost_since = Some(now);
                announce::backend_lost(&pool.name);
            }
            Some(since) if usable => {
                pool.lost_since = None;
                announce::backend_back(&pool.name, now.duration_since(since));
            }
            None | Some(_) => {}
        }
    }

    /// Tells workers and readers of statuses how a server is.
    fn publish(&mut self, index: usize, now: Instant) {
        let target = &mut self.targets[index];
        let health = &target.health;
        let liveness = &self.shared.backends[target.backend].servers[target.server].liveness;
        let (usable, weight) = (health.is_usable(), health.weight(now));
        let turned = usable != liveness.is_usable();
        if turned || weight != liveness.weight() {
            liveness.publish(usable, weight);
        }
        self.statuses
            .publish(target.backend, target.server, health, now);
        if turned {
            // Those who wait for a place may have one now, or nothing to wait for any more.
            self.workers.wake();
        }
        target.weight_due = target.health.next_rise(now);
        if let Some(due) = target.weight_due {
            self.agenda.add(due, index, Task::Weight);
        }
    }

    /// Whether new sessions can be given to any server of this backend.
    fn has_usable(&self, backend: usize) -> bool {
        let servers = &self.shared.backends[backend].servers;
        let mut liveness = servers.iter().map(|server| &server.liveness);
        liveness.any(|liveness| liveness.is_usable() && liveness.weight() > 0)
    }

    fn end_first_round_if_complete(&mut self) {
        if self.awaited == 0
            && let Some(first_round) = self.first_round.take()
        {
            let _ = first_round.send(());
        }
    }
}
