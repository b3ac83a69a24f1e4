//! What operators set of one server, as it is kept and handed over.

use serde::{Deserialize, Serialize};

use super::server_change::{Attribution, ServerChange};
use crate::config::Server;
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
}

impl Override {
    pub fn change(&self) -> ServerChange {
        ServerChange {
            state: Some(self.state),
            weight: self.weight,
            by: self.by.clone(),
        }
    }

    pub fn is_default(&self) -> bool {
        self.state == AdminState::Ready && self.weight.is_none()
    }
}
