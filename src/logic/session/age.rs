//! The greatest age of a session: it is closed in order at a moment at which nothing moves.

use std::time::Duration;

use super::action::Actions;
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Policy, Session};
use crate::logic::time::Instant;

/// How long nothing must have moved.
const IDLE: Duration = Duration::from_secs(1);

/// How long after its greatest age a session is closed though something moves.
const GRACE: Duration = Duration::from_secs(30);

impl Session {
    /// Limits its age, if that is configured. `random` adds up to a tenth, so that sessions which began together do
    /// not end together.
    pub fn limit_age(&mut self, policy: &Policy, random: u32) {
        if let Some(max_age) = policy.max_age {
            let tenth = (max_age / 10).mul_f64(f64::from(random) / f64::from(u32::MAX));
            self.rare_times().expires = Some(self.started + max_age + tenth);
        }
    }

    /// When it is closed for its age, if nothing moves until then.
    pub(super) fn age_ends(&self) -> Instant {
        let Some(expires) = self.rare_times.as_ref().and_then(|times| times.expires) else {
            return Instant::NEVER;
        };
        let latest = expires + GRACE;
        // A server that works on its response looks idle.
        if self.pipes[Side::Server.index()].awaits_head() {
            return latest;
        }
        expires.max(self.last_activity + IDLE).min(latest)
    }

    pub(super) fn end_of_age(&mut self, out: &mut Actions) {
        let mode = self.mode_when_idle();
        self.end(TerminationCause::Age, TerminationPhase::Data, mode, out);
    }
}
