//! The servers of a backend: which are written, and which are found by DNS.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::document::{Table, text};
use super::notes::{Notes, Place};
use super::proxy::Proxy;
use super::server::Server;
use super::source;
use super::values;

/// Servers of a backend.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Those that are written, with their addresses here.
    pub written: Vec<(Server, String)>,
    pub discovered: Option<Discovered>,
}

/// Servers that DNS has.
#[derive(Debug)]
pub(super) struct Discovered {
    pub server: Server,
    /// A name with a port, or a name with SRV records.
    pub query: String,
    pub is_srv: bool,
    /// How many at most.
    pub count: u32,
}

impl Listed {
    /// All servers; those that are discovered count as one.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        let written = self.written.iter().map(|(server, _)| server);
        written.chain(
            self.discovered
                .as_ref()
                .map(|discovered| &discovered.server),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}

/// Parts the servers of a backend; what is left out has a note. `port`: what clients connect to, if that is one.
pub(super) fn list(proxy: &Proxy, port: Option<u16>, place: &Place, notes: &mut Notes) -> Listed {
    let mut listed = Listed::default();
    let mut names = BTreeSet::new();
    for server in &proxy.settings.servers {
        if !source::is_name(&server.name) {
            let what = format!(
                "the name `{}` has other characters than letters, digits, `_`, `.`, `-` and `:`",
                server.name
            );
            notes.wrong(place, &server.directive, what);
        } else if server.template.is_none() && !names.insert(values::name(&server.name)) {
            let what = format!("there is a server `{}` already", server.name);
            notes.wrong(place, &server.directive, what);
        } else if server.options.is_disabled {
            let why = "`disabled`: it is left out; `ringway add` adds a server, `ringway maint` keeps one out";
            notes.differs(place, &server.directive, why);
        } else if server.template.is_some() || is_looked_up(server) {
            discover(&mut listed, server, place, notes);
        } else {
            match address(&server.address, port) {
                Ok(address) => listed.written.push((server.clone(), address)),
                Err(Unusable::Wrong) => {
                    notes.wrong(
                        place,
                        &server.directive,
                        format!("`{}` is no address", server.address),
                    );
                }
                Err(Unusable::Other(why)) => notes.not_translated(place, &server.directive, why),
            }
        }
    }
    listed
}

/// Whether HAProxy asks for its name again and again.
fn is_looked_up(server: &Server) -> bool {
    server.options.resolvers.is_some() && !is_ip(&server.address)
}

fn discover(listed: &mut Listed, server: &Server, place: &Place, notes: &mut Notes) {
    let is_srv = server.address.starts_with('_');
    let query = match is_srv {
        true => server
            .address
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned(),
        false => server.address.clone(),
    };
    if !is_srv && address(&query, None).is_err() {
        let why = "servers that are found by DNS need a port";
        return notes.not_translated(place, &server.directive, why);
    }
    match &mut listed.discovered {
        // As many servers of one name are as many of its addresses.
        Some(found) if found.query == query => found.count += server.template.unwrap_or(1),
        Some(_) => {
            let why =
                "a backend asks DNS for one name: put these servers into a backend of their own";
            notes.not_translated(place, &server.directive, why);
        }
        None => {
            let count = server.template.unwrap_or(1);
            listed.discovered = Some(Discovered {
                server: server.clone(),
                query,
                is_srv,
                count,
            });
        }
    }
}

/// Kinds of addresses that servers do not have here.
const NO_ADDRESSES: &[&str] = &[
    "unix@",
    "abns@",
    "abnsz@",
    "sockpair@",
    "rhttp@",
    "fd@",
    "quic",
    "udp",
];

enum Unusable {
    /// HAProxy would refuse it.
    Wrong,
    /// There is nothing like it here.
    Other(&'static str),
}

/// An address of `server` as we write it.
fn address(written: &str, port: Option<u16>) -> Result<String, Unusable> {
    let path = written.strip_prefix("unix@").unwrap_or(written);
    if path.starts_with('/') {
        return Ok(format!("unix:{path}"));
    }
    if NO_ADDRESSES.iter().any(|kind| written.starts_with(kind)) {
        return Err(Unusable::Other(
            "a server has an address of TCP, or the path of a Unix socket",
        ));
    }
    let bare = match written.split_once('@') {
        Some((_, bare)) => bare,
        None => written,
    };
    let (host, own_port) = match bare.rsplit_once(':') {
        Some((host, port)) if !bare.ends_with(']') => (host, Some(port)),
        Some(_) | None => (bare, None),
    };
    let relative = "its port follows from that of the client: write one server for each port";
    let port = match own_port {
        Some(text) if text.starts_with(['+', '-']) => return Err(Unusable::Other(relative)),
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(Unusable::Wrong)?,
        None => port.ok_or(Unusable::Other(relative))?,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if ["", "*", "0.0.0.0", "::"].contains(&host) {
        return Err(Unusable::Other(
            "a session goes to a server, not to where its client wanted to",
        ));
    }
    match host.contains(':') {
        true => Ok(format!("[{host}]:{port}")),
        false => Ok(format!("{host}:{port}")),
    }
}

/// Whether the address of a server is none of a name.
pub(super) fn is_ip(address: &str) -> bool {
    let bare = address.split_once('@').map_or(address, |(_, bare)| bare);
    let host = match bare.rsplit_once(':') {
        Some((host, _)) if !bare.ends_with(']') => host,
        Some(_) | None => bare,
    };
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
        .is_ok()
}

/// Writes the servers that are listed.
pub(super) fn write(
    table: &mut Table,
    listed: &Listed,
    is_sticky: bool,
    place: &Place,
    notes: &mut Notes,
) {
    if listed.written.is_empty() {
        return;
    }
    let mut cookies = BTreeSet::new();
    let mut lines = Vec::new();
    for (server, address) in &listed.written {
        let options = &server.options;
        let mut fields = vec![format!("name = {}", text(&values::name(&server.name)))];
        fields.push(format!("address = {}", text(address)));
        fields.extend(options.weight.map(|weight| format!("weight = {weight}")));
        fields.extend(
            options
                .sessions_max
                .map(|count| format!("max_sessions = {count}")),
        );
        if options.is_backup {
            fields.push("backup = true".to_owned());
        }
        if let Some(cookie) = options.cookie.as_ref().filter(|_| is_sticky) {
            match cookies.insert(cookie) {
                true => fields.push(format!("cookie = {}", text(cookie))),
                false => {
                    let why =
                        "`cookie`: another server has this value; this one has a hash of its name";
                    notes.differs(place, &server.directive, why);
                }
            }
        }
        lines.push(format!("  {{ {} }},\n", fields.join(", ")));
    }
    table.line("servers", format!("[\n{}]", lines.concat()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_form_are_read() {
        for (written, port, expected) in [
            ("10.0.0.1:80", None, Some("10.0.0.1:80")),
            ("10.0.0.1", Some(80), Some("10.0.0.1:80")),
            ("10.0.0.1", None, None),
            ("web.local:80", None, Some("web.local:80")),
            ("[2001:db8::1]:80", None, Some("[2001:db8::1]:80")),
            ("[2001:db8::1]", Some(80), Some("[2001:db8::1]:80")),
            ("2001:db8::1:80", None, Some("[2001:db8::1]:80")),
            ("ipv6@::1:80", None, Some("[::1]:80")),
            ("10.0.0.1:+100", Some(80), None),
            ("0.0.0.0:80", None, None),
            ("*:80", None, None),
            ("unix@/run/x", None, Some("unix:/run/x")),
            ("/run/x", None, Some("unix:/run/x")),
            ("abns@x", None, None),
            ("10.0.0.1:x", None, None),
            ("10.0.0.1:0", None, None),
        ] {
            assert_eq!(
                address(written, port).ok().as_deref(),
                expected,
                "{written}"
            );
        }
        assert!(is_ip("10.0.0.1:80") && is_ip("[::1]:80") && is_ip("10.0.0.1") && !is_ip("web:80"));
    }
}
