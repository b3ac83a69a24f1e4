//! Lists or closes open sessions of all workers: sends each the command, and merges their reports.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::workers::WorkerHandles;
use crate::worker::{Command, Filter, Report, ReportCallback, SessionCommand, Task};

/// How long workers may take to list sessions. They answer at once unless they are stuck.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long workers may take to close sessions. They close a few at a time, so that other sessions are not
/// delayed.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends `task` to every worker and merges the reports: the oldest session first, and no more than a list
/// may have.
///
/// # Errors
///
/// A worker did not answer in time.
pub async fn ask(
    handles: &WorkerHandles,
    task: Task,
    filter: Filter,
) -> Result<Report, &'static str> {
    let (sender, mut reports) = mpsc::unbounded_channel();
    let done: ReportCallback = Arc::new(move |report| {
        // The receiver is gone after a timeout.
        let _ = sender.send(report);
    });
    let command = SessionCommand { task, filter, done };
    handles.send(|| Command::Sessions(command.clone()));
    // Only the workers hold the sender now.
    drop(command);
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
