//! Actions of operators on the health thread: changes of administrative states and weights.

use super::announce;
use super::checker::Checker;
use crate::control::server_change::ServerChange;
use crate::logic::health::AdminState;
use crate::logic::time::Instant;

impl Checker {
    /// Changes a server as an operator wants it. Without a difference, only the attribution changes.
    pub(super) fn apply_change(&mut self, id: u64, change: &ServerChange) {
        let now = self.now();
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.by = Some(change.by.clone());
        let by = target.by.clone();
        self.statuses
            .change(&target.shared, |status| status.by = by);
        if let Some(weight) = change.weight {
            self.set_weight(id, weight.into(), now);
        }
        if let Some(state) = change.state {
            self.set_admin(id, state, now);
        }
    }

    fn set_weight(&mut self, id: u64, weight: u32, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.weight_set = (weight != target.weight_configured).then_some(weight);
        let Some(before) = target.health.set_weight(weight) else {
            return;
        };
        self.publish(id, now);
        if let Some(target) = self.targets.get(&id) {
            let by = target.by.as_ref();
            announce::weight_changed(&self.journal, &target.name, (before, weight), by);
        }
        self.publish_with_backend(id, now);
    }

    fn set_admin(&mut self, id: u64, admin: AdminState, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let from = target.health.admin();
        let change = target.health.set_admin(now, admin);
        if change.is_none() {
            return;
        }
        if from == AdminState::Maint {
            // What happened meanwhile is not known.
            target.probed_at = now;
        } else if admin == AdminState::Maint {
            target.probe_due = None;
            if std::mem::take(&mut target.awaited) {
                self.awaited -= 1;
            }
        }
        self.follow(id, change, now);
        if from == AdminState::Maint {
            self.forget_failures(id, now);
            self.plan_probe_at(id, now);
        }
        self.end_first_round_if_complete();
    }
}
