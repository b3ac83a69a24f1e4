//! The control plane: listeners, health checks, reload, take-over, and what operators change.
//!
//! It runs on the main thread and on threads of its own, and may block; workers never wait for it.
//! [`crate::serve`] puts its parts together; the admin listener uses only what `api` names.

pub(crate) mod actions;
pub(crate) mod active;
mod added_servers;
mod adding;
mod adopting;
pub(crate) mod api;
pub(crate) mod backend_registry;
pub(crate) mod binding;
pub(crate) mod bound;
pub(crate) mod discovery;
pub(crate) mod engine;
pub(crate) mod error;
mod event;
pub(crate) mod health;
pub(crate) mod journal;
pub(crate) mod limits;
pub(crate) mod listeners;
pub(crate) mod names;
pub(crate) mod operator_state;
pub(crate) mod override_entry;
pub(crate) mod overrides;
pub(crate) mod owner;
pub(crate) mod recorder;
pub(crate) mod refusals;
pub(crate) mod reload;
mod server_change;
mod sessions;
pub(crate) mod socket_file;
pub(crate) mod sources;
pub(crate) mod stalls;
pub(crate) mod state_file;
pub(crate) mod systemd;
pub(crate) mod takeover;
pub(crate) mod upgrade;
pub(crate) mod workers;
