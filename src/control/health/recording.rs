//! What the health thread has the recorder remember of servers, beside their probes and the events of the journal:
//! sessions that failed, and servers that came and went.

use std::time::SystemTime;

use super::checker::Checker;
use super::schedule::Task;
use crate::control::journal::Kind;
use crate::control::recorder::{FAILURES_PERIOD, FailureRecord};
use crate::logic::time::Instant;
use crate::snapshot::{MembersChange, Source};

impl Checker {
    /// Has the failures remembered that workers have counted since the last time, and looks again in a while.
    pub(super) fn record_failures(&mut self, id: u64, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let counts = target.failure_counts();
        let before = std::mem::replace(&mut target.failures_recorded, counts);
        let [connects, answers] = [counts[0] - before[0], counts[1] - before[1]];
        if connects + answers == 0 {
            return;
        }
        let recorder = self.journal.recorder();
        let failures = FailureRecord {
            time: SystemTime::now(),
            connects,
            connect_fault: target.shared.connect_fault.take(),
            answers,
        };
        recorder.failures(&target.name, failures);
        if !std::mem::replace(&mut target.failures_due, true) {
            self.agenda.add(now + FAILURES_PERIOD, id, Task::Failures);
        }
    }

    /// The same for what was counted meanwhile, which workers need not have notified of.
    pub(super) fn record_later_failures(&mut self, id: u64, now: Instant) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.failures_due = false;
            target.expect_failures();
            self.record_failures(id, now);
        }
    }

    /// Has it remembered that servers came and went. What operators order is an event already.
    pub(super) fn record_members(&self, change: &MembersChange) {
        let recorder = self.journal.recorder();
        let backend = &change.snapshot.config.backends[change.backend];
        let name = |server: &str| format!("{}/{server}", backend.name);
        if change.source == Some(Source::Discovery) {
            let query = backend.discover.as_ref().map(|it| it.query.to_string());
            let query = query.unwrap_or_default();
            for member in &change.added {
                let text = format!("was discovered by `{query}`");
                recorder.note(&name(&member.config.name), Kind::Discovery, &text);
            }
            for member in &change.removed {
                let text = format!(
                    "is not found by `{query}` any more: it gets no new sessions, and has {} open",
                    member.server.session_limit.used()
                );
                recorder.note(&name(&member.config.name), Kind::Discovery, &text);
            }
        }
        for member in &change.dropped {
            let name = name(&member.config.name);
            recorder.note(&name, Kind::Servers, "has no session left and is forgotten");
            recorder.gone(&name);
        }
    }
}
