//! Histograms of durations: which bucket counts one, and the quantiles of the counts.
//!
//! Bounds are spaced logarithmically, so that microseconds and hours have the same relative precision with few
//! buckets. Counting itself is elsewhere: a worker owns the counts, and the admin listener reads
//! and sums them.

use std::time::Duration;

/// Buckets for each doubling of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One. A quantile is off by a factor of 1.42 at most.
    Whole,
    /// Two. A quantile is off by a factor of 1.19 at most.
    Half,
}

impl Step {
    const fn per_doubling(self) -> u32 {
        match self {
            Step::Whole => 1,
            Step::Half => 2,
        }
    }
}

/// The bounds of a histogram with so many buckets: the first counts all that is shorter than its
/// bound, the last all that is longer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale<const BUCKETS: usize> {
    /// The first bound is this power of 2, in microseconds.
    first: u32,
    step: Step,
}

/// For the time in a queue: 512 µs to 134 s.
pub const QUEUE: Scale<20> = Scale::new(9, Step::Whole);

/// For connecting: 32 µs to 34 s.
pub const CONNECT: Scale<42> = Scale::new(5, Step::Half);

/// For whole sessions: 32 µs to nine and a half hours.
pub const SESSION: Scale<62> = Scale::new(5, Step::Half);

/// The middle between 2^63 and 2^64 on this scale: 2^63.5, rounded down.
const MIDDLE: u64 = 0xB504_F333_F9DE_6484;

impl<const BUCKETS: usize> Scale<BUCKETS> {
    const fn new(first: u32, step: Step) -> Self {
        assert!(BUCKETS >= 2 && first < 32);
        Scale { first, step }
    }

    /// How many buckets there are.
    pub const fn buckets(&self) -> usize {
        BUCKETS
    }

    /// The bucket that counts `duration`; less than `BUCKETS`.
    pub fn bucket(&self, duration: Duration) -> usize {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let Some(power) = micros.checked_ilog2() else {
            return 0;
        };
        let Some(doublings) = power.checked_sub(self.first) else {
            return 0;
        };
        let rest = match self.step {
            Step::Whole => 0,
            Step::Half => u32::from(micros << (63 - power) >= MIDDLE),
        };
        let bucket = 1 + doublings * self.step.per_doubling() + rest;
        (bucket as usize).min(BUCKETS - 1)
    }

    /// The upper bound of a bucket in seconds; the last has none.
    pub fn bound(&self, bucket: usize) -> Option<f64> {
        if bucket + 1 >= BUCKETS {
            return None;
        }
        let per_doubling = self.step.per_doubling() as usize;
        let micros = (1_u64 << self.first) << (bucket / per_doubling);
        let factor = match bucket % per_doubling {
            0 => 1.0,
            _ => std::f64::consts::SQRT_2,
        };
        Some(micros as f64 * factor / 1e6)
    }

    /// The upper bound of a bucket in seconds, for one bucket in each doubling: a coarser histogram
    /// has only these.
    pub fn doubling(&self, bucket: usize) -> Option<f64> {
        let per_doubling = self.step.per_doubling() as usize;
        let bound = self.bound(bucket)?;
        bucket.is_multiple_of(per_doubling).then_some(bound)
    }

    /// What is not exceeded by the share `quantile` of all that `counts` has, in seconds: the middle of
    /// the bucket that holds it, which is a bound in the first and in the last. `None`: there is nothing.
    pub fn quantile(&self, counts: &[u64; BUCKETS], quantile: f64) -> Option<f64> {
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let lower = bucket.checked_sub(1).and_then(|below| self.bound(below));
        match (lower, self.bound(bucket)) {
            (Some(lower), Some(upper)) => Some((lower * upper).sqrt()),
            (lower, upper) => lower.or(upper),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn each_bound_begins_a_bucket() {
        fn check<const N: usize>(scale: Scale<N>) {
            let bounds = (0..N - 1).map(|bucket| scale.bound(bucket).unwrap());
            assert!(bounds.clone().is_sorted());
            for (bucket, bound) in bounds.enumerate() {
                let first = (bound * 1e6).ceil() as u64;
                assert_eq!(scale.bucket(micros(first)), bucket + 1, "{bound} s");
                assert_eq!(scale.bucket(micros(first - 1)), bucket, "{bound} s");
            }
            assert_eq!(scale.bound(N - 1), None);
            assert_eq!(scale.bucket(Duration::ZERO), 0);
            assert_eq!(scale.bucket(Duration::MAX), N - 1);
        }
        check(QUEUE);
        check(CONNECT);
        check(SESSION);
    }

    #[test]
    fn they_reach_as_far_as_they_say() {
        assert_eq!(CONNECT.bound(0), Some(32e-6));
        assert_eq!(SESSION.bound(0), Some(32e-6));
        assert_eq!(QUEUE.bound(0), Some(512e-6));
        assert_eq!(QUEUE.bound(18), Some(134.217_728));
        assert_eq!(CONNECT.bound(40), Some(33.554_432));
        assert_eq!(SESSION.bound(60), Some(34_359.738_368));
    }

    #[test]
    fn quantiles_are_as_near_as_they_say() {
        for (seed, spread) in [(1_u64, 3), (2, 300), (3, 30_000)] {
            let mut state = seed;
            let mut durations: Vec<u64> = (0..999)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    100 + (state >> 33) % (100 * spread)
                })
                .collect();
            let mut counts = [0; 62];
            for duration in &durations {
                counts[SESSION.bucket(micros(*duration))] += 1;
            }
            durations.sort_unstable();
            for (quantile, rank) in [(0.5, 500), (0.9, 900), (0.99, 990), (1.0, 999)] {
                let exact = durations[rank - 1] as f64 / 1e6;
                let told = SESSION.quantile(&counts, quantile).unwrap();
                let factor = (told / exact).max(exact / told);
                assert!(factor < 1.2, "{quantile}: {told} for {exact}");
            }
        }
    }

    #[test]
    fn the_ends_tell_their_bounds_and_nothing_has_no_quantile() {
        let mut counts = [0; 42];
        assert_eq!(CONNECT.quantile(&counts, 0.5), None);
        counts[0] = 1;
        assert_eq!(CONNECT.quantile(&counts, 0.0), CONNECT.bound(0));
        assert_eq!(CONNECT.quantile(&counts, 0.5), CONNECT.bound(0));
        counts[41] = 9;
        assert_eq!(CONNECT.quantile(&counts, 0.1), CONNECT.bound(0));
        assert_eq!(CONNECT.quantile(&counts, 0.11), CONNECT.bound(40));
    }
}
