//! `[frontend.NAME]` and its sections, with all timeouts.

use std::time::Duration;

use toml::Spanned;

use super::super::address::RawListen;
use super::super::field::Field;
use super::super::inherit::{Origin, SessionValues};
use super::super::keepalive::OFF;
use super::super::page::{DEFAULT, Page, quoted};
use super::super::per_client::RawPerClient;
use super::super::proxy::RawAcceptProxy;
use super::super::raw::RawFrontend;
use super::super::read::quoted_key;
use super::super::{
    AcceptProxy, Frontend, Keepalive, Loaded, Mode, PerClient, format_duration, format_size,
};
use super::written::{list, listen_host, unwritten};

/// A frontend with its sections.
pub(super) fn frontend(
    page: &mut Page,
    loaded: &Loaded,
    frontend: &Frontend,
    written: &RawFrontend,
) {
    let raw_backend = loaded.raw.backends.get(frontend.backend);
    let backend = loaded
        .config
        .backends
        .get(frontend.backend)
        .map_or("", |b| b.name.as_str());
    page.header(&format!("[frontend.{}]", quoted_key(&frontend.name)));
    page.line("listen", list(&frontend.listen), resolved(&written.listen));
    let mode = &written.mode;
    page.line("mode", quoted(frontend.mode), unwritten(&mode.kind));
    if let Mode::Http(http) = frontend.mode {
        let head_max = quoted(format_size(u64::from(http.head_max)));
        page.line("head_max", head_max, unwritten(&mode.head_max));
        page.line("inspect", quoted(http.inspect), unwritten(&mode.inspect));
        let forwarded_for = frontend.forwarded_for.as_ref();
        page.line(
            "forwarded_for",
            forwarded_for.is_some(),
            unwritten(&mode.forwarded_for),
        );
        let trust = forwarded_for.filter(|rules| !rules.trust.is_empty());
        page.limit("trust", trust.map(|rules| list(&rules.trust)), "none");
    }
    page.line("backend", quoted(backend), None);
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

    let origin = |origin| match origin {
        Origin::Frontend => None,
        Origin::Backend => Some(format!("from [backend.{}]", quoted_key(backend))),
        Origin::Defaults => Some("from [defaults]".to_owned()),
        Origin::BuiltIn => Some(DEFAULT.to_owned()),
    };
    let values = SessionValues::find(raw_backend, written, &loaded.raw.defaults);
    let time = |time| quoted(format_duration(time));
    let time_or_off = |limit: Option<Duration>| limit.map_or_else(|| quoted(OFF), time);
    let keepalive =
        |probes: Option<Keepalive>| probes.map_or_else(|| quoted(OFF), |probes| probes.to_string());
    for (key, inherited) in [
        ("connect_timeout", values.connect.map(time)),
        ("idle_timeout", values.idle.map(time)),
        ("half_closed_timeout", values.half_closed.map(time)),
        ("request_timeout", values.request.map(time)),
        ("queue_timeout", values.queue.map(time)),
        ("tunnel_timeout", values.tunnel.map(time)),
        ("max_age", values.max_age.map(time_or_off)),
        ("user_timeout", values.user_timeout.map(time_or_off)),
        ("keepalive", values.keepalive.map(keepalive)),
        ("retries", values.retries.map(|count| count.to_string())),
    ] {
        page.line(key, inherited.value, origin(inherited.origin));
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
