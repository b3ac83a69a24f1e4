//! What the handlers of all routes are given.

use std::sync::Arc;

use axum::extract::FromRef;

use super::access::Guard;
use super::feed::Feed;
use super::state::State;
use super::streaming::Streams;
use crate::control::api::{Actions, TakeoverServer, Upgrader};

/// What another process takes this one's place by. Clones are the same.
#[derive(Clone)]
pub(crate) struct Succession {
    /// Hands the listeners over.
    pub takeover: TakeoverServer,
    /// Starts the other process.
    pub upgrader: Upgrader,
}

/// What the routes are built of, and what their handlers are given: one type for all of them, so that
/// axum's router is compiled for one.
#[derive(Clone)]
pub(super) struct Context {
    pub state: Arc<State>,
    pub actions: Arc<Actions>,
    pub guard: Guard,
    pub succession: Succession,
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
