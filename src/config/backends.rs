//! Backends and their servers, from what was written to what is true: the part of `validate` that
//! concerns them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use toml::Spanned;

use super::address::Address;
use super::cookie::hashed_value;
use super::defaults;
use super::discover::{Discover, location, validate_discover};
use super::error::Diagnostics;
use super::field::Field;
use super::health_check::{HealthCheck, validate_health_check};
use super::passive::validate_passive;
use super::problem::{Problem, Span, shorten};
use super::raw::{RawBackend, RawConfig, RawFrontend, RawServer};
use super::read::quoted_key;
use super::resolve::{Resolver, resolve_all, unresolvable};
use super::sticky::{self, validate_sticky};
use super::validate::Check;
use super::{Algorithm, Backend, OnDown, SendProxy, Server};

/// Servers of one backend that were seen, by what must be unique.
#[derive(Default)]
struct Seen<'r> {
    names: HashMap<&'r str, Span>,
    /// By cookie value: name of the server, and the span of its cookie or else of its name.
    cookies: HashMap<String, (&'r str, Span)>,
}

/// Resolves the host names of all servers. One that cannot be resolved is an error. One with several
/// addresses of a family, which may be those of several servers, is worth a warning.
/// Returns the names with their addresses, each once.
pub(super) fn check_server_names(
    out: &mut Diagnostics,
    raw: &RawConfig,
    resolver: Resolver<'_>,
) -> Vec<(String, Vec<IpAddr>)> {
    let servers = raw.backends.iter().filter_map(|b| b.servers.written());
    let servers = servers.flat_map(|servers| servers.get_ref());
    let mut names = Vec::new();
    let mut spans = Vec::new();
    for written in servers.filter_map(|server| server.address.written()) {
        if let Address::Host { host, port } = written.get_ref() {
            names.push((host.as_str(), *port));
            spans.push(written.span());
        }
    }
    let answers = resolve_all(&names, resolver);
    let mut found: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for ((answer, (host, _)), span) in answers.into_iter().zip(names).zip(spans) {
        let addresses = match answer {
            Ok(addresses) => addresses,
            Err(error) => {
                out.error(span, unresolvable(host, &error));
                continue;
            }
        };
        let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
        if of_v4 > 1 || addresses.len() - of_v4 > 1 {
            let count = addresses.len();
            let title = format!("`{}` has {count} addresses", shorten(host));
            let cure = "they count as one server, of which one address is used at a time: \
                        if they are several servers, write each with its own address";
            out.warning(span, Problem::new(title, cure));
        }
        if found.iter().all(|(name, _)| name != host) {
            let addresses = addresses.iter().map(SocketAddr::ip).collect();
            found.push((host.to_owned(), addresses));
        }
    }
    found
}

impl Check<'_, '_> {
    pub fn backend(&mut self, raw: &RawBackend) -> Option<Backend> {
        let location = format!("[backend.{}]", quoted_key(&raw.name));
        let health_check = match raw.health_check.written() {
            Some(written) => Some(validate_health_check(self.out, written.get_ref())),
            None => None,
        };
        let sticky = match raw.sticky.written() {
            Some(written) => Some(validate_sticky(self.out, written.get_ref(), &location)),
            None => None,
        };
        let discover = match raw.discover.written() {
            Some(written) => Some(validate_discover(self.out, written.get_ref(), &location)),
            None => None,
        };
        let written = match (&raw.servers, &raw.discover) {
            (Field::Absent, Field::Written(_) | Field::Invalid) => &[][..],
            (servers, _) => {
                let example = "[{ name = \"s1\", address = \"10.0.0.11:8080\" }]";
                let written = self.required(servers, &raw.span, "servers", &location, example)?;
                written.get_ref()
            }
        };
        let mut seen = Seen::default();
        let servers: Vec<_> = written
            .iter()
            .map(|server| self.server(server, &mut seen, &location))
            .collect();
        if matches!(raw.sticky, Field::Absent) {
            self.cookies_without_use(written, &location);
        }
        if let Some(Some(discover)) = &discover {
            self.servers_beside(discover, raw, &location);
        }
        if let Some(check) = &health_check {
            self.names_to_verify(check, raw, &location);
            self.ports_to_check(raw);
        }
        Some(Backend {
            name: raw.name.clone(),
            balance: *raw.balance.get().unwrap_or(&Algorithm::RoundRobin),
            slow_start: raw.slow_start.get().copied(),
            on_down: *raw.on_down.get().unwrap_or(&OnDown::Keep),
            send_proxy: *raw.send_proxy.get().unwrap_or(&SendProxy::Off),
            source: raw.source.get().cloned().unwrap_or_default(),
            health_check,
            passive: raw.passive.get().map(validate_passive),
            sticky: match sticky {
                Some(sticky) => Some(sticky?),
                None => None,
            },
            discover: match discover {
                Some(discover) => Some(discover?),
                None => None,
            },
            servers: servers.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Makes sure that each server has a name to verify its certificate by.
    fn names_to_verify(&mut self, check: &HealthCheck, raw: &RawBackend, backend: &str) {
        let tls = check.tls.as_ref();
        if !tls.is_some_and(|tls| tls.verify.is_some() && tls.sni.is_none()) {
            return;
        }
        let Some(written) = raw.health_check.get().and_then(|raw| raw.tls.written()) else {
            return;
        };
        if !matches!(written.get_ref().sni, Field::Absent) {
            return;
        }
        let mut addresses = raw.servers.get().into_iter().flatten();
        let address = addresses.find_map(|server| match server.address.get()? {
            address @ (Address::Ip(_) | Address::Unix(_)) => Some(address),
            Address::Host { .. } => None,
        });
        let nameless = match (address, &raw.discover) {
            (Some(address), _) => format!("`{address}`"),
            (None, Field::Written(_)) => format!("a server that {} finds", location(backend)),
            (None, Field::Absent | Field::Invalid) => return,
        };
        let title = format!("no name to verify the certificate of {nameless} by");
        let cure = "add sni = \"NAME\", a name that the certificates have, or write verify = false";
        self.out.error(written.span(), Problem::new(title, cure));
    }

    /// Makes sure that a check with a port of its own has servers with ports.
    fn ports_to_check(&mut self, raw: &RawBackend) {
        let check = raw.health_check.get();
        let Some(port) = check.and_then(|check| check.port.written()) else {
            return;
        };
        let mut addresses = raw.servers.get().into_iter().flatten();
        let unix = addresses.find_map(|server| match server.address.get()? {
            address @ Address::Unix(_) => Some(address),
            Address::Ip(_) | Address::Host { .. } => None,
        });
        if let Some(address) = unix {
            let title = format!("`{address}` has no ports, of which one could be checked");
            let cure = "remove `port`: the check connects to the socket itself";
            self.out.error(port.span(), Problem::new(title, cure));
        }
    }

    /// Makes sure that written and discovered servers together are not too many.
    fn servers_beside(&mut self, discover: &Discover, raw: &RawBackend, backend: &str) {
        let written = raw.servers.get().map_or(0, Vec::len);
        let discovered = discover.servers_max as usize;
        if written + discovered <= defaults::SERVERS_MAX {
            return;
        }
        let span = match raw.discover.get() {
            Some(raw) => raw
                .servers_max
                .written()
                .map_or_else(|| raw.span.clone(), Spanned::span),
            None => return,
        };
        let title = format!(
            "{written} servers in {backend} and up to {discovered} that {} finds",
            location(backend)
        );
        let cure = format!(
            "a backend may have at most {}: set a lower `max_servers`",
            defaults::SERVERS_MAX
        );
        self.out.error(span, Problem::new(title, cure));
    }

    fn server<'r>(
        &mut self,
        raw: &'r RawServer,
        seen: &mut Seen<'r>,
        backend: &str,
    ) -> Option<Server> {
        let location = format!("a server of {backend}");
        let name = self.required(&raw.name, &raw.span, "name", &location, "\"s1\"");
        let cookie = match (raw.cookie.get(), name) {
            (Some(written), _) => written.clone(),
            (None, Some(name)) => hashed_value(name.get_ref()),
            (None, None) => String::new(),
        };
        // Of two with the same name it is enough to say that.
        if let Some(name) = name
            && self.unique_name(name, &mut seen.names, backend)
            && !matches!(raw.cookie, Field::Invalid)
        {
            let span = raw
                .cookie
                .written()
                .map_or_else(|| name.span(), Spanned::span);
            self.unique_cookie(&cookie, (name.get_ref(), span), &mut seen.cookies, backend);
        }
        let example = "\"10.0.0.11:8080\"";
        let address = self.required(&raw.address, &raw.span, "address", &location, example);
        Some(Server {
            name: name?.get_ref().clone(),
            address: address?.get_ref().clone(),
            weight: *raw.weight.get().unwrap_or(&defaults::WEIGHT),
            sessions_max: raw.sessions_max.get().copied(),
            backup: *raw.backup.get().unwrap_or(&false),
            cookie,
        })
    }

    /// Makes sure that a name of a server is the only one in its backend.
    fn unique_name<'r>(
        &mut self,
        name: &'r Spanned<String>,
        names: &mut HashMap<&'r str, Span>,
        backend: &str,
    ) -> bool {
        let Some(first) = names.get(name.get_ref().as_str()) else {
            names.insert(name.get_ref(), name.span());
            return true;
        };
        let location = self.lines.location(first);
        let cure = format!("first at {location}: give one of them another name");
        let title = format!("two servers named `{}` in {backend}", name.get_ref());
        self.out.error(name.span(), Problem::new(title, cure));
        false
    }

    /// Makes sure that a value of a cookie names one server of its backend, given by its name and
    /// the span of the value.
    fn unique_cookie<'r>(
        &mut self,
        cookie: &str,
        (name, span): (&'r str, Span),
        cookies: &mut HashMap<String, (&'r str, Span)>,
        backend: &str,
    ) {
        let Some((first, first_span)) = cookies.get(cookie) else {
            cookies.insert(cookie.to_owned(), (name, span));
            return;
        };
        let title =
            format!("servers `{first}` and `{name}` of {backend} have the same cookie `{cookie}`");
        let location = self.lines.location(first_span);
        let cure = format!("first at {location}: give one of them another `cookie`");
        self.out.error(span, Problem::new(title, cure));
    }

    /// Warns of values of a cookie that nobody sets.
    fn cookies_without_use(&mut self, servers: &[RawServer], backend: &str) {
        for cookie in servers.iter().filter_map(|s| s.cookie.written()) {
            let title = format!("this `cookie` has no effect: {backend} is not sticky");
            let cure = format!("add a section {}, or remove it", sticky::location(backend));
            let problem = Problem::new(title, cure);
            self.out.warning(cookie.span(), problem);
        }
    }

    /// Warns of backends that no frontend names, unless a frontend may have meant to.
    pub fn unused_backends(&mut self) {
        let all: HashSet<&str> = self.raw.backends.iter().map(|b| b.name.as_str()).collect();
        let known = |field: &Field<String>| Some(*all.get(field.get()?.as_str())?);
        let named = self.raw.frontends.iter().flat_map(RawFrontend::backends);
        let named: Option<HashSet<&str>> = named.map(known).collect();
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return;
        };
        let backends = self.raw.backends.iter();
        for backend in backends.filter(|b| !named.contains(b.name.as_str())) {
            let title = format!("no frontend uses [backend.{}]", quoted_key(&backend.name));
            let problem = Problem::new(title, "name it in a frontend, or remove it");
            self.out.warning(backend.span.clone(), problem);
        }
    }
}
