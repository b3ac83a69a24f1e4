//! `defaults`, `frontend`, `listen` and `backend`: what their lines ask for, before it is translated.

use std::net::IpAddr;
use std::time::Duration;

use super::acl::Acls;
use super::bind::Bind;
use super::check;
use super::cookie::Cookie;
use super::directive::Directive;
use super::server::{self, Server};

/// What HAProxy reads of the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Tcp,
    Http,
}

/// Which part of a session a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Defaults,
    Frontend,
    Backend,
    /// A frontend and a backend of one name.
    Listen,
}

/// Times as they are written; `None`: HAProxy sets no limit, or takes another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeouts {
    pub connect: Option<Duration>,
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
    pub tunnel: Option<Duration>,
    pub queue: Option<Duration>,
    pub request: Option<Duration>,
    pub check: Option<Duration>,
}

/// Probes of the kernel on silent connections; what is not written is as Linux has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Keepalive {
    pub is_on: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
}

/// `option forwardfor`, or a rule that sets the header to the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForwardedFor {
    /// What the client sent stays.
    Append,
    Replace,
}

/// The page of statistics.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    /// The line that asks for it.
    pub directive: Directive,
    pub uri: Option<String>,
}

/// All that the lines of a section, and of the `defaults` before it, ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub mode: Mode,
    pub timeouts: Timeouts,
    pub sessions_max: Option<u32>,
    pub backlog: Option<u32>,
    pub retries: Option<u32>,
    pub balance: Option<&'static str>,
    pub cookie: Option<Cookie>,
    pub source: Option<IpAddr>,
    pub is_logged: bool,
    pub skips_empty: bool,
    pub closes: bool,
    pub forwarded_for: Option<ForwardedFor>,
    pub keepalive: Keepalive,
    pub check: check::Rules,
    pub stats: Option<Stats>,
    pub inspect_delay: Option<(Duration, Directive)>,
    pub acls: Acls,
    /// Lines that refuse or accept clients, or that count them.
    pub rules: Vec<Directive>,
    pub default_backend: Option<Directive>,
    pub use_backends: Vec<Directive>,
    pub server_defaults: server::Options,
    pub binds: Vec<Bind>,
    pub servers: Vec<Server>,
    pub is_disabled: bool,
    /// The line that begins the section; lines before it are those of `defaults`.
    pub head_line: usize,
}

/// A section with its settings.
#[derive(Debug)]
pub(super) struct Proxy {
    pub kind: Kind,
    /// Its name in the file.
    pub name: String,
    pub head: Directive,
    pub settings: Settings,
}

impl Proxy {
    pub fn is_frontend(&self) -> bool {
        matches!(self.kind, Kind::Frontend | Kind::Listen)
    }

    pub fn is_backend(&self) -> bool {
        matches!(self.kind, Kind::Backend | Kind::Listen)
    }
}
