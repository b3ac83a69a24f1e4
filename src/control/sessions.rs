//! Open sessions over all workers: asks each, and puts together what they report.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::workers::WorkerHandles;
use crate::worker::{Command, Filter, Reply, Report, SessionCommand, Task};

/// How long workers may take to list sessions. They answer at once unless they are stuck.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long they may take to close them: the kernel needs time for each, and other sessions are not
/// to notice it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Has every worker do it, and returns what all of them found together, the oldest session first
/// and no more than a list is to have.
///
/// # Errors
///
/// A worker did not answer in time.
pub async fn ask(
    orders: &WorkerHandles,
    task: Task,
    filter: Filter,
) -> Result<Report, &'static str> {
    let (sender, mut reports) = mpsc::unbounded_channel();
    let reply: Reply = Arc::new(move |report| {
        // Who gave up waiting needs no reports.
        let _ = sender.send(report);
    });
    let errand = SessionCommand {
        task,
        filter,
        reply,
    };
    orders.send(|| Command::Sessions(errand.clone()));
    // Only the workers hold the sender now.
    drop(errand);
    let collect = async {
        let mut all = Report::default();
        // Workers that have ended drop their part.
        while let Some(mut report) = reports.recv().await {
            all.sessions.append(&mut report.sessions);
            all.count += report.count;
        }
        all
    };
    let timeout = match task {
        Task::List(_) => LIST_TIMEOUT,
        Task::Close(_) => CLOSE_TIMEOUT,
    };
    let collected = tokio::time::timeout(timeout, collect).await;
    let mut all =
        collected.map_err(|_| "a worker did not answer in time: look again in a moment")?;
    all.sessions
        .sort_by_key(|session| std::cmp::Reverse(session.age));
    if let Task::List(max) = task {
        all.sessions.truncate(max);
    }
    Ok(all)
}
