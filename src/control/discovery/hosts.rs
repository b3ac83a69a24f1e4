//! `/etc/hosts`: addresses that this host gives to names itself (hosts(5)), and `localhost`, which needs no entry
//! (RFC 6761, section 6.3).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::key;

/// Addresses of `localhost` and of the names below it, unless the file has others.
const LOCALHOST: &[IpAddr] = &[
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
];

/// The names of a file, with their addresses in the order of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads the text of the file; lines that are wrong are left out.
    pub fn parse(text: &str) -> Self {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            for name in words {
                let addresses = names.entry(key(name)).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Hosts(names)
    }

    /// The addresses of a name; empty: name servers have to be asked.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        let key = key(name);
        match self.0.get(&key) {
            Some(addresses) => addresses,
            None if key == "localhost" || key.ends_with(".localhost") => LOCALHOST,
            None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_needs_no_entry() {
        let shown = |hosts: &Hosts, name: &str| -> Vec<String> {
            let addresses = hosts.addresses(name).iter();
            addresses.map(ToString::to_string).collect()
        };
        let none = Hosts::default();
        for name in ["localhost", "LocalHost.", "app.localhost"] {
            assert_eq!(shown(&none, name), ["::1", "127.0.0.1"]);
        }
        assert!(shown(&none, "mylocalhost").is_empty());
        let hosts = Hosts::parse("127.0.0.1 localhost\n");
        assert_eq!(shown(&hosts, "localhost"), ["127.0.0.1"]);
    }

    #[test]
    fn names_have_the_addresses_of_all_their_lines() {
        let hosts = Hosts::parse(
            "127.0.0.1\tlocalhost # this host\n\
             # 10.0.0.9 app\n\
             10.0.0.1 app App.example. web\n\
             fd00::1 app\n\
             10.0.0.1 app\n\
             fe80::1%eth0 zone\n\
             nonsense app\n",
        );
        let found = |name: &str| -> Vec<String> {
            let addresses = hosts.addresses(name).iter();
            addresses.map(ToString::to_string).collect()
        };
        assert_eq!(found("app"), ["10.0.0.1", "fd00::1"]);
        assert_eq!(found("APP.example"), ["10.0.0.1"]);
        assert_eq!(found("web."), ["10.0.0.1"]);
        assert!(found("zone").is_empty() && found("db").is_empty() && found("").is_empty());
    }
}
