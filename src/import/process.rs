//! `global`, and the page of statistics: from their lines to `[global]` and `[admin]`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::directive::Directive;
use super::document::{Table, text, time};
use super::keywords;
use super::notes::{Notes, Place};
use super::proxy::{Proxy, Stats};
use super::source::Section;
use super::values;

/// What `global` asks for.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub sessions_max: Option<u32>,
    pub workers: Option<u32>,
    pub shutdown_timeout: Option<Duration>,
    pub shutdown_grace: Option<Duration>,
    pub keeps_state: bool,
    pub has_socket: bool,
    /// A socket is one of the file system.
    pub has_socket_path: bool,
    pub ca_base: Option<String>,
}

impl Process {
    /// Reads a section; there may be several.
    pub fn read(&mut self, section: &Section, notes: &mut Notes) {
        for directive in &section.directives {
            if let Err(what) = self.line(directive, notes) {
                notes.wrong(&Place::Global, directive, what);
            }
        }
    }

    fn line(&mut self, directive: &Directive, notes: &mut Notes) -> Result<(), String> {
        let place = &Place::Global;
        let word = directive.words[0].as_str();
        let value = || directive.word(1).ok_or(format!("`{word}` needs a value"));
        match word {
            "maxconn" => {
                self.sessions_max =
                    Some(values::number(value()?, u32::MAX)?).filter(|count| *count > 0)
            }
            "nbthread" => self.workers = Some(values::number(value()?, 1024)?.max(1)),
            "hard-stop-after" => self.shutdown_timeout = Some(values::time(value()?)?),
            "grace" => self.shutdown_grace = Some(values::time(value()?)?),
            "server-state-file" => {
                self.keeps_state = true;
                let why = "the file is one of our own, in JSON, and is written by itself";
                notes.differs(place, directive, why);
            }
            "log" => notes.not_needed(place, directive, keywords::LOG),
            "stats" => match value()? {
                "socket" => self.socket(directive, notes),
                _ => notes.not_needed(&Place::Admin, directive, "a command ends when it is done"),
            },
            "ca-base" => {
                self.ca_base = directive.word(1).map(str::to_owned);
                notes.not_needed(
                    place,
                    directive,
                    "names of certificates are written out with it",
                );
            }
            "no" | "default" => {
                let words = directive.from(1);
                match words.first().and_then(|word| keywords::global(word)) {
                    Some(_) => notes.not_needed(place, directive, "it is negated"),
                    None => return Err("this can't be negated".to_owned()),
                }
            }
            word => match keywords::global(word) {
                Some((verdict, why)) => notes.add(place, directive, verdict, why),
                None => {
                    let near =
                        crate::near::near(word, GLOBAL.iter().map(|name| (*name).to_owned()));
                    return Err(match near.first() {
                        Some(near) => {
                            format!("unknown keyword `{word}` of `global`: did you mean {near}?")
                        }
                        None => format!("unknown keyword `{word}` of `global`"),
                    });
                }
            },
        }
        Ok(())
    }

    /// `stats socket ADDRESS`, whose parameters say who may do what.
    fn socket(&mut self, directive: &Directive, notes: &mut Notes) {
        self.has_socket = true;
        let address = directive.word(2).unwrap_or_default();
        let path = ["unix@", "uxst@"]
            .iter()
            .find_map(|kind| address.strip_prefix(kind))
            .unwrap_or(address);
        if path.starts_with('/') {
            self.has_socket_path = true;
            let why = "scripts find these commands at `haproxy_socket`, with all rights: `ringway help haproxy-socket`; \
                       `ringway status`, `drain` and our other commands use `socket`";
            notes.differs(&Place::Admin, directive, why);
        } else {
            let why = "HAProxy's commands are answered at a path only, by `haproxy_socket`";
            notes.not_translated(&Place::Admin, directive, why);
        }
    }

    /// `[global]`. `is_logged`: a frontend logs its sessions.
    pub fn table(&self, is_logged: bool) -> Table {
        let mut table = Table::new(&Place::Global, &["global"]);
        if let Some(workers) = self.workers {
            table.line("workers", workers.to_string());
        }
        if let Some(count) = self.sessions_max {
            table.line("max_sessions", count.to_string());
        }
        if let Some(timeout) = self.shutdown_timeout {
            table.line("shutdown_timeout", time(timeout));
        }
        if let Some(grace) = self.shutdown_grace {
            table.line("shutdown_grace", time(grace));
        }
        table.line("access_log", text(if is_logged { "text" } else { "off" }));
        if self.keeps_state {
            table.line("state_file", text("/var/lib/ringway/state.json"));
        }
        table
    }
}

/// Keywords that are proposed for unknown ones.
const GLOBAL: &[&str] = &[
    "maxconn",
    "nbthread",
    "hard-stop-after",
    "grace",
    "server-state-file",
    "log",
    "stats",
    "daemon",
    "user",
    "group",
    "chroot",
    "pidfile",
    "spread-checks",
    "ulimit-n",
    "ca-base",
    "crt-base",
];

/// The port of the page where a frontend of clients has it in HAProxy.
const PAGE_PORT: u16 = 8404;

/// `[admin]`, if there is anything for it. `pages`: proxies that have nothing but the page; `listening`: what
/// frontends listen on.
pub(super) fn admin(
    process: &Process,
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
    if process.has_socket {
        table.line("socket", text(SOCKET));
    }
    if process.has_socket_path {
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
