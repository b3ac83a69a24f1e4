//! What holds when nothing is written, and between which bounds values may be.
//!
//! Plain numbers with their reasons; `read` applies the bounds, `validate` and `simple` the
//! defaults.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Seconds.
const DAY: u64 = 86_400;

/// Long enough for any server on a busy network, short enough that a dead one is left soon.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the keep-alive of common clients and servers, so that they end sessions, not we.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// A peer that has ended its side rarely wants more than the rest of an answer.
pub(super) const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(30);

/// The head of a first request comes in one piece or two; who needs longer wants to hold a location.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Further connect attempts after the first.
pub(super) const RETRIES: u32 = 3;

/// How long open sessions may finish after the first signal to stop.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it still accepts after that signal, so that others notice first.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::ZERO;

/// Clients with limits that are remembered: with 60 to 100 bytes for each.
pub(super) const CLIENTS: u32 = 1_000_000;

/// Fewer would be forgotten while they still matter; more need more than 6 GB.
pub(super) const CLIENT_COUNTS: RangeInclusive<u32> = 1000..=100_000_000;

/// What the kernel allows by default (net.core.somaxconn since Linux 5.4).
pub(super) const BACKLOG: u32 = 4096;

/// The weight of a server.
pub(super) const WEIGHT: u16 = 1;

/// From one probe of a server to the next, as in HAProxy.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// A server that needs longer for an answer without content is not well.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Failures in a row that take a server down, as in HAProxy.
pub(super) const CHECK_FALL: u32 = 3;

/// Successes in a row that bring a server up, as in HAProxy.
pub(super) const CHECK_RISE: u32 = 2;

/// Path of the request of a probe: every server has it.
pub(super) const CHECK_PATH: &str = "/";

/// Method of the request of a probe: every server knows it.
pub(super) const CHECK_METHOD: &str = "GET";

/// Answers that mean that a server is well: everything but errors.
pub(super) const CHECK_EXPECT_STATUS: RangeInclusive<u16> = 200..=399;

/// More often than this, probes are a load of their own.
pub(super) const CHECK_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(DAY);

/// A probe is over before the next begins.
pub(super) const CHECK_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(DAY);

/// None at all would mean nothing; a thousand is far beyond use.
pub(super) const CHECK_COUNTS: RangeInclusive<u32> = 1..=1000;

/// TCP ports.
pub(super) const PORTS: RangeInclusive<u16> = 1..=65_535;

/// Timeouts: positive, in the resolution of our units, and small enough for any sum of them.
pub(super) const TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(100 * DAY);

/// The greatest age of a session: younger ones are hardly begun.
pub(super) const MAX_AGES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(100 * DAY);

/// As [`TIMEOUTS`], but to end at once is a change that makes sense.
pub(super) const SHUTDOWN_TIMEOUTS: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(100 * DAY);

/// More threads than any machine has use for.
pub(super) const WORKERS: RangeInclusive<usize> = 1..=1024;

/// No session at all is not a limit but a mistake.
pub(super) const SESSIONS: RangeInclusive<u32> = 1..=u32::MAX;

/// listen(2) keeps it in 16 bits.
pub(super) const BACKLOGS: RangeInclusive<u32> = 1..=65_535;

/// Each retry goes to another server while there is one; a hundred is far beyond use.
pub(super) const RETRY_COUNTS: RangeInclusive<u32> = 0..=100;

/// As in HAProxy; 0 takes no balanced sessions.
pub(super) const WEIGHTS: RangeInclusive<u16> = 0..=256;

/// Servers of one backend: their index fits 16 bits.
pub const SERVERS_MAX: usize = 65_535;

/// Bytes of a configuration file: far more than the largest sensible one, and little enough that
/// `-c /dev/zero` ends.
pub const FILE_BYTES_MAX: u64 = 8 << 20;
