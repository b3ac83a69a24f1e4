//! Reads section `[backend.NAME.sticky]`.

use std::time::Duration;
use toml::de::DeValue;

use super::super::cookie;
use super::super::error::Diagnostics;
use super::super::problem::Problem;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::sticky::{MAX_AGES, RawSticky, SameSite, location, parse_domain, parse_path};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_sticky(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawSticky> {
    let location = location(backend);
    let table = value::table(out, entry, &location)?;
    let mut section = Section::open(out, Kind::Sticky, &location, table);
    Some(RawSticky {
        span: entry.span.clone(),
        cookie: section.take("cookie", |out, entry| {
            value::parsed(out, entry, cookie::parse_name)
        }),
        http_only: section.take("http_only", value::boolean),
        secure: section.take("secure", value::boolean),
        same_site: section.take("same_site", |out, entry| {
            value::choice(out, entry, SameSite::NAMES)
        }),
        path: section.take("path", |out, entry| value::parsed(out, entry, parse_path)),
        domain: section.take("domain", |out, entry| {
            value::parsed(out, entry, parse_domain)
        }),
        max_age: section.take("max_age", read_max_age),
    })
}

/// Max-Age is a number of seconds.
fn read_max_age(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Duration> {
    // A number without a unit is one of seconds, as in the cookie.
    if let DeValue::Integer(written) = entry.value
        && let Ok(seconds) = written.as_str().parse::<u64>()
        && MAX_AGES.contains(&Duration::from_secs(seconds))
    {
        let cure = format!("write \"{seconds}s\"");
        let problem = Problem::new("bare number where a duration is needed", cure);
        out.error(entry.span.clone(), problem);
        return None;
    }
    let max_age = value::duration(out, entry, MAX_AGES)?;
    if max_age.subsec_nanos() == 0 {
        return Some(max_age);
    }
    let problem = Problem::new("`max_age` has milliseconds", "write whole seconds");
    out.error(entry.span.clone(), problem);
    None
}
