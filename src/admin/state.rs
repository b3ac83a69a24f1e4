//! The state that the routes show.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use super::history::{History, PERIOD, READINGS};
use crate::control::api::{Active, DiscoveryStatuses, Reloader, ServerStatus};
use crate::shared::Shared;
use crate::snapshot::ServerShared;
use crate::sync::Loads;

/// Returns the health of a server.
type Statuses = Box<dyn Fn(&ServerShared) -> ServerStatus + Send + Sync>;

/// The state that the routes show.
pub(crate) struct State {
    /// The name of the engine that the workers use.
    pub(super) engine: &'static str,
    pub(super) active: watch::Receiver<Arc<Active>>,
    pub(super) shared: Arc<Shared>,
    pub(super) statuses: Statuses,
    pub(super) reloader: Reloader,
    /// Which workers stand still; none, unless it is set.
    pub loads: Arc<Loads>,
    /// How discovery goes; empty, unless it is set.
    pub discovery: DiscoveryStatuses,
    pub(super) started: SystemTime,
    pub(super) clock: Instant,
    pub(super) history: History,
}

impl State {
    /// Of a process that starts now.
    pub fn new(
        engine: &'static str,
        active: watch::Receiver<Arc<Active>>,
        shared: Arc<Shared>,
        statuses: Statuses,
        reloader: Reloader,
    ) -> Self {
        let loads = Arc::new(Loads::new(shared.workers.len()));
        State {
            engine,
            active,
            shared,
            statuses,
            reloader,
            loads,
            discovery: DiscoveryStatuses::default(),
            started: SystemTime::now(),
            clock: Instant::now(),
            history: History::default(),
        }
    }

    /// What is in use now.
    pub(super) fn active(&self) -> Arc<Active> {
        Arc::clone(&self.active.borrow())
    }
}

/// Keeps the history of what is in use, for as long as the runtime runs.
pub(super) async fn keep_history(state: Arc<State>) {
    let mut last = Instant::now();
    for reading in 1_usize.. {
        tokio::time::sleep(PERIOD).await;
        let time = last.elapsed();
        last += time;
        state.history.read(
            &state.shared,
            &state.active(),
            time,
            reading.is_multiple_of(READINGS),
        );
    }
}
