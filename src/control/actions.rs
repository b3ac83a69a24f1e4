//! What operators do to a running process: set a server's state and weight, close sessions.
//!
//! The admin listener calls this; nothing here knows of HTTP. Each action is attributed, logged and in
//! the journal, and what is to outlive the process is in the state file before it is confirmed.

use std::sync::Arc;

use super::health::Statuses;
use super::journal::{Entry, Journal, Kind};
use super::overrides::Overrides;
use super::server_change::{Attribution, ServerChange};
use super::sessions;
use super::workers::WorkerHandles;
use crate::config::Server;
use crate::logic::session::KillReason;
use crate::snapshot::ServerShared;
use crate::worker::{Filter, Report, Task};

/// The ways to whoever carries them out.
pub struct Actions {
    /// The health thread.
    pub statuses: Statuses,
    /// What holds beside the configuration.
    pub overrides: Arc<Overrides>,
    /// The workers.
    pub orders: WorkerHandles,
    /// Where it is recorded.
    pub journal: Journal,
}

/// A server, as all of the control plane knows it.
pub struct Target<'a> {
    /// Name of its backend.
    pub backend: &'a str,
    /// What the configuration says of it.
    pub server: &'a Server,
    /// What is shared of it.
    pub shared: &'a ServerShared,
}

impl Actions {
    /// Sets what is ordered of a server. It is in effect, and in the state file, when this returns; a
    /// sentence says if it could not be saved.
    ///
    /// # Errors
    ///
    /// No orders are taken now: a sentence.
    pub async fn set_server(
        &self,
        target: &Target<'_>,
        change: ServerChange,
    ) -> Result<Option<String>, &'static str> {
        let _order = self.overrides.begin_order()?;
        self.overrides.add(target.backend, target.server, &change);
        // A thread that has ended ends the process.
        let _ = self.statuses.apply_change(target.shared, change).await;
        Ok(self.overrides.save().await.err())
    }

    /// Closes the open sessions that are meant, and returns how many. `what` names so many of them
    /// for the log.
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
        let closed = sessions::ask(&self.orders, task, filter).await?.count;
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

    /// Describes the open sessions that are meant, up to so many, the oldest first.
    ///
    /// # Errors
    ///
    /// A worker did not answer.
    pub async fn list_sessions(&self, filter: Filter, max: usize) -> Result<Report, &'static str> {
        sessions::ask(&self.orders, Task::List(max), filter).await
    }
}
