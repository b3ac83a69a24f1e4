//! When each server is probed: spread over the interval from the start, and spread for good.
//!
//! Every server has a fixed phase, a part of the interval. In calm times it is probed at the points
//! `phase * interval + n * interval`, whenever the last probe began, so that nothing ever bunches
//! servers together. Phases follow the golden ratio: the first n of them are nearly even for any n,
//! and so are those of any run of neighbours, such as the servers of one backend.
//!
//! The first round is shorter, because the start of the process waits for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::logic::time::Instant;

/// The first probes of all servers begin within this time.
const FIRST_ROUND_MAX: Duration = Duration::from_millis(500);

/// From one first probe to the next, unless there are too many of them.
const FIRST_ROUND_STEP: Duration = Duration::from_millis(1);

/// The phase of the server of this index: a part of the interval, in 1 / 2^32.
pub fn phase(index: usize) -> u32 {
    /// 2^32 divided by the golden ratio.
    const STEP: u32 = 0x9e37_79b9;
    (index as u32).wrapping_mul(STEP)
}

/// How long after its round begins the server of this index, out of `count`, is probed first.
pub fn first(index: usize, count: usize) -> Duration {
    let step = FIRST_ROUND_STEP.min(FIRST_ROUND_MAX / count.max(1) as u32);
    step * index as u32
}

/// The first point after `now` at which a server with this phase is probed.
pub fn next(phase: u32, interval: Duration, now: Instant) -> Instant {
    let interval = interval.as_nanos().max(1);
    let offset = (interval * u128::from(phase)) >> 32;
    let now = u128::from(now.as_nanos());
    let next = match now.checked_sub(offset) {
        None => offset,
        Some(since) => offset + (since / interval + 1) * interval,
    };
    Instant::from_nanos(u64::try_from(next).unwrap_or(u64::MAX))
}

/// The first tick at or after `due`.
pub fn next_tick(due: Instant, tick: Duration) -> Instant {
    let tick = tick.as_nanos() as u64;
    Instant::from_nanos(due.as_nanos().div_ceil(tick).saturating_mul(tick))
}

/// What is due for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A probe.
    Probe,
    /// A look at its weight, which rises.
    Weight,
    /// The end of a pause.
    Return,
    /// Another attempt to resolve its host name.
    Resolve,
    /// A look at the sessions that failed since the last one.
    Failures,
}

/// All that is due, soonest first. Whoever takes something out asks the server whether it is still
/// true: nothing is removed when plans change.
#[derive(Debug, Default)]
pub struct Agenda(BinaryHeap<Reverse<(Instant, u64, Task)>>);

impl Agenda {
    /// Adds something for the server of this id.
    pub fn add(&mut self, due: Instant, id: u64, task: Task) {
        self.0.push(Reverse((due, id, task)));
    }

    /// Forgets what is due for servers that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        self.0.retain(|Reverse((_, id, _))| wanted(*id));
    }

    /// How many things are due, with those that are not true any more.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// When the next thing is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes the next thing out, if it is due.
    pub fn take(&mut self, now: Instant) -> Option<(Instant, u64, Task)> {
        self.next_due().filter(|due| *due <= now)?;
        self.0.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    #[test]
    fn probes_are_spread_over_the_interval() {
        // Any run of neighbours: the tenths of the interval get about a tenth each.
        for (start, count) in [(0, 1_000), (0, 10), (317, 100), (5_000, 10_000)] {
            let mut tenths = [0; 10];
            for index in start..start + count {
                let due = next(phase(index), INTERVAL, Instant::ZERO);
                tenths[(due.as_nanos() as u128 * 10 / INTERVAL.as_nanos()) as usize % 10] += 1;
            }
            let even = count / 10;
            let close = |tenth: &usize| tenth.abs_diff(even) <= 2;
            assert!(tenths.iter().all(close), "{start} {count}: {tenths:?}");
        }
    }

    #[test]
    fn the_first_round_is_over_soon() {
        assert_eq!(first(0, 1), Duration::ZERO);
        assert_eq!(first(9, 10), Duration::from_millis(9));
        for count in [1, 499, 501, 65_535] {
            assert!(first(count - 1, count) < FIRST_ROUND_MAX);
        }
    }

    #[test]
    fn ticks_are_at_or_after() {
        let tick = Duration::from_nanos(10);
        for (due, expected) in [(0, 0), (1, 10), (10, 10), (11, 20)] {
            let found = next_tick(Instant::from_nanos(due), tick);
            assert_eq!(found.as_nanos(), expected);
        }
    }

    #[test]
    fn things_are_taken_in_the_order_in_which_they_are_due() {
        let mut agenda = Agenda::default();
        let at = Instant::from_nanos;
        for due in [3, 1, 2] {
            agenda.add(at(due), 7, Task::Probe);
        }
        assert_eq!(agenda.take(at(0)), None);
        assert_eq!(agenda.take(at(2)), Some((at(1), 7, Task::Probe)));
        assert_eq!(agenda.take(at(2)), Some((at(2), 7, Task::Probe)));
        assert_eq!(agenda.take(at(2)), None);
        assert_eq!(agenda.next_due(), Some(at(3)));
    }

    proptest! {
        #[test]
        fn the_next_point_is_within_an_interval_and_on_the_grid(
            phase in any::<u32>(),
            millis in 1u64..100_000,
            now in 0u64..1 << 60,
        ) {
            let interval = Duration::from_millis(millis);
            let now = Instant::from_nanos(now);
            let due = next(phase, interval, now);
            prop_assert!(due > now || due.as_nanos() == 0);
            prop_assert!(due <= now + interval);
            let after = next(phase, interval, due);
            prop_assert_eq!(after.duration_since(due), interval);
        }
    }
}
