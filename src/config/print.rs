//! The configuration in effect, as TOML: `ringway check --print-effective`.
//!
//! Every value is filled in, and those that were not written say where they come from. Reading the
//! output gives an equal [`Config`](super::Config), so it can replace the file it was made from.

mod backend;
mod frontend;
mod written;

use std::collections::BTreeSet;

use super::admin::RawAdmin;
use super::page::{Page, quoted};
use super::{Admin, Frontend, Global, Loaded, Mode, format_duration};
use backend::backend;
use frontend::frontend;
use written::{file, listen_host, unwritten};

/// The whole configuration as a file that has every value.
///
/// Timeouts and retries are shown with the frontends, where they take effect: two frontends may
/// use the same backend with different ones. A frontend in TLS mode may use several backends: what
/// these set is shown with them.
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
    let tls = |frontend: &&Frontend| matches!(frontend.mode, Mode::Tls(_));
    let tls = config.frontends.iter().filter(tls);
    let routed: BTreeSet<usize> = tls.flat_map(Frontend::backends).collect();
    for (index, (backend, written)) in config.backends.iter().zip(&raw.backends).enumerate() {
        let session = routed.contains(&index).then_some(&written.session);
        self::backend(&mut page, backend, written, session);
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
    page.line("pin", global.pin, unwritten(&written.pin));
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
    let haproxy_socket = file(admin.haproxy_socket.as_ref());
    page.limit("haproxy_socket", haproxy_socket, "none");
    let group = admin.socket_group.as_ref().map(|group| quoted(&group.name));
    page.limit("socket_group", group, "none");
    page.limit("token_file", file(admin.token_file.as_ref()), "none");
    let comment = written.and_then(|written| unwritten(&written.read_only));
    page.line("read_only", admin.read_only, comment);
    page.limit("page", admin.page.as_ref().map(quoted), "none");
}
