//! What the routes share: the state that they show, the actions that they take.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::FromRef;
use tokio::sync::watch;

use super::access::Guard;
use super::history::{History, PERIOD, READINGS};
use super::live::Feed;
use super::streaming::Streams;
use crate::control::api::{
    Actions, Active, DiscoveryStatuses, Reloader, ServerStatus, TakeoverServer,
};
use crate::shared::Shared;
use crate::snapshot::ServerShared;

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
        State {
            engine,
            active,
            shared,
            statuses,
            reloader,
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

/// What the routes are built of, and what their handlers are given: one type for all of them, so that
/// axum's router is compiled for one.
#[derive(Clone)]
pub(super) struct Context {
    pub state: Arc<State>,
    pub actions: Arc<Actions>,
    pub guard: Guard,
    pub takeover: TakeoverServer,
    /// The documents of `/api/v1/stats/stream`.
    pub feed: Feed,
    /// The streams of `/api/v1/events`.
    pub event_streams: Streams,
    /// A second path of the stats page.
    pub page: Option<String>,
}

impl FromRef<Context> for Arc<State> {
    fn from_ref(context: &Context) -> Self {
        Arc::clone(&context.state)
    }
}

impl FromRef<Context> for Arc<Actions> {
    fn from_ref(context: &Context) -> Self {
        Arc::clone(&context.actions)
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
