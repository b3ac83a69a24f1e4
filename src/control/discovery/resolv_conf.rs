//! `/etc/resolv.conf`: which name servers are asked, and for which names in their turn
//! (resolv.conf(5)).
//!
//! `timeout`, `attempts` and `rotate` are not looked at: our limits are our own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The port of name servers.
const PORT: u16 = 53;

/// As in glibc (MAXNS).
const NAME_SERVERS_MAX: usize = 3;

/// glibc and musl bound the length instead; this is far beyond use.
const SEARCH_MAX: usize = 32;

/// As in glibc (RES_MAXNDOTS).
const NDOTS_MAX: usize = 15;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// At least one.
    pub name_servers: Vec<SocketAddr>,
    /// What is put behind a name, in order.
    search: Vec<String>,
    /// A name with fewer dots than this is first looked for in the domains of `search`.
    ndots: usize,
}

impl Default for ResolvConf {
    /// What holds without the file: a name server on this host.
    fn default() -> Self {
        ResolvConf {
            name_servers: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)],
            search: Vec::new(),
            ndots: 1,
        }
    }
}

impl ResolvConf {
    /// Reads the text of the file; what is wrong or not known is left out. `zone` gives the number of a
    /// network interface.
    pub fn parse(text: &str, zone: impl Fn(&str) -> Option<u32>) -> Self {
        let mut found = ResolvConf {
            name_servers: Vec::new(),
            ..ResolvConf::default()
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| name_server(word, &zone));
                    found.name_servers.extend(address);
                }
                // Of both, the last line counts.
                Some("domain") => found.search = domains(words.take(1)),
                Some("search") => found.search = domains(words),
                Some("options") => {
                    for option in words {
                        let ndots = option.strip_prefix("ndots:").map(str::parse::<usize>);
                        if let Some(Ok(ndots)) = ndots {
                            found.ndots = ndots.min(NDOTS_MAX);
                        }
                    }
                }
                Some(_) | None => {}
            }
        }
        found.name_servers.truncate(NAME_SERVERS_MAX);
        if found.name_servers.is_empty() {
            found.name_servers = ResolvConf::default().name_servers;
        }
        found
    }

    /// The names to ask for in order, until one exists.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut candidates: Vec<String> = (self.search.iter())
            .map(|domain| format!("{name}.{domain}"))
            .collect();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let place = if dots >= self.ndots {
            0
        } else {
            candidates.len()
        };
        candidates.insert(place, name.to_owned());
        candidates
    }
}

/// Domains of a line. The root, which some write for "none", adds nothing to a name.
fn domains<'w>(words: impl Iterator<Item = &'w str>) -> Vec<String> {
    let domains = words.map(|word| word.trim_matches('.').to_owned());
    let domains = domains.filter(|domain| !domain.is_empty());
    domains.take(SEARCH_MAX).collect()
}

fn name_server(word: &str, zone: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Some((ip, name)) = word.split_once('%') {
        let ip: Ipv6Addr = ip.parse().ok()?;
        let scope = name.parse().ok().or_else(|| zone(name))?;
        return Some(SocketAddrV6::new(ip, PORT, 0, scope).into());
    }
    let ip: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(ip, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text, |name| (name == "eth0").then_some(7))
    }

    #[test]
    fn lines_are_read_as_the_system_reads_them() {
        let found = parse(
            "# a comment\n\
             nameserver 127.0.0.11\n\
             nameserver\tfe80::1%eth0 ; another\n\
             nameserver fe80::2%nosuch\n\
             nameserver nonsense\n\
             nameserver fe80::3%9\n\
             nameserver 10.0.0.1\n\
             domain one.example\n\
             search Corp.example. b.example .\n\
             options edns0 ndots:0 trust-ad\n",
        );
        let servers: Vec<_> = found.name_servers.iter().map(ToString::to_string).collect();
        let expected = ["127.0.0.11:53", "[fe80::1%7]:53", "[fe80::3%9]:53"];
        assert_eq!(servers, expected);
        assert_eq!(found.search, ["Corp.example", "b.example"]);
        assert_eq!(found.ndots, 0);
        assert_eq!(parse("options ndots:99\n").ndots, NDOTS_MAX);
        assert_eq!(parse("search a\ndomain b c\n").search, ["b"]);
        assert_eq!(parse("nonsense"), ResolvConf::default());
    }

    #[test]
    fn the_number_of_dots_decides_what_is_asked_first() {
        let with = |ndots: usize| parse(&format!("search a.x b.x\noptions ndots:{ndots}\n"));
        assert_eq!(with(1).candidates("web"), ["web.a.x", "web.b.x", "web"]);
        assert_eq!(with(0).candidates("web"), ["web", "web.a.x", "web.b.x"]);
        let asked = with(1).candidates("tasks.web");
        assert_eq!(asked, ["tasks.web", "tasks.web.a.x", "tasks.web.b.x"]);
        let asked = with(5).candidates("tasks.web");
        assert_eq!(asked, ["tasks.web.a.x", "tasks.web.b.x", "tasks.web"]);
        assert_eq!(with(5).candidates("web."), ["web."]);
        assert_eq!(ResolvConf::default().candidates("web"), ["web"]);
    }
}
