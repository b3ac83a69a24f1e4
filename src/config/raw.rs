//! What an operator wrote: the same shape as the file, every value checked on its own, with its location.
//!
//! `read` fills it from a parsed TOML tree; `validate` makes a `Config` of it; `print` looks here
//! for what was written and what was not.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::address::{Address, RawListen};
use super::address_list::RawAddresses;
use super::admin::RawAdmin;
use super::discover::RawDiscover;
use super::field::Field;
use super::health_check::RawHealthCheck;
use super::identity::RawIdentity;
use super::keepalive::Keepalive;
use super::mode::RawMode;
use super::passive::RawPassive;
use super::per_client::RawPerClient;
use super::problem::Span;
use super::proxy::RawAcceptProxy;
use super::sticky::RawSticky;
use super::{AccessLog, Algorithm, EngineChoice, OnDown, Pin, SendProxy};

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct RawConfig {
    pub global: RawGlobal,
    pub admin: Option<RawAdmin>,
    pub defaults: RawSession,
    /// In file order, as in `Config`.
    pub frontends: Vec<RawFrontend>,
    /// In file order, as in `Config`.
    pub backends: Vec<RawBackend>,
    /// Whether a section was not understood, so that others may only seem to be missing.
    pub incomplete: bool,
}

/// `[global]`
#[derive(Clone, Debug, Default)]
pub(super) struct RawGlobal {
    pub workers: Field<RawWorkers>,
    pub engine: Field<EngineChoice>,
    pub pin: Field<Pin>,
    pub sessions_max: Field<u32>,
    pub clients_max: Field<u32>,
    pub shutdown_timeout: Field<Duration>,
    pub shutdown_grace: Field<Duration>,
    pub access_log: Field<AccessLog>,
    pub state_file: Field<PathBuf>,
    pub identity: RawIdentity,
}

/// Value of `workers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawWorkers {
    /// One per CPU.
    Auto,
    Count(usize),
}

/// The keys that `[defaults]`, frontends and backends share.
#[derive(Clone, Debug, Default)]
pub(super) struct RawSession {
    pub connect: Field<Duration>,
    pub idle: Field<Duration>,
    pub half_closed: Field<Duration>,
    pub request: Field<Duration>,
    pub queue: Field<Duration>,
    pub tunnel: Field<Duration>,
    pub max_age: Field<Option<Duration>>,
    pub keepalive: Field<Option<Keepalive>>,
    pub user_timeout: Field<Option<Duration>>,
    pub retries: Field<u32>,
}

/// `[frontend.NAME]`
#[derive(Clone, Debug)]
pub(super) struct RawFrontend {
    pub name: String,
    /// Where the section begins.
    pub span: Span,
    pub listen: Field<Vec<Spanned<RawListen>>>,
    pub backend: Field<String>,
    pub mode: RawMode,
    pub accept_proxy: Field<RawAcceptProxy>,
    pub sessions_max: Field<u32>,
    pub allow: Field<Vec<Spanned<RawAddresses>>>,
    pub deny: Field<Vec<Spanned<RawAddresses>>>,
    pub per_client: Field<RawPerClient>,
    pub log_empty: Field<bool>,
    pub backlog: Field<u32>,
    pub session: RawSession,
}

impl RawFrontend {
    /// The backends that it names: its own, unless it has routes and leaves that out, and those of its routes.
    pub fn backends(&self) -> impl Iterator<Item = &Field<String>> {
        let own_is_absent = matches!(self.backend, Field::Absent);
        let own = (!own_is_absent || self.mode.tls.routes.get().is_none()).then_some(&self.backend);
        let routes = self.mode.tls.routes().iter();
        own.into_iter().chain(routes.map(|route| &route.backend))
    }
}

/// `[backend.NAME]`
#[derive(Clone, Debug)]
pub(super) struct RawBackend {
    pub name: String,
    /// Where the section begins.
    pub span: Span,
    /// Whether it holds a section that is not understood, maybe a backend of its own.
    pub incomplete: bool,
    pub balance: Field<Algorithm>,
    pub slow_start: Field<Duration>,
    pub on_down: Field<OnDown>,
    pub send_proxy: Field<SendProxy>,
    pub source: Field<Vec<IpAddr>>,
    pub health_check: Field<RawHealthCheck>,
    pub passive: Field<RawPassive>,
    pub sticky: Field<RawSticky>,
    pub discover: Field<RawDiscover>,
    pub servers: Field<Vec<RawServer>>,
    pub session: RawSession,
}

/// One entry of `servers`.
#[derive(Clone, Debug)]
pub(super) struct RawServer {
    /// Where the entry begins.
    pub span: Span,
    pub name: Field<String>,
    pub address: Field<Address>,
    pub weight: Field<u16>,
    pub sessions_max: Field<u32>,
    pub backup: Field<bool>,
    pub cookie: Field<String>,
}
