//! Reads lists of networks.

use toml::Spanned;

use super::super::error::Diagnostics;
use super::super::network::parse_network;
use super::super::section::Entry;
use super::super::value::{self, Read};
use crate::logic::network::Network;

/// Reads a list of at least one. All are checked before the first wrong one ends it.
pub(super) fn read_networks(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
) -> Read<Vec<Spanned<Network>>> {
    let elements = value::list(out, entry, "networks", "\"10.0.0.0/8\"")?;
    let read = |element| {
        let entry = Entry::new(entry.key, element);
        let network = value::parsed(out, &entry, parse_network)?;
        Some(Spanned::new(element.span(), network))
    };
    let networks: Vec<_> = elements.iter().map(read).collect();
    networks.into_iter().collect()
}
