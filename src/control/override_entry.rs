//! What operators set of one server, as it is kept and handed over.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::server_change::{Attribution, ServerChange};
use crate::config::{Backend, Server};
use crate::logic::health::AdminState;

/// The configuration of a server when its override was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredServer {
    /// As it is written.
    address: String,
    weight: u16,
    max_sessions: Option<u32>,
    backup: bool,
}

impl ConfiguredServer {
    pub fn of(server: &Server) -> Self {
        ConfiguredServer {
            address: server.address.to_string(),
            weight: server.weight,
            max_sessions: server.sessions_max,
            backup: server.backup,
        }
    }
}

/// The administrative state and the weight that an operator set for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Name of its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// The administrative state.
    pub state: AdminState,
    /// The weight, if it is not that of the configuration.
    pub weight: Option<u16>,
    /// Who set it last.
    #[serde(flatten)]
    pub by: Attribution,
    /// The configuration of the server then.
    #[serde(rename = "line")]
    pub configured: ConfiguredServer,
    /// Since when there is no such server, in seconds of Unix time, if it is one that discovery may find again;
    /// `None`: there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<u64>,
}

/// How long the override of a discovered server is kept while there is no such server.
pub const ABSENT_MAX: Duration = Duration::from_secs(24 * 3600);

impl Override {
    pub fn change(&self) -> ServerChange {
        ServerChange {
            state: Some(self.state),
            weight: self.weight,
            by: self.by.clone(),
        }
    }

    /// Whether it is of a server that discovery finds: no other is named by an address. What is configured of
    /// such a server may change with any answer, and is no entry that somebody edits.
    pub fn is_of_discovered(&self) -> bool {
        self.server.parse::<SocketAddr>().is_ok()
    }

    /// Whether it holds for a server with this configuration.
    pub fn holds(&self, server: &Server) -> bool {
        self.is_of_discovered() || self.configured == ConfiguredServer::of(server)
    }

    /// Whether it is kept although there is no such server `now`: discovery may find it in the backend.
    pub fn is_kept(&mut self, backend: Option<&Backend>, now: SystemTime) -> bool {
        let discovers = backend.is_some_and(|backend| backend.discover.is_some());
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let since = *self.absent_since.get_or_insert(now);
        self.is_of_discovered() && discovers && now.saturating_sub(since) < ABSENT_MAX.as_secs()
    }

    pub fn is_default(&self) -> bool {
        self.state == AdminState::Ready && self.weight.is_none()
    }
}
