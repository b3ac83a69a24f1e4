//! What the kernel takes as an address to listen on, and which addresses share clients.
//!
//! Everything that makes bind(2) fail on every host is an error of the file; a way of writing that means
//! the same as another becomes that other, so that equal addresses are equal values.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::Arc;

use super::address::Address;
use super::problem::Problem;

/// One entry of `listen`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// An address to bind; port 0 lets the kernel choose.
    Address(SocketAddr),
    /// `fd:N`: a listening socket inherited as descriptor N.
    Descriptor(i32),
    /// `systemd:NAME`: a listening socket passed by socket activation under this name.
    Systemd(String),
    /// `unix:PATH`: a Unix socket to make at this absolute path.
    Unix(Arc<Path>),
}

impl Listen {
    /// Whether it may be written twice: with port 0 the kernel chooses another port each time.
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Listen::Address(address) if address.port() == 0)
    }
}

impl fmt::Display for Listen {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Address(address) => address.fmt(f),
            Listen::Descriptor(number) => write!(f, "fd:{number}"),
            Listen::Systemd(name) => write!(f, "systemd:{name}"),
            Listen::Unix(path) => Address::Unix(Arc::clone(path)).fmt(f),
        }
    }
}

/// The one way to write an address that can be listened on.
///
/// # Errors
///
/// The kernel refuses it, or no client could connect to it.
pub(super) fn canonical(address: SocketAddr) -> Result<SocketAddr, Problem> {
    // The kernel refuses an IPv4-mapped address on a socket for IPv6 alone.
    let ip = address.ip().to_canonical();
    if ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
        return Err(Problem::new(
            format!("`{address}` is the address of a group, which TCP cannot listen on"),
            "write an address of this host, or \"0.0.0.0\" or \"[::]\" for all",
        ));
    }
    let (SocketAddr::V6(written), true) = (address, ip.is_ipv6()) else {
        return Ok(SocketAddr::new(ip, address.port()));
    };
    // Only link-local addresses depend on the interface; elsewhere the kernel ignores it.
    let scope = match written.ip().is_unicast_link_local() {
        true if written.scope_id() == 0 => {
            return Err(Problem::new(
                format!("the link-local address `{address}` names no network interface"),
                format!(
                    "write it after the address, such as \"[{}%eth0]:{}\"",
                    written.ip(),
                    written.port()
                ),
            ));
        }
        true => written.scope_id(),
        false => 0,
    };
    Ok(SocketAddrV6::new(*written.ip(), written.port(), 0, scope).into())
}

/// Whether two listeners of frontends would be asked for the same connections; a socket for IPv6 gets no
/// IPv4 connections. Port 0 is no port yet.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    if one.port() == 0 || one.port() != other.port() || one.is_ipv4() != other.is_ipv4() {
        return false;
    }
    let wild = one.ip().is_unspecified() || other.ip().is_unspecified();
    wild || one == other
}

/// Whether the admin listener on `admin` and a frontend on `frontend` would be in each other's way: the
/// admin listener shares its port with nobody, and on `[::]` it takes IPv4 connections too.
pub(super) fn admin_conflict(admin: SocketAddr, frontend: SocketAddr) -> bool {
    let both_families = admin.is_ipv6() && admin.ip().is_unspecified();
    let same_port = admin.port() != 0 && admin.port() == frontend.port();
    overlap(admin, frontend) || (both_families && same_port)
}

/// What is wrong with a frontend on an address that the admin listener has.
pub(super) fn admin_problem(admin: SocketAddr, frontend: SocketAddr) -> Problem {
    Problem::new(
        format!("a frontend on `{frontend}` and the admin listener on `{admin}` share a port"),
        "give the admin listener a port of its own",
    )
}

/// What is wrong with a frontend on a path that a socket of the admin listener has.
pub(super) fn admin_path_problem(path: &Path) -> Problem {
    Problem::new(
        format!(
            "a frontend and the admin listener on `unix:{}`",
            path.display()
        ),
        "give one of them another path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_one_form() {
        for (written, form) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::ffff:0.0.0.0]:80", "0.0.0.0:80"),
            ("[::1%3]:80", "[::1]:80"),
            ("[fe80::1%3]:80", "[fe80::1%3]:80"),
            ("[::]:0", "[::]:0"),
        ] {
            assert_eq!(canonical(address(written)).unwrap(), address(form));
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_with_a_cure() {
        for (written, part) in [
            ("[fe80::1]:80", "\"[fe80::1%eth0]:80\""),
            ("[ff02::1]:80", "the address of a group"),
            ("224.0.0.1:80", "the address of a group"),
            ("[::ffff:224.0.0.1]:80", "the address of a group"),
            ("255.255.255.255:80", "the address of a group"),
        ] {
            let problem = canonical(address(written)).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn addresses_overlap_within_their_family() {
        for (one, other, frontends, admin) in [
            ("0.0.0.0:80", "127.0.0.1:80", true, true),
            ("127.0.0.1:80", "127.0.0.1:80", true, true),
            ("127.0.0.2:80", "127.0.0.1:80", false, false),
            ("0.0.0.0:80", "127.0.0.1:81", false, false),
            ("0.0.0.0:0", "127.0.0.1:0", false, false),
            ("[::]:80", "[::1]:80", true, true),
            ("[::]:80", "0.0.0.0:80", false, true),
            ("[::]:80", "127.0.0.1:80", false, true),
            ("[::1]:80", "0.0.0.0:80", false, false),
            ("[fe80::1%2]:80", "[fe80::1%3]:80", false, false),
        ] {
            let [one, other] = [one, other].map(address);
            assert_eq!(overlap(one, other), frontends, "{one} {other}");
            assert_eq!(overlap(other, one), frontends, "{other} {one}");
            assert_eq!(admin_conflict(one, other), admin, "{one} {other}");
        }
    }
}
