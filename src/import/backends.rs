//! A backend: from its settings to the tables of the result.

use super::document::{Table, list, text, time};
use super::health_check;
use super::notes::{Notes, Place};
use super::proxy::{Proxy, Settings};
use super::resolvers::Resolvers;
use super::server::{Head, Server};
use super::servers::{self, Listed};
use super::sessions::Values;
use super::shared::shared;
use super::values;

/// What is known of a backend beside its own lines.
pub(super) struct Surroundings<'a> {
    /// All of its frontends are in HTTP mode.
    pub is_http: bool,
    /// Sections of name servers.
    pub resolvers: &'a [Resolvers],
    /// Where relative names of certificates begin.
    pub ca_base: Option<&'a str>,
    /// Times of its sessions.
    pub values: Option<&'a Values>,
}

/// The tables of a backend.
pub(super) fn tables(
    proxy: &Proxy,
    listed: &Listed,
    around: &Surroundings<'_>,
    notes: &mut Notes,
) -> Vec<Table> {
    let name = values::name(&proxy.name);
    let place = Place::Backend(name.clone());
    let settings = &proxy.settings;
    let all: Vec<&Server> = listed.all().collect();
    let mut backend = Table::new(&place, &["backend", &name]);
    if let Some(algorithm) = settings.balance {
        backend.line("balance", text(algorithm));
    }
    let slow_start = shared(
        &all,
        "slowstart",
        |server| server.options.slow_start,
        &place,
        notes,
    );
    if let Some(slow_start) = slow_start {
        backend.line("slow_start", time(slow_start));
    }
    if shared(
        &all,
        "on-marked-down",
        |server| server.options.closes_on_down,
        &place,
        notes,
    ) {
        backend.line("on_down", text("close"));
    }
    let head = shared(
        &all,
        "send-proxy",
        |server| server.options.send_proxy,
        &place,
        notes,
    );
    if let Some(head) = head {
        backend.line(
            "send_proxy",
            text(match head {
                Head::V1 => "v1",
                Head::V2 => "v2",
            }),
        );
    }
    let source = shared(
        &all,
        "source",
        |server| server.options.source,
        &place,
        notes,
    );
    if let Some(source) = source.or(settings.source) {
        backend.line("source", list(&[source.to_string()]));
    }
    for (key, value) in around.values.into_iter().flatten() {
        backend.line(key, value.clone());
    }
    let cookie = sticky(settings, &all, around.is_http, &place, &name, notes);
    servers::write(&mut backend, listed, cookie.is_some(), &place, notes);
    let mut tables = vec![backend];
    tables.extend(discover(listed, around, &place, &name, notes));
    tables.extend(cookie);
    tables.extend(health_check::tables(
        settings,
        &all,
        around.ca_base,
        &place,
        &name,
        notes,
    ));
    tables.extend(passive(&all, &place, &name, notes));
    tables
}

fn sticky(
    settings: &Settings,
    servers: &[&Server],
    is_http: bool,
    place: &Place,
    name: &str,
    notes: &mut Notes,
) -> Option<Table> {
    let cookie = settings.cookie.as_ref()?;
    let mut not_translated = |why: &str| {
        notes.not_translated(place, &cookie.directive, why);
        None
    };
    if !is_http {
        return not_translated(
            "a cookie is for frontends with mode = \"http\": balance = \"source_hash\" binds in other modes",
        );
    }
    let has_value = |server: &&Server| server.options.cookie.is_some() || server.template.is_some();
    if !cookie.is_dynamic && !servers.iter().any(has_value) {
        return not_translated("no server has a `cookie`, so HAProxy sets none");
    }
    let mut table = Table::new(place, &["backend", name, "sticky"]);
    table.line("cookie", text(&cookie.name));
    table.line("http_only", cookie.http_only.to_string());
    if cookie.secure {
        table.line("secure", "true".to_owned());
    }
    table.line(
        "same_site",
        text(cookie.same_site.as_deref().unwrap_or("off")),
    );
    if let Some(domain) = &cookie.domain {
        table.line("domain", text(domain));
    }
    if let Some(age) = cookie.max_age {
        table.line("max_age", time(age));
    }
    for server in servers.iter().filter(|server| !has_value(server)) {
        let why = "its cookie has a hash of its name: clients stay with it, too";
        notes.differs(place, &server.directive, why);
    }
    Some(table)
}

fn discover(
    listed: &Listed,
    around: &Surroundings<'_>,
    place: &Place,
    name: &str,
    notes: &mut Notes,
) -> Option<Table> {
    let found = listed.discovered.as_ref()?;
    let options = &found.server.options;
    let mut table = Table::new(place, &["backend", name, "discover"]);
    table.line(if found.is_srv { "srv" } else { "dns" }, text(&found.query));
    let named = options.resolvers.as_deref();
    let resolvers = named.and_then(|named| {
        around
            .resolvers
            .iter()
            .find(|resolvers| resolvers.name == named)
    });
    match (named, resolvers) {
        (Some(named), None) => {
            notes.wrong(
                place,
                &found.server.directive,
                format!("there is no section `resolvers {named}`"),
            );
        }
        (Some(_), Some(resolvers)) => {
            table.line("interval", time(resolvers.interval));
            table.line("timeout", time(resolvers.timeout));
            if !resolvers.addresses.is_empty() {
                table.line("resolvers", list(&resolvers.addresses));
            }
        }
        (None, _) => {
            let why = "without `resolvers` HAProxy asks once, at its start; here the name is asked for again and again";
            notes.differs(place, &found.server.directive, why);
        }
    }
    if let Some(family) = options.family {
        table.line("family", text(family));
    }
    table.line("max_servers", found.count.to_string());
    if let Some(weight) = options.weight {
        table.line("weight", weight.to_string());
    }
    if let Some(sessions_max) = options.sessions_max {
        table.line("max_sessions", sessions_max.to_string());
    }
    if options.is_backup {
        table.line("backup", "true".to_owned());
    }
    Some(table)
}

/// Failures in a row that HAProxy takes unless `error-limit` is written.
const ERROR_LIMIT: u32 = 10;

/// More are refused here.
const FAILURES_MAX: u32 = 1000;

fn passive(servers: &[&Server], place: &Place, name: &str, notes: &mut Notes) -> Option<Table> {
    let observing = servers.iter().find(|server| server.options.observes)?;
    let why = "`observe`: a server with which so many sessions fail is left out for a while: `ringway help health`";
    notes.differs(place, &observing.directive, why);
    let mut table = Table::new(place, &["backend", name, "passive"]);
    let failures = observing.options.error_limit.unwrap_or(ERROR_LIMIT);
    table.line("failures", failures.clamp(1, FAILURES_MAX).to_string());
    Some(table)
}
