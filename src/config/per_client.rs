//! Section `[frontend.NAME.per_client]`, from what was written to what is true.
//!
//! Its keys belong together, so its checks and its part of the configuration are here; `read` and
//! `validate` call them.

use std::fmt;
use std::ops::RangeInclusive;

use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten, subsection};
use crate::logic::client_limits::{ClientLimits, RateLimit};

/// What is given to one customer, as a rule: a single address.
pub(super) const IPV4_PREFIX: u8 = 32;

/// What is given to one customer at least: a network in which addresses are chosen at will (RFC 6177).
pub(super) const IPV6_PREFIX: u8 = 64;

pub(super) const IPV4_PREFIXES: RangeInclusive<u8> = 1..=32;

pub(super) const IPV6_PREFIXES: RangeInclusive<u8> = 1..=128;

/// Sessions in a second or a minute: more than any host begins.
pub(super) const RATES: RangeInclusive<u32> = 1..=1_000_000;

/// Sessions at once.
pub(super) const BURSTS: RangeInclusive<u32> = 1..=1_000_000;

/// Limits on each client of a frontend; at least one of `sessions_max` and `rate` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerClient {
    /// Open sessions of one client over all workers, at least 1; `None`: not limited.
    pub sessions_max: Option<u32>,
    /// New sessions of one client; `None`: not limited.
    pub rate: Option<Rate>,
    /// New sessions of one client at once, 1..=1,000,000; without `rate` it means nothing.
    pub burst: u32,
    /// Addresses with the same first bits count as one client, 1..=32.
    pub ipv4_prefix: u8,
    /// Addresses with the same first bits count as one client, 1..=128.
    pub ipv6_prefix: u8,
}

impl PerClient {
    /// As the workers use it.
    pub fn limits(&self) -> ClientLimits {
        ClientLimits {
            sessions_max: self.sessions_max,
            rate: self.rate.map(|rate| RateLimit {
                interval: rate.period.nanos() / u64::from(rate.count),
                burst: self.burst,
            }),
            ipv4_prefix: self.ipv4_prefix,
            ipv6_prefix: self.ipv6_prefix,
        }
    }
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 1..=1,000,000.
    pub count: u32,
    /// In this time.
    pub period: Period,
}

/// The time of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A second.
    Second,
    /// A minute.
    Minute,
}

impl Period {
    fn nanos(self) -> u64 {
        match self {
            Period::Second => 1_000_000_000,
            Period::Minute => 60_000_000_000,
        }
    }
}

impl fmt::Display for Rate {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.period {
            Period::Second => "s",
            Period::Minute => "m",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawPerClient {
    /// Where the section begins.
    pub span: Span,
    pub sessions_max: Field<u32>,
    pub rate: Field<Rate>,
    pub burst: Field<u32>,
    pub ipv4_prefix: Field<u8>,
    pub ipv6_prefix: Field<u8>,
}

/// How messages call the section of the frontend that they call `frontend`.
pub(super) fn location(frontend: &str) -> String {
    subsection(frontend, "per_client")
}

/// Reads a rate such as `50/s`.
pub(super) fn parse_rate(text: &str) -> Result<Rate, Problem> {
    let shown = shorten(text);
    let (count, unit) = text.split_once('/').unwrap_or((text, ""));
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let period = match unit {
        "s" => Some(Period::Second),
        "m" => Some(Period::Minute),
        _ => None,
    };
    match (is_number, count.parse::<u32>().ok(), period) {
        (true, Some(count), Some(period)) if RATES.contains(&count) => Ok(Rate { count, period }),
        (true, _, Some(_)) => Err(Problem::new(
            format!("rate `{shown}` is out of bounds"),
            format!("must be {} to {}", RATES.start(), RATES.end()),
        )),
        (true, _, None) => Err(Problem::new(
            format!("rate `{shown}` has no time"),
            format!("write \"{count}/s\" for a second or \"{count}/m\" for a minute"),
        )),
        (false, _, _) => Err(Problem::new(
            format!("invalid rate `{shown}`"),
            "write it like \"50/s\" or \"600/m\"",
        )),
    }
}

/// Checks what concerns more than one value, and fills in the defaults; `None` without a limit.
pub(super) fn validate_per_client(
    out: &mut Diagnostics,
    raw: &RawPerClient,
    frontend: &str,
) -> Option<PerClient> {
    let location = location(frontend);
    if let (Field::Absent, Field::Absent) = (&raw.sessions_max, &raw.rate) {
        let title = format!("{location} limits nothing");
        let cure = "add max_sessions = 100, or rate = \"50/s\", or both";
        out.error(raw.span.clone(), Problem::new(title, cure));
        return None;
    }
    if let (Field::Absent, Some(burst)) = (&raw.rate, raw.burst.written()) {
        let title = format!("`burst` without `rate` in {location}");
        let cure = "add rate = \"50/s\", or remove it";
        out.error(burst.span(), Problem::new(title, cure));
    }
    let rate = raw.rate.get().copied();
    let burst = raw.burst.get().copied();
    Some(PerClient {
        sessions_max: raw.sessions_max.get().copied(),
        rate,
        burst: burst.or(rate.map(|rate| rate.count)).unwrap_or(1),
        ipv4_prefix: *raw.ipv4_prefix.get().unwrap_or(&IPV4_PREFIX),
        ipv6_prefix: *raw.ipv6_prefix.get().unwrap_or(&IPV6_PREFIX),
    })
}
