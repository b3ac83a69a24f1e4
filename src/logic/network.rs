//! Networks of IP addresses, and sets of them in which an address is found fast.
//!
//! IPv4 addresses that are mapped into IPv6 (RFC 4291, 2.5.5.2) count as IPv4.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

/// An address or a network of them, as `10.0.0.0/8`. The bits behind its prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    Address,
    /// What stands behind the slash is no number of bits of such an address.
    Prefix {
        /// The most that it may be: 32 or 128.
        max: u8,
    },
    /// The address has bits behind its prefix.
    HostBits(Network),
}

impl Network {
    /// Reads an address, or an address, a slash and the length of the prefix in bits.
    ///
    /// # Errors
    ///
    /// The text is something else, or the address has bits behind its prefix.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let max = bits(address);
        let prefix = match prefix {
            None => max,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .ok()
                .filter(|prefix| *prefix <= max)
                .ok_or(NetworkError::Prefix { max })?,
            Some(_) => return Err(NetworkError::Prefix { max }),
        };
        let network = Network::new(address, prefix);
        if address.to_canonical() == network.address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits(network))
        }
    }

    /// The network of this address with a prefix of so many bits, at most those that the address has.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        /// Bits before an IPv4 address that is mapped into IPv6.
        const MAPPED: u8 = 96;
        let prefix = prefix.min(bits(address));
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= MAPPED => {
                (IpAddr::V4(mapped), prefix - MAPPED)
            }
            (address, _) => (address, prefix),
        };
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Network { address, prefix }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Whether it has every address of its family.
    pub fn is_everything(self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.address) {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A set of networks. An address is looked for in time that grows with the logarithm of their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Networks {
    /// Whether one of the networks has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contain(address.to_bits()),
            IpAddr::V6(address) => self.v6.contain(address.to_bits()),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.disjoint.is_empty() && self.v6.disjoint.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Network { address, prefix } in networks {
            match address {
                IpAddr::V4(address) => {
                    let first = address.to_bits();
                    let rest = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
                    v4.push(first..=first | rest);
                }
                IpAddr::V6(address) => {
                    let first = address.to_bits();
                    let rest = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
                    v6.push(first..=first | rest);
                }
            }
        }
        Networks {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        }
    }
}

/// Ranges of addresses, and a tree over them: its nodes are as large as one or a few cache lines, of which a
/// search reads one on each level, and only the lowest levels of a large set are not in the caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges<T> {
    /// First and last addresses, in order.
    disjoint: Vec<(T, T)>,
    /// Levels of the tree, the lowest first: each has the first address of every node below. The highest is one
    /// node.
    levels: Vec<Vec<T>>,
}

/// Entries of a node.
const NODE_LEN: usize = 16;

impl<T: Copy + Ord> Ranges<T> {
    fn new(ranges: Vec<RangeInclusive<T>>) -> Self {
        let disjoint = disjoint(ranges);
        let mut levels: Vec<Vec<T>> = Vec::new();
        let mut below: Vec<T> = disjoint.iter().map(|(first, _)| *first).collect();
        while below.len() > NODE_LEN {
            below = below.iter().step_by(NODE_LEN).copied().collect();
            levels.push(below.clone());
        }
        Ranges { disjoint, levels }
    }

    fn contain(&self, address: T) -> bool {
        let mut node = 0;
        for level in self.levels.iter().rev() {
            let Some(index) = last_up_to(level, node, address, |first| *first) else {
                return false;
            };
            node = index;
        }
        last_up_to(&self.disjoint, node, address, |(first, _)| *first)
            .is_some_and(|index| address <= self.disjoint[index].1)
    }
}

/// The index of the last entry of a node that begins at `address` or before.
fn last_up_to<E, T: Copy + Ord>(
    entries: &[E],
    node: usize,
    address: T,
    first: impl Fn(&E) -> T,
) -> Option<usize> {
    let start = node * NODE_LEN;
    let end = entries.len().min(start + NODE_LEN);
    let begun = entries[start..end].iter();
    // Counting has no branch that depends on the addresses.
    let count = begun.filter(|entry| first(entry) <= address).count();
    (start + count).checked_sub(1).filter(|_| count > 0)
}

/// The same ranges in order, without those that are inside of another. Two networks are never partly
/// the same.
fn disjoint<T: Copy + Ord>(mut ranges: Vec<RangeInclusive<T>>) -> Vec<(T, T)> {
    ranges.sort_by_key(|range| (*range.start(), std::cmp::Reverse(*range.end())));
    let mut kept: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        if kept.last().is_none_or(|(_, end)| *end < *range.end()) {
            kept.push((*range.start(), *range.end()));
        }
    }
    kept
}

/// The same address; one of IPv4 that is mapped into IPv6 as IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => address,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn networks_are_read_and_shown() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1/32", "127.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1/128", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), shown, "{text}");
        }
        let prefix = |max| NetworkError::Prefix { max };
        for (text, error) in [
            ("", NetworkError::Address),
            ("10.0.0/8", NetworkError::Address),
            ("010.0.0.1", NetworkError::Address),
            ("10.0.0.1:80", NetworkError::Address),
            ("host", NetworkError::Address),
            ("10.0.0.0/33", prefix(32)),
            ("10.0.0.0/", prefix(32)),
            ("10.0.0.0/+8", prefix(32)),
            ("::/129", prefix(128)),
            ("::/999", prefix(128)),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text}");
        }
        let error = NetworkError::HostBits(network("10.0.0.0/8"));
        assert_eq!(Network::parse("10.0.0.1/8"), Err(error));
        assert!(network("::/0").is_everything() && !network("0.0.0.0/1").is_everything());
    }

    #[test]
    fn a_set_has_what_one_of_its_networks_has() {
        let texts = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.0.0.0/8",
            "192.168.0.0/31",
            "192.168.0.2",
            "2001:db8::/32",
            "::1",
        ];
        let set: Networks = texts.into_iter().map(network).collect();
        for (address, inside) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.1.2.3", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("192.168.0.1", true),
            ("192.168.0.2", true),
            ("192.168.0.3", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:ffff::", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(set.contains(address.parse().unwrap()), inside, "{address}");
        }
        let all: Networks = [network("0.0.0.0/0")].into_iter().collect();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        assert!(Networks::default().is_empty() && !all.is_empty());
    }

    /// With every shape of the tree: full and partial nodes, one level to three.
    #[test]
    fn a_set_of_any_size_has_its_networks_and_nothing_beside_them() {
        const STEP: u32 = 8;
        for len in (0..=3 * NODE_LEN as u32).chain([255, 256, 257, 4095, 4096, 4097]) {
            let first = |number: u32| Ipv4Addr::from_bits(STEP * (number + 1));
            let set: Networks = (0..len)
                .map(|number| Network::new(first(number).into(), 30))
                .collect();
            for bits in 0..STEP * (len + 2) {
                let (number, offset) = (bits / STEP, bits % STEP);
                let inside = (1..=len).contains(&number) && offset < 4;
                let address = Ipv4Addr::from_bits(bits);
                assert_eq!(set.contains(address.into()), inside, "{address} of {len}");
                let mapped = Ipv6Addr::from_bits(u128::from(bits) << 64);
                assert!(!set.contains(mapped.into()));
            }
            assert!(!set.contains(Ipv4Addr::BROADCAST.into()));
        }
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let address = |text: &str| canonical(text.parse().unwrap()).to_string();
        assert_eq!(address("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
        assert_eq!(address("[::10.0.0.1]:80"), "[::a00:1]:80");
        assert_eq!(address("10.0.0.1:80"), "10.0.0.1:80");
    }
}
