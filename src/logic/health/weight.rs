//! The weight of a server, which rises slowly after it came back (slow start).

use std::time::Duration;

use super::{AdminState, Health};
use crate::logic::time::Instant;

/// Parts of a weight in which slow start moves. Weights of a backend with slow start are counted
/// in these parts, so that a weight of 1 can rise too.
pub const WEIGHT_PARTS: u32 = 64;

impl Health {
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
        /// Finer steps make no difference that could be seen.
        const STEP_MIN: Duration = Duration::from_millis(10);
        let slow_start = self.rules.slow_start?;
        let step = (slow_start / WEIGHT_PARTS).max(STEP_MIN);
        (self.is_usable() && self.parts(now) < WEIGHT_PARTS).then(|| now + step)
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
