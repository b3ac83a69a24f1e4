//! Reads lists of networks.

use toml::Spanned;

use super::super::error::Diagnostics;
use super::super::network::parse_network;
use super::super::section::Entry;
use super::super::value::{self, Read};
use crate::logic::network::Network;

/// Reads a list of at least one.
pub(super) fn read_networks(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
) -> Read<Vec<Spanned<Network>>> {
    value::parsed_list(out, entry, "networks", "\"10.0.0.0/8\"", parse_network)
}
