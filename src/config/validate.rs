//! From [`RawConfig`] to [`Config`]: what concerns more than one value.
//!
//! Missing keys, references, duplicates, host names; then the defaults. Called once the whole
//! file was read, and only if its syntax was right: behind a broken line much only seems missing.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use toml::Spanned;

use super::address::{Address, RawListen};
use super::address_list::load_addresses;
use super::admin::{RawAdmin, validate_admin};
use super::defaults;
use super::error::Diagnostics;
use super::field::Field;
use super::http_mode::validate_forwarded_for;
use super::identity::validate_identity;
use super::inherit::SessionValues;
use super::listen::{admin_conflict, admin_path_problem, admin_problem, canonical};
use super::mode::{RawKind, validate_mode};
use super::per_client::validate_per_client;
use super::problem::{Problem, Span, shorten};
use super::proxy::validate_accept_proxy;
use super::raw::{RawBackend, RawConfig, RawFrontend, RawGlobal, RawWorkers};
use super::read::quoted_key;
use super::render::Lines;
use super::resolve::{Resolver, resolve};
use super::suggest::{one_of, suggest};
use super::tls_mode::{RawRoute, validate_conditions};
use super::{Admin, Config, Frontend, Global, Listen, Route};

/// Checks the whole file; `None` after anything was reported that leaves a hole.
pub(super) fn validate(
    out: &mut Diagnostics,
    raw: &RawConfig,
    lines: &Lines<'_>,
    resolver: Resolver<'_>,
) -> Option<Config> {
    let mut check = Check {
        out,
        raw,
        lines,
        resolver,
        listens: HashMap::new(),
        admin_listen: None,
    };
    let admin = raw.admin.as_ref().map(|admin| check.admin(admin));
    let frontends: Vec<_> = raw.frontends.iter().map(|f| check.frontend(f)).collect();
    let backends: Vec<_> = raw.backends.iter().map(|b| check.backend(b)).collect();
    if raw.frontends.is_empty() && !raw.incomplete {
        let cure = "add a section [frontend.NAME] with `listen` and `backend`";
        let problem = Problem::new("no frontend", cure);
        // With an admin listener the process does something, and a reload gives it a frontend.
        match admin {
            Some(_) => check.out.warning(lines.end(), problem),
            None => check.out.error(lines.end(), problem),
        }
    }
    check.unused_backends();
    Some(Config {
        global: global(check.out, &raw.global),
        admin,
        frontends: frontends.into_iter().collect::<Option<_>>()?,
        backends: backends.into_iter().collect::<Option<_>>()?,
    })
}

fn global(out: &mut Diagnostics, raw: &RawGlobal) -> Global {
    let default = Global::default();
    Global {
        workers: match raw.workers.get() {
            Some(RawWorkers::Count(count)) => Some(*count),
            Some(RawWorkers::Auto) | None => None,
        },
        engine: *raw.engine.get().unwrap_or(&default.engine),
        pin: *raw.pin.get().unwrap_or(&default.pin),
        sessions_max: raw.sessions_max.get().copied(),
        clients_max: *raw.clients_max.get().unwrap_or(&default.clients_max),
        shutdown_timeout: *raw
            .shutdown_timeout
            .get()
            .unwrap_or(&default.shutdown_timeout),
        shutdown_grace: *raw.shutdown_grace.get().unwrap_or(&default.shutdown_grace),
        access_log: *raw.access_log.get().unwrap_or(&default.access_log),
        state_file: raw.state_file.get().cloned(),
        identity: validate_identity(out, &raw.identity),
    }
}

/// What the checks share.
pub(super) struct Check<'c, 't> {
    pub out: &'c mut Diagnostics,
    pub raw: &'c RawConfig,
    pub lines: &'c Lines<'t>,
    resolver: Resolver<'c>,
    /// Where each listener was first written.
    listens: HashMap<Listen, Span>,
    /// The address of the admin listener, which is checked first.
    admin_listen: Option<SocketAddr>,
}

impl Check<'_, '_> {
    fn admin(&mut self, raw: &RawAdmin) -> Admin {
        let written = raw.listen.written();
        let listen = match written.and_then(|written| self.listen(written)) {
            Some(Listen::Address(address)) => Some(address),
            Some(Listen::Descriptor(_) | Listen::Systemd(_) | Listen::Unix(_)) | None => None,
        };
        self.admin_listen = listen;
        validate_admin(self.out, raw, listen)
    }

    fn frontend(&mut self, raw: &RawFrontend) -> Option<Frontend> {
        let location = format!("[frontend.{}]", quoted_key(&raw.name));
        let listen = self.required(
            &raw.listen,
            &raw.span,
            "listen",
            &location,
            "[\"0.0.0.0:80\"]",
        );
        // All are checked before the first wrong one ends it.
        let listen: Option<Vec<_>> = listen.and_then(|written| {
            let checked: Vec<_> = written.get_ref().iter().map(|l| self.listen(l)).collect();
            checked.into_iter().collect()
        });
        let mode = validate_mode(self.out, &raw.mode);
        let forwarded_for = match raw.mode.kind() {
            Some(RawKind::Http) | None => validate_forwarded_for(self.out, &raw.mode.http),
            Some(RawKind::Tcp | RawKind::Tls) => None,
        };
        let routes = self.routes(raw, &location);
        let has_routes = !matches!(raw.mode.tls.routes, Field::Absent);
        let backend = match (&raw.backend, has_routes) {
            (Field::Absent, true) => Some(None),
            (written, _) => self
                .referenced_backend(written, &raw.span, &location)
                .map(Some),
        };
        let raw_backend = backend.flatten().map(|index| &self.raw.backends[index]);
        let values = SessionValues::find(raw_backend, raw, &self.raw.defaults);
        let accept_proxy = match raw.accept_proxy.written() {
            Some(written) => {
                let validated = validate_accept_proxy(self.out, written.get_ref(), &location);
                Some(validated)
            }
            None => None,
        };
        let allow = raw.allow.written();
        let allow = allow.map(|written| load_addresses(self.out, "allow", written));
        let deny = raw.deny.written();
        let deny = deny.map(|written| load_addresses(self.out, "deny", written));
        let per_client = raw.per_client.get();
        let per_client = per_client.map(|raw| validate_per_client(self.out, raw, &location));
        let routed = routes.iter().flatten().map(|route| route.backend);
        let used: BTreeSet<usize> = routed.chain(backend.flatten()).collect();
        for index in used {
            self.sticky_without_http(raw, &self.raw.backends[index], &location);
        }
        Some(Frontend {
            name: raw.name.clone(),
            listen: listen?,
            mode,
            accept_proxy: match accept_proxy {
                Some(accept_proxy) => Some(accept_proxy?),
                None => None,
            },
            forwarded_for,
            backend: backend?,
            routes: routes?,
            sessions_max: raw.sessions_max.get().copied(),
            allow: allow.map_or(Some(None), |list| list.map(Some))?,
            deny: deny.map_or(Some(None), |list| list.map(Some))?,
            per_client: per_client.map_or(Some(None), |limits| limits.map(Some))?,
            log_empty: *raw.log_empty.get().unwrap_or(&true),
            backlog: *raw.backlog.get().unwrap_or(&defaults::BACKLOG),
            session: values.rules(),
        })
    }

    /// The routes of a frontend; `None` after one was reported.
    fn routes(&mut self, raw: &RawFrontend, frontend: &str) -> Option<Vec<Route>> {
        let written = raw.mode.tls.routes();
        validate_conditions(self.out, written, self.lines, frontend);
        let location = format!("a route of {frontend}");
        let routes: Vec<_> = written
            .iter()
            .map(|route| self.route(route, raw, &location))
            .collect();
        routes.into_iter().collect()
    }

    fn route(&mut self, raw: &RawRoute, frontend: &RawFrontend, location: &str) -> Option<Route> {
        let backend = self.referenced_backend(&raw.backend, &raw.span, location)?;
        let raw_backend = Some(&self.raw.backends[backend]);
        Some(Route {
            conditions: raw.conditions(),
            backend,
            session: SessionValues::find(raw_backend, frontend, &self.raw.defaults).rules(),
        })
    }

    /// A sticky backend needs the cookies of requests, which only HTTP mode reads.
    fn sticky_without_http(&mut self, raw: &RawFrontend, backend: &RawBackend, location: &str) {
        if backend.sticky.written().is_none() {
            return;
        }
        let backend = quoted_key(&backend.name);
        let (mode, cure) = match raw.mode.kind() {
            Some(RawKind::Tcp) => (
                "TCP",
                format!("set mode = \"http\", or remove [backend.{backend}.sticky]"),
            ),
            Some(RawKind::Tls) => (
                "TLS",
                format!(
                    "cookies are encrypted there: remove [backend.{backend}.sticky]; balance = \
                     \"source_hash\" keeps clients on their server"
                ),
            ),
            Some(RawKind::Http) | None => return,
        };
        let title = format!("{location} is in {mode} mode, but [backend.{backend}] is sticky");
        let span = raw.mode.span().unwrap_or_else(|| raw.span.clone());
        self.out.error(span, Problem::new(title, cure));
    }

    /// The index of the backend that a frontend or a route names, whose section begins at `section`.
    fn referenced_backend(
        &mut self,
        field: &Field<String>,
        section: &Span,
        location: &str,
    ) -> Option<usize> {
        let names = || {
            self.raw
                .backends
                .iter()
                .map(|backend| backend.name.as_str())
        };
        let example = format!("\"{}\"", shorten(names().next().unwrap_or("NAME")));
        let name = self.required(field, section, "backend", location, &example)?;
        let index = names().position(|candidate| candidate == name.get_ref());
        // A section with a misspelled kind may well be the one that is meant.
        if index.is_none() && !self.raw.incomplete {
            let cure = match suggest(name.get_ref(), names()) {
                Some(candidate) => format!("did you mean \"{}\"?", shorten(candidate)),
                None if self.raw.backends.is_empty() => {
                    format!("add a section [backend.{}]", quoted_key(name.get_ref()))
                }
                None => format!("use {}", first_few(names())),
            };
            let title = format!(
                "unknown backend `{}` in {location}",
                shorten(name.get_ref())
            );
            self.out.error(name.span(), Problem::new(title, cure));
        }
        index
    }

    /// Resolves a listener and makes sure that it is written once.
    fn listen(&mut self, raw: &Spanned<RawListen>) -> Option<Listen> {
        let span = raw.span();
        let listen = match raw.get_ref() {
            RawListen::Address(address) => Listen::Address(self.listen_address(address, &span)?),
            RawListen::Descriptor(number) => Listen::Descriptor(*number),
            RawListen::Systemd(name) => Listen::Systemd(name.clone()),
            RawListen::Unix(path) => Listen::Unix(Arc::clone(path)),
        };
        if let Some(first) = self.listens.get(&listen)
            && !listen.is_repeatable()
        {
            let cure = format!(
                "first at {}: remove one of them",
                self.lines.location(first)
            );
            let title = format!("`{listen}` is listened on twice");
            self.out.error(span, Problem::new(title, cure));
            return None;
        }
        if let (Some(admin), Listen::Address(address)) = (self.admin_listen, &listen)
            && admin_conflict(admin, *address)
        {
            self.out.error(span, admin_problem(admin, *address));
            return None;
        }
        if let (Some(admin), Listen::Unix(path)) = (&self.raw.admin, &listen) {
            let sockets = [admin.socket.get(), admin.haproxy_socket.get()];
            if sockets.into_iter().flatten().any(|it| **it == **path) {
                self.out.error(span, admin_path_problem(path));
                return None;
            }
        }
        self.listens.insert(listen.clone(), span);
        Some(listen)
    }

    fn listen_address(&mut self, address: &Address, span: &Span) -> Option<SocketAddr> {
        let address = self.resolved(address, span)?;
        canonical(address)
            .map_err(|problem| self.out.error(span.clone(), problem))
            .ok()
    }

    /// The value of a key that must be written; reports it missing at the begin of its section.
    pub fn required<'f, T>(
        &mut self,
        field: &'f Field<T>,
        section: &Span,
        key: &str,
        location: &str,
        example: &str,
    ) -> Option<&'f Spanned<T>> {
        if matches!(field, Field::Absent) {
            let title = format!("missing key `{key}` in {location}");
            let cure = format!("add {key} = {example}");
            self.out.error(section.clone(), Problem::new(title, cure));
        }
        field.written()
    }

    fn resolved(&mut self, address: &Address, span: &Span) -> Option<SocketAddr> {
        resolve(address, self.resolver)
            .map_err(|problem| self.out.error(span.clone(), problem))
            .ok()
    }
}

/// The names of a list that may be long.
fn first_few<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN_MAX: usize = 8;
    let names: Vec<_> = names.collect();
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN_MAX)
        .map(|name| shorten(name))
        .collect();
    match names.len() - shown.len() {
        0 => one_of(shown.iter().map(String::as_str)),
        rest => format!("\"{}\" or one of {rest} more", shown.join("\", \"")),
    }
}
