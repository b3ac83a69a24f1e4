//! Reads the keys of TLS mode: those of a frontend, and an entry of `routes`.

use toml::de::DeValue;

use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::problem::Problem;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::tls_mode::{ROUTES_MAX, RawRoute, RawTlsMode, parse_name, parse_protocol};
use super::super::value::{self, Read};

/// A route.
const EXAMPLE: &str = "{ sni = [\"shop.example.com\"], backend = \"shop\" }";

/// Reads the keys out of the section of a frontend, which messages call `frontend`.
pub(super) fn read_tls_mode(section: &mut Section<'_, '_, '_>, frontend: &str) -> RawTlsMode {
    RawTlsMode {
        hello_timeout: section.take("hello_timeout", |out, entry| {
            value::duration(out, entry, defaults::TIMEOUTS)
        }),
        routes: section.take("routes", |out, entry| read_routes(out, entry, frontend)),
    }
}

fn read_routes(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    frontend: &str,
) -> Read<Vec<RawRoute>> {
    let elements = value::list(out, entry, "routes", EXAMPLE)?;
    if elements.len() > ROUTES_MAX {
        let title = format!("{} routes in {frontend}", elements.len());
        let cure = format!("a frontend may have at most {ROUTES_MAX}; a route may have many names");
        out.error(entry.span.clone(), Problem::new(title, cure));
        return None;
    }
    let location = format!("a route of {frontend}");
    let read = |element| read_route(out, &Entry::new(entry.key, element), &location);
    Some(elements.iter().filter_map(read).collect())
}

fn read_route(out: &mut Diagnostics, entry: &Entry<'_, '_>, location: &str) -> Read<RawRoute> {
    let DeValue::Table(table) = entry.value else {
        return value::wrong_type(out, entry, "entries in braces", format!("write {EXAMPLE}"));
    };
    let mut section = Section::open(out, Kind::Route, location, table);
    Some(RawRoute {
        span: entry.span.clone(),
        sni: section.take("sni", |out, entry| {
            value::parsed_list(out, entry, "names", "\"shop.example.com\"", parse_name)
        }),
        alpn: section.take("alpn", |out, entry| {
            value::parsed_list(out, entry, "protocols", "\"h2\"", parse_protocol)
        }),
        backend: section.take("backend", value::string),
    })
}
