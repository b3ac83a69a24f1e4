//! From a parsed TOML tree to [`RawConfig`]: section by section, key by key.
//!
//! Every value is checked on its own: unknown keys, wrong types, missing units, bounds. What
//! concerns more than one value (missing keys, references, duplicates, defaults) is the work of
//! `validate`.

mod address_list;
mod admin;
mod discover;
mod health_check;
mod http_mode;
mod identity;
mod keepalive;
mod networks;
mod passive;
mod per_client;
mod proxy;
mod source;
mod sticky;
mod tls_mode;

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::address::{RawListen, parse_listen, parse_server};
use super::error::Diagnostics;
use super::field::Field;
use super::keepalive::USER_TIMEOUTS;
use super::mode::{RawKind, RawMode};
use super::name;
use super::problem::{Problem, Span, shorten};
use super::raw::{
    RawBackend, RawConfig, RawFrontend, RawGlobal, RawServer, RawSession, RawWorkers,
};
use super::reference::Kind;
use super::section::{Entry, Section, in_file_order};
use super::value::{self, Read};
use super::{AccessLog, Algorithm, EngineChoice, OnDown, Pin, SendProxy, cookie, defaults};
use address_list::read_addresses;
use admin::read_admin;
use discover::read_discover;
use health_check::read_health_check;
use http_mode::read_http_mode;
use identity::read_identity;
use keepalive::{read_duration_or_off, read_keepalive};
use passive::read_passive;
use per_client::read_per_client;
use proxy::read_accept_proxy;
use source::read_source;
use sticky::read_sticky;
use tls_mode::read_tls_mode;

/// Reads the tree of a whole file.
pub(super) fn read(out: &mut Diagnostics, root: &DeTable<'_>) -> RawConfig {
    let mut section = Section::open(out, Kind::Root, "at the top level", root);
    let global = section.take("global", read_global);
    let admin = section.take("admin", read_admin);
    let defaults = section.take("defaults", read_defaults);
    let frontends = named_sections(&mut section, "frontend", read_frontend);
    let backends = named_sections(&mut section, "backend", read_backend);
    let misplaced = section.is_misplaced() || backends.iter().flatten().any(|b| b.incomplete);
    RawConfig {
        global: global.into_inner().unwrap_or_default(),
        admin: admin.into_inner(),
        defaults: defaults.into_inner().unwrap_or_default(),
        incomplete: misplaced || frontends.is_none() || backends.is_none(),
        frontends: frontends.unwrap_or_default(),
        backends: backends.unwrap_or_default(),
    }
}

fn read_global(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<RawGlobal> {
    let table = value::table(out, entry, "[global]")?;
    let mut section = Section::open(out, Kind::Global, "[global]", table);
    let mut shutdown = |key| -> Field<Duration> {
        section.take(key, |out, entry| {
            value::duration(out, entry, defaults::SHUTDOWN_TIMEOUTS)
        })
    };
    Some(RawGlobal {
        shutdown_timeout: shutdown("shutdown_timeout"),
        shutdown_grace: shutdown("shutdown_grace"),
        workers: section.take("workers", read_workers),
        pin: section.take("pin", read_pin),
        engine: section.take("engine", |out, entry| {
            value::choice(out, entry, EngineChoice::NAMES)
        }),
        sessions_max: section.take("max_sessions", sessions_max),
        clients_max: section.take("max_clients", |out, entry| {
            value::integer(out, entry, defaults::CLIENT_COUNTS)
        }),
        access_log: section.take("access_log", |out, entry| {
            value::choice(out, entry, AccessLog::NAMES)
        }),
        state_file: section.take("state_file", |out, entry| {
            value::file_path(out, entry, "/var/lib/ringway/state.json")
        }),
        identity: read_identity(&mut section),
    })
}

fn read_defaults(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<RawSession> {
    let table = value::table(out, entry, "[defaults]")?;
    Some(read_session(&mut Section::open(
        out,
        Kind::Defaults,
        "[defaults]",
        table,
    )))
}

/// The keys that `[defaults]`, frontends and backends share.
fn read_session(section: &mut Section<'_, '_, '_>) -> RawSession {
    let mut timeout = |key| -> Field<Duration> {
        section.take(key, |out, entry| {
            value::duration(out, entry, defaults::TIMEOUTS)
        })
    };
    RawSession {
        connect: timeout("connect_timeout"),
        idle: timeout("idle_timeout"),
        half_closed: timeout("half_closed_timeout"),
        request: timeout("request_timeout"),
        queue: timeout("queue_timeout"),
        tunnel: timeout("tunnel_timeout"),
        max_age: section.take("max_age", |out, entry| {
            read_duration_or_off(out, entry, defaults::MAX_AGES)
        }),
        keepalive: section.take("keepalive", read_keepalive),
        user_timeout: section.take("user_timeout", |out, entry| {
            read_duration_or_off(out, entry, USER_TIMEOUTS)
        }),
        retries: section.take("retries", |out, entry| {
            value::integer(out, entry, defaults::RETRY_COUNTS)
        }),
    }
}

/// A section with a name of its own, to be read.
struct Named<'a, 'i> {
    name: &'a str,
    /// As messages call it.
    location: String,
    span: Span,
    table: &'a DeTable<'i>,
}

/// Reads `[KEY.NAME]` for every name; `None` after one without a name was reported.
fn named_sections<T>(
    section: &mut Section<'_, '_, '_>,
    key: &'static str,
    read: impl Fn(&mut Diagnostics, &Named<'_, '_>) -> T,
) -> Option<Vec<T>> {
    let (Some(entry), out) = section.entry(key) else {
        return Some(Vec::new());
    };
    let cure = format!("write [{key}.NAME]");
    let DeValue::Table(names) = entry.value else {
        return value::wrong_type(out, entry, "a section with a name", cure);
    };
    let nameless = names.iter().any(|(_, body)| !body.get_ref().is_table());
    if nameless {
        let title = format!("section [{key}] needs a name");
        out.error(entry.span.clone(), Problem::new(title, cure));
        // Its keys are read nevertheless, unless they are mixed with sections that have names.
        if names.iter().all(|(_, body)| !body.get_ref().is_table()) {
            let location = format!("[{key}]");
            read(
                out,
                &Named {
                    name: "",
                    location,
                    span: entry.span.clone(),
                    table: names,
                },
            );
        }
    }
    let mut sections = Vec::new();
    for (name, body) in in_file_order(names) {
        let DeValue::Table(table) = body.get_ref() else {
            continue;
        };
        if let Err(problem) = name::check_name(name.get_ref()) {
            out.error(name.span(), problem);
        }
        let location = format!("[{key}.{}]", quoted_key(name.get_ref()));
        let named = Named {
            name: name.get_ref(),
            location,
            span: body.span(),
            table,
        };
        sections.push(read(out, &named));
    }
    (!nameless).then_some(sections)
}

fn read_frontend(out: &mut Diagnostics, named: &Named<'_, '_>) -> RawFrontend {
    let mut section = Section::open(out, Kind::Frontend, &named.location, named.table);
    RawFrontend {
        name: named.name.to_owned(),
        span: named.span.clone(),
        listen: section.take("listen", read_listen),
        backend: section.take("backend", value::string),
        mode: RawMode {
            kind: section.take("mode", |out, entry| {
                value::choice(out, entry, RawKind::NAMES)
            }),
            http: read_http_mode(&mut section),
            tls: read_tls_mode(&mut section, &named.location),
        },
        accept_proxy: section.take("accept_proxy", |out, entry| {
            read_accept_proxy(out, entry, &named.location)
        }),
        sessions_max: section.take("max_sessions", sessions_max),
        allow: section.take("allow", read_addresses),
        deny: section.take("deny", read_addresses),
        per_client: section.take("per_client", |out, entry| {
            read_per_client(out, entry, &named.location)
        }),
        log_empty: section.take("log_empty", value::boolean),
        backlog: section.take("backlog", |out, entry| {
            value::integer(out, entry, defaults::BACKLOGS)
        }),
        session: read_session(&mut section),
    }
}

fn read_backend(out: &mut Diagnostics, named: &Named<'_, '_>) -> RawBackend {
    let mut section = Section::open(out, Kind::Backend, &named.location, named.table);
    RawBackend {
        name: named.name.to_owned(),
        span: named.span.clone(),
        balance: section.take("balance", |out, entry| {
            value::choice(out, entry, Algorithm::NAMES)
        }),
        slow_start: section.take("slow_start", |out, entry| {
            value::duration(out, entry, defaults::TIMEOUTS)
        }),
        on_down: section.take("on_down", |out, entry| {
            value::choice(out, entry, OnDown::NAMES)
        }),
        send_proxy: section.take("send_proxy", |out, entry| {
            value::choice(out, entry, SendProxy::NAMES)
        }),
        source: section.take("source", read_source),
        health_check: section.take("health_check", |out, entry| {
            read_health_check(out, entry, &named.location)
        }),
        passive: section.take("passive", |out, entry| {
            read_passive(out, entry, &named.location)
        }),
        sticky: section.take("sticky", |out, entry| {
            read_sticky(out, entry, &named.location)
        }),
        discover: section.take("discover", |out, entry| {
            read_discover(out, entry, &named.location)
        }),
        servers: section.take("servers", |out, entry| {
            read_servers(out, entry, &named.location)
        }),
        session: read_session(&mut section),
        incomplete: section.is_misplaced(),
    }
}

fn read_listen(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Vec<Spanned<RawListen>>> {
    let example = match entry.value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        _ => "\"0.0.0.0:80\"".to_owned(),
    };
    let elements = value::list(out, entry, "addresses", &example)?;
    let read = |element| {
        let entry = Entry::new(entry.key, element);
        let listen = value::parsed(out, &entry, parse_listen)?;
        Some(Spanned::new(element.span(), listen))
    };
    Some(elements.iter().filter_map(read).collect())
}

fn read_servers(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<Vec<RawServer>> {
    let example = "{ name = \"s1\", address = \"10.0.0.11:8080\" }";
    let elements = value::list(out, entry, "servers", example)?;
    if elements.len() > defaults::SERVERS_MAX {
        let title = format!("{} servers in {backend}", elements.len());
        let cure = format!("a backend may have at most {}", defaults::SERVERS_MAX);
        out.error(entry.span.clone(), Problem::new(title, cure));
        return None;
    }
    let location = format!("a server of {backend}");
    let read = |(index, element): (usize, &Spanned<DeValue<'_>>)| {
        let written = match element.get_ref() {
            DeValue::String(text) if parse_server(text).is_ok() => Some(format!(
                "{{ name = \"s{}\", address = \"{}\" }}",
                index + 1,
                shorten(text)
            )),
            _ => None,
        };
        let example = written.as_deref().unwrap_or(example);
        read_server(out, &Entry::new(entry.key, element), example, &location)
    };
    Some(elements.iter().enumerate().filter_map(read).collect())
}

fn read_server(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    example: &str,
    location: &str,
) -> Read<RawServer> {
    let DeValue::Table(table) = entry.value else {
        return value::wrong_type(out, entry, "entries in braces", format!("write {example}"));
    };
    let mut section = Section::open(out, Kind::Server, location, table);
    Some(RawServer {
        span: entry.span.clone(),
        name: section.take("name", value::name),
        address: section.take("address", |out, entry| {
            value::parsed(out, entry, parse_server)
        }),
        weight: section.take("weight", |out, entry| {
            value::integer(out, entry, defaults::WEIGHTS)
        }),
        sessions_max: section.take("max_sessions", sessions_max),
        backup: section.take("backup", value::boolean),
        cookie: section.take("cookie", |out, entry| {
            value::parsed(out, entry, cookie::parse_value)
        }),
    })
}

fn read_workers(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<RawWorkers> {
    match entry.value {
        DeValue::String(text) if text == "auto" => Some(RawWorkers::Auto),
        DeValue::Integer(_) => value::integer(out, entry, defaults::WORKERS).map(RawWorkers::Count),
        value => {
            let cure = value::number_cure(value, "write \"auto\"");
            value::wrong_type(out, entry, "a number or \"auto\"", cure)
        }
    }
}

fn read_pin(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<Pin> {
    match entry.value {
        DeValue::String(text) if text == Pin::AUTO => Some(Pin::Auto),
        DeValue::Boolean(true) => Some(Pin::On),
        DeValue::Boolean(false) => Some(Pin::Off),
        _ => {
            let cure = "write true, false or \"auto\"";
            value::wrong_type(out, entry, "true, false or \"auto\"", cure)
        }
    }
}

fn sessions_max(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<u32> {
    value::integer(out, entry, defaults::SESSIONS)
}

/// A key as it stands in a header: in quotes where TOML wants them.
pub(crate) fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let shown = shorten(key);
    if !key.is_empty() && key.chars().all(bare) {
        shown
    } else {
        format!("\"{shown}\"")
    }
}
