//! Passive ejection: workers report sessions that failed, and a server with too many is held back for a time.
//!
//! What too many are is decided by [`crate::logic::ejection`].

use std::time::SystemTime;

use super::announce;
use super::checker::Checker;
use super::schedule::Task;
use super::target::Target;
use crate::logic::time::Instant;

impl Target {
    /// Looks at the failures that workers have counted: how many connects have failed and how many sessions have
    /// got no answer since the last time.
    pub fn see_failures(&mut self) -> [u64; 2] {
        // Before they are counted: a failure from now on is notified of.
        self.expect_failures();
        let counts = self.failure_counts();
        let before = std::mem::replace(&mut self.failures_seen, counts);
        [counts[0] - before[0], counts[1] - before[1]]
    }
}

impl Checker {
    /// Sessions with a server have failed. A connect that has is verified by a probe.
    pub(super) fn report_failures(&mut self, id: u64) {
        self.record_failures(id, self.now());
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if target.ejection.is_none() {
            // Only failed connects are reported of it.
            return self.verify_connect_failure(id);
        }
        let [connects, answers] = target.see_failures();
        if connects > 0 {
            self.verify_connect_failure(id);
        }
        self.count_failures(id, connects + answers, self.now());
    }

    /// Counts failures, and leaves the server out if there are too many.
    fn count_failures(&mut self, id: u64, count: u64, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        // What is down or in maintenance is out already.
        if count == 0 || !target.health.is_usable() {
            return;
        }
        let pool = &mut self.pools[target.backend];
        let Some(ejection) = &mut target.ejection else {
            return;
        };
        let rules = ejection.rules();
        let Some(pause) = ejection.failed(now, count, || pool.has_another(id)) else {
            return;
        };
        pool.held.insert(id);
        self.agenda.add(now + pause, id, Task::Return);
        let when = SystemTime::now();
        self.statuses.change(&target.shared, |status| {
            status.ejections += 1;
            status.changed = when;
        });
        // What the log says is in effect.
        self.publish(id, now);
        if let Some(target) = self.targets.get(&id) {
            let from = target.health.operational().state();
            announce::ejected(&self.journal, &target.name, from, rules, pause);
        }
        self.publish_with_backend(id, now);
    }

    /// Lets a server in again whose pause is over.
    pub(super) fn end_pause(&mut self, id: u64, now: Instant) {
        let target = self.targets.get_mut(&id);
        let ejection = target.and_then(|target| target.ejection.as_mut());
        if let Some(pause) = ejection.and_then(|ejection| ejection.end_if_over(now)) {
            let reason = format!("left out for {}", announce::rounded(pause));
            self.let_in(id, &reason, now);
        }
    }

    /// Forgets the failures of a server, at the wish of an operator.
    pub(super) fn forget_failures(&mut self, id: u64, now: Instant) {
        let target = self.targets.get_mut(&id);
        let ejection = target.and_then(|target| target.ejection.as_mut());
        if ejection.is_some_and(|ejection| ejection.reset()) {
            self.let_in(id, "operator", now);
        }
    }

    fn let_in(&mut self, id: u64, reason: &str, now: Instant) {
        let Some(target) = self.targets.get(&id) else {
            return;
        };
        if !target.held {
            self.pools[target.backend].held.remove(&id);
        }
        self.publish(id, now);
        self.announce_return(id, reason);
        self.publish_with_backend(id, now);
    }

    /// Announces that a server is no longer left out.
    pub(super) fn announce_return(&self, id: u64, reason: &str) {
        if let Some(target) = self.targets.get(&id) {
            let to = target.health.operational().state();
            announce::returned(&self.journal, &target.name, to, reason);
            let when = SystemTime::now();
            self.statuses
                .change(&target.shared, |status| status.changed = when);
        }
    }
}
