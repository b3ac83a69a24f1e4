//! The health of all servers as the rest of the process sees it, and commands to the health thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use super::announce;
use crate::control::server_change::{Attribution, ServerChange};
use crate::logic::ejection::EjectionRules;
use crate::logic::health::{self, AdminState, Cause, Change, OperationalState};
use crate::logic::time::Instant;
use crate::snapshot::{MembersChange, ServerShared, Snapshot};

/// A command to the health thread.
#[derive(Debug)]
pub(super) enum HealthCommand {
    Apply {
        /// [`ServerShared::id`]
        server: u64,
        change: ServerChange,
        /// Sent, or dropped, when it is done.
        done: oneshot::Sender<()>,
    },
    Adopt {
        snapshot: Arc<Snapshot>,
        done: oneshot::Sender<()>,
    },
    /// Checks the servers of another set, applies the changes of operators, by [`ServerShared::id`], and then
    /// publishes the set.
    SetMembers {
        change: Box<MembersChange>,
        changes: Vec<(u64, ServerChange)>,
        done: oneshot::Sender<()>,
    },
    Stop,
}

/// What is known of a server's health.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// What probes found.
    pub operational: OperationalState,
    /// The administrative state.
    pub admin: AdminState,
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
    /// Whether it is left out because sessions with it failed.
    pub ejected: bool,
    /// How often it was.
    pub ejections: u64,
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
    commands: mpsc::UnboundedSender<HealthCommand>,
}

impl ServerStatus {
    /// Before anything is known of it.
    pub(super) fn new(weight: u32) -> Self {
        ServerStatus {
            operational: OperationalState::Unchecked,
            admin: AdminState::Ready,
            usable: true,
            balanced: weight > 0,
            weight,
            by: None,
            cause: Cause::Initial.to_string(),
            changed: SystemTime::now(),
            ejected: false,
            ejections: 0,
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
    pub(super) fn new(commands: mpsc::UnboundedSender<HealthCommand>) -> Self {
        Statuses(Arc::new(Inner {
            servers: Mutex::default(),
            commands,
        }))
    }

    /// The status of a server; of one that is not in use, nothing is known.
    pub fn server(&self, server: &ServerShared) -> ServerStatus {
        let status = self.entries().get(&server.id).cloned();
        let status = status.unwrap_or_else(|| ServerStatus::new(server.availability.weight()));
        let is_leaving = server.availability.is_leaving();
        ServerStatus {
            connects_failed: server.connect_failures.count(),
            usable: status.usable && !is_leaving,
            balanced: status.balanced && !is_leaving,
            ..status
        }
    }

    /// Sends a change of an operator to the health thread. It is in effect when the receiver resolves.
    pub fn apply_change(
        &self,
        server: &ServerShared,
        change: ServerChange,
    ) -> oneshot::Receiver<()> {
        let server = server.id;
        let (done, answer) = oneshot::channel();
        // The health thread ends with the process only.
        let _ = self.0.commands.send(HealthCommand::Apply {
            server,
            change,
            done,
        });
        answer
    }

    /// Makes the health thread check the servers of this snapshot from now on, and waits until their health is
    /// published.
    pub async fn adopt(&self, snapshot: &Arc<Snapshot>) {
        let (done, is_done) = oneshot::channel();
        let snapshot = Arc::clone(snapshot);
        let _ = self
            .0
            .commands
            .send(HealthCommand::Adopt { snapshot, done });
        let _ = is_done.await;
    }

    /// Makes the health thread check the servers of another set, apply the changes of operators, by
    /// [`ServerShared::id`], and then give the set to the workers. Sets of a backend take effect in the order of
    /// the calls. This one is in effect when the receiver resolves.
    pub(in crate::control) fn set_members(
        &self,
        change: MembersChange,
        changes: Vec<(u64, ServerChange)>,
    ) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        // The health thread ends with the process only.
        let _ = self.0.commands.send(HealthCommand::SetMembers {
            change: Box::new(change),
            changes,
            done,
        });
        is_done
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn entries(&self) -> MutexGuard<'_, HashMap<u64, ServerStatus>> {
        let entries = self.0.servers.lock();
        entries.unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets servers whose id is not `wanted`.
    pub(super) fn retain(&self, wanted: impl Fn(u64) -> bool) {
        self.entries().retain(|id, _| wanted(*id));
    }

    /// Forgets one server.
    pub(super) fn forget(&self, id: u64) {
        self.entries().remove(&id);
    }

    /// Only the health thread calls this.
    pub(super) fn change(&self, server: &ServerShared, change: impl FnOnce(&mut ServerStatus)) {
        let mut entries = self.entries();
        let status = entries.entry(server.id);
        change(status.or_insert_with(|| ServerStatus::new(server.availability.weight())));
    }

    /// `ejected`: the rules by which it is left out because of failed sessions, if it is.
    pub(super) fn publish(
        &self,
        server: &ServerShared,
        health: &health::Health,
        ejected: Option<EjectionRules>,
        now: Instant,
    ) {
        self.change(server, |status| {
            status.operational = health.operational().state();
            status.admin = health.admin();
            status.ejected = ejected.is_some();
            status.usable = health.is_usable() && ejected.is_none();
            status.balanced = status.usable && health.weight(now) > 0;
            status.weight = health.weight_shown(now);
            status.cause = match ejected {
                Some(rules) => announce::failures(rules),
                None => health.cause().to_string(),
            };
        });
    }

    pub(super) fn count_check(&self, server: &ServerShared, cause: Cause, was_up: bool) {
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

    pub(super) fn changed(&self, server: &ServerShared, change: &Change, when: SystemTime) {
        self.change(server, |status| {
            status.changed = when;
            status.downs += u64::from(change.transition.is_down());
        });
    }

    /// Ends the health thread.
    pub(super) fn stop(&self) {
        let _ = self.0.commands.send(HealthCommand::Stop);
    }
}
