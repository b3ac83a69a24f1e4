//! Reads `source` of a backend: the local addresses of connects to its servers.

use std::net::{IpAddr, Ipv4Addr};

use super::super::error::Diagnostics;
use super::super::problem::{Problem, shorten};
use super::super::section::Entry;
use super::super::value::{self, Read};

/// All are checked before the first wrong one ends it.
pub(super) fn read_source(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Vec<IpAddr>> {
    let elements = value::list(out, entry, "addresses", "\"10.0.0.9\"")?;
    let mut addresses = Vec::new();
    let mut complete = true;
    for element in elements {
        let entry = Entry::new(entry.key, element);
        match value::parsed(out, &entry, |text| parse(text, &addresses)) {
            Some(address) => addresses.push(address),
            None => complete = false,
        }
    }
    complete.then_some(addresses)
}

/// Reads an address that this host may have. Those `before` it must be others.
fn parse(text: &str, before: &[IpAddr]) -> Result<IpAddr, Problem> {
    let wrong = |title: String, cure: &str| Err(Problem::new(title, cure));
    let shown = shorten(text);
    let Ok(address) = text.parse::<IpAddr>() else {
        let title = format!("invalid address `{shown}`");
        return wrong(title, "write an IP address of this host, without a port");
    };
    let address = address.to_canonical();
    if address.is_unspecified() {
        let title = format!("`{shown}` is no address of this host");
        return wrong(title, "remove `source`: the kernel chooses then");
    }
    if address.is_multicast() || address == Ipv4Addr::BROADCAST {
        let title = format!("`{shown}` is the address of a group");
        return wrong(title, "write an IP address of this host");
    }
    if before.contains(&address) {
        return wrong(format!("`{shown}` is written twice"), "remove one of them");
    }
    Ok(address)
}
