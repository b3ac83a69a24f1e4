//! Keys of `[defaults]`, frontends and backends that concern the kernel's end of connections: `keepalive` and
//! `user_timeout`.
//!
//! Their bounds and their part of the configuration are here; `read` and `inherit` use them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::units::format_duration;

/// Times of the kernel are whole seconds, at most 32,767 (tcp(7)).
pub(super) const TIMES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(9 * 3600);

/// Probes of the kernel: at most 127 (tcp(7)).
pub(super) const COUNTS: RangeInclusive<u8> = 1..=127;

/// The kernel counts milliseconds in 31 bits.
pub(super) const USER_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 86_400);

/// Turns a key off.
pub(super) const OFF: &str = "off";

/// When the kernel asks whether a silent peer is still there (`SO_KEEPALIVE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe, in whole seconds.
    pub idle: Duration,
    /// From one probe to the next, in whole seconds.
    pub interval: Duration,
    /// Probes without an answer after which the connection is lost, 1..=127.
    pub count: u8,
}

impl Default for Keepalive {
    /// A peer that has vanished is noticed after three minutes.
    fn default() -> Self {
        Keepalive {
            idle: Duration::from_secs(120),
            interval: Duration::from_secs(15),
            count: 4,
        }
    }
}

impl std::fmt::Display for Keepalive {
    /// As it is written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [idle, interval] = [self.idle, self.interval].map(format_duration);
        write!(
            f,
            "{{ idle = \"{idle}\", interval = \"{interval}\", count = {} }}",
            self.count
        )
    }
}
