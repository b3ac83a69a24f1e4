//! The configuration in effect, as TOML: `ringway check --print-effective`.
//!
//! Every value is filled in, and those that were not written say where they come from. Reading the
//! output gives an equal [`Config`](super::Config), so it can replace the file it was made from.

use std::fmt::Display;
use std::path::PathBuf;

use toml::Spanned;

use super::address::{Address, RawListen};
use super::admin::RawAdmin;
use super::discover::{Discover, DiscoverQuery, RawDiscover};
use super::field::Field;
use super::health_check::RawHealthCheck;
use super::inherit::{Inherited, Origin, SessionValues};
use super::keepalive::OFF;
use super::page::{DEFAULT, Page, quoted};
use super::passive::RawPassive;
use super::per_client::RawPerClient;
use super::proxy::RawAcceptProxy;
use super::raw::{RawFrontend, RawServer};
use super::read::quoted_key;
use super::sticky::RawSticky;
use super::{
    AcceptProxy, AddressList, Admin, Backend, CheckKind, EjectionRules, ExpectBody, Frontend,
    Global, HealthCheck, Loaded, Mode, PerClient, Server, Sticky, format_duration, format_size,
};

/// The whole configuration as a file that has every value.
///
/// Timeouts and retries are shown with the frontends, where they take effect: two frontends may
/// use the same backend with different ones.
pub fn effective(loaded: &Loaded) -> String {
    let Loaded { config, raw, .. } = loaded;
    let mut page = Page::default();
    global(&mut page, loaded, &config.global);
    if let Some(admin) = &config.admin {
        self::admin(&mut page, admin, raw.admin.as_ref());
    }
    for (frontend, written) in config.frontends.iter().zip(&raw.frontends) {
        self::frontend(&mut page, loaded, frontend, written);
    }
    for (backend, written) in config.backends.iter().zip(&raw.backends) {
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
        if backend.source.is_empty() {
            page.absent("source", "the kernel chooses");
        } else {
            let source: Vec<String> = backend.source.iter().map(quoted).collect();
            page.line("source", format!("[{}]", source.join(", ")), None);
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
            health_check(&mut page, &backend.name, check, written);
        }
        if let Some((rules, written)) = passive {
            self::passive(&mut page, &backend.name, rules, written);
        }
        if let Some((sticky, written)) = sticky {
            self::sticky(&mut page, &backend.name, sticky, written);
        }
        if let Some((discover, written)) = discover {
            self::discover(&mut page, &backend.name, discover, written);
        }
        let servers = written.servers.get().map_or(&[][..], Vec::as_slice);
        for (server, written) in backend.servers.iter().zip(servers) {
            self::server(&mut page, backend, server, written);
        }
    }
    page.into_text()
}

fn global(page: &mut Page, loaded: &Loaded, global: &Global) {
    let written = &loaded.raw.global;
    page.header("[global]");
    let workers = global
        .workers
        .map_or_else(|| quoted("auto"), |count| count.to_string());
    page.line("workers", workers, unwritten(&written.workers));
    page.line("engine", quoted(global.engine), unwritten(&written.engine));
    page.limit(
        "max_sessions",
        global.sessions_max,
        "derived from the limit of open files",
    );
    page.line(
        "max_clients",
        global.clients_max,
        unwritten(&written.clients_max),
    );
    let shutdown = quoted(format_duration(global.shutdown_timeout));
    page.line(
        "shutdown_timeout",
        shutdown,
        unwritten(&written.shutdown_timeout),
    );
    let grace = quoted(format_duration(global.shutdown_grace));
    page.line("shutdown_grace", grace, unwritten(&written.shutdown_grace));
    page.line(
        "access_log",
        quoted(global.access_log),
        unwritten(&written.access_log),
    );
    let without = "none, administrative states are forgotten";
    page.limit("state_file", file(global.state_file.as_ref()), without);
    let identity = global.identity.as_ref();
    page.limit(
        "user",
        identity.map(|identity| quoted(&identity.user)),
        "none, whoever starts the process",
    );
    let group = identity.and_then(|identity| identity.group.as_ref());
    let own = identity.map_or_else(
        || "none, those of whoever starts the process".to_owned(),
        |identity| format!("that of the user, {}", identity.gid),
    );
    page.limit("group", group.map(quoted), &own);
}

fn admin(page: &mut Page, admin: &Admin, written: Option<&RawAdmin>) {
    page.header("[admin]");
    let listen = written.and_then(|written| written.listen.get());
    let host = listen.and_then(listen_host);
    match admin.listen {
        Some(address) => page.line(
            "listen",
            quoted(address),
            host.map(|host| format!("resolved from {host}")),
        ),
        None => page.absent("listen", "none"),
    }
    page.limit("socket", file(admin.socket.as_ref()), "none");
    let group = admin.socket_group.as_ref().map(|group| quoted(&group.name));
    page.limit("socket_group", group, "none");
    page.limit("token_file", file(admin.token_file.as_ref()), "none");
    let comment = written.and_then(|written| unwritten(&written.read_only));
    page.line("read_only", admin.read_only, comment);
    page.limit("page", admin.page.as_ref().map(quoted), "none");
}

fn frontend(page: &mut Page, loaded: &Loaded, frontend: &Frontend, written: &RawFrontend) {
    let raw_backend = loaded.raw.backends.get(frontend.backend);
    let backend = loaded
        .config
        .backends
        .get(frontend.backend)
        .map_or("", |b| b.name.as_str());
    page.header(&format!("[frontend.{}]", quoted_key(&frontend.name)));
    let listens: Vec<String> = frontend.listen.iter().map(quoted).collect();
    page.line(
        "listen",
        format!("[{}]", listens.join(", ")),
        resolved(&written.listen),
    );
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
    let list = |list: &AddressList| {
        let entries: Vec<String> = list.written.iter().map(quoted).collect();
        format!("[{}]", entries.join(", "))
    };
    page.limit("allow", frontend.allow.as_ref().map(list), "everybody");
    page.limit("deny", frontend.deny.as_ref().map(list), "nobody");
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
    for (
        key,
        Inherited {
            value,
            origin: from,
        },
    ) in [
        ("connect_timeout", values.connect),
        ("idle_timeout", values.idle),
        ("half_closed_timeout", values.half_closed),
        ("request_timeout", values.request),
        ("queue_timeout", values.queue),
        ("tunnel_timeout", values.tunnel),
    ] {
        page.line(key, quoted(format_duration(value)), origin(from));
    }
    for (
        key,
        Inherited {
            value,
            origin: from,
        },
    ) in [
        ("max_age", values.max_age),
        ("user_timeout", values.user_timeout),
    ] {
        let value = value.map_or_else(|| OFF.to_owned(), format_duration);
        page.line(key, quoted(value), origin(from));
    }
    let keepalive = values.keepalive.value;
    let keepalive = keepalive.map_or_else(|| quoted(OFF), |written| written.to_string());
    page.line("keepalive", keepalive, origin(values.keepalive.origin));
    page.line(
        "retries",
        values.retries.value,
        origin(values.retries.origin),
    );
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

fn health_check(page: &mut Page, backend: &str, check: &HealthCheck, written: &RawHealthCheck) {
    page.header(&format!("[backend.{}.health_check]", quoted_key(backend)));
    page.line(
        "type",
        quoted(check.kind.as_str()),
        unwritten(&written.kind),
    );
    if let CheckKind::Http(http) = &check.kind {
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
    if !matches!(check.kind, CheckKind::Http(_)) {
        let (send, expect) = match &check.kind {
            CheckKind::Exchange(exchange) => (exchange.send.as_ref(), exchange.expect.as_ref()),
            CheckKind::Tcp | CheckKind::Http(_) => (None, None),
        };
        page.limit("send", send.map(quoted), "nothing");
        page.limit("expect", expect.map(quoted), "nothing");
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
    let resolvers: Vec<String> = discover.resolvers.iter().map(quoted).collect();
    let resolvers = (!resolvers.is_empty()).then(|| format!("[{}]", resolvers.join(", ")));
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

fn list(values: &[impl Display]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

fn file(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| quoted(path.display()))
}

/// The comment of a value that has a default.
fn unwritten<T>(field: &Field<T>) -> Option<String> {
    field.get().is_none().then(|| DEFAULT.to_owned())
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

fn listen_host(listen: &RawListen) -> Option<String> {
    match listen {
        RawListen::Address(address) => host(address),
        RawListen::Descriptor(_) | RawListen::Systemd(_) => None,
    }
}

fn host(address: &Address) -> Option<String> {
    match address {
        Address::Host { host, port } => Some(format!("{host}:{port}")),
        Address::Ip(_) => None,
    }
}
