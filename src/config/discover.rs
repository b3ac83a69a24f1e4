//! Section `[backend.NAME.discover]`, from what was written to what is true.
//!
//! Its keys belong together, so its checks and its part of the configuration are here; `read` and
//! `backends` call them. Nothing is asked of a name server here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::{Address, is_host, parse_server};
use super::choice::word;
use super::cookie::hashed_value;
use super::defaults;
use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten, subsection};
use super::server::Server;

/// From the end of a query to the next one: Docker's and Swarm's tables change within a second.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// More often is a load of its own; more seldom is not worth asking.
pub(super) const INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);

/// One query; Docker's resolver waits for others for up to 12 seconds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Shorter than a network needs, or longer than anybody waits.
pub(super) const TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// Discovered servers of a backend.
pub(super) const SERVERS: u32 = 1000;

/// An answer cannot have more: 64 KiB hold 4,094 addresses of IPv4 and 2,340 of IPv6.
pub(super) const SERVERS_BOUNDS: RangeInclusive<u32> = 1..=10_000;

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// How the servers of a backend are discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// What is asked for.
    pub query: DiscoverQuery,
    /// From the end of a query to the next one.
    pub interval: Duration,
    /// How long one query may take.
    pub timeout: Duration,
    /// Who is asked, one after the other; empty: `/etc/hosts`, then those of `/etc/resolv.conf`.
    pub resolvers: Vec<SocketAddr>,
    /// Which addresses are asked for.
    pub family: Family,
    /// Discovered servers at most, 1..=10,000.
    pub servers_max: u32,
    /// What an empty answer means.
    pub on_empty: OnEmpty,
    /// Weight of each discovered server, 0..=256; `None`: 1, or that of the SRV record.
    pub weight: Option<u16>,
    /// Sessions of each discovered server over all workers, at least 1; `None`: unlimited.
    pub sessions_max: Option<u32>,
    /// Whether discovered servers are used only when no other server can be.
    pub backup: bool,
}

/// What name servers are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoverQuery {
    /// The addresses of a name; all servers have this port.
    Addresses {
        /// A host name.
        name: String,
        /// Never 0.
        port: u16,
    },
    /// The SRV records of a name, which have names and ports of servers.
    Services {
        /// A name such as `_http._tcp.web.service.consul`.
        name: String,
    },
}

impl DiscoverQuery {
    /// The name that is asked for.
    pub fn name(&self) -> &str {
        match self {
            DiscoverQuery::Addresses { name, .. } | DiscoverQuery::Services { name } => name,
        }
    }
}

impl fmt::Display for DiscoverQuery {
    /// As its key has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiscoverQuery::Addresses { name, port } => write!(f, "{name}:{port}"),
            DiscoverQuery::Services { name } => f.write_str(name),
        }
    }
}

impl Discover {
    /// This query, and everything else by default.
    pub(super) fn by(query: DiscoverQuery) -> Self {
        Discover {
            query,
            interval: INTERVAL,
            timeout: TIMEOUT,
            resolvers: Vec::new(),
            family: Family::Any,
            servers_max: SERVERS,
            on_empty: OnEmpty::Keep,
            weight: None,
            sessions_max: None,
            backup: false,
        }
    }

    /// The server that was discovered at an address: it is named by the address, and its cookie is
    /// the hash of that name. `weight` is that of its SRV record, if it has one; a weight that was
    /// written wins.
    pub fn server(&self, address: SocketAddr, weight: Option<u16>) -> Server {
        let name = address.to_string();
        Server {
            cookie: hashed_value(&name),
            name,
            address: Address::Ip(address),
            weight: self.weight.or(weight).unwrap_or(defaults::WEIGHT),
            sessions_max: self.sessions_max,
            backup: self.backup,
        }
    }
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Those of IPv4 and of IPv6.
    Any,
    /// Only those of IPv4.
    Ipv4,
    /// Only those of IPv6.
    Ipv6,
}

impl Family {
    /// The names in the configuration.
    pub const NAMES: &[(&str, Family)] = &[
        ("any", Family::Any),
        ("ipv4", Family::Ipv4),
        ("ipv6", Family::Ipv6),
    ];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(Family::NAMES, *self))
    }
}

/// What an empty answer means, or that there is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEmpty {
    /// A failure: the servers stay.
    Keep,
    /// There are no servers.
    Drop,
}

impl OnEmpty {
    /// The names in the configuration.
    pub const NAMES: &[(&str, OnEmpty)] = &[("keep", OnEmpty::Keep), ("drop", OnEmpty::Drop)];
}

impl fmt::Display for OnEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(OnEmpty::NAMES, *self))
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawDiscover {
    /// Where the section begins.
    pub span: Span,
    pub dns: Field<DiscoverQuery>,
    pub srv: Field<DiscoverQuery>,
    pub interval: Field<Duration>,
    pub timeout: Field<Duration>,
    pub resolvers: Field<Vec<SocketAddr>>,
    pub family: Field<Family>,
    pub servers_max: Field<u32>,
    pub on_empty: Field<OnEmpty>,
    pub weight: Field<u16>,
    pub sessions_max: Field<u32>,
    pub backup: Field<bool>,
}

/// Checks what concerns more than one value, and fills in the defaults; `None` without exactly one
/// of `dns` and `srv`. `backend` is how messages call the one that it belongs to.
pub(super) fn validate_discover(
    out: &mut Diagnostics,
    raw: &RawDiscover,
    backend: &str,
) -> Option<Discover> {
    let query = match (&raw.dns, &raw.srv) {
        (Field::Absent, Field::Absent) => {
            let title = format!("missing key `dns` or `srv` in {}", location(backend));
            let cure = "add dns = \"tasks.web:8080\"";
            out.error(raw.span.clone(), Problem::new(title, cure));
            return None;
        }
        (Field::Absent, srv) => srv.get()?,
        (dns, Field::Absent) => dns.get()?,
        (dns, srv) => {
            let written = srv.written().or(dns.written())?;
            let title = format!("both `dns` and `srv` in {}", location(backend));
            let cure = "remove one of them";
            out.error(written.span(), Problem::new(title, cure));
            return None;
        }
    };
    let default = Discover::by(query.clone());
    Some(Discover {
        interval: *raw.interval.get().unwrap_or(&default.interval),
        timeout: *raw.timeout.get().unwrap_or(&default.timeout),
        resolvers: raw.resolvers.get().cloned().unwrap_or_default(),
        family: *raw.family.get().unwrap_or(&default.family),
        servers_max: *raw.servers_max.get().unwrap_or(&default.servers_max),
        on_empty: *raw.on_empty.get().unwrap_or(&default.on_empty),
        weight: raw.weight.get().copied(),
        sessions_max: raw.sessions_max.get().copied(),
        backup: *raw.backup.get().unwrap_or(&default.backup),
        query: default.query,
    })
}

pub(super) fn location(backend: &str) -> String {
    subsection(backend, "discover")
}

/// Reads the value of `dns`, a host name with a port.
pub(super) fn parse_dns(text: &str) -> Result<DiscoverQuery, Problem> {
    match parse_server(text)? {
        Address::Host { host, port } if is_host(&host) => {
            Ok(DiscoverQuery::Addresses { name: host, port })
        }
        // An address, or one with the name of an interface.
        Address::Ip(_) | Address::Host { .. } | Address::Unix(_) => Err(Problem::new(
            format!("`{}` is an address, not a name", shorten(text)),
            "write it as the address of a server in `servers`",
        )),
    }
}

/// Reads the value of `srv`, a name alone.
pub(super) fn parse_srv(text: &str) -> Result<DiscoverQuery, Problem> {
    if is_host(text) {
        let name = text.to_owned();
        return Ok(DiscoverQuery::Services { name });
    }
    let cure = match text.rsplit_once(':') {
        Some((name, port)) if is_host(name) && port.bytes().all(|b| b.is_ascii_digit()) => {
            format!(
                "SRV records have ports of their own: write \"{}\"",
                shorten(name)
            )
        }
        _ => "write the name of a service, such as \"_http._tcp.web.service.consul\"".to_owned(),
    };
    let title = format!("invalid name of a service `{}`", shorten(text));
    Err(Problem::new(title, cure))
}

/// Reads an entry of `resolvers`, an IP address with or without a port.
pub(super) fn parse_resolver(text: &str) -> Result<SocketAddr, Problem> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DNS_PORT));
    }
    let cure = match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => return Ok(address),
        Ok(_) => "a name server cannot have port 0: write its port, such as 53",
        Err(_) => "write the IP address of a name server, such as \"127.0.0.11:53\"",
    };
    let title = format!("invalid name server `{}`", shorten(text));
    Err(Problem::new(title, cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let addresses = |name: &str, port| {
            let name = name.to_owned();
            Ok(DiscoverQuery::Addresses { name, port })
        };
        assert_eq!(parse_dns("tasks.web:8080"), addresses("tasks.web", 8080));
        assert_eq!(parse_dns("my_app.:1"), addresses("my_app.", 1));
        let name = "_http._tcp.web.service.consul".to_owned();
        assert_eq!(parse_srv(&name), Ok(DiscoverQuery::Services { name }));
        for (text, port) in [
            ("127.0.0.11", 53),
            ("127.0.0.11:5353", 5353),
            ("::1", 53),
            ("[::1]", 53),
            ("[::1]:5353", 5353),
        ] {
            assert_eq!(parse_resolver(text).unwrap().port(), port, "{text}");
        }
    }

    #[test]
    fn wrong_queries_tell_the_cure() {
        let cases = [
            (
                parse_dns("10.0.0.1:80").unwrap_err(),
                "`10.0.0.1:80` is an address, not a name: write it as the address of a server in `servers`",
            ),
            (
                parse_dns("[fe80::1%eth0]:80").unwrap_err(),
                "`[fe80::1%eth0]:80` is an address, not a name: write it as the address of a server in `servers`",
            ),
            (
                parse_dns("web").unwrap_err(),
                "address without a port: `web`: write the port after it, such as \"web:80\"",
            ),
            (
                parse_srv("_http._tcp.web:80").unwrap_err(),
                "invalid name of a service `_http._tcp.web:80`: SRV records have ports of their own: write \"_http._tcp.web\"",
            ),
            (
                parse_srv("a b").unwrap_err(),
                "invalid name of a service `a b`: write the name of a service, such as \"_http._tcp.web.service.consul\"",
            ),
            (
                parse_resolver("ns1:53").unwrap_err(),
                "invalid name server `ns1:53`: write the IP address of a name server, such as \"127.0.0.11:53\"",
            ),
            (
                parse_resolver("10.0.0.1:0").unwrap_err(),
                "invalid name server `10.0.0.1:0`: a name server cannot have port 0: write its port, such as 53",
            ),
        ];
        for (problem, expected) in cases {
            assert_eq!(problem.to_string(), expected);
        }
    }

    #[test]
    fn a_discovered_server_is_named_by_its_address() {
        let query = parse_dns("web:8080").unwrap();
        let mut discover = Discover::by(query);
        discover.sessions_max = Some(7);
        let server = discover.server("[fd00::4]:8080".parse().unwrap(), None);
        assert_eq!(server.name, "[fd00::4]:8080");
        assert_eq!(server.cookie, hashed_value("[fd00::4]:8080"));
        assert_eq!((server.weight, server.sessions_max), (1, Some(7)));
        let address = "10.0.3.4:8080".parse().unwrap();
        assert_eq!(discover.server(address, Some(40)).weight, 40);
        discover.weight = Some(0);
        let server = discover.server(address, Some(40));
        assert_eq!((server.weight, &*server.name), (0, "10.0.3.4:8080"));
    }

    #[test]
    fn every_choice_has_a_word() {
        for family in [Family::Any, Family::Ipv4, Family::Ipv6] {
            assert!(Family::NAMES.contains(&(family.to_string().as_str(), family)));
        }
        for on_empty in [OnEmpty::Keep, OnEmpty::Drop] {
            assert!(OnEmpty::NAMES.contains(&(on_empty.to_string().as_str(), on_empty)));
        }
    }
}
