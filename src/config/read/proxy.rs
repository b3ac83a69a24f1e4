//! Reads section `[frontend.NAME.accept_proxy]`.

use toml::de::DeValue;

use super::super::defaults;
use super::super::error::Diagnostics;
use super::super::proxy::{RawAcceptProxy, location};
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};
use super::networks::read_networks;

/// Reads the section; `frontend` is how messages call the one that it belongs to.
pub(super) fn read_accept_proxy(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    frontend: &str,
) -> Read<RawAcceptProxy> {
    let location = location(frontend);
    let DeValue::Table(table) = entry.value else {
        let cure = "write accept_proxy = { from = [\"10.0.0.7\"] }";
        return value::wrong_type(out, entry, "a section", cure);
    };
    let mut section = Section::open(out, Kind::AcceptProxy, &location, table);
    Some(RawAcceptProxy {
        span: entry.span.clone(),
        from: section.take("from", read_networks),
        required: section.take("required", value::boolean),
        timeout: section.take("timeout", |out, entry| {
            value::duration(out, entry, defaults::TIMEOUTS)
        }),
    })
}
