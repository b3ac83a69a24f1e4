//! Reads `keepalive`, and durations that may be off.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::super::error::Diagnostics;
use super::super::keepalive::{COUNTS, Keepalive, OFF, TIMES};
use super::super::problem::Problem;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads `keepalive`: `"off"`, or a table.
pub(super) fn read_keepalive(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
) -> Read<Option<Keepalive>> {
    let table = match entry.value {
        DeValue::String(text) if text == OFF => return Some(None),
        DeValue::Table(table) => table,
        _ => {
            let cure = format!("write keepalive = {} or \"{OFF}\"", Keepalive::default());
            return value::wrong_type(out, entry, "times in braces or \"off\"", cure);
        }
    };
    let mut section = Section::open(out, Kind::Keepalive, "`keepalive`", table);
    let mut seconds = |key| section.take(key, read_seconds);
    let (idle, interval) = (seconds("idle"), seconds("interval"));
    let count = section.take("count", |out, entry| value::integer(out, entry, COUNTS));
    let default = Keepalive::default();
    Some(Some(Keepalive {
        idle: *idle.get().unwrap_or(&default.idle),
        interval: *interval.get().unwrap_or(&default.interval),
        count: *count.get().unwrap_or(&default.count),
    }))
}

fn read_seconds(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Duration> {
    let time = value::duration(out, entry, TIMES)?;
    if time.subsec_nanos() == 0 {
        return Some(time);
    }
    let problem = Problem::new(
        format!("`{}` has milliseconds", entry.key),
        "write whole seconds: the kernel knows no others",
    );
    out.error(entry.span.clone(), problem);
    None
}

/// Reads a duration, or `"off"`.
pub(super) fn read_duration_or_off(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    bounds: RangeInclusive<Duration>,
) -> Read<Option<Duration>> {
    match entry.value {
        DeValue::String(text) if text == OFF => Some(None),
        _ => value::duration(out, entry, bounds).map(Some),
    }
}
