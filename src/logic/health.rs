//! Whether a server takes new sessions: what probes found, and what the operator wants.
//!
//! The two are kept apart. What probes found is a counter, moved as HAProxy moves it:
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

use std::fmt;
use std::time::Duration;

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
    /// The word of logs and statistics.
    pub const fn word(self) -> &'static str {
        match self {
            Operational::Unchecked => "no check",
            Operational::Up { .. } => "up",
            Operational::Down { .. } => "down",
        }
    }
}

/// What the operator wants of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admin {
    /// New sessions, if it is up.
    Ready,
    /// No new sessions; it is still checked.
    Drain,
    /// No new sessions and no checks.
    Maint,
}

impl Admin {
    /// The word of logs and statistics.
    pub const fn word(self) -> &'static str {
        match self {
            Admin::Ready => "ready",
            Admin::Drain => "drain",
            Admin::Maint => "maint",
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
            Cause::Initial | Cause::Socket(_) | Cause::Operator => None,
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
        }
    }
}

/// A change of the operational or of the administrative state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The old state, as [`Operational::word`] or [`Admin::word`] calls it.
    pub from: &'static str,
    /// The new one, of the same kind.
    pub to: &'static str,
    /// What led to it.
    pub cause: Cause,
    /// Equal results in a row that led to it; 0 if it was not a probe.
    pub results: u32,
    /// How long the old state had lasted.
    pub lasted: Duration,
}

/// The state of one server.
#[derive(Clone, Debug)]
pub struct Health {
    rules: Rules,
    /// See the module; 0 and without meaning when there are no checks.
    counter: u32,
    /// The last result that counted; `None` before the first.
    last_passed: Option<bool>,
    /// Equal results in a row.
    streak: u32,
    admin: Admin,
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
            counter,
            last_passed: None,
            streak: 0,
            admin: Admin::Ready,
            cause: Cause::Initial,
            operational_since: now,
            admin_since: now,
            back_since: None,
        }
    }

    /// Takes the result of a probe. The result of one that was under way when the server went into
    /// maintenance is ignored.
    pub fn probed(&mut self, now: Instant, cause: Cause) -> Option<Change> {
        if self.admin == Admin::Maint {
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
        let word = |up| if up { "up" } else { "down" };
        let since = std::mem::replace(&mut self.operational_since, now);
        Some(Change {
            from: word(was_up),
            to: word(is_up),
            cause,
            results: self.streak,
            lasted: now.duration_since(since),
        })
    }

    /// Takes an order of the operator. A server that comes out of maintenance is as at the start
    /// of the process, but its weight rises.
    pub fn set_admin(&mut self, now: Instant, admin: Admin) -> Option<Change> {
        if self.admin == admin {
            return None;
        }
        let from = std::mem::replace(&mut self.admin, admin);
        if from == Admin::Maint {
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
            from: from.word(),
            to: admin.word(),
            cause: Cause::Operator,
            results: 0,
            lasted: now.duration_since(since),
        })
    }

    /// What probes say.
    pub fn operational(&self) -> Operational {
        match &self.rules.check {
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

    /// What the operator wants.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// Of the last result or of the last change, whichever came later.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether new sessions may go there.
    pub fn is_usable(&self) -> bool {
        let up = match self.operational() {
            Operational::Unchecked | Operational::Up { .. } => true,
            Operational::Down { .. } => false,
        };
        up && self.admin == Admin::Ready
    }

    /// The weight for balancing: comparable among the servers of a backend, in [`WEIGHT_PARTS`] of
    /// the configured one if the backend has slow start.
    pub fn weight(&self, now: Instant) -> u32 {
        match self.rules.slow_start {
            None => self.rules.weight,
            Some(_) => self.rules.weight * self.parts(now),
        }
    }

    /// The same in the unit of the configuration, rounded up.
    pub fn weight_shown(&self, now: Instant) -> u32 {
        (self.rules.weight * self.parts(now)).div_ceil(WEIGHT_PARTS)
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
        if self.admin == Admin::Maint {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASS: Cause = Cause::L4Ok;
    const FAIL: Cause = Cause::L4Timeout;

    fn rules(fall: u32, rise: u32) -> Rules {
        Rules {
            check: Some(CheckRules {
                fall,
                rise,
                interval: Duration::from_secs(2),
                fast_interval: Duration::from_secs(1),
                down_interval: Duration::from_secs(5),
            }),
            weight: 1,
            slow_start: None,
        }
    }

    fn server(fall: u32, rise: u32) -> Health {
        Health::new(rules(fall, rise), Instant::ZERO)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_counter_moves_as_the_table_says() {
        // Of fall 3 and rise 2, by hand: counter, after a success, after a failure.
        const TABLE: [(u32, u32, u32); 5] = [(0, 1, 0), (1, 4, 0), (2, 4, 0), (3, 4, 2), (4, 4, 3)];
        for (counter, passed, failed) in TABLE {
            for (cause, expected) in [(PASS, passed), (FAIL, failed)] {
                let mut health = server(3, 2);
                health.counter = counter;
                let change = health.probed(at(1), cause);
                assert_eq!(health.counter, expected, "{counter} {cause}");
                let (was_up, is_up) = (counter >= 2, expected >= 2);
                assert_eq!(change.is_some(), was_up != is_up, "{counter} {cause}");
                assert_eq!(health.is_usable(), is_up, "{counter} {cause}");
            }
        }
    }

    #[test]
    fn the_first_failure_takes_down_what_was_only_assumed() {
        let mut health = server(3, 2);
        assert!(health.is_usable());
        assert_eq!(health.operational(), Operational::Up { failures: 0 });
        let change = health.probed(at(1), FAIL).unwrap();
        assert_eq!((change.from, change.to, change.results), ("up", "down", 1));

        let mut health = server(3, 2);
        assert_eq!(health.probed(at(0), PASS), None);
        assert_eq!(health.probed(at(1), FAIL), None);
        assert_eq!(health.operational(), Operational::Up { failures: 1 });
        assert_eq!(health.probed(at(2), FAIL), None);
        let change = health.probed(at(9), FAIL).unwrap();
        assert_eq!((change.results, change.lasted.as_secs()), (3, 9));
        assert_eq!(health.probed(at(10), PASS), None);
        assert_eq!(health.operational(), Operational::Down { successes: 1 });
        let change = health.probed(at(11), PASS).unwrap();
        assert_eq!((change.from, change.to, change.results), ("down", "up", 2));
        assert_eq!(change.lasted.as_secs(), 2);
    }

    #[test]
    fn what_this_host_could_not_find_out_changes_nothing() {
        let mut health = server(1, 1);
        health.probed(at(0), PASS);
        for _ in 0..5 {
            assert_eq!(health.probed(at(1), Cause::Socket("no files")), None);
        }
        assert!(health.is_usable());
    }

    #[test]
    fn the_interval_follows_the_counter() {
        let mut health = server(2, 2);
        let seconds = |health: &Health| health.interval().map(|interval| interval.as_secs());
        assert_eq!(seconds(&health), Some(1), "not known yet");
        health.probed(at(0), PASS);
        assert_eq!(seconds(&health), Some(2), "up");
        health.probed(at(1), FAIL);
        assert_eq!(seconds(&health), Some(1), "going down");
        health.probed(at(2), FAIL);
        assert_eq!(seconds(&health), Some(5), "down");
        health.probed(at(3), PASS);
        assert_eq!(seconds(&health), Some(1), "going up");
        health.set_admin(at(4), Admin::Maint);
        assert_eq!(seconds(&health), None);
        let unchecked = Health::new(
            Rules {
                check: None,
                ..rules(1, 1)
            },
            at(0),
        );
        assert_eq!(seconds(&unchecked), None);
    }

    #[test]
    fn the_operator_and_the_probes_are_apart() {
        let all = [Admin::Ready, Admin::Drain, Admin::Maint];
        for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
            for up in [true, false] {
                let mut health = server(1, 1);
                health.probed(at(0), if up { PASS } else { FAIL });
                health.set_admin(at(1), from);
                let change = health.set_admin(at(4), to);
                assert_eq!(change.is_some(), from != to);
                // Out of maintenance it is assumed to be up.
                let up = up || from == Admin::Maint && to != Admin::Maint;
                assert_eq!(
                    health.is_usable(),
                    up && to == Admin::Ready,
                    "{from:?} {to:?}"
                );
                let word = if up { "up" } else { "down" };
                assert_eq!(health.operational().word(), word, "{from:?} {to:?}");
                if let Some(change) = change.filter(|_| from != Admin::Ready) {
                    assert_eq!((change.from, change.to), (from.word(), to.word()));
                    assert_eq!(change.lasted.as_secs(), 3);
                }
            }
        }
    }

    #[test]
    fn a_server_in_drain_is_still_checked_and_one_in_maintenance_is_not() {
        let mut health = server(1, 1);
        health.set_admin(at(0), Admin::Drain);
        assert!(health.probed(at(1), FAIL).is_some());
        assert!(health.probed(at(2), PASS).is_some());
        health.set_admin(at(3), Admin::Maint);
        assert_eq!(health.probed(at(4), FAIL), None);
        assert_eq!(health.operational(), Operational::Up { failures: 0 });
    }

    #[test]
    fn the_weight_rises_after_a_return_and_not_at_the_start() {
        let mut rules = rules(1, 1);
        rules.weight = 2;
        rules.slow_start = Some(Duration::from_secs(64));
        let mut health = Health::new(rules, at(0));
        assert_eq!((health.weight(at(0)), health.next_rise(at(0))), (128, None));
        health.probed(at(0), PASS);
        assert_eq!(health.weight(at(0)), 128, "the first result is no return");
        health.probed(at(10), FAIL);
        health.probed(at(100), PASS);
        assert_eq!(health.next_rise(at(100)), Some(at(101)));
        for (second, weight, shown) in [
            (100, 2, 1),
            (101, 2, 1),
            (102, 4, 1),
            (132, 64, 1),
            (133, 66, 2),
            (164, 128, 2),
            (999, 128, 2),
        ] {
            let found = (health.weight(at(second)), health.weight_shown(at(second)));
            assert_eq!(found, (weight, shown), "{second}");
        }
        assert_eq!(health.next_rise(at(164)), None);
        health.set_admin(at(200), Admin::Maint);
        health.set_admin(at(300), Admin::Ready);
        assert_eq!(health.weight(at(301)), 2, "back from maintenance");
        health.set_admin(at(310), Admin::Drain);
        health.set_admin(at(364), Admin::Ready);
        assert_eq!(health.weight(at(364)), 128, "draining is no absence");
    }

    #[test]
    fn weights_without_slow_start_are_as_configured() {
        let mut health = server(1, 1);
        health.probed(at(0), FAIL);
        health.probed(at(1), PASS);
        assert_eq!((health.weight(at(1)), health.weight_shown(at(1))), (1, 1));
    }

    proptest! {
        /// Up until `fall` failures in a row, down until `rise` successes in a row; at the start,
        /// all failures but one have been.
        #[test]
        fn it_is_what_runs_of_equal_results_say(
            fall in 1u32..6,
            rise in 1u32..6,
            results in prop::collection::vec(any::<bool>(), 0..80),
        ) {
            let mut health = server(fall, rise);
            let (mut up, mut run) = (true, fall - 1);
            for (second, passed) in results.into_iter().enumerate() {
                let change = health.probed(at(second as u64), if passed { PASS } else { FAIL });
                let before = up;
                run = if passed == up { 0 } else { run + 1 };
                if run == if up { fall } else { rise } {
                    (up, run) = (!up, 0);
                }
                prop_assert_eq!(health.is_usable(), up);
                prop_assert_eq!(change.is_some(), up != before);
                let expected = match up {
                    true => Operational::Up { failures: run },
                    false => Operational::Down { successes: run },
                };
                prop_assert_eq!(health.operational(), expected);
            }
        }
    }
}
