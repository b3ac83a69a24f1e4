//! A whole configuration, as the rest of the program uses it: complete, checked and immutable.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::address_list::AddressList;
use super::admin::Admin;
use super::choice::{AccessLog, EngineChoice, OnDown, Pin};
use super::discover::Discover;
use super::health_check::HealthCheck;
use super::http_mode::ForwardedFor;
use super::identity::Identity;
use super::listen::Listen;
use super::mode::Mode;
use super::per_client::PerClient;
use super::proxy::{AcceptProxy, SendProxy};
use super::server::Server;
use super::session_rules::SessionRules;
use super::sticky::Sticky;
use super::tls_mode::Route;
use crate::logic::balance::Algorithm;
use crate::logic::ejection::EjectionRules;

/// A whole configuration that was found valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What concerns the process as a whole.
    pub global: Global,
    /// Where the process tells how it is; `None`: nowhere.
    pub admin: Option<Admin>,
    /// Entries, in the order of the file.
    pub frontends: Vec<Frontend>,
    /// Pools of servers, in the order of the file.
    pub backends: Vec<Backend>,
}

/// Section `[global]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Worker threads, 1..=1024; `None`: one per CPU that this process may run on.
    pub workers: Option<usize>,
    /// By which interface of the kernel workers move bytes.
    pub engine: EngineChoice,
    /// Whether each worker runs on a CPU of its own.
    pub pin: Pin,
    /// Sessions over all workers, at least 1; `None`: derived from the limit of open files.
    pub sessions_max: Option<u32>,
    /// Clients with limits that are remembered, over all frontends, 1,000..=100,000,000.
    pub clients_max: u32,
    /// How long open sessions may finish after the first signal to stop.
    pub shutdown_timeout: Duration,
    /// How long the process still accepts after that signal, while it already says that it is not
    /// ready; 0..=100 days.
    pub shutdown_grace: Duration,
    /// Form of the lines that are logged for each ended session.
    pub access_log: AccessLog,
    /// File that keeps administrative states over a restart; `None`: they are forgotten.
    pub state_file: Option<PathBuf>,
    /// As whom the process serves; `None`: as whoever started it.
    pub identity: Option<Identity>,
}

/// Section `[frontend.NAME]`: where clients come in.
#[derive(Clone, Debug, PartialEq)]
pub struct Frontend {
    /// `[A-Za-z0-9_.-]{1,64}`, unique among frontends.
    pub name: String,
    /// At least one.
    pub listen: Vec<Listen>,
    /// What is relayed.
    pub mode: Mode,
    /// Who may send a PROXY head; `None`: nobody.
    pub accept_proxy: Option<AcceptProxy>,
    /// HTTP mode: how servers are told the client's address in `X-Forwarded-For`; `None`: that passes as it is.
    pub forwarded_for: Option<ForwardedFor>,
    /// Index into [`Config::backends`]; in TLS mode that of clients that no route matches, and `None`: they are
    /// closed.
    pub backend: Option<usize>,
    /// TLS mode: clients that get another backend, in the order of the file.
    pub routes: Vec<Route>,
    /// Sessions of this frontend over all workers, at least 1; `None`: only the global limit.
    pub sessions_max: Option<u32>,
    /// Who may connect; `None`: everybody.
    pub allow: Option<AddressList>,
    /// Who may not connect, even if `allow` has it; `None`: nobody.
    pub deny: Option<AddressList>,
    /// Limits on each client; `None`: there are none.
    pub per_client: Option<PerClient>,
    /// Whether a connection that ends without a byte from its client is logged.
    pub log_empty: bool,
    /// Length of the kernel's accept queue of each listener, 1..=65535.
    pub backlog: u32,
    /// What holds for sessions of this frontend, but for those that take a route.
    pub session: SessionRules,
}

impl Frontend {
    /// Indices of the backends that it may choose, each as often as it is named; at least one.
    pub fn backends(&self) -> impl Iterator<Item = usize> {
        let routes = self.routes.iter().map(|route| route.backend);
        self.backend.into_iter().chain(routes)
    }
}

/// Section `[backend.NAME]`: a pool of servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// `[A-Za-z0-9_.-]{1,64}`, unique among backends.
    pub name: String,
    /// How a server is chosen.
    pub balance: Algorithm,
    /// How long the weight of a server rises after it came back; `None`: not at all.
    pub slow_start: Option<Duration>,
    /// What becomes of the open sessions of a server that goes down.
    pub on_down: OnDown,
    /// The PROXY head that its servers get.
    pub send_proxy: SendProxy,
    /// Local addresses of connects to its servers, in turn; empty: the kernel chooses.
    pub source: Vec<IpAddr>,
    /// How its servers are checked; `None`: they count as up.
    pub health_check: Option<HealthCheck>,
    /// When servers are left out because of failed sessions; `None`: never.
    pub passive: Option<EjectionRules>,
    /// How clients are bound to servers; `None`: they are not. Only frontends in HTTP mode use such
    /// a backend.
    pub sticky: Option<Sticky>,
    /// How further servers are found; `None`: there are none.
    pub discover: Option<Discover>,
    /// At most 65,535, in the order of the file; at least one unless servers are discovered.
    pub servers: Vec<Server>,
}
