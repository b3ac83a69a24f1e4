//! Reads section `[backend.NAME.health_check]`.

use std::time::Duration;
use toml::de::DeValue;

use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::field::Field;
use super::super::health_check::{
    RawHealthCheck, RawKind, parse_host, parse_method, parse_path, parse_status_ranges,
};
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_health_check(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawHealthCheck> {
    let location = format!("{}.health_check]", backend.trim_end_matches(']'));
    let DeValue::Table(table) = entry.value else {
        return value::wrong_type(out, entry, "a section", format!("write {location}"));
    };
    let mut section = Section::open(out, Kind::HealthCheck, &location, table);
    Some(RawHealthCheck {
        kind: section.take("type", |out, entry| {
            value::choice(out, entry, RawKind::NAMES)
        }),
        path: section.take("path", |out, entry| value::parsed(out, entry, parse_path)),
        method: section.take("method", |out, entry| {
            value::parsed(out, entry, parse_method)
        }),
        host: section.take("host", |out, entry| value::parsed(out, entry, parse_host)),
        expect_status: section.take("expect_status", |out, entry| {
            value::parsed(out, entry, parse_status_ranges)
        }),
        interval: interval(&mut section, "interval"),
        fast_interval: interval(&mut section, "fast_interval"),
        down_interval: interval(&mut section, "down_interval"),
        timeout: section.take("timeout", |out, entry| {
            value::duration(out, entry, defaults::CHECK_TIMEOUTS)
        }),
        fall: count(&mut section, "fall"),
        rise: count(&mut section, "rise"),
        port: section.take("port", |out, entry| {
            value::integer(out, entry, defaults::PORTS)
        }),
    })
}

fn interval(section: &mut Section<'_, '_, '_>, key: &'static str) -> Field<Duration> {
    section.take(key, |out, entry| {
        value::duration(out, entry, defaults::CHECK_INTERVALS)
    })
}

fn count(section: &mut Section<'_, '_, '_>, key: &'static str) -> Field<u32> {
    section.take(key, |out, entry| {
        value::integer(out, entry, defaults::CHECK_COUNTS)
    })
}
