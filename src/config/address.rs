//! Addresses as an operator writes them: `IP:port`, `[IPv6]:port`, `host:port`, `unix:/path`, and for
//! listeners `fd:N` and `systemd:NAME`.
//!
//! Pure text to value; `resolve` asks for the addresses of host names later.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::problem::{Problem, shorten};

/// An address for the admin listener.
const ADMIN_EXAMPLE: &str = "127.0.0.1:8404";

/// Begins the path of a Unix socket.
const UNIX: &str = "unix:";

/// Bytes of the path of a Unix socket, without the final zero (unix(7), `sun_path`).
const UNIX_PATH_MAX: usize = 107;

/// What to write for the admin listener.
const ADMIN_CURE: &str = "write an address on loopback, such as \"127.0.0.1:8404\"";

/// An address of a server or to listen on, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Known without asking anyone.
    Ip(SocketAddr),
    /// To be resolved.
    Host {
        /// A host name.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A Unix stream socket: its absolute path.
    Unix(Arc<Path>),
}

impl Address {
    /// Its port; a Unix socket has none.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Ip(address) => Some(address.port()),
            Address::Host { port, .. } => Some(*port),
            Address::Unix(_) => None,
        }
    }

    /// The IP address, if it is known without asking anyone.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(address) => Some(*address),
            Address::Host { .. } | Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Host { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// One entry of `listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawListen {
    Address(Address),
    Descriptor(i32),
    Systemd(String),
    Unix(Arc<Path>),
}

/// Reads an entry of `listen`; port 0 lets the kernel choose.
pub(super) fn parse_listen(text: &str) -> Result<RawListen, Problem> {
    if let Some(number) = text.strip_prefix("fd:") {
        return parse_descriptor(number);
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        return parse_systemd(name);
    }
    if let Some(path) = text.strip_prefix(UNIX) {
        return parse_unix(path).map(RawListen::Unix);
    }
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:"))
        && let Ok(port) = port.parse::<u16>()
    {
        return Err(Problem::new(
            format!("address without a host: `{text}`"),
            format!("write \"0.0.0.0:{port}\" for IPv4 or \"[::]:{port}\" for IPv6"),
        ));
    }
    parse(text, "0.0.0.0:80").map(RawListen::Address)
}

/// Reads where the admin listener listens; port 0 lets the kernel choose.
pub(super) fn parse_admin(text: &str) -> Result<Address, Problem> {
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:"))
        && let Ok(port) = port.parse::<u16>()
    {
        return Err(Problem::new(
            format!("address without a host: `{text}`"),
            format!("write \"127.0.0.1:{port}\""),
        ));
    }
    if text.starts_with("fd:") || text.starts_with("systemd:") {
        return Err(Problem::new(
            format!(
                "the admin listener cannot be inherited: `{}`",
                shorten(text)
            ),
            ADMIN_CURE,
        ));
    }
    if text.starts_with(UNIX) {
        return Err(Problem::new(
            format!("the admin listener has an IP address: `{}`", shorten(text)),
            "write `socket` for its Unix socket",
        ));
    }
    parse(text, ADMIN_EXAMPLE)
}

/// Reads the address of a server; its port is never 0.
pub(super) fn parse_server(text: &str) -> Result<Address, Problem> {
    let address = parse(text, "10.0.0.11:8080")?;
    if address.port() == Some(0) {
        return Err(Problem::new(
            "a server cannot have port 0",
            "write the port that the server listens on",
        ));
    }
    Ok(address)
}

/// Descriptors 0 to 2 are the standard streams.
fn parse_descriptor(number: &str) -> Result<RawListen, Problem> {
    match number.parse::<i32>() {
        Ok(descriptor) if descriptor > 2 && number.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok(RawListen::Descriptor(descriptor))
        }
        _ => Err(Problem::new(
            format!("invalid descriptor `{}`", shorten(number)),
            "write the number of an inherited socket, from 3 on, such as \"fd:3\"",
        )),
    }
}

/// systemd allows printable ASCII without colons, at most 255 bytes (sd_listen_fds(3)).
fn parse_systemd(name: &str) -> Result<RawListen, Problem> {
    let valid = |c: char| (' '..='~').contains(&c) && c != ':';
    if name.is_empty() || name.len() > 255 || !name.chars().all(valid) {
        return Err(Problem::new(
            format!("invalid socket name `{}`", shorten(name)),
            "write the FileDescriptorName= of the socket unit, such as \"systemd:web\"",
        ));
    }
    Ok(RawListen::Systemd(name.to_owned()))
}

fn parse(text: &str, example: &str) -> Result<Address, Problem> {
    let invalid = |why: &str| Problem::new(format!("invalid address `{}`", shorten(text)), why);
    if text.is_empty() {
        return Err(Problem::new(
            "empty address",
            format!("write it like \"{example}\""),
        ));
    }
    if text.contains("://") {
        return Err(invalid("write only host and port, without a scheme"));
    }
    if let Some(path) = text.strip_prefix(UNIX) {
        return parse_unix(path).map(Address::Unix);
    }
    if text.starts_with('/') {
        return Err(invalid(&format!(
            "write \"{UNIX}{}\" for a Unix socket",
            shorten(text)
        )));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Ip(address));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Problem::new(
            format!("IPv6 address without brackets or port: `{text}`"),
            format!("write \"[{text}]:PORT\""),
        ));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Err(without_port(text));
    }
    if let Some(with_zone) = parse_zone(text) {
        return with_zone;
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(if is_host(text) {
            without_port(text)
        } else {
            invalid("write host and port")
        });
    };
    if host.contains([':', '[', ']']) {
        return Err(invalid("write IPv6 addresses like \"[2001:db8::1]:80\""));
    }
    let Some(port) = parse_port(port) else {
        return Err(invalid("the port must be a number up to 65535"));
    };
    if !is_host(host) {
        return Err(invalid("this is neither an IP address nor a host name"));
    }
    Ok(Address::Host {
        host: host.to_owned(),
        port,
    })
}

/// Reads the path of a Unix socket.
fn parse_unix(path: &str) -> Result<Arc<Path>, Problem> {
    let invalid = |cure: String| {
        let title = format!("invalid path `{}` of a Unix socket", shorten(path));
        Err(Problem::new(title, cure))
    };
    if !path.starts_with('/') || path.ends_with('/') {
        return invalid(format!(
            "write a whole path, such as \"{UNIX}/run/app/web.sock\""
        ));
    }
    if path.len() > UNIX_PATH_MAX {
        return invalid(format!(
            "the kernel takes at most {UNIX_PATH_MAX} bytes: choose a shorter one"
        ));
    }
    if path.contains(char::is_control) {
        return invalid("remove the control characters".to_owned());
    }
    Ok(Path::new(path).into())
}

/// Reads `[fe80::1%eth0]:80`, which is resolved like a host name: only the system knows the numbers of
/// its interfaces. `None`: it is something else.
fn parse_zone(text: &str) -> Option<Result<Address, Problem>> {
    /// Bytes of the name of an interface, without the final zero (netdevice(7)).
    const ZONE_LEN_MAX: usize = 15;
    let (host, port) = text.strip_prefix('[')?.rsplit_once("]:")?;
    let (ip, zone) = host.split_once('%')?;
    let (ip, port) = (ip.parse::<Ipv6Addr>().ok()?, parse_port(port)?);
    let invalid = |why: &str| {
        let title = format!("invalid address `{}`", shorten(text));
        Some(Err(Problem::new(title, why)))
    };
    if !ip.is_unicast_link_local() {
        return invalid("only a link-local address names a network interface: remove it");
    }
    let valid = |c: char| c.is_ascii_graphic() && !"/%[]:".contains(c);
    if !(1..=ZONE_LEN_MAX).contains(&zone.len()) || !zone.chars().all(valid) {
        return invalid("write the name of a network interface after `%`; see `ip link`");
    }
    let host = host.to_owned();
    Some(Ok(Address::Host { host, port }))
}

fn without_port(text: &str) -> Problem {
    Problem::new(
        format!("address without a port: `{text}`"),
        format!("write the port after it, such as \"{text}:80\""),
    )
}

/// Digits only: `parse` alone would take `+80`.
fn parse_port(text: &str) -> Option<u16> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Whether the system's resolver may be asked for this. A name whose last part is a number is a
/// mistyped IP address, which some resolvers would complete in ways nobody expects.
pub(super) fn is_host(text: &str) -> bool {
    let part = |part: &str| {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&part.len()) && part.chars().all(valid)
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(part) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for text in ["10.0.0.1:80", "[::1]:80", "[fe80::1%2]:80", "0.0.0.0:0"] {
            assert_eq!(parse(text, "").unwrap(), Address::Ip(text.parse().unwrap()));
        }
        for host in [
            "localhost",
            "db-1.example.com",
            "db.example.",
            "my_db",
            "1a.b2",
        ] {
            let expected = Address::Host {
                host: host.to_owned(),
                port: 5432,
            };
            assert_eq!(parse(&format!("{host}:5432"), "").unwrap(), expected);
        }
        let zone = Address::Host {
            host: "fe80::1%eth0.7".to_owned(),
            port: 80,
        };
        assert_eq!(parse("[fe80::1%eth0.7]:80", "").unwrap(), zone);
        assert_eq!(parse_listen("fd:3").unwrap(), RawListen::Descriptor(3));
        let name = RawListen::Systemd("ringway@80.socket".to_owned());
        assert_eq!(parse_listen("systemd:ringway@80.socket").unwrap(), name);
    }

    #[test]
    fn wrong_addresses_tell_the_cure() {
        let cases = [
            ("", "empty address: write it like \"0.0.0.0:80\""),
            (
                ":80",
                "address without a host: `:80`: write \"0.0.0.0:80\" for IPv4 or \"[::]:80\" for IPv6",
            ),
            (
                "*:80",
                "address without a host: `*:80`: write \"0.0.0.0:80\" for IPv4 or \"[::]:80\" for IPv6",
            ),
            (
                "10.0.0.1",
                "address without a port: `10.0.0.1`: write the port after it, such as \"10.0.0.1:80\"",
            ),
            (
                "[::1]",
                "address without a port: `[::1]`: write the port after it, such as \"[::1]:80\"",
            ),
            (
                "web1",
                "address without a port: `web1`: write the port after it, such as \"web1:80\"",
            ),
            (
                "::1",
                "IPv6 address without brackets or port: `::1`: write \"[::1]:PORT\"",
            ),
            (
                "fe80::zz:80",
                "invalid address `fe80::zz:80`: write IPv6 addresses like \"[2001:db8::1]:80\"",
            ),
            (
                "[::1:80",
                "invalid address `[::1:80`: write IPv6 addresses like \"[2001:db8::1]:80\"",
            ),
            (
                "10.0.0.256:80",
                "invalid address `10.0.0.256:80`: this is neither an IP address nor a host name",
            ),
            (
                "10.0.1:80",
                "invalid address `10.0.1:80`: this is neither an IP address nor a host name",
            ),
            (
                "a b:80",
                "invalid address `a b:80`: this is neither an IP address nor a host name",
            ),
            (
                "a..b:80",
                "invalid address `a..b:80`: this is neither an IP address nor a host name",
            ),
            (
                "web1:http",
                "invalid address `web1:http`: the port must be a number up to 65535",
            ),
            (
                "web1:+80",
                "invalid address `web1:+80`: the port must be a number up to 65535",
            ),
            (
                "web1:65536",
                "invalid address `web1:65536`: the port must be a number up to 65535",
            ),
            (
                "tcp://a:80",
                "invalid address `tcp://a:80`: write only host and port, without a scheme",
            ),
            (
                "/run/x.sock",
                "invalid address `/run/x.sock`: write \"unix:/run/x.sock\" for a Unix socket",
            ),
            (
                "[::1%lo]:80",
                "invalid address `[::1%lo]:80`: only a link-local address names a network interface: remove it",
            ),
            (
                "[fe80::1%]:80",
                "invalid address `[fe80::1%]:80`: write the name of a network interface after `%`; see `ip link`",
            ),
            (
                "fd:2",
                "invalid descriptor `2`: write the number of an inherited socket, from 3 on, such as \"fd:3\"",
            ),
            (
                "fd:+3",
                "invalid descriptor `+3`: write the number of an inherited socket, from 3 on, such as \"fd:3\"",
            ),
            (
                "systemd:",
                "invalid socket name ``: write the FileDescriptorName= of the socket unit, such as \"systemd:web\"",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse_listen(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
        for text in ["10.0.0.1:0", "web1:0"] {
            assert!(
                parse_server(text).unwrap_err().title.contains("port 0"),
                "{text}"
            );
        }
    }
}
