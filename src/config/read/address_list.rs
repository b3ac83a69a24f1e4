//! Reads `allow` and `deny` of a frontend.

use toml::Spanned;
use toml::de::DeValue;

use super::super::address_list::{RawAddresses, parse};
use super::super::error::Diagnostics;
use super::super::problem::shorten;
use super::super::section::Entry;
use super::super::value::{self, Read};

/// Reads the entries of a list. All are checked before the first wrong one ends it.
pub(super) fn read_addresses(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
) -> Read<Vec<Spanned<RawAddresses>>> {
    let example = match entry.value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        _ => "\"10.0.0.0/8\"".to_owned(),
    };
    let elements = value::list(out, entry, "addresses", &example)?;
    let read = |element| {
        let entry = Entry::new(entry.key, element);
        let addresses = value::parsed(out, &entry, parse)?;
        Some(Spanned::new(element.span(), addresses))
    };
    let read: Vec<_> = elements.iter().map(read).collect();
    read.into_iter().collect()
}
