//! Passive ejection: a server with which too many sessions fail is left out for a time.
//!
//! ```text
//!            `failures` within `within`, and another server is usable
//!   counting ---------------------------------------------------------> left out
//!       ^                                                                  |
//!       +------------------------------------------------------------------+
//!          after the pause: failures are counted anew
//! ```
//!
//! The first pause is `pause` long, each further one twice as long as the one before, up to
//! [`EjectionRules::PAUSE_MAX`]. A server that was in for ten times `within` since the last pause begins with
//! `pause` again. The caller decides what another usable server is, and wakes the machine when a pause ends.

use std::collections::VecDeque;
use std::time::Duration;

use super::time::Instant;

/// After how many times `within` without an ejection a pause is as short as the first one again.
const CALM: u32 = 10;

/// When a server is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionRules {
    /// So many failures, at least 1, ...
    pub failures: u32,
    /// ... within this time leave it out ...
    pub within: Duration,
    /// ... for this long the first time; at most [`EjectionRules::PAUSE_MAX`].
    pub pause: Duration,
}

impl EjectionRules {
    /// The longest pause.
    pub const PAUSE_MAX: Duration = Duration::from_secs(300);
}

/// Whether one server is left out.
#[derive(Clone, Debug)]
pub struct Ejection {
    rules: EjectionRules,
    /// When it failed, oldest first: at most `failures` times, none longer ago than `within` at the last failure.
    failed_at: VecDeque<Instant>,
    /// It is left out until then.
    until: Option<Instant>,
    /// How long the last pause was, and when it ended or will end.
    last: Option<(Duration, Instant)>,
}

impl Ejection {
    /// A server that has not failed.
    pub fn new(rules: EjectionRules) -> Self {
        Ejection {
            rules,
            failed_at: VecDeque::new(),
            until: None,
            last: None,
        }
    }

    /// What the configuration says.
    pub fn rules(&self) -> EjectionRules {
        self.rules
    }

    /// The configuration says something else now. A pause under way stays as long as it is.
    pub fn set_rules(&mut self, rules: EjectionRules) {
        self.rules = rules;
    }

    /// When the pause ends, if the server is left out.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Takes `count` failures that have happened now. Returns for how long the server is left out, if it is from
    /// now on; without another server that is usable it never is. Failures during a pause do not count.
    pub fn failed(
        &mut self,
        now: Instant,
        count: u64,
        another_is_usable: impl FnOnce() -> bool,
    ) -> Option<Duration> {
        if self.until.is_some() {
            return None;
        }
        let failures = self.rules.failures.max(1) as usize;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.failed_at
            .extend(std::iter::repeat_n(now, count.min(failures)));
        let (within, len) = (self.rules.within, self.failed_at.len());
        self.failed_at.drain(..len.saturating_sub(failures));
        self.failed_at.retain(|failed| *failed + within >= now);
        if self.failed_at.len() < failures || !another_is_usable() {
            return None;
        }
        self.failed_at.clear();
        let pause = self.next_pause(now);
        self.until = Some(now + pause);
        self.last = Some((pause, now + pause));
        Some(pause)
    }

    /// Ends the pause if it is over now. Returns how long it was.
    pub fn end_if_over(&mut self, now: Instant) -> Option<Duration> {
        self.until.take_if(|until| *until <= now)?;
        self.last.map(|(pause, _)| pause)
    }

    /// Forgets everything, as at the start of the process. Returns whether the server was left out.
    pub fn reset(&mut self) -> bool {
        let was_out = self.until.is_some();
        *self = Ejection::new(self.rules);
        was_out
    }

    fn next_pause(&self, now: Instant) -> Duration {
        match self.last {
            Some((pause, ended)) if now < ended + self.rules.within * CALM => {
                (pause * 2).min(EjectionRules::PAUSE_MAX)
            }
            Some(_) | None => self.rules.pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: EjectionRules = EjectionRules {
        failures: 3,
        within: Duration::from_secs(10),
        pause: Duration::from_secs(20),
    };

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn failed(ejection: &mut Ejection, seconds: u64) -> Option<u64> {
        let pause = ejection.failed(at(seconds), 1, || true);
        pause.map(|pause| pause.as_secs())
    }

    #[test]
    fn failures_count_together_within_their_time() {
        let mut ejection = Ejection::new(RULES);
        for seconds in [0, 1, 11, 21, 31, 32] {
            assert_eq!(failed(&mut ejection, seconds), None, "{seconds}");
        }
        // At 31, 32 and 41: no more than ten seconds.
        assert_eq!(failed(&mut ejection, 41), Some(20));
        assert_eq!(ejection.until(), Some(at(61)));
        assert_eq!(ejection.end_if_over(at(60)), None);
        assert_eq!(ejection.end_if_over(at(61)), Some(Duration::from_secs(20)));
        assert_eq!(ejection.end_if_over(at(61)), None, "once");
    }

    #[test]
    fn failures_are_counted_anew_after_a_pause() {
        let mut ejection = Ejection::new(RULES);
        assert!(ejection.failed(at(0), 3, || true).is_some());
        // Of sessions that were under way.
        assert_eq!(ejection.failed(at(19), 100, || true), None);
        assert!(ejection.end_if_over(at(20)).is_some());
        assert_eq!(failed(&mut ejection, 21), None);
        assert_eq!(failed(&mut ejection, 22), None);
        assert_eq!(failed(&mut ejection, 23), Some(40));
    }

    #[test]
    fn the_last_usable_server_stays_and_goes_with_the_next_failure_once_there_is_another() {
        let mut ejection = Ejection::new(RULES);
        assert_eq!(ejection.failed(at(0), 50, || false), None);
        assert_eq!(ejection.until(), None);
        assert_eq!(failed(&mut ejection, 9), Some(20));
        // Not asked without need.
        let mut ejection = Ejection::new(RULES);
        let asked = ejection.failed(at(0), 2, || panic!("two failures of three"));
        assert_eq!(asked, None);
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_short_again_after_a_calm_time() {
        let mut ejection = Ejection::new(RULES);
        let mut now = at(0);
        for seconds in [20, 40, 80, 160, 300, 300] {
            let pause = ejection.failed(now, 3, || true).unwrap();
            assert_eq!(pause.as_secs(), seconds);
            now = now + pause;
            assert!(ejection.end_if_over(now).is_some());
            // In for almost ten times `within`.
            now = now + Duration::from_secs(99);
        }
        now = now + Duration::from_secs(1);
        assert_eq!(ejection.failed(now, 3, || true), Some(RULES.pause));
    }

    #[test]
    fn a_reset_forgets_the_pause_and_its_length() {
        let mut ejection = Ejection::new(RULES);
        assert!(!ejection.reset());
        assert!(ejection.failed(at(0), 3, || true).is_some());
        assert!(ejection.reset());
        assert_eq!(ejection.until(), None);
        assert_eq!(ejection.failed(at(1), 3, || true), Some(RULES.pause));
    }

    proptest! {
        /// Against all failures since the last pause, kept in full.
        #[test]
        fn the_window_is_that_of_a_plain_model(
            limit in 1u32..5,
            steps in proptest::collection::vec((0u64..8, 1u64..4), 1..60),
        ) {
            let rules = EjectionRules { failures: limit, ..RULES };
            let mut ejection = Ejection::new(rules);
            let mut all: Vec<u64> = Vec::new();
            let mut now = 0;
            for (passed, count) in steps {
                now += passed;
                if ejection.end_if_over(at(now)).is_some() {
                    all.clear();
                }
                let was_out = ejection.until().is_some();
                let ejected = ejection.failed(at(now), count, || true);
                all.extend((0..count).map(|_| now));
                let recent = all.iter().filter(|failed| **failed + 10 >= now).count();
                prop_assert_eq!(ejected.is_some(), !was_out && recent >= limit as usize);
                prop_assert!(ejection.failed_at.len() <= limit as usize);
            }
        }
    }
}
