//! Networks as an operator writes them: `10.0.0.0/8`, or an address alone.

use toml::Spanned;

use super::error::Diagnostics;
use super::problem::{Problem, shorten};
use crate::logic::network::{Network, NetworkError};

/// Reads one.
pub(super) fn parse_network(text: &str) -> Result<Network, Problem> {
    let shown = shorten(text);
    Network::parse(text).map_err(|error| match error {
        NetworkError::Address => Problem::new(
            format!("`{shown}` is neither an address nor a network"),
            "write it like 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32",
        ),
        NetworkError::Prefix { max } => Problem::new(
            format!("`{shown}` has no valid prefix"),
            format!("write 0 to {max} behind the slash"),
        ),
        NetworkError::HostBits(network) => Problem::new(
            format!("`{shown}` has bits behind its prefix"),
            format!("write {network}, or the address alone"),
        ),
    })
}

/// The networks of a list that says whom to believe. One that has everybody is worth a warning.
pub(super) fn trusted(
    out: &mut Diagnostics,
    key: &str,
    written: &[Spanned<Network>],
) -> Vec<Network> {
    for network in written {
        if network.get_ref().is_everything() {
            let title = format!("`{key}` has every address: anybody may claim to be any client");
            let cure = "name only the hosts in front of this one, such as \"10.0.0.7\"";
            out.warning(network.span(), Problem::new(title, cure));
        }
    }
    written.iter().map(|network| *network.get_ref()).collect()
}
