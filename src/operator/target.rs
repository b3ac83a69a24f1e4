//! Where the running process is asked: what the command line says, else what its configuration
//! file says, its socket first.
//!
//! Of the file only `[admin]` is looked at: whoever is in the middle of editing the rest can still
//! act.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::output::Failure;
use crate::cli::Process;
use crate::token::Token;

/// An address of an admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A Unix socket.
    Socket(PathBuf),
    /// `host:port`
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Socket(path) => write!(f, "{}", path.display()),
            Address::Tcp(authority) => write!(f, "http://{authority}"),
        }
    }
}

/// An address, and what opens it.
#[derive(Debug)]
pub(super) struct Target {
    pub address: Address,
    pub token: Option<Token>,
}

/// What is looked at of a configuration file.
#[derive(Debug, Default, Deserialize)]
struct Written {
    admin: Option<Admin>,
}

#[derive(Debug, Default, Deserialize)]
struct Admin {
    listen: Option<String>,
    socket: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl Target {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// Nothing names an address, or a file can't be read.
    pub fn find(process: &Process) -> Result<Self, Failure> {
        let path = &process.file.path;
        let (address, configured_token) = match &process.admin {
            Some(written) => {
                let address =
                    parse(written).map_err(|why| Failure::new(format!("--admin {why}")))?;
                // The token of the file opens what the file names, and is not sent elsewhere.
                let admin = read(path).unwrap_or_default();
                let own = admin.listen.as_deref().map(reachable);
                let token = admin
                    .token_file
                    .filter(|_| own == Some(Ok(address.clone())));
                (address, token)
            }
            None => {
                let admin = read(path).map_err(|why| {
                    Failure::new(format!("{why}; or name the process: --admin SOCKET-OR-URL"))
                })?;
                (configured(&admin, path)?, admin.token_file)
            }
        };
        let token_file = match address {
            // Whoever may use it needs no token.
            Address::Socket(_) => None,
            Address::Tcp(_) => process.token_file.clone().or(configured_token),
        };
        Target::with(address, token_file.as_deref())
    }

    /// One of several nodes, at a socket or URL, with this file's token over TCP.
    ///
    /// # Errors
    ///
    /// It is neither, or the file can't be read.
    pub fn node(written: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        let address = parse(written).map_err(Failure::new)?;
        let token_file = token_file.filter(|_| matches!(address, Address::Tcp(_)));
        Target::with(address, token_file)
    }

    fn with(address: Address, token_file: Option<&Path>) -> Result<Self, Failure> {
        let token = token_file.map(Token::read).transpose();
        Ok(Target {
            address,
            token: token.map_err(Failure::new)?,
        })
    }
}

fn configured(admin: &Admin, path: &Path) -> Result<Address, Failure> {
    match (&admin.socket, &admin.listen) {
        (Some(socket), _) => Ok(Address::Socket(socket.clone())),
        (None, Some(listen)) => reachable(listen).map_err(Failure::new),
        (None, None) => Err(Failure::new(format!(
            "{} has no `socket` in [admin]: add one, or name the process: --admin SOCKET-OR-URL",
            path.display()
        ))),
    }
}

fn read(path: &Path) -> Result<Admin, String> {
    let shown = path.display();
    let text =
        fs::read_to_string(path).map_err(|error| format!("{shown} can't be read: {error}"))?;
    let file: Written = toml::from_str(&text)
        .map_err(|_| format!("{shown} can't be understood: `ringway check -c {shown}` says why"))?;
    Ok(file.admin.unwrap_or_default())
}

/// Where a listener with this address is reached from this host.
fn reachable(listen: &str) -> Result<Address, String> {
    let Ok(mut address) = listen.parse::<SocketAddr>() else {
        return Ok(Address::Tcp(listen.to_owned()));
    };
    if address.port() == 0 {
        let why = "the kernel chose the port of the admin listener: name it with --admin";
        return Err(why.to_owned());
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(Address::Tcp(address.to_string()))
}

/// Reads the address of a process: a path has a slash, and a URL begins with `http://`.
fn parse(written: &str) -> Result<Address, String> {
    if let Some(rest) = written.strip_prefix("http://") {
        let authority = rest.trim_end_matches('/');
        return match authority {
            "" => Err(form(written)),
            _ if authority.contains('/') => Err(form(written)),
            _ if has_port(authority) => Ok(Address::Tcp(authority.to_owned())),
            _ => Ok(Address::Tcp(format!("{authority}:80"))),
        };
    }
    if written.starts_with("https://") {
        return Err(form(written));
    }
    if written.contains('/') {
        return Ok(Address::Socket(written.into()));
    }
    if has_port(written) {
        return Ok(Address::Tcp(written.to_owned()));
    }
    Err(form(written))
}

fn form(written: &str) -> String {
    format!(
        "{written}: the path of a socket or a URL is needed, as in /run/ringway/admin.sock \
         or http://127.0.0.1:8404"
    )
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(host, port)| {
        let whole = !host.contains(':') || host.ends_with(']');
        !host.is_empty() && whole && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::File;

    fn tcp(authority: &str) -> Result<Address, String> {
        Ok(Address::Tcp(authority.to_owned()))
    }

    #[test]
    fn an_address_is_a_socket_or_a_url() {
        assert_eq!(
            parse("/run/a.sock"),
            Ok(Address::Socket("/run/a.sock".into()))
        );
        assert_eq!(parse("./a.sock"), Ok(Address::Socket("./a.sock".into())));
        for (written, authority) in [
            ("http://127.0.0.1:8404", "127.0.0.1:8404"),
            ("http://127.0.0.1:8404/", "127.0.0.1:8404"),
            ("http://lb1", "lb1:80"),
            ("http://[::1]", "[::1]:80"),
            ("http://[::1]:8404", "[::1]:8404"),
            ("lb1:8404", "lb1:8404"),
        ] {
            assert_eq!(parse(written), tcp(authority), "{written}");
        }
        for wrong in [
            "https://lb1:8404",
            "http://lb1/x",
            "http://",
            "lb1",
            "8404",
            "",
        ] {
            let process = Process {
                admin: Some(wrong.to_owned()),
                token_file: None,
                file: File::usual(),
            };
            let why = Target::find(&process).unwrap_err().to_string();
            assert!(why.starts_with(&format!("--admin {wrong}: ")), "{why}");
            let why = Target::node(wrong, None).unwrap_err().to_string();
            assert!(why.starts_with(&format!("{wrong}: ")), "{why}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8404"), tcp("127.0.0.1:8404"));
        assert_eq!(reachable("[::]:8404"), tcp("[::1]:8404"));
        assert_eq!(reachable("10.0.0.5:8404"), tcp("10.0.0.5:8404"));
        assert_eq!(reachable("localhost:8404"), tcp("localhost:8404"));
        assert!(reachable("127.0.0.1:0").unwrap_err().contains("--admin"));
    }

    #[test]
    fn the_socket_of_the_file_comes_first() {
        let path = Path::new("x.toml");
        let found = |text: &str| {
            let file: Written = toml::from_str(text).unwrap();
            configured(&file.admin.unwrap_or_default(), path)
        };
        // What else the file says, right or wrong, does not matter.
        let both = "[admin]\nlisten = \"127.0.0.1:8404\"\nsocket = \"/run/a\"\n[frontend]\nx = 1\n";
        assert_eq!(found(both).unwrap(), Address::Socket("/run/a".into()));
        let one = found("[admin]\nlisten = \"127.0.0.1:8404\"\n").unwrap();
        assert_eq!(Ok(one), tcp("127.0.0.1:8404"));
        let none = found("[global]\n").unwrap_err().to_string();
        assert!(none.contains("no `socket` in [admin]"), "{none}");
    }
}
