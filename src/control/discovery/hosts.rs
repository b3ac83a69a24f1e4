//! `/etc/hosts`: addresses that this host gives to names itself (hosts(5)).

use std::collections::HashMap;
use std::net::IpAddr;

use super::message::key;

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

    /// The addresses of a name; empty: the file does not have it.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.0.get(&key(name)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
