//! `[frontend.NAME]` and its sections, with all timeouts.

use toml::Spanned;

use super::super::address::RawListen;
use super::super::field::Field;
use super::super::inherit::{Origin, SessionValues};
use super::super::page::{DEFAULT, Page, quoted};
use super::super::per_client::RawPerClient;
use super::super::proxy::RawAcceptProxy;
use super::super::raw::RawFrontend;
use super::super::read::quoted_key;
use super::super::{
    AcceptProxy, Backend, Frontend, Loaded, Mode, PerClient, Route, format_duration, format_size,
};
use super::written::{duration_or_off, list, listen_host, probes_or_off, unwritten};
use crate::logic::tls::Conditions;

/// A frontend with its sections.
pub(super) fn frontend(
    page: &mut Page,
    loaded: &Loaded,
    frontend: &Frontend,
    written: &RawFrontend,
) {
    let backends = &loaded.config.backends;
    let backend = frontend.backend.map(|index| backends[index].name.as_str());
    page.header(&format!("[frontend.{}]", quoted_key(&frontend.name)));
    page.line("listen", list(&frontend.listen), resolved(&written.listen));
    let mode = &written.mode;
    page.line("mode", quoted(frontend.mode), unwritten(&mode.kind));
    if let Mode::Http(http) = frontend.mode {
        let head_max = quoted(format_size(u64::from(http.head_max)));
        page.line("head_max", head_max, unwritten(&mode.http.head_max));
        page.line(
            "inspect",
            quoted(http.inspect),
            unwritten(&mode.http.inspect),
        );
        let forwarded_for = frontend.forwarded_for.as_ref();
        page.line(
            "forwarded_for",
            forwarded_for.is_some(),
            unwritten(&mode.http.forwarded_for),
        );
        let trust = forwarded_for.filter(|rules| !rules.trust.is_empty());
        page.limit("trust", trust.map(|rules| list(&rules.trust)), "none");
    }
    page.limit(
        "backend",
        backend.map(quoted),
        "none, clients without a route are closed",
    );
    if let Mode::Tls(tls) = frontend.mode {
        let hello_timeout = quoted(format_duration(tls.hello_timeout));
        let comment = unwritten(&mode.tls.hello_timeout);
        page.line("hello_timeout", hello_timeout, comment);
        let routes = (!frontend.routes.is_empty()).then(|| routes(backends, &frontend.routes));
        page.limit("routes", routes, "none, all clients get `backend`");
    }
    page.limit(
        "max_sessions",
        frontend.sessions_max,
        "only the limit of [global]",
    );
    let [allow, deny] = [&frontend.allow, &frontend.deny]
        .map(|addresses| addresses.as_ref().map(|addresses| list(&addresses.written)));
    page.limit("allow", allow, "everybody");
    page.limit("deny", deny, "nobody");
    let log_empty = unwritten(&written.log_empty);
    page.line("log_empty", frontend.log_empty, log_empty);
    page.line("backlog", frontend.backlog, unwritten(&written.backlog));

    // Sessions of several backends may have different ones: those of a backend are printed with it.
    let raw_backend = match frontend.mode {
        Mode::Tcp | Mode::Http(_) => frontend.backend.and_then(|it| loaded.raw.backends.get(it)),
        Mode::Tls(_) => None,
    };
    let origin = |origin| match origin {
        Origin::Frontend => None,
        Origin::Backend => backend.map(|it| format!("from [backend.{}]", quoted_key(it))),
        Origin::Defaults => Some("from [defaults]".to_owned()),
        Origin::BuiltIn => Some(DEFAULT.to_owned()),
    };
    let values = SessionValues::find(raw_backend, written, &loaded.raw.defaults);
    let time = |time| quoted(format_duration(time));
    for (key, inherited) in [
        ("connect_timeout", values.connect.map(time)),
        ("idle_timeout", values.idle.map(time)),
        ("half_closed_timeout", values.half_closed.map(time)),
        ("request_timeout", values.request.map(time)),
        ("queue_timeout", values.queue.map(time)),
        ("tunnel_timeout", values.tunnel.map(time)),
        ("max_age", values.max_age.map(duration_or_off)),
        ("user_timeout", values.user_timeout.map(duration_or_off)),
        ("keepalive", values.keepalive.map(probes_or_off)),
        ("retries", values.retries.map(|count| count.to_string())),
    ] {
        match (key, frontend.mode, inherited.origin) {
            ("queue_timeout", Mode::Tls(_), Origin::BuiltIn) => {
                page.absent(key, "the connect_timeout");
            }
            ("tunnel_timeout", Mode::Tls(_), Origin::BuiltIn) => {
                page.absent(key, "the idle_timeout");
            }
            _ => page.line(key, inherited.value, origin(inherited.origin)),
        }
    }
    let limits = frontend.per_client.as_ref();
    let limits = limits.zip(written.per_client.get());
    if limits.is_none() {
        page.absent("per_client", "none, clients have no limits of their own");
    }
    let accept_proxy = frontend.accept_proxy.as_ref();
    match accept_proxy.zip(written.accept_proxy.get()) {
        Some((rules, written)) => accept_proxy_section(page, &frontend.name, rules, written),
        None => page.absent("accept_proxy", "none, the peer is the client"),
    }
    if let Some((limits, written)) = limits {
        per_client(page, &frontend.name, limits, written);
    }
}

fn routes(backends: &[Backend], routes: &[Route]) -> String {
    let route = |route: &Route| {
        let Conditions { names, protocols } = &route.conditions;
        let backend = quoted(&backends[route.backend].name);
        let mut text = String::from("{ ");
        if !names.is_empty() {
            text += &format!("sni = {}, ", list(names));
        }
        if !protocols.is_empty() {
            text += &format!("alpn = {}, ", list(protocols));
        }
        text + &format!("backend = {backend} }}")
    };
    let routes: String = routes
        .iter()
        .map(|it| format!("  {},\n", route(it)))
        .collect();
    format!("[\n{routes}]")
}

fn accept_proxy_section(
    page: &mut Page,
    frontend: &str,
    rules: &AcceptProxy,
    written: &RawAcceptProxy,
) {
    page.header(&format!("[frontend.{}.accept_proxy]", quoted_key(frontend)));
    page.line("from", list(&rules.from), None);
    page.line("required", rules.required, unwritten(&written.required));
    let timeout = quoted(format_duration(rules.timeout));
    page.line("timeout", timeout, unwritten(&written.timeout));
}

fn per_client(page: &mut Page, frontend: &str, limits: &PerClient, written: &RawPerClient) {
    page.header(&format!("[frontend.{}.per_client]", quoted_key(frontend)));
    page.limit("max_sessions", limits.sessions_max, "no limit");
    page.limit("rate", limits.rate.map(quoted), "no limit");
    match limits.rate {
        Some(_) => page.line("burst", limits.burst, unwritten(&written.burst)),
        None => page.absent("burst", "none without `rate`"),
    }
    for (key, value, field) in [
        ("ipv4_prefix", limits.ipv4_prefix, &written.ipv4_prefix),
        ("ipv6_prefix", limits.ipv6_prefix, &written.ipv6_prefix),
    ] {
        page.line(key, value, unwritten(field));
    }
}

/// The comment of a list of addresses in which there are host names.
fn resolved(field: &Field<Vec<Spanned<RawListen>>>) -> Option<String> {
    let hosts: Vec<String> = field
        .get()?
        .iter()
        .filter_map(|listen| listen_host(listen.get_ref()))
        .collect();
    (!hosts.is_empty()).then(|| format!("resolved from {}", hosts.join(", ")))
}
