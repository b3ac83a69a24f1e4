//! Reads section `[backend.NAME.discover]`.

use std::net::SocketAddr;

use toml::Spanned;

use super::super::defaults;
use super::super::discover::{
    Family, INTERVALS, OnEmpty, RawDiscover, SERVERS_BOUNDS, TIMEOUTS, location, parse_dns,
    parse_resolver, parse_srv,
};
use super::super::error::Diagnostics;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_discover(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawDiscover> {
    let location = location(backend);
    let table = value::table(out, entry, &location)?;
    let mut section = Section::open(out, Kind::Discover, &location, table);
    Some(RawDiscover {
        span: entry.span.clone(),
        dns: section.take("dns", |out, entry| value::parsed(out, entry, parse_dns)),
        srv: section.take("srv", |out, entry| value::parsed(out, entry, parse_srv)),
        interval: section.take("interval", |out, entry| {
            value::duration(out, entry, INTERVALS)
        }),
        timeout: section.take("timeout", |out, entry| {
            value::duration(out, entry, TIMEOUTS)
        }),
        resolvers: section.take("resolvers", read_resolvers),
        family: section.take("family", |out, entry| {
            value::choice(out, entry, Family::NAMES)
        }),
        servers_max: section.take("max_servers", |out, entry| {
            value::integer(out, entry, SERVERS_BOUNDS)
        }),
        on_empty: section.take("on_empty", |out, entry| {
            value::choice(out, entry, OnEmpty::NAMES)
        }),
        weight: section.take("weight", |out, entry| {
            value::integer(out, entry, defaults::WEIGHTS)
        }),
        sessions_max: section.take("max_sessions", |out, entry| {
            value::integer(out, entry, defaults::SESSIONS)
        }),
        backup: section.take("backup", value::boolean),
    })
}

fn read_resolvers(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Vec<SocketAddr>> {
    let resolvers =
        value::parsed_list(out, entry, "addresses", "\"127.0.0.11:53\"", parse_resolver)?;
    Some(resolvers.into_iter().map(Spanned::into_inner).collect())
}
