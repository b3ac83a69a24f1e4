//! Reads section `[frontend.NAME.per_client]`.

use toml::de::DeValue;

use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::per_client::{
    BURSTS, IPV4_PREFIXES, IPV6_PREFIXES, Rate, RawPerClient, location, parse_rate,
};
use super::super::problem::Problem;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section; `frontend` is how messages call the one that it belongs to.
pub(super) fn read_per_client(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    frontend: &str,
) -> Read<RawPerClient> {
    let location = location(frontend);
    let table = value::table(out, entry, &location)?;
    let mut section = Section::open(out, Kind::PerClient, &location, table);
    Some(RawPerClient {
        span: entry.span.clone(),
        sessions_max: section.take("max_sessions", |out, entry| {
            value::integer(out, entry, defaults::SESSIONS)
        }),
        rate: section.take("rate", read_rate),
        burst: section.take("burst", |out, entry| value::integer(out, entry, BURSTS)),
        ipv4_prefix: section.take("ipv4_prefix", |out, entry| {
            value::integer(out, entry, IPV4_PREFIXES)
        }),
        ipv6_prefix: section.take("ipv6_prefix", |out, entry| {
            value::integer(out, entry, IPV6_PREFIXES)
        }),
    })
}

fn read_rate(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Rate> {
    let DeValue::Integer(number) = entry.value else {
        return value::parsed(out, entry, parse_rate);
    };
    let number = number.as_str();
    let cure = format!("write \"{number}/s\" for a second or \"{number}/m\" for a minute");
    let problem = Problem::new("bare number where a rate is needed", cure);
    out.error(entry.span.clone(), problem);
    None
}
