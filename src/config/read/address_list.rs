//! Reads `allow` and `deny` of a frontend.

use toml::Spanned;
use toml::de::DeValue;

use super::super::address_list::{RawAddresses, parse};
use super::super::error::Diagnostics;
use super::super::problem::shorten;
use super::super::section::Entry;
use super::super::value::{self, Read};

/// Reads the entries of a list.
pub(super) fn read_addresses(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
) -> Read<Vec<Spanned<RawAddresses>>> {
    let example = match entry.value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        _ => "\"10.0.0.0/8\"".to_owned(),
    };
    value::parsed_list(out, entry, "addresses", &example, parse)
}
