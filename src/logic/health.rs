//! The health of one server: its operational state by probes, and its administrative state by operators.
//!
//! Both decide whether it takes new sessions, and are kept apart. The operational state is a counter, as in
//! HAProxy:
//!
//! ```text
//!          passed           passed: reaches `rise`            failed
//!   0 ---------> 1..rise-1 -----------------------> max -----------------> max-1..rise
//!   ^  <-------- going up                           up   <---------------- going down
//!   |   failed                                                 passed          |
//!   +--------------------------------------------------------------------------+
//!                            failed: falls below `rise`
//! ```
//!
//! `max` is `rise + fall - 1`; from `rise` on the server is up. One success forgives the earlier
//! failures of a server that is up, one failure restarts the climb of one that is down. At the
//! start the counter is `rise`: assumed up, and the first failure takes it down.
//!
//! Beside it stands the administrative state. The health thread drives this machine with the
//! results of its probes and publishes what comes out; nothing here probes, waits or logs.

mod change;
mod rules;
mod states;
#[cfg(test)]
mod tests;
mod weight;

use std::time::Duration;

use super::time::Instant;
pub use change::{Cause, Change, Transition};
pub use rules::{CheckRules, Rules};
pub use states::{AdminState, Operational, OperationalState};
pub use weight::WEIGHT_PARTS;

/// The state of one server.
#[derive(Clone, Debug)]
pub struct Health {
    rules: Rules,
    /// It has an address: without one it is down, whatever the counter.
    resolved: bool,
    /// See the module; 0 and without meaning when there are no checks.
    counter: u32,
    /// The last result that counted; `None` before the first.
    last_passed: Option<bool>,
    /// Equal results in a row.
    streak: u32,
    admin: AdminState,
    /// Of the last result or of the last change, whichever came later.
    cause: Cause,
    operational_since: Instant,
    admin_since: Instant,
    /// When it came back; `None` before the first time.
    back_since: Option<Instant>,
}

impl Health {
    /// A server at the start of the process: ready, and assumed to be up.
    pub fn new(rules: Rules, now: Instant) -> Self {
        let counter = rules.check.as_ref().map_or(0, |check| check.rise);
        Health {
            rules,
            resolved: true,
            counter,
            last_passed: None,
            streak: 0,
            admin: AdminState::Ready,
            cause: Cause::Initial,
            operational_since: now,
            admin_since: now,
            back_since: None,
        }
    }

    /// Its host name could not be resolved: it is down until [`Health::resolved`].
    pub fn unresolved(&mut self, now: Instant) -> Option<Change> {
        let before = self.operational().state();
        self.resolved = false;
        self.cause = Cause::Resolve;
        self.operational_change(now, before)
    }

    /// It has an address now. One that is checked is up after a probe that passes.
    pub fn resolved(&mut self, now: Instant) -> Option<Change> {
        if self.resolved {
            return None;
        }
        let before = self.operational().state();
        self.resolved = true;
        self.cause = Cause::Resolved;
        self.back_since = Some(now);
        if let Some(check) = &self.rules.check {
            self.counter = check.rise - 1;
            self.last_passed = None;
        }
        self.operational_change(now, before)
    }

    /// The change since it was `before`, if it is another now.
    fn operational_change(&mut self, now: Instant, before: OperationalState) -> Option<Change> {
        let after = self.operational().state();
        if before == after {
            return None;
        }
        let since = std::mem::replace(&mut self.operational_since, now);
        Some(Change {
            transition: Transition::Operational(before, after),
            cause: self.cause,
            results: 0,
            lasted: now.duration_since(since),
        })
    }

    /// Takes the result of a probe. The result of one that was under way when the server went into
    /// maintenance is ignored.
    pub fn probed(&mut self, now: Instant, cause: Cause) -> Option<Change> {
        if self.admin == AdminState::Maint || !self.resolved {
            return None;
        }
        let (Some(check), Some(passed)) = (&self.rules.check, cause.passed()) else {
            self.cause = cause;
            return None;
        };
        let was_up = self.counter >= check.rise;
        let going_on = self.last_passed.replace(passed) == Some(passed);
        self.streak = if going_on { self.streak + 1 } else { 1 };
        self.cause = cause;
        self.counter = if passed {
            match self.counter + 1 {
                risen if risen >= check.rise => check.counter_max(),
                rising => rising,
            }
        } else if self.counter > check.rise {
            self.counter - 1
        } else {
            0
        };
        let is_up = self.counter >= check.rise;
        if was_up == is_up {
            return None;
        }
        if is_up {
            self.back_since = Some(now);
        }
        let state = |up| match up {
            true => OperationalState::Up,
            false => OperationalState::Down,
        };
        let since = std::mem::replace(&mut self.operational_since, now);
        Some(Change {
            transition: Transition::Operational(state(was_up), state(is_up)),
            cause,
            results: self.streak,
            lasted: now.duration_since(since),
        })
    }

    /// Sets the administrative state. A server that comes out of maintenance is as at the start of the process,
    /// but its weight rises by slow start.
    pub fn set_admin(&mut self, now: Instant, admin: AdminState) -> Option<Change> {
        if self.admin == admin {
            return None;
        }
        let from = std::mem::replace(&mut self.admin, admin);
        if from == AdminState::Maint {
            if let Some(check) = &self.rules.check {
                if self.counter < check.rise {
                    self.operational_since = now;
                }
                self.counter = check.rise;
                self.last_passed = None;
            }
            self.back_since = Some(now);
        }
        self.cause = Cause::Operator;
        let since = std::mem::replace(&mut self.admin_since, now);
        Some(Change {
            transition: Transition::Admin(from, admin),
            cause: Cause::Operator,
            results: 0,
            lasted: now.duration_since(since),
        })
    }

    /// What the configuration says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The configuration says something else now. What is up stays up and what is down stays down,
    /// as near to turning as before; a server that is no longer checked counts as up, and one that is
    /// checked from now on is as at the start of the process.
    pub fn set_rules(&mut self, now: Instant, rules: Rules) -> Option<Change> {
        let before = self.operational();
        self.counter = match (&rules.check, before) {
            (None, _) => 0,
            (Some(check), Operational::Unchecked) => {
                self.last_passed = None;
                check.rise
            }
            (Some(check), Operational::Up { .. }) if self.last_passed.is_none() => check.rise,
            (Some(check), Operational::Up { failures }) => {
                check.counter_max() - failures.min(check.fall - 1)
            }
            (Some(check), Operational::Down { successes }) => successes.min(check.rise - 1),
        };
        self.rules = rules;
        if before.state() != self.operational().state() {
            self.cause = Cause::Configuration;
        }
        self.operational_change(now, before.state())
    }

    /// The operational state.
    pub fn operational(&self) -> Operational {
        match &self.rules.check {
            _ if !self.resolved => Operational::Down { successes: 0 },
            None => Operational::Unchecked,
            Some(check) if self.counter < check.rise => Operational::Down {
                successes: self.counter,
            },
            // A server that has only just been assumed to be up has not failed.
            Some(_) if self.last_passed.is_none() => Operational::Up { failures: 0 },
            Some(check) => Operational::Up {
                failures: check.counter_max() - self.counter,
            },
        }
    }

    /// The administrative state.
    pub fn admin(&self) -> AdminState {
        self.admin
    }

    /// Of the last result or of the last change, whichever came later.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether new sessions may go there, be it by a cookie.
    pub fn is_usable(&self) -> bool {
        let up = match self.operational() {
            Operational::Unchecked | Operational::Up { .. } => true,
            Operational::Down { .. } => false,
        };
        up && match self.admin {
            AdminState::Ready | AdminState::Drain => true,
            AdminState::Maint => false,
        }
    }

    /// How long from one probe to the next; `None`: there are none.
    pub fn interval(&self) -> Option<Duration> {
        let check = self.rules.check.as_ref()?;
        if self.admin == AdminState::Maint || !self.resolved {
            return None;
        }
        Some(match self.counter {
            _ if self.is_moving() => check.fast_interval,
            0 => check.down_interval,
            _ => check.interval,
        })
    }

    /// The interval between up and down, and of a server to which a worker failed to connect; zero if it is not
    /// checked.
    pub fn fast_interval(&self) -> Duration {
        let check = self.rules.check.as_ref();
        check.map_or(Duration::ZERO, |check| check.fast_interval)
    }

    /// Whether it is between up and down, so that the next result is wanted as soon as may be.
    pub fn is_moving(&self) -> bool {
        let Some(check) = &self.rules.check else {
            return false;
        };
        self.counter != 0 && (self.counter != check.counter_max() || self.last_passed.is_none())
    }
}
