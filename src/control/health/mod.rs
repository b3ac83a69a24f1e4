//! Health: one thread probes all servers of all backends and tells the workers which they may use.
//!
//! ```text
//!  probe --> checker --> sync: availability   ----------> workers, on each choice
//!    ^          |  \---> Statuses -------------------> whoever shows them
//!    |          \------> log
//!  schedule <---+------- sessions that failed -------- workers
//!               +------- orders of the operator ------ whoever takes them
//! ```
//!
//! What a result means is decided by [`crate::logic::health`]. The thread has a runtime of its own,
//! so that nothing else of the control plane delays a probe or is delayed by a thousand of them.

mod announce;
mod checker;
mod first_result;
mod limit;
mod operator;
mod passive;
mod probe;
mod recording;
mod resolving;
mod schedule;
mod snapshots;
mod statuses;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use super::names::Names;
use super::server_change::ServerChange;
use super::workers::WorkerHandles;

use crate::privileges::{self, User};
use crate::snapshot::Snapshot;
use checker::Checker;
pub use statuses::{ServerStatus, Statuses};

/// How long the start waits for the first result of every server.
const FIRST_ROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the process waits for the thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The running health thread, which ends when this is dropped.
pub struct Health {
    statuses: Statuses,
    first_round: Option<oneshot::Receiver<()>>,
    /// Closed when the thread has ended.
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
    /// The same for a thread that waits: closed when the thread has ended.
    ended_too: Receiver<()>,
}

impl Health {
    /// Starts it as `user`. The changes of operators, by `ServerShared::id`, are in effect before the first
    /// probe.
    ///
    /// # Errors
    ///
    /// No thread or no runtime could be made, or it could not become `user`.
    pub fn start(
        (snapshot, changes): (Arc<Snapshot>, Vec<(u64, ServerChange)>),
        names: Names,
        user: Option<User>,
        workers: WorkerHandles,
        journal: Journal,
    ) -> std::io::Result<Self> {
        let (command_sender, commands) = mpsc::unbounded_channel();
        let (failure_sender, connect_failures) = mpsc::unbounded_channel();
        let (first_sender, first_round) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        let (alive_too, ended_too) = bounded::<()>(0);
        let statuses = Statuses::new(command_sender);
        workers.shared().set_checker(Box::new(move |server| {
            let _ = failure_sender.send(server);
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let for_thread = statuses.clone();
        let thread = privileges::spawn(user, "health", move || {
            let _alive = (alive, alive_too);
            // A task, because waking the runtime's main future costs a system call each time.
            let task = async move {
                let initial = (&*snapshot, &*changes);
                let outputs = (workers, journal);
                let checker = Checker::new(initial, names, for_thread, outputs, first_sender);
                checker.run(connect_failures, commands).await;
            };
            // A panic has said so by itself; that the thread ends is noticed.
            let _ = runtime.block_on(async { tokio::spawn(task).await });
        })?;
        Ok(Health {
            statuses,
            first_round: Some(first_round),
            ended,
            thread: Some(thread),
            ended_too,
        })
    }

    /// What is known of the servers.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Waits until every server that is checked has its first result, but not for long.
    pub async fn first_round(&mut self) {
        if let Some(first_round) = self.first_round.take() {
            let _ = tokio::time::timeout(FIRST_ROUND_TIMEOUT, first_round).await;
        }
    }

    /// Waits until the thread has ended, which happens only by an internal error.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.statuses.stop();
        let ended = self.ended_too.recv_timeout(STOP_TIMEOUT);
        // If it hangs, the process ends without it.
        if ended == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}
