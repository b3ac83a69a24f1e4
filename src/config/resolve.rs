//! Host names to addresses, when a configuration is read.
//!
//! The only I/O behind `parse`. Callers hand a resolver in, so that tests need no network.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use super::address::Address;
use super::error::{Problem, shorten};

/// Finds the address of a host name and port.
pub type Resolver<'r> = &'r dyn Fn(&str, u16) -> io::Result<SocketAddr>;

/// Asks the system's resolver (getaddrinfo(3)) and takes its first answer. It may block for as long as the
/// system's configuration of name service allows.
///
/// # Errors
///
/// The system's, or `NotFound` when the answer has no address.
pub fn system(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}

/// The address to use, asking `resolver` only when needed.
pub(super) fn resolve(address: &Address, resolver: Resolver<'_>) -> Result<SocketAddr, Problem> {
    match address {
        Address::Ip(address) => Ok(*address),
        Address::Host { host, port } => resolver(host, *port).map_err(|error| {
            if let Some((_, zone)) = host.split_once('%') {
                let title = format!("no network interface `{}`", shorten(zone));
                return Problem::new(title, "write the name of one of this host; see `ip link`");
            }
            let host = shorten(host);
            Problem::new(
                format!("cannot resolve `{host}`"),
                format!("{error}; correct the name or write an IP address"),
            )
        }),
    }
}
