//! What is known of the health of servers: without checks, that nothing speaks against them.

use std::time::SystemTime;

use crate::config::Config;

/// The health of all servers.
#[derive(Debug)]
pub struct Statuses {
    since: SystemTime,
    /// By backend and server.
    weights: Vec<Vec<u32>>,
}

/// The health of one server.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// `up`, `down` or `no check`.
    pub operational: &'static str,
    /// `ready`, `drain` or `maint`.
    pub admin: &'static str,
    /// Whether it is given new sessions.
    pub usable: bool,
    /// Its share now.
    pub weight: u32,
    /// Why it is in this state.
    pub cause: String,
    /// Since when.
    pub changed: SystemTime,
    /// Checks that it passed.
    pub checks_passed: u64,
    /// Checks that it failed.
    pub checks_failed: u64,
    /// Connects of sessions that failed.
    pub connects_failed: u64,
    /// Times that it went down.
    pub downs: u64,
}

impl Statuses {
    /// No server is checked.
    pub fn new(config: &Config) -> Self {
        let weights = |backend: &crate::config::Backend| {
            let servers = backend.servers.iter();
            servers.map(|server| u32::from(server.weight)).collect()
        };
        Statuses {
            since: SystemTime::now(),
            weights: config.backends.iter().map(weights).collect(),
        }
    }

    /// The health of one server, by index.
    pub fn server(&self, backend: usize, server: usize) -> ServerStatus {
        ServerStatus {
            operational: "no check",
            admin: "ready",
            usable: true,
            weight: self.weights[backend][server],
            cause: String::new(),
            changed: self.since,
            checks_passed: 0,
            checks_failed: 0,
            connects_failed: 0,
            downs: 0,
        }
    }
}
