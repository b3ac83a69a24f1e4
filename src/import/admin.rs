//! `[admin]`: the page of statistics, and the sockets of commands.

use std::collections::BTreeSet;

use super::directive::Directive;
use super::document::{Table, text};
use super::keywords;
use super::notes::{Notes, Place};
use super::proxy::{Proxy, Stats};

/// The sockets of commands that `global` asks for.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    is_asked: bool,
    /// One of them has a path.
    has_path: bool,
}

impl Sockets {
    /// `stats socket ADDRESS`, whose parameters say who may do what.
    ///
    /// # Errors
    ///
    /// The line is malformed: a sentence.
    pub fn read(&mut self, directive: &Directive, notes: &mut Notes) -> Result<(), String> {
        let address = directive.word(2).ok_or("`stats socket` needs an address")?;
        self.is_asked = true;
        let path = ["unix@", "uxst@"]
            .iter()
            .find_map(|kind| address.strip_prefix(kind))
            .unwrap_or(address);
        if path.starts_with('/') {
            self.has_path = true;
            let why = "scripts find these commands at `haproxy_socket`, with all rights: `ringway help haproxy-socket`; \
                       `ringway status`, `drain` and our other commands use `socket`";
            notes.differs(&Place::Admin, directive, why);
        } else {
            let why = "HAProxy's commands are answered at a path only, by `haproxy_socket`";
            notes.not_translated(&Place::Admin, directive, why);
        }
        Ok(())
    }
}

/// `stats` in a proxy: what is asked of the page goes to `page`.
///
/// # Errors
///
/// The line is malformed: a sentence.
pub(super) fn stats(
    page: &mut Option<Stats>,
    directive: &Directive,
    notes: &mut Notes,
) -> Result<(), String> {
    let place = Place::Admin;
    let mut uri = None;
    match directive.word(1).unwrap_or_default() {
        "enable" => {}
        "uri" => uri = directive.word(2).map(str::to_owned),
        "auth" => {
            let why = "`token_file` of [admin] says who may change something, `read_only` that everybody may look";
            notes.not_translated(&place, directive, why);
        }
        "admin" => {
            let why = "a token allows changes: `token_file` in place of `read_only`, see `ringway help admin-listener`";
            notes.not_translated(&place, directive, why);
        }
        "http-request" | "scope" => {
            notes.not_translated(
                &place,
                directive,
                "who reaches the address sees all of the page",
            );
        }
        "realm" | "refresh" | "hide-version" | "show-desc" | "show-legends" | "show-node"
        | "show-modules" => {
            notes.not_needed(&place, directive, keywords::STATS);
        }
        other => return Err(format!("there is no `stats {other}`")),
    }
    let asked = || Stats {
        directive: directive.clone(),
        uri: None,
    };
    let stats = page.get_or_insert_with(asked);
    stats.uri = uri.or(stats.uri.take());
    Ok(())
}

/// The port of the page where a frontend of clients has it in HAProxy.
const PAGE_PORT: u16 = 8404;

/// `[admin]`, if there is anything for it. `pages`: proxies that have nothing but the page; `listening`: what
/// frontends listen on.
pub(super) fn table(
    sockets: &Sockets,
    pages: &[&Proxy],
    proxies: &[Proxy],
    listening: &BTreeSet<String>,
    notes: &mut Notes,
) -> Option<Table> {
    let place = &Place::Admin;
    let mut table = Table::new(place, &["admin"]);
    let page = pages.iter().find_map(|proxy| {
        let address = proxy
            .settings
            .binds
            .iter()
            .find_map(|bind| bind.addresses.first())?;
        Some((proxy.settings.stats.as_ref()?, address.clone()))
    });
    // Of several sections, those that ask for the page in their own lines.
    let elsewhere = proxies
        .iter()
        .filter(|proxy| !pages.iter().any(|page| std::ptr::eq(*page, *proxy)));
    let elsewhere: Vec<&Stats> = elsewhere
        .filter_map(|proxy| proxy.settings.stats.as_ref())
        .collect();
    match (&page, elsewhere.first()) {
        (Some((stats, address)), _) => {
            listen(&mut table, address);
            path(&mut table, stats, notes);
        }
        (None, Some(stats)) => {
            let is_free = |port: &u16| {
                !listening
                    .iter()
                    .any(|address| address.ends_with(&format!(":{port}")))
            };
            let port = (PAGE_PORT..).find(is_free).unwrap_or(PAGE_PORT);
            listen(&mut table, &format!("127.0.0.1:{port}"));
            path(&mut table, stats, notes);
            let why = "the page has an address of its own, and none of those that clients use";
            notes.differs(place, &stats.directive, why);
        }
        (None, None) => {}
    }
    for proxy in pages {
        let others = proxy.settings.binds.iter().flat_map(|bind| &bind.addresses);
        let others: Vec<&str> = others
            .map(String::as_str)
            .filter(|other| page.as_ref().is_none_or(|(_, address)| address != other))
            .collect();
        if !others.is_empty() {
            let why = format!(
                "the page has one address; this one it has not: {}",
                others.join(", ")
            );
            notes.not_translated(place, &proxy.head, why);
        }
    }
    if sockets.is_asked {
        table.line("socket", text(SOCKET));
    }
    if sockets.has_path {
        table.line("haproxy_socket", text(HAPROXY_SOCKET));
    }
    (!table.is_empty()).then_some(table)
}

/// Where the package has the socket of the commands.
const SOCKET: &str = "/run/ringway/admin.sock";

/// Where the package may have that of HAProxy's commands: the folder of HAProxy's own belongs to HAProxy.
const HAPROXY_SOCKET: &str = "/run/ringway/haproxy.sock";

/// `[admin]` with the socket of the commands.
pub(super) fn socket_alone() -> Table {
    let mut table = Table::new(&Place::Admin, &["admin"]);
    table.line("socket", text(SOCKET));
    table
}

fn listen(table: &mut Table, address: &str) {
    table.line("listen", text(address));
    let is_loopback = ["127.", "localhost:", "[::1]:"]
        .iter()
        .any(|begin| address.starts_with(begin));
    if !is_loopback {
        table.commented(
            "read_only",
            "true".to_owned(),
            "with `token_file` in its place changes are allowed, too",
        );
    }
}

/// Paths that the admin listener has in any case.
const OWN_PATHS: &[&str] = &["", "/"];

fn path(table: &mut Table, stats: &Stats, notes: &mut Notes) {
    let uri = stats.uri.as_deref().unwrap_or("/haproxy?stats");
    let path = uri.split(['?', ';']).next().unwrap_or_default();
    if OWN_PATHS.contains(&path) {
        return;
    }
    let is_path = path.starts_with('/')
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/_.~-".contains(c));
    match is_path && path.len() <= 256 {
        true => table.line("page", text(path)),
        false => notes.not_translated(
            &Place::Admin,
            &stats.directive,
            format!("`{uri}` can be no path: the page is at `/`"),
        ),
    }
}
