//! All that operators set at run time, as it is kept and handed over.

use super::added_servers::AddedServer;
use super::override_entry::Override;

/// States and weights of servers, and added servers.
#[derive(Clone, Debug, Default)]
pub struct OperatorState {
    /// States and weights.
    pub overrides: Vec<Override>,
    /// Servers that the configuration does not have.
    pub added: Vec<AddedServer>,
}
