//! Reads section `[backend.NAME.health_check]`.

use std::time::Duration;
use toml::de::DeValue;

use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::field::Field;
use super::super::health_check::{
    RawCheckTls, RawHealthCheck, RawKind, check_header_name, parse_expect_body, parse_header_value,
    parse_host, parse_literal, parse_method, parse_path, parse_regex, parse_sni,
    parse_status_ranges,
};
use super::super::problem::{Problem, subsection};
use super::super::reference::Kind;
use super::super::section::{Entry, Section, in_file_order};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_health_check(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawHealthCheck> {
    let location = subsection(backend, "health_check");
    let table = value::table(out, entry, &location)?;
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
        headers: section.take("headers", read_headers),
        expect_status: section.take("expect_status", |out, entry| {
            value::parsed(out, entry, parse_status_ranges)
        }),
        expect_body: section.take("expect_body", |out, entry| {
            value::parsed(out, entry, parse_expect_body)
        }),
        expect_body_regex: section.take("expect_body_regex", |out, entry| {
            value::parsed(out, entry, parse_regex)
        }),
        send: section.take("send", |out, entry| {
            value::parsed(out, entry, parse_literal)
        }),
        expect: section.take("expect", |out, entry| {
            value::parsed(out, entry, parse_literal)
        }),
        tls: section.take("tls", |out, entry| read_tls(out, entry, &location)),
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

/// The lines of `headers`, in the order of the file.
fn read_headers(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Vec<(String, String)>> {
    const EXAMPLE: &str = "headers = { \"X-Forwarded-Proto\" = \"https\" }";
    let DeValue::Table(table) = entry.value else {
        let cure = format!("write {EXAMPLE}");
        return value::wrong_type(out, entry, "names and values in braces", cure);
    };
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut is_valid = true;
    for (name, value) in in_file_order(table) {
        let is_again = |(other, _): &(String, String)| other.eq_ignore_ascii_case(name.get_ref());
        let checked = match lines.iter().find(|line| is_again(line)) {
            Some((first, _)) => {
                let title = format!("header `{first}` is written twice");
                Err(Problem::new(
                    title,
                    "write one line, with both values: \"a, b\"",
                ))
            }
            None => check_header_name(name.get_ref()),
        };
        is_valid &= checked.is_ok();
        if let Err(problem) = checked {
            out.error(name.span(), problem);
        }
        let value = Entry::new("headers", value);
        match value::parsed(out, &value, parse_header_value) {
            Some(value) => lines.push((name.get_ref().to_string(), value)),
            None => is_valid = false,
        }
    }
    is_valid.then_some(lines)
}

/// `true`, `false`, or a section.
fn read_tls(out: &mut Diagnostics, entry: &Entry<'_, '_>, check: &str) -> Read<RawCheckTls> {
    let table = match entry.value {
        DeValue::Boolean(on) => {
            return Some(RawCheckTls {
                on: *on,
                ..RawCheckTls::default()
            });
        }
        DeValue::Table(table) => table,
        _ => {
            let cure = "write tls = true, or tls = { verify = true }";
            return value::wrong_type(out, entry, "true, false or keys in braces", cure);
        }
    };
    let location = subsection(check, "tls");
    let mut section = Section::open(out, Kind::CheckTls, &location, table);
    Some(RawCheckTls {
        on: true,
        sni: section.take("sni", |out, entry| value::parsed(out, entry, parse_sni)),
        verify: section.take("verify", value::boolean),
        ca: section.take("ca", |out, entry| {
            value::file_path(out, entry, "/etc/ssl/ca.pem")
        }),
    })
}
