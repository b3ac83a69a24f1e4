//! From [`RawConfig`] to [`Config`]: what concerns more than one value.
//!
//! Missing keys, references, duplicates, host names; then the defaults. Called once the whole
//! file was read, and only if its syntax was right: behind a broken line much only seems missing.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use toml::Spanned;

use super::address::{Address, RawListen, check_admin};
use super::defaults;
use super::error::{Diagnostics, Problem, Span, shorten};
use super::health_check::validate_health_check;
use super::inherit::SessionValues;
use super::raw::{RawAdmin, RawBackend, RawConfig, RawFrontend, RawGlobal, RawServer, RawWorkers};
use super::read::quoted_key;
use super::render::Lines;
use super::resolve::{Resolver, resolve};
use super::schema::{one_of, suggest};
use super::section::Field;
use super::{Admin, Backend, Balance, Config, Frontend, Global, Listen, OnDown, Server, Timeouts};

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
    };
    let admin = raw.admin.as_ref().map(|admin| check.admin(admin));
    let frontends: Vec<_> = raw.frontends.iter().map(|f| check.frontend(f)).collect();
    let backends: Vec<_> = raw.backends.iter().map(|b| check.backend(b)).collect();
    if raw.frontends.is_empty() && !raw.incomplete {
        let cure = "add a section [frontend.NAME] with `listen` and `backend`";
        check
            .out
            .error(lines.end(), Problem::new("no frontend", cure));
    }
    check.unused_backends();
    Some(Config {
        global: global(&raw.global),
        admin: match admin {
            Some(admin) => Some(admin?),
            None => None,
        },
        frontends: frontends.into_iter().collect::<Option<_>>()?,
        backends: backends.into_iter().collect::<Option<_>>()?,
    })
}

fn global(raw: &RawGlobal) -> Global {
    let default = Global::default();
    Global {
        workers: match raw.workers.get() {
            Some(RawWorkers::Count(count)) => Some(*count),
            Some(RawWorkers::Auto) | None => None,
        },
        sessions_max: raw.sessions_max.get().copied(),
        shutdown_timeout: *raw
            .shutdown_timeout
            .get()
            .unwrap_or(&default.shutdown_timeout),
        access_log: *raw.access_log.get().unwrap_or(&default.access_log),
    }
}

/// What the checks share.
struct Check<'c, 't> {
    out: &'c mut Diagnostics,
    raw: &'c RawConfig,
    lines: &'c Lines<'t>,
    resolver: Resolver<'c>,
    /// Where each listener was first written.
    listens: HashMap<Listen, Span>,
}

impl Check<'_, '_> {
    fn admin(&mut self, raw: &RawAdmin) -> Option<Admin> {
        let example = "\"127.0.0.1:8404\"";
        let written = self.required(&raw.listen, &raw.span, "listen", "[admin]", example)?;
        let Listen::Address(listen) = self.listen(written)? else {
            return None;
        };
        check_admin(&listen)
            .map_err(|problem| self.out.error(written.span(), problem))
            .ok()?;
        Some(Admin { listen })
    }

    fn frontend(&mut self, raw: &RawFrontend) -> Option<Frontend> {
        let place = format!("[frontend.{}]", quoted_key(&raw.name));
        let listen = self.required(&raw.listen, &raw.span, "listen", &place, "[\"0.0.0.0:80\"]");
        // All are checked before the first wrong one ends it.
        let listen: Option<Vec<_>> = listen.and_then(|written| {
            let checked: Vec<_> = written.get_ref().iter().map(|l| self.listen(l)).collect();
            checked.into_iter().collect()
        });
        let backend = self.referenced_backend(raw, &place);
        let values = SessionValues::find(
            backend.map(|index| &self.raw.backends[index]),
            raw,
            &self.raw.defaults,
        );
        Some(Frontend {
            name: raw.name.clone(),
            listen: listen?,
            backend: backend?,
            sessions_max: raw.sessions_max.get().copied(),
            backlog: *raw.backlog.get().unwrap_or(&defaults::BACKLOG),
            timeouts: Timeouts {
                connect: values.connect.value,
                idle: values.idle.value,
                half_closed: values.half_closed.value,
                queue: values.queue.value,
            },
            retries: values.retries.value,
        })
    }

    /// The index of the backend that a frontend names.
    fn referenced_backend(&mut self, raw: &RawFrontend, place: &str) -> Option<usize> {
        let names = || {
            self.raw
                .backends
                .iter()
                .map(|backend| backend.name.as_str())
        };
        let example = format!("\"{}\"", shorten(names().next().unwrap_or("NAME")));
        let name = self.required(&raw.backend, &raw.span, "backend", place, &example)?;
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
            let title = format!("unknown backend `{}` in {place}", shorten(name.get_ref()));
            self.out.error(name.span(), Problem::new(title, cure));
        }
        index
    }

    /// Resolves a listener and makes sure that it is written once.
    fn listen(&mut self, raw: &Spanned<RawListen>) -> Option<Listen> {
        let span = raw.span();
        let listen = match raw.get_ref() {
            RawListen::Address(address) => Listen::Address(self.resolved(address, &span)?),
            RawListen::Descriptor(number) => Listen::Descriptor(*number),
            RawListen::Systemd(name) => Listen::Systemd(name.clone()),
        };
        if let Some(first) = self.listens.get(&listen)
            && !listen.is_repeatable()
        {
            let cure = format!("first at {}: remove one of them", self.lines.place(first));
            let title = format!("`{listen}` is listened on twice");
            self.out.error(span, Problem::new(title, cure));
            return None;
        }
        self.listens.insert(listen.clone(), span);
        Some(listen)
    }

    fn backend(&mut self, raw: &RawBackend) -> Option<Backend> {
        let place = format!("[backend.{}]", quoted_key(&raw.name));
        let health_check = match raw.health_check.written() {
            Some(written) => Some(validate_health_check(self.out, written.get_ref())),
            None => None,
        };
        let example = "[{ name = \"s1\", address = \"10.0.0.11:8080\" }]";
        let written = self.required(&raw.servers, &raw.span, "servers", &place, example)?;
        let mut names = HashMap::new();
        let servers: Vec<_> = written
            .get_ref()
            .iter()
            .map(|server| self.server(server, &mut names, &place))
            .collect();
        Some(Backend {
            name: raw.name.clone(),
            balance: *raw.balance.get().unwrap_or(&Balance::RoundRobin),
            slow_start: raw.slow_start.get().copied(),
            on_down: *raw.on_down.get().unwrap_or(&OnDown::Keep),
            health_check,
            servers: servers.into_iter().collect::<Option<_>>()?,
        })
    }

    fn server<'r>(
        &mut self,
        raw: &'r RawServer,
        names: &mut HashMap<&'r str, Span>,
        backend: &str,
    ) -> Option<Server> {
        let place = format!("a server of {backend}");
        let name = self.required(&raw.name, &raw.span, "name", &place, "\"s1\"");
        if let Some(name) = name {
            self.unique(name, names, backend);
        }
        let example = "\"10.0.0.11:8080\"";
        let address = self.required(&raw.address, &raw.span, "address", &place, example);
        let address = address.and_then(|a| self.resolved(a.get_ref(), &a.span()));
        Some(Server {
            name: name?.get_ref().clone(),
            address: address?,
            weight: *raw.weight.get().unwrap_or(&defaults::WEIGHT),
            sessions_max: raw.sessions_max.get().copied(),
            backup: *raw.backup.get().unwrap_or(&false),
        })
    }

    /// Makes sure that a name of a server is the only one in its backend.
    fn unique<'r>(
        &mut self,
        name: &'r Spanned<String>,
        names: &mut HashMap<&'r str, Span>,
        backend: &str,
    ) {
        let Some(first) = names.get(name.get_ref().as_str()) else {
            names.insert(name.get_ref(), name.span());
            return;
        };
        let place = self.lines.place(first);
        let cure = format!("first at {place}: give one of them another name");
        let title = format!("two servers named `{}` in {backend}", name.get_ref());
        self.out.error(name.span(), Problem::new(title, cure));
    }

    /// The value of a key that must be written; reports it missing at the begin of its section.
    fn required<'f, T>(
        &mut self,
        field: &'f Field<T>,
        section: &Span,
        key: &str,
        place: &str,
        example: &str,
    ) -> Option<&'f Spanned<T>> {
        if matches!(field, Field::Absent) {
            let title = format!("missing key `{key}` in {place}");
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

    /// Warns of backends that no frontend names, unless a frontend may have meant to.
    fn unused_backends(&mut self) {
        let all: HashSet<&str> = self.raw.backends.iter().map(|b| b.name.as_str()).collect();
        let known = |f: &RawFrontend| Some(*all.get(f.backend.get()?.as_str())?);
        let named: Option<HashSet<&str>> = self.raw.frontends.iter().map(known).collect();
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
