//! Points in time as the logic knows them.
//!
//! Whoever drives the logic reads the clock, once per turn of its loop, and hands the answer in;
//! nothing here can ask for the time. A test therefore decides what time it is.

use std::ops::Add;
use std::time::Duration;

/// A point in time: nanoseconds since the start of the process.
///
/// The range ends after 584 years. Sums stop at that end, and differences at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the process.
    pub const ZERO: Self = Self(0);

    /// The end of the range: it never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point that lies `nanos` nanoseconds after the start of the process.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the process.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time that passed from `earlier` to here, or zero if `earlier` is in fact later.
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The point `duration` later, or the end of the range if it lies beyond.
    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A point in time or none, in the size of a point: [`Instant::NEVER`] stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalInstant(Instant);

const _: () = assert!(size_of::<OptionalInstant>() == 8);

impl OptionalInstant {
    /// None.
    pub const NONE: Self = Self(Instant::NEVER);

    /// The point, if there is one.
    pub fn get(self) -> Option<Instant> {
        Some(self.0).filter(|point| *point != Instant::NEVER)
    }

    /// Sets the point in place of the one that there may be.
    pub fn set(&mut self, point: Instant) {
        self.0 = point;
    }

    /// Sets the point, unless there is one.
    pub fn set_if_none(&mut self, point: Instant) {
        self.0 = self.get().unwrap_or(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_are_exact_in_range() {
        let start = Instant::from_nanos(5);
        let end = start + Duration::from_nanos(7);
        assert_eq!(end.as_nanos(), 12);
        assert_eq!(end.duration_since(start), Duration::from_nanos(7));
        assert_eq!(
            Instant::ZERO + Duration::ZERO,
            Instant::default(),
            "nothing added"
        );
    }

    #[test]
    fn sums_stop_at_the_end_of_the_range() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::from_nanos(1), end);
        assert_eq!(Instant::ZERO + Duration::MAX, end);
        assert_eq!(Instant::from_nanos(1) + Duration::from_nanos(u64::MAX), end);
    }

    #[test]
    fn differences_stop_at_zero() {
        let later = Instant::from_nanos(9);
        assert_eq!(Instant::ZERO.duration_since(later), Duration::ZERO);
        assert_eq!(later.duration_since(later), Duration::ZERO);
    }

    #[test]
    fn an_optional_point_is_there_once_it_is_set() {
        let mut point = OptionalInstant::NONE;
        assert_eq!(point.get(), None);
        point.set_if_none(Instant::ZERO);
        assert_eq!(point.get(), Some(Instant::ZERO));
        for nanos in [0, 5, u64::MAX - 1] {
            point.set(Instant::from_nanos(nanos));
            point.set_if_none(Instant::from_nanos(7));
            assert_eq!(point.get(), Some(Instant::from_nanos(nanos)));
        }
    }

    #[test]
    fn later_is_greater() {
        assert!(Instant::from_nanos(1) > Instant::ZERO);
    }
}
