//! The address of a client, if it is known, in less memory than `Option<SocketAddr>` takes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address or none. The flow label of IPv6 is not kept: the kernel gives none (ipv6(7)), and nothing shows it.
#[derive(Clone, Copy, Debug)]
pub struct OptionalAddress {
    /// That of IPv4 as it is mapped into IPv6.
    ip: [u8; 16],
    scope_id: u32,
    port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    None,
    V4,
    V6,
}

const _: () = assert!(size_of::<OptionalAddress>() == 24);

impl OptionalAddress {
    const NONE: Self = OptionalAddress {
        ip: [0; 16],
        scope_id: 0,
        port: 0,
        kind: Kind::None,
    };

    /// The address, if there is one.
    pub fn get(self) -> Option<SocketAddr> {
        let (ip, port) = (Ipv6Addr::from(self.ip), self.port);
        match self.kind {
            Kind::None => None,
            Kind::V4 => {
                let [.., a, b, c, d] = self.ip;
                Some(SocketAddr::from(([a, b, c, d], port)))
            }
            Kind::V6 => Some(SocketAddrV6::new(ip, port, 0, self.scope_id).into()),
        }
    }

    /// The address without the port.
    pub fn ip(self) -> Option<IpAddr> {
        Some(self.get()?.ip())
    }
}

impl From<Option<SocketAddr>> for OptionalAddress {
    fn from(address: Option<SocketAddr>) -> Self {
        let (ip, scope_id, port, kind) = match address {
            None => return Self::NONE,
            Some(SocketAddr::V4(address)) => {
                let mapped = address.ip().to_ipv6_mapped();
                (mapped, 0, address.port(), Kind::V4)
            }
            Some(SocketAddr::V6(address)) => {
                (*address.ip(), address.scope_id(), address.port(), Kind::V6)
            }
        };
        OptionalAddress {
            ip: ip.octets(),
            scope_id,
            port,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_went() {
        assert_eq!(OptionalAddress::from(None).get(), None);
        let written = ["192.0.2.1:65535", "0.0.0.0:0", "[2001:db8::1]:80", "[::]:0"];
        let written = written
            .into_iter()
            .chain(["[::ffff:192.0.2.1]:7", "[fe80::1%3]:9"]);
        for text in written {
            let address: SocketAddr = text.parse().unwrap();
            let kept = OptionalAddress::from(Some(address));
            assert_eq!(kept.get(), Some(address));
            assert_eq!(kept.ip(), Some(address.ip()));
        }
    }
}
