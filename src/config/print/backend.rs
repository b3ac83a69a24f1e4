//! `[backend.NAME]`, its sections and its servers.

use super::super::discover::{Discover, DiscoverQuery, RawDiscover};
use super::super::health_check::RawHealthCheck;
use super::super::page::{Page, quoted};
use super::super::passive::RawPassive;
use super::super::raw::{RawBackend, RawServer, RawSession};
use super::super::read::quoted_key;
use super::super::sticky::RawSticky;
use super::super::{
    Backend, CheckKind, EjectionRules, Exchange, ExpectBody, HealthCheck, HttpCheck, Literal,
    Server, Sticky, format_duration,
};
use super::written::{duration_or_off, file, list, probes_or_off, unwritten};

/// A backend with its sections and servers, and with what it sets for sessions, if `session` is given.
pub(super) fn backend(
    page: &mut Page,
    backend: &Backend,
    written: &RawBackend,
    session: Option<&RawSession>,
) {
    page.header(&format!("[backend.{}]", quoted_key(&backend.name)));
    page.line(
        "balance",
        quoted(backend.balance),
        unwritten(&written.balance),
    );
    let slow_start = backend.slow_start.map(|time| quoted(format_duration(time)));
    page.limit("slow_start", slow_start, "off");
    page.line(
        "on_down",
        quoted(backend.on_down),
        unwritten(&written.on_down),
    );
    page.line(
        "send_proxy",
        quoted(backend.send_proxy),
        unwritten(&written.send_proxy),
    );
    let source = (!backend.source.is_empty()).then(|| list(&backend.source));
    page.limit("source", source, "the kernel chooses");
    if let Some(session) = session {
        self::session(page, session);
    }
    let check = backend.health_check.as_ref();
    let check = check.zip(written.health_check.get());
    let sticky = backend.sticky.as_ref().zip(written.sticky.get());
    // Absent keys are printed before the first section below this one begins.
    if check.is_none() {
        page.absent("health_check", "none, servers count as up");
    }
    let passive = backend.passive.zip(written.passive.get());
    if passive.is_none() {
        page.absent("passive", "never, no server is left out");
    }
    if sticky.is_none() {
        page.absent("sticky", "off");
    }
    let discover = backend.discover.as_ref().zip(written.discover.get());
    if discover.is_none() {
        page.absent("discover", "none, there are only the servers below");
    }
    if let Some((check, written)) = check {
        health_check(page, &backend.name, check, written);
    }
    if let Some((rules, written)) = passive {
        self::passive(page, &backend.name, rules, written);
    }
    if let Some((sticky, written)) = sticky {
        self::sticky(page, &backend.name, sticky, written);
    }
    if let Some((discover, written)) = discover {
        self::discover(page, &backend.name, discover, written);
    }
    let servers = written.servers.get().map_or(&[][..], Vec::as_slice);
    for (server, written) in backend.servers.iter().zip(servers) {
        self::server(page, backend, server, written);
    }
}

/// What a backend sets for its sessions, in every frontend.
fn session(page: &mut Page, written: &RawSession) {
    for (key, time) in [
        ("connect_timeout", &written.connect),
        ("idle_timeout", &written.idle),
        ("half_closed_timeout", &written.half_closed),
        ("request_timeout", &written.request),
        ("queue_timeout", &written.queue),
        ("tunnel_timeout", &written.tunnel),
    ] {
        if let Some(time) = time.get() {
            page.line(key, quoted(format_duration(*time)), None);
        }
    }
    for (key, time) in [
        ("max_age", &written.max_age),
        ("user_timeout", &written.user_timeout),
    ] {
        if let Some(time) = time.get() {
            page.line(key, duration_or_off(*time), None);
        }
    }
    if let Some(probes) = written.keepalive.get() {
        page.line("keepalive", probes_or_off(*probes), None);
    }
    if let Some(retries) = written.retries.get() {
        page.line("retries", retries, None);
    }
}

fn health_check(page: &mut Page, backend: &str, check: &HealthCheck, written: &RawHealthCheck) {
    page.header(&format!("[backend.{}.health_check]", quoted_key(backend)));
    page.line(
        "type",
        quoted(check.kind.as_str()),
        unwritten(&written.kind),
    );
    match &check.kind {
        CheckKind::Http(http) => http_check(page, http, written),
        CheckKind::Exchange(Exchange { send, expect }) => {
            exchange(page, send.as_ref(), expect.as_ref());
        }
        CheckKind::Tcp => exchange(page, None, None),
    }
    if check.tls.is_none() {
        page.absent("tls", "off");
    }
    for (key, value, field) in [
        ("interval", check.interval, &written.interval),
        ("fast_interval", check.fast_interval, &written.fast_interval),
        ("down_interval", check.down_interval, &written.down_interval),
        ("timeout", check.timeout, &written.timeout),
    ] {
        page.line(key, quoted(format_duration(value)), unwritten(field));
    }
    page.line("fall", check.fall, unwritten(&written.fall));
    page.line("rise", check.rise, unwritten(&written.rise));
    page.limit("port", check.port, "the server's own");
    if let Some(tls) = &check.tls {
        page.header(&format!(
            "[backend.{}.health_check.tls]",
            quoted_key(backend)
        ));
        let name = tls.sni.as_ref().map(|name| quoted(name.to_str()));
        page.limit("sni", name, "the host name of the server");
        let raw = written.tls.get();
        let comment = raw.and_then(|raw| unwritten(&raw.verify));
        page.line("verify", tls.verify.is_some(), comment);
        let ca = file(raw.and_then(|raw| raw.ca.get()));
        page.limit("ca", ca, "those that the system trusts");
    }
}

fn http_check(page: &mut Page, http: &HttpCheck, written: &RawHealthCheck) {
    page.line("path", quoted(&http.path), unwritten(&written.path));
    page.line("method", quoted(&http.method), unwritten(&written.method));
    let host = http.host.as_deref().unwrap_or_default();
    page.line("host", quoted(host), unwritten(&written.host));
    let headers: Vec<String> = (http.headers.iter())
        .map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)))
        .collect();
    let headers = (!headers.is_empty()).then(|| format!("{{ {} }}", headers.join(", ")));
    page.limit("headers", headers, "none");
    page.line(
        "expect_status",
        quoted(&http.expect_status),
        unwritten(&written.expect_status),
    );
    match &http.expect_body {
        Some(ExpectBody::Contains(text)) => page.line("expect_body", quoted(text), None),
        Some(ExpectBody::Matches(regex)) => page.line("expect_body_regex", quoted(regex), None),
        None => page.absent("expect_body", "the body is not read"),
    }
}

fn exchange(page: &mut Page, send: Option<&Literal>, expect: Option<&Literal>) {
    page.limit("send", send.map(quoted), "nothing");
    page.limit("expect", expect.map(quoted), "nothing");
}

fn passive(page: &mut Page, backend: &str, rules: EjectionRules, written: &RawPassive) {
    page.header(&format!("[backend.{}.passive]", quoted_key(backend)));
    page.line("failures", rules.failures, unwritten(&written.failures));
    for (key, value, field) in [
        ("within", rules.within, &written.within),
        ("pause", rules.pause, &written.pause),
    ] {
        page.line(key, quoted(format_duration(value)), unwritten(field));
    }
}

fn sticky(page: &mut Page, backend: &str, sticky: &Sticky, written: &RawSticky) {
    page.header(&format!("[backend.{}.sticky]", quoted_key(backend)));
    page.line("cookie", quoted(&sticky.cookie), None);
    page.line("http_only", sticky.http_only, unwritten(&written.http_only));
    page.line("secure", sticky.secure, unwritten(&written.secure));
    page.line(
        "same_site",
        quoted(sticky.same_site),
        unwritten(&written.same_site),
    );
    page.line("path", quoted(&sticky.path), unwritten(&written.path));
    let domain = sticky.domain.as_deref().unwrap_or_default();
    page.line("domain", quoted(domain), unwritten(&written.domain));
    let max_age = sticky.max_age.map(|time| quoted(format_duration(time)));
    page.limit("max_age", max_age, "until the browser is closed");
}

fn discover(page: &mut Page, backend: &str, discover: &Discover, written: &RawDiscover) {
    page.header(&format!("[backend.{}.discover]", quoted_key(backend)));
    let key = match discover.query {
        DiscoverQuery::Addresses { .. } => "dns",
        DiscoverQuery::Services { .. } => "srv",
    };
    page.line(key, quoted(&discover.query), None);
    for (key, value, field) in [
        ("interval", discover.interval, &written.interval),
        ("timeout", discover.timeout, &written.timeout),
    ] {
        page.line(key, quoted(format_duration(value)), unwritten(field));
    }
    let resolvers = (!discover.resolvers.is_empty()).then(|| list(&discover.resolvers));
    page.limit("resolvers", resolvers, "/etc/hosts, then /etc/resolv.conf");
    page.line(
        "family",
        quoted(discover.family),
        unwritten(&written.family),
    );
    let servers_max = discover.servers_max;
    page.line("max_servers", servers_max, unwritten(&written.servers_max));
    page.line(
        "on_empty",
        quoted(discover.on_empty),
        unwritten(&written.on_empty),
    );
    let weight = match discover.query {
        DiscoverQuery::Addresses { .. } => "1",
        DiscoverQuery::Services { .. } => "those of the records",
    };
    page.limit("weight", discover.weight, weight);
    page.limit("max_sessions", discover.sessions_max, "unlimited");
    page.line("backup", discover.backup, unwritten(&written.backup));
}

/// A section of its own for each server, so that each value can have a comment.
fn server(page: &mut Page, backend: &Backend, server: &Server, written: &RawServer) {
    page.header(&format!(
        "[[backend.{}.servers]]",
        quoted_key(&backend.name)
    ));
    page.line("name", quoted(&server.name), None);
    page.line("address", quoted(&server.address), None);
    page.line("weight", server.weight, unwritten(&written.weight));
    page.limit("max_sessions", server.sessions_max, "unlimited");
    page.line("backup", server.backup, unwritten(&written.backup));
    // Without `sticky` it would only be warned of.
    if backend.sticky.is_some() || written.cookie.get().is_some() {
        page.line("cookie", quoted(&server.cookie), unwritten(&written.cookie));
    }
}
