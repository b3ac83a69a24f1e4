//! What discovery hands on.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::Server;

/// The discovered servers of a backend have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChange {
    /// The name of the backend.
    pub backend: String,
    /// All discovered servers that it has now, in the order of their addresses.
    pub servers: Vec<Server>,
    /// Those that it did not have before.
    pub joined: Vec<SocketAddr>,
    /// Those that it does not have any more.
    pub left: Vec<SocketAddr>,
}

/// Puts the servers of a backend into effect. It must not block; what it returns resolves when they are in
/// effect.
pub type Sink = Arc<dyn Fn(MembersChange) -> Option<oneshot::Receiver<()>> + Send + Sync>;
