//! What operators do to a running process: set a server's state and weight, close sessions. That they add and
//! remove servers is in `adding`.
//!
//! The admin listener calls this; nothing here knows of HTTP. Each action is attributed, logged and in
//! the journal, and what is to outlive the process is in the state file before it is confirmed.

use std::sync::Arc;

use super::backend_registry::BackendRegistry;
use super::health::Statuses;
use super::journal::{Entry, Journal, Kind};
use super::names::Names;
use super::overrides::Overrides;
use super::server_change::{Attribution, ServerChange};
use super::sessions;
use super::workers::WorkerHandles;
use crate::config::Server;
use crate::logic::session::KillReason;
use crate::snapshot::ServerShared;
use crate::worker::{Filter, Report, Task};

/// The parts of the control plane that carry actions out.
pub struct Actions {
    /// The health thread.
    pub statuses: Statuses,
    /// What holds beside the configuration.
    pub overrides: Arc<Overrides>,
    /// The workers.
    pub handles: WorkerHandles,
    /// The servers of the backends.
    pub registry: BackendRegistry,
    /// Resolves the host names of added servers.
    pub names: Names,
    /// Where it is recorded.
    pub journal: Journal,
}

/// A server that an action changes.
pub struct Target<'a> {
    /// Name of its backend.
    pub backend: &'a str,
    /// Its configuration.
    pub server: &'a Server,
    /// What threads share of it.
    pub shared: &'a ServerShared,
}

impl Actions {
    /// Changes a server. The change is in effect and in the state file when this returns; a sentence says why
    /// it could not be saved.
    ///
    /// # Errors
    ///
    /// A sentence: no actions are taken now.
    pub async fn set_server(
        &self,
        target: &Target<'_>,
        change: ServerChange,
    ) -> Result<Option<String>, &'static str> {
        let _action = self.overrides.begin_action()?;
        self.overrides.add(target.backend, target.server, &change);
        // A thread that has ended ends the process.
        let _ = self.statuses.apply_change(target.shared, change).await;
        Ok(self.overrides.save().await.err())
    }

    /// Closes the open sessions that match `filter`, and returns how many. `what` describes that many sessions
    /// in the log.
    ///
    /// # Errors
    ///
    /// A worker did not answer.
    pub async fn close_sessions(
        &self,
        filter: Filter,
        what: impl FnOnce(u64) -> String,
        by: &Attribution,
    ) -> Result<u64, &'static str> {
        let server = filter.backend.as_ref().zip(filter.server.as_ref());
        let server = server.map(|(backend, server)| format!("{backend}/{server}"));
        let task = Task::Close(KillReason::Operator);
        let closed = sessions::ask(&self.handles, task, filter).await?.count;
        if closed > 0 {
            let why = match by.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let text = format!("{} closed: operator ({}{why})", what(closed), by.who);
            log::info!("{text}");
            self.journal.record(Entry {
                kind: Kind::Sessions,
                server,
                reason: by.reason.clone(),
                who: Some(by.who.clone()),
                text,
                ..Entry::default()
            });
        }
        Ok(closed)
    }

    /// Lists the open sessions that match `filter`, at most `max`, the oldest first.
    ///
    /// # Errors
    ///
    /// A worker did not answer.
    pub async fn list_sessions(&self, filter: Filter, max: usize) -> Result<Report, &'static str> {
        sessions::ask(&self.handles, Task::List(max), filter).await
    }
}
