//! Local addresses of connects, which this host has to have.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::config::Config;

/// Warns of addresses of `source` that this host does not have now. It may get them later, as a floating
/// address.
pub fn warn_of_missing(config: &Config) {
    for backend in &config.backends {
        for source in backend.source.iter().filter(|source| !is_ours(**source)) {
            log::warn!(
                "{source} of `source` in backend {} is no address of this host: connects from it fail",
                backend.name
            );
        }
    }
}

/// A bind shows it, and sends nothing.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
