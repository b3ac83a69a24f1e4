//! What the configuration says about the health of a server.

use std::time::Duration;

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
    /// The counter of a server that is up and did not fail.
    pub(super) fn counter_max(&self) -> u32 {
        self.rise + self.fall - 1
    }
}
