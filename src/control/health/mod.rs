//! Health: one thread probes all servers of all backends and tells the workers which they may use.
//!
//! ```text
//!  probe --> checker --> sync: availability   ----------> workers, on each choice
//!    ^          |  \---> Statuses -------------------> whoever shows them
//!    |          \------> log
//!  schedule <---+------- connects that failed -------- workers
//!               +------- orders of the operator ------ whoever takes them
//! ```
//!
//! What a result means is decided by [`crate::logic::health`]. The thread has a runtime of its own,
//! so that nothing else of the control plane delays a probe or is delayed by a thousand of them.

mod announce;
mod checker;
mod limit;
mod operator;
mod probe;
mod resolving;
mod schedule;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use super::names::Names;
use super::overrides::{Attribution, ServerChange};
use super::workers::WorkerHandles;
use crate::logic::health::{self, Admin, Cause, Change, Operational};
use crate::logic::time::Instant;
use crate::privileges::{self, User};
use crate::snapshot::{ServerShared, Snapshot};
use checker::Checker;

/// How long the start waits for the first result of every server.
const FIRST_ROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// To the health thread.
#[derive(Debug)]
enum HealthCommand {
    Apply {
        /// [`ServerShared::id`]
        server: u64,
        change: ServerChange,
        /// Told, or dropped, when it is done.
        done: oneshot::Sender<()>,
    },
    Adopt {
        snapshot: Arc<Snapshot>,
        done: oneshot::Sender<()>,
    },
    Stop,
}

/// What is known of a server's health.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// `"up"`, `"down"` or `"no check"`.
    pub operational: &'static str,
    /// `"ready"`, `"drain"` or `"maint"`.
    pub admin: &'static str,
    /// Whether new sessions may go there, be it by a cookie.
    pub usable: bool,
    /// Whether balancing gives it new sessions, others or not.
    pub balanced: bool,
    /// The weight in effect while it is ready: while slow start goes on, less than the one that was
    /// set.
    pub weight: u32,
    /// Who set its administrative state or its weight last; `None`: nobody did.
    pub by: Option<Attribution>,
    /// Of the last result or change, such as `L4OK` or `L7STS 503`; `INI` before the first.
    pub cause: String,
    /// When the operational or the administrative state changed last.
    pub changed: SystemTime,
    /// Probes that passed.
    pub checks_passed: u64,
    /// Probes that failed.
    pub checks_failed: u64,
    /// Those of them that failed while it was up.
    pub checks_failed_while_up: u64,
    /// Connects of sessions that failed.
    pub connects_failed: u64,
    /// How often it went down.
    pub downs: u64,
    /// When the last probe ended that passed or failed.
    pub checked: Option<SystemTime>,
}

/// The health of all servers, for whoever shows or changes it. Clones are the same.
#[derive(Clone, Debug)]
pub struct Statuses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By [`ServerShared::id`].
    servers: Mutex<HashMap<u64, ServerStatus>>,
    orders: mpsc::UnboundedSender<HealthCommand>,
}

impl ServerStatus {
    /// Before anything is known of it.
    fn new(weight: u32) -> Self {
        ServerStatus {
            operational: Operational::Unchecked.as_str(),
            admin: Admin::Ready.as_str(),
            usable: true,
            balanced: weight > 0,
            weight,
            by: None,
            cause: Cause::Initial.to_string(),
            changed: SystemTime::now(),
            checks_passed: 0,
            checks_failed: 0,
            checks_failed_while_up: 0,
            connects_failed: 0,
            downs: 0,
            checked: None,
        }
    }
}

impl Statuses {
    fn new(orders: mpsc::UnboundedSender<HealthCommand>) -> Self {
        Statuses(Arc::new(Inner {
            servers: Mutex::default(),
            orders,
        }))
    }

    /// The status of a server; of one that is not in use, nothing is known.
    pub fn server(&self, server: &ServerShared) -> ServerStatus {
        let status = self.entries().get(&server.id).cloned();
        ServerStatus {
            connects_failed: server.connect_failures.count(),
            ..status.unwrap_or_else(|| ServerStatus::new(server.availability.weight()))
        }
    }

    /// Orders what an operator changes. It is in effect when the answer comes, which it does at once.
    pub fn apply_change(
        &self,
        server: &ServerShared,
        change: ServerChange,
    ) -> oneshot::Receiver<()> {
        let server = server.id;
        let (done, answer) = oneshot::channel();
        // The health thread ends with the process only.
        let _ = self.0.orders.send(HealthCommand::Apply {
            server,
            change,
            done,
        });
        answer
    }

    /// Has a snapshot checked from now on, and waits until its servers are known.
    pub async fn adopt(&self, snapshot: &Arc<Snapshot>) {
        let (done, is_done) = oneshot::channel();
        let snapshot = Arc::clone(snapshot);
        let _ = self.0.orders.send(HealthCommand::Adopt { snapshot, done });
        let _ = is_done.await;
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn entries(&self) -> MutexGuard<'_, HashMap<u64, ServerStatus>> {
        let entries = self.0.servers.lock();
        entries.unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets those that are not wanted, by id.
    fn retain(&self, wanted: impl Fn(u64) -> bool) {
        self.entries().retain(|id, _| wanted(*id));
    }

    /// Only the health thread calls this.
    fn change(&self, server: &ServerShared, change: impl FnOnce(&mut ServerStatus)) {
        let mut entries = self.entries();
        let status = entries.entry(server.id);
        change(status.or_insert_with(|| ServerStatus::new(server.availability.weight())));
    }

    fn publish(&self, server: &ServerShared, health: &health::Health, now: Instant) {
        self.change(server, |status| {
            status.operational = health.operational().as_str();
            status.admin = health.admin().as_str();
            status.usable = health.is_usable();
            status.balanced = health.is_usable() && health.weight(now) > 0;
            status.weight = health.weight_shown(now);
            status.cause = health.cause().to_string();
        });
    }

    fn count_check(&self, server: &ServerShared, cause: Cause, was_up: bool) {
        let Some(passed) = cause.passed() else {
            return;
        };
        self.change(server, |status| {
            status.checks_passed += u64::from(passed);
            status.checks_failed += u64::from(!passed);
            status.checks_failed_while_up += u64::from(!passed && was_up);
            status.checked = Some(SystemTime::now());
        });
    }

    fn changed(&self, server: &ServerShared, change: &Change, when: SystemTime) {
        self.change(server, |status| {
            status.changed = when;
            status.downs += u64::from(change.to == "down");
        });
    }
}

/// The running health thread; it ends when this is dropped.
pub struct Health {
    statuses: Statuses,
    first_round: Option<oneshot::Receiver<()>>,
    /// Closed when the thread has ended.
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    /// The same for a thread that waits: closed when the thread has ended.
    ended_too: Receiver<()>,
}

impl Health {
    /// Starts it as `user`. The changes of operators, by [`ServerShared::id`], are in effect before the first
    /// probe.
    ///
    /// # Errors
    ///
    /// No thread or no runtime could be made, or it could not become `user`.
    pub fn start(
        (snapshot, changes): (Arc<Snapshot>, Vec<(u64, ServerChange)>),
        names: Names,
        user: Option<User>,
        workers: WorkerHandles,
        journal: Journal,
    ) -> std::io::Result<Self> {
        let (order_sender, orders) = mpsc::unbounded_channel();
        let (suspect_sender, suspects) = mpsc::unbounded_channel();
        let (first_sender, first_round) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        let (alive_too, ended_too) = bounded::<()>(0);
        let statuses = Statuses::new(order_sender);
        workers.shared().set_checker(Box::new(move |server| {
            let _ = suspect_sender.send(server);
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let for_thread = statuses.clone();
        let thread = privileges::spawn(user, "health", move || {
            let _alive = (alive, alive_too);
            // A task, because waking the runtime's main future costs a system call each time.
            let task = async move {
                let initial = (&*snapshot, &*changes);
                let told = (workers, journal);
                let checker = Checker::new(initial, names, for_thread, told, first_sender);
                checker.run(suspects, orders).await;
            };
            // A panic has said so by itself; that the thread ends is noticed.
            let _ = runtime.block_on(async { tokio::spawn(task).await });
        })?;
        Ok(Health {
            statuses,
            first_round: Some(first_round),
            ended,
            thread: Some(thread),
            ended_too,
        })
    }

    /// What is known of the servers.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Waits until every server that is checked has its first result, but not for long.
    pub async fn first_round(&mut self) {
        if let Some(first_round) = self.first_round.take() {
            let _ = tokio::time::timeout(FIRST_ROUND_TIMEOUT, first_round).await;
        }
    }

    /// Waits until the thread has ended, which only a fault of ours makes it do.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        let _ = self.statuses.0.orders.send(HealthCommand::Stop);
        let ended = self.ended_too.recv_timeout(STOP_TIMEOUT);
        // If it hangs, the process ends without it.
        if ended == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}
