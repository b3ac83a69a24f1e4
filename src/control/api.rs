//! What the admin listener uses of the control plane: the state that it shows, the actions that it takes.

pub use super::actions::{Actions, Target};
pub use super::active::Active;
pub use super::adding::{Refused, Set};
pub(crate) use super::binding;
pub use super::bound::Bound;
pub use super::discovery::{Failure as DiscoveryFailure, Statuses as DiscoveryStatuses};
pub use super::error::StartError;
pub use super::health::ServerStatus;
pub use super::journal::{Entry, Event, Journal, Kind};
pub(crate) use super::owner;
pub use super::recorder::{FailureRecord, Happened, ProbeRecord, Record};
pub use super::refusals::refused;
pub use super::reload::Reloader;
pub use super::server_change::{Attribution, ServerChange};
pub use super::sessions::CLOSE_TIMEOUT;
pub(crate) use super::socket_file;
pub use super::takeover::{PATH, PROTOCOL, TakeoverServer};
pub use super::upgrade::Upgrader;
pub use crate::logic::health::AdminState;
