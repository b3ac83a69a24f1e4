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

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Instant;

/// Parts of a weight in which slow start moves. Weights of a backend with slow start are counted
/// in these parts, so that a weight of 1 can rise too.
pub const WEIGHT_PARTS: u32 = 64;

/// What the configuration says about one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How it is checked; `None`: it counts as up.
    pub check: Option<CheckRules>,
    /// Its weight, 0..=256.
    pub weight: u32,
    /// How long its weight rises after it came back.
    pub slow_start: Option<Duration>,
}

/// How the results of probes are counted, and how often there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRules {
    /// Failures in a row that take it down, at least 1.
    pub fall: u32,
    /// Successes in a row that bring it up, at least 1.
    pub rise: u32,
    /// From one probe to the next while it is up and nothing failed.
    pub interval: Duration,
    /// The same between up and down, and before the first result.
    pub fast_interval: Duration,
    /// The same while it is down.
    pub down_interval: Duration,
}

impl CheckRules {
    fn counter_max(&self) -> u32 {
        self.rise + self.fall - 1
    }
}

/// What probes say of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operational {
    /// Nobody checks it.
    Unchecked,
    /// It answers; `failures` is how many probes failed in a row, fewer than `fall`.
    Up {
        /// Failures in a row.
        failures: u32,
    },
    /// It does not; `successes` is how many probes passed in a row, fewer than `rise`.
    Down {
        /// Successes in a row.
        successes: u32,
    },
}

impl Operational {
    /// The same without counts.
    pub const fn state(self) -> OperationalState {
        match self {
            Operational::Unchecked => OperationalState::Unchecked,
            Operational::Up { .. } => OperationalState::Up,
            Operational::Down { .. } => OperationalState::Down,
        }
    }
}

/// The operational state of a server: what probes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationalState {
    /// Nobody checks it.
    Unchecked,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}

impl OperationalState {
    /// Its name in logs and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            OperationalState::Unchecked => "no check",
            OperationalState::Up => "up",
            OperationalState::Down => "down",
        }
    }
}

/// An administrative state, as files and requests write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// It takes sessions.
    #[default]
    Ready,
    /// Balancing gives it no new sessions; cookies still lead there, open ones go on, it is still
    /// checked.
    Drain,
    /// It gets no new sessions at all, and no checks; when it is ready again it counts as up until its first
    /// result.
    Maint,
}

impl AdminState {
    /// All of them.
    pub const ALL: [AdminState; 3] = [AdminState::Ready, AdminState::Drain, AdminState::Maint];

    /// Its name in logs and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maint => "maint",
        }
    }
}

/// What a probe found, or why else a state changed. Its text begins with HAProxy's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no result yet.
    Initial,
    /// The connection stood.
    L4Ok,
    /// It did not stand in time.
    L4Timeout,
    /// It was refused, or there is no way there.
    L4Connect(&'static str),
    /// The status was among the expected ones.
    L7Ok(u16),
    /// No status line came in time.
    L7Timeout,
    /// The status was another.
    L7Status(u16),
    /// The answer was not HTTP, or broke off.
    L7Response(&'static str),
    /// This host could not probe: it says nothing about the server.
    Socket(&'static str),
    /// The operator.
    Operator,
    /// A configuration that says something else about its checks.
    Configuration,
    /// Its host name could not be resolved.
    Resolve,
    /// Its host name could be resolved at last.
    Resolved,
}

impl Cause {
    /// Whether a probe with this result passed; `None`: it says nothing about the server.
    pub const fn passed(self) -> Option<bool> {
        match self {
            Cause::L4Ok | Cause::L7Ok(_) => Some(true),
            Cause::L4Timeout
            | Cause::L4Connect(_)
            | Cause::L7Timeout
            | Cause::L7Status(_)
            | Cause::L7Response(_) => Some(false),
            Cause::Initial
            | Cause::Socket(_)
            | Cause::Operator
            | Cause::Configuration
            | Cause::Resolve
            | Cause::Resolved => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Initial => f.write_str("INI"),
            Cause::L4Ok => f.write_str("L4OK"),
            Cause::L4Timeout => f.write_str("L4TOUT"),
            Cause::L4Connect(why) => write!(f, "L4CON {why}"),
            Cause::L7Ok(status) => write!(f, "L7OK {status}"),
            Cause::L7Timeout => f.write_str("L7TOUT"),
            Cause::L7Status(status) => write!(f, "L7STS {status}"),
            Cause::L7Response(why) => write!(f, "L7RSP {why}"),
            Cause::Socket(why) => write!(f, "SOCKERR {why}"),
            Cause::Operator => f.write_str("operator"),
            Cause::Configuration => f.write_str("configuration"),
            Cause::Resolve => f.write_str("RESOLVE"),
            Cause::Resolved => f.write_str("resolved"),
        }
    }
}

/// A change of the operational or of the administrative state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The old state and the new one.
    pub transition: Transition,
    /// What led to it.
    pub cause: Cause,
    /// Equal results in a row that led to it; 0 if it was not a probe.
    pub results: u32,
    /// How long the old state had lasted.
    pub lasted: Duration,
}

/// From one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Of the operational state.
    Operational(OperationalState, OperationalState),
    /// Of the administrative state.
    Admin(AdminState, AdminState),
}

impl Transition {
    /// Whether the server went down.
    pub const fn is_down(self) -> bool {
        match self {
            Transition::Operational(_, OperationalState::Down) => true,
            Transition::Operational(_, OperationalState::Unchecked | OperationalState::Up)
            | Transition::Admin(_, _) => false,
        }
    }

    /// The names of both states in logs and statistics.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Transition::Operational(from, to) => (from.as_str(), to.as_str()),
            Transition::Admin(from, to) => (from.as_str(), to.as_str()),
        }
    }
}

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
    /// as near to turning as before; whoever is no longer checked counts as up, and whoever is from
    /// now on is as at the start of the process.
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

    /// The weight for balancing: comparable among the servers of a backend, in [`WEIGHT_PARTS`] of
    /// the one that was set if the backend has slow start; 0 while it drains.
    pub fn weight(&self, now: Instant) -> u32 {
        match (self.admin, self.rules.slow_start) {
            (AdminState::Drain, _) => 0,
            (AdminState::Ready | AdminState::Maint, None) => self.rules.weight,
            (AdminState::Ready | AdminState::Maint, Some(_)) => self.rules.weight * self.parts(now),
        }
    }

    /// What balancing would go by if the server were ready, in the unit of the configuration,
    /// rounded up.
    pub fn weight_shown(&self, now: Instant) -> u32 {
        (self.rules.weight * self.parts(now)).div_ceil(WEIGHT_PARTS)
    }

    /// Sets the weight, 0..=256, at once but for what slow start withholds. Returns the one
    /// before, if that was another.
    pub fn set_weight(&mut self, weight: u32) -> Option<u32> {
        let before = std::mem::replace(&mut self.rules.weight, weight);
        (before != weight).then_some(before)
    }

    /// When the weight should be looked at again, while it rises.
    pub fn next_rise(&self, now: Instant) -> Option<Instant> {
        /// Finer steps could not be told apart.
        const STEP_MIN: Duration = Duration::from_millis(10);
        let slow_start = self.rules.slow_start?;
        let step = (slow_start / WEIGHT_PARTS).max(STEP_MIN);
        (self.is_usable() && self.parts(now) < WEIGHT_PARTS).then(|| now + step)
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

    /// The interval between up and down, which is that of a server that workers suspect too; zero
    /// if it is not checked.
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

    /// How far the weight has risen, 1..=[`WEIGHT_PARTS`].
    fn parts(&self, now: Instant) -> u32 {
        let (Some(slow_start), Some(since)) = (self.rules.slow_start, self.back_since) else {
            return WEIGHT_PARTS;
        };
        let passed = now.duration_since(since).as_nanos();
        let parts = passed * u128::from(WEIGHT_PARTS) / slow_start.as_nanos().max(1);
        parts.clamp(1, u128::from(WEIGHT_PARTS)) as u32
    }
}
