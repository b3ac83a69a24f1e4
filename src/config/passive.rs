//! Section `[backend.NAME.passive]`, from what was written to what is true.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::EjectionRules;
use super::field::Field;

/// What holds for a key that is not written.
pub(super) const DEFAULT: EjectionRules = EjectionRules {
    failures: 5,
    within: Duration::from_secs(10),
    pause: Duration::from_secs(10),
};

/// One failure is no pattern for most, but for some it is; a thousand is far beyond use.
pub(super) const FAILURES: RangeInclusive<u32> = 1..=1000;

/// Less than a failed connect takes, or longer than anybody remembers.
pub(super) const WITHIN: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);

/// A pause is never longer than that of repeated ejections.
pub(super) const PAUSES: RangeInclusive<Duration> =
    Duration::from_millis(100)..=EjectionRules::PAUSE_MAX;

/// What an operator wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct RawPassive {
    pub failures: Field<u32>,
    pub within: Field<Duration>,
    pub pause: Field<Duration>,
}

/// Fills in the defaults.
pub(super) fn validate_passive(raw: &RawPassive) -> EjectionRules {
    EjectionRules {
        failures: *raw.failures.get().unwrap_or(&DEFAULT.failures),
        within: *raw.within.get().unwrap_or(&DEFAULT.within),
        pause: *raw.pause.get().unwrap_or(&DEFAULT.pause),
    }
}
