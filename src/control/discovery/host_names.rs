//! Host names of fixed servers and of listeners: their addresses, the best first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use super::resolver;
use super::system::{self, System};

/// The files of this host, and its name servers. Clones share what was read.
#[derive(Clone, Debug)]
pub struct HostResolver(System);

impl HostResolver {
    /// By the files where they are.
    pub fn new() -> Self {
        HostResolver(System::new())
    }

    /// The addresses of a host name, or of a link-local address with the name of a network interface, each once:
    /// those that there is a route to come first, and of them IPv6 but for local networks (RFC 6724).
    ///
    /// # Errors
    ///
    /// There are none, as far as anybody knows; or there is no such interface.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some((ip, zone)) = host.split_once('%') {
            return with_zone(ip, zone, port).map(|address| vec![address]);
        }
        let found = resolver::host(host, &self.0).await;
        let found = found.map_err(|failure| io::Error::other(failure.to_string()))?;
        let mut addresses: Vec<SocketAddr> = Vec::with_capacity(found.len());
        for ip in found {
            let address = SocketAddr::new(ip, port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.sort_by_cached_key(|address| (!has_route(*address), rank(address.ip())));
        Ok(addresses)
    }
}

fn with_zone(ip: &str, zone: &str, port: u16) -> io::Result<SocketAddr> {
    let ip: Ipv6Addr = ip.parse().map_err(io::Error::other)?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "no such network interface");
    let scope = system::interface(zone).ok_or_else(none)?;
    Ok(SocketAddrV6::new(ip, port, 0, scope).into())
}

/// Whether the kernel would send something there: connecting a UDP socket sends nothing, but needs a route and a
/// local address.
fn has_route(address: SocketAddr) -> bool {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    let socket = UdpSocket::bind(any);
    socket.is_ok_and(|socket| socket.connect(address).is_ok())
}

/// By the precedence of RFC 6724, section 2.1: unique local addresses come behind IPv4.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V6(ip) if ip.is_unique_local() => 2,
        IpAddr::V6(_) => 0,
        IpAddr::V4(_) => 1,
    }
}

/// The addresses of a host name, by the files and name servers of this host, for who may wait, on a thread without a
/// runtime.
///
/// # Errors
///
/// There are none, as far as anybody knows; or there are no means to ask.
pub fn resolve_blocking(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(HostResolver::new().resolve(host, port));
    // Who still reads a file is not waited for.
    runtime.shutdown_background();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_interfaces_are_known_without_a_name_server() {
        let found = resolve_blocking("app.localhost", 80).unwrap();
        assert!(found.contains(&([127, 0, 0, 1], 80).into()), "{found:?}");
        let found = resolve_blocking("fe80::1%lo", 80).unwrap();
        let SocketAddr::V6(address) = found[0] else {
            panic!("{found:?}")
        };
        assert_eq!((found.len(), address.scope_id()), (1, 1));
        let error = resolve_blocking("fe80::1%nosuch", 80).unwrap_err();
        assert_eq!(error.to_string(), "no such network interface");
    }

    #[test]
    fn what_cannot_be_reached_comes_last() {
        // There is no route to an address that nobody has.
        assert!(has_route(([127, 0, 0, 1], 80).into()));
        assert!(!has_route(([255, 255, 255, 255], 80).into()));
        let ranks =
            ["::1", "2001:db8::1", "10.0.0.1", "fd00::1"].map(|ip| rank(ip.parse().unwrap()));
        assert_eq!(ranks, [0, 0, 1, 2]);
    }
}
