//! The configuration: from the text that an operator wrote to what is true for this process.
//!
//! `text -> RawConfig (what was written, with spans) -> Config (complete, checked, immutable)`.
//! Everything that can be wrong with a file is found here, all of it in one run; nothing behind
//! this module meets an unchecked value. It opens no socket and starts no thread; its only I/O is
//! resolving host names, looking users up and reading the file.
//!
//! The way of a file: `load` gets its text, `read` makes a `RawConfig` of it by `section`,
//! `schema`, `value`, `units` and `address`; `validate` and `backends` make a [`Config`] of that by
//! `inherit`, `defaults`, `listen` and `resolve`; `error` and `render` show what went wrong, `print` and
//! `page` what is in effect. Keys that belong together have a file of their own for all of that:
//! `admin`, `identity`, `http_mode`, `health_check`, `sticky` with `cookie`. `reference` tells users
//! what each key is for. A command line without a file takes the short way of `simple`.

mod address;
mod admin;
mod backends;
mod cookie;
mod defaults;
mod error;
mod health_check;
mod http_mode;
mod identity;
mod inherit;
mod listen;
mod load;
mod page;
mod print;
mod raw;
mod read;
mod reference;
mod render;
mod resolve;
mod schema;
mod section;
mod simple;
mod sticky;
mod units;
mod validate;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use address::Address;
pub use admin::Admin;
pub use error::{Problem, Report};
pub use health_check::{CheckKind, HealthCheck, HttpCheck, StatusRanges};
pub use http_mode::{HttpMode, Inspect, Mode};
pub use identity::Identity;
pub use listen::overlap;
pub use load::{Loaded, check, check_text, load, parse};
pub use print::effective;
pub use reference::{help, help_names, json_schema, man_page, rule_names};
pub use resolve::{Resolver, system as system_resolver};
pub use sticky::{SameSite, Sticky};
pub use units::{format_duration, format_size, parse_duration, parse_size};

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
    /// Sessions over all workers, at least 1; `None`: derived from the limit of open files.
    pub sessions_max: Option<u32>,
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

/// Form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// One line of text for each session.
    Text,
    /// One JSON object for each session.
    Json,
    /// No access log.
    Off,
}

impl AccessLog {
    /// The words of the configuration.
    pub const NAMES: &[(&str, AccessLog)] = &[
        ("text", AccessLog::Text),
        ("json", AccessLog::Json),
        ("off", AccessLog::Off),
    ];
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(AccessLog::NAMES, *self))
    }
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
    /// Index into [`Config::backends`].
    pub backend: usize,
    /// Sessions of this frontend over all workers, at least 1; `None`: only the global limit.
    pub sessions_max: Option<u32>,
    /// Length of the kernel's accept queue of each listener, 1..=65535.
    pub backlog: u32,
    /// The timeouts that hold for sessions of this frontend: a value of the backend wins over one
    /// of the frontend, which wins over `[defaults]`.
    pub timeouts: Timeouts,
    /// Further connect attempts after the first, 0..=100; found like the timeouts.
    pub retries: u32,
}

/// Timeouts of a session. All are positive and at most 100 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One connect attempt.
    pub connect: Duration,
    /// No byte in either direction.
    pub idle: Duration,
    /// One direction ended, the other idle.
    pub half_closed: Duration,
    /// HTTP mode: the whole head of the first request.
    pub request: Duration,
    /// Waiting for a place on a full server; when not written: the same as `connect`.
    pub queue: Duration,
}

/// One entry of `listen`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// An address to bind; port 0 lets the kernel choose.
    Address(SocketAddr),
    /// `fd:N`: a listening socket inherited as descriptor N.
    Descriptor(i32),
    /// `systemd:NAME`: a listening socket passed by socket activation under this name.
    Systemd(String),
}

impl Listen {
    /// Whether it may be written twice: with port 0 the kernel chooses another port each time.
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Listen::Address(address) if address.port() == 0)
    }
}

impl fmt::Display for Listen {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Address(address) => address.fmt(f),
            Listen::Descriptor(number) => write!(f, "fd:{number}"),
            Listen::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// Section `[backend.NAME]`: a pool of servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// `[A-Za-z0-9_.-]{1,64}`, unique among backends.
    pub name: String,
    /// How a server is chosen.
    pub balance: Balance,
    /// How long the weight of a server rises after it came back; `None`: not at all.
    pub slow_start: Option<Duration>,
    /// What becomes of the open sessions of a server that goes down.
    pub on_down: OnDown,
    /// How its servers are checked; `None`: they count as up.
    pub health_check: Option<HealthCheck>,
    /// How clients are bound to servers; `None`: they are not. Only frontends in HTTP mode use such
    /// a backend.
    pub sticky: Option<Sticky>,
    /// At least one, at most 65,535, in the order of the file.
    pub servers: Vec<Server>,
}

/// What becomes of the open sessions of a server that goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDown {
    /// They go on.
    Keep,
    /// They are cut.
    Close,
}

impl OnDown {
    /// The words of the configuration.
    pub const NAMES: &[(&str, OnDown)] = &[("keep", OnDown::Keep), ("close", OnDown::Close)];
}

impl fmt::Display for OnDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(OnDown::NAMES, *self))
    }
}

/// A balancing algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted round robin.
    RoundRobin,
    /// Fewest sessions per weight.
    LeastConn,
    /// The better of two random draws by the measure of [`Balance::LeastConn`].
    Random,
    /// Weighted rendezvous hash of the client's address.
    SourceHash,
    /// The first in file order with a free place.
    First,
}

impl Balance {
    /// The words of the configuration and of the command line.
    pub const NAMES: &[(&str, Balance)] = &[
        ("round_robin", Balance::RoundRobin),
        ("least_conn", Balance::LeastConn),
        ("random", Balance::Random),
        ("source_hash", Balance::SourceHash),
        ("first", Balance::First),
    ];
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(Balance::NAMES, *self))
    }
}

impl FromStr for Balance {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        value::parse_choice("balance", text, Self::NAMES)
    }
}

/// The word of a choice; the tables name every variant, which a test checks.
fn word<T: PartialEq>(names: &'static [(&'static str, T)], value: T) -> &'static str {
    names
        .iter()
        .find(|(_, named)| *named == value)
        .map_or("", |(word, _)| word)
}

/// One entry of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `[A-Za-z0-9_.-]{1,64}`, unique in its backend.
    pub name: String,
    /// Where it is reached; the port is never 0.
    pub address: Address,
    /// 0..=256; 0: takes no balanced sessions.
    pub weight: u16,
    /// Sessions over all workers, at least 1; `None`: unlimited.
    pub sessions_max: Option<u32>,
    /// Used only when no other server can be.
    pub backup: bool,
    /// Value of the sticky cookie that names it, unique in its backend: 1 to 64 of RFC 6265's `cookie-octet`;
    /// when not written: a hash of eleven characters of its name.
    pub cookie: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_has_a_word_that_is_read_back() {
        for (word, balance) in Balance::NAMES {
            // A new variant fails to compile here until it is added to this test and to the table.
            match balance {
                Balance::RoundRobin
                | Balance::LeastConn
                | Balance::Random
                | Balance::SourceHash
                | Balance::First => {}
            }
            assert_eq!(word.parse::<Balance>().unwrap(), *balance);
            assert_eq!(balance.to_string(), *word);
        }
        assert_eq!(Balance::NAMES.len(), 5);
        for access_log in [AccessLog::Text, AccessLog::Json, AccessLog::Off] {
            assert!(AccessLog::NAMES.contains(&(access_log.to_string().as_str(), access_log)));
        }
        for inspect in [Inspect::First, Inspect::Close] {
            assert!(Inspect::NAMES.contains(&(inspect.to_string().as_str(), inspect)));
        }
        for same_site in [
            SameSite::Lax,
            SameSite::Strict,
            SameSite::None,
            SameSite::Off,
        ] {
            assert!(SameSite::NAMES.contains(&(same_site.to_string().as_str(), same_site)));
        }
        for on_down in [OnDown::Keep, OnDown::Close] {
            assert!(OnDown::NAMES.contains(&(on_down.to_string().as_str(), on_down)));
        }
    }
}
