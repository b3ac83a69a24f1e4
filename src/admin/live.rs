//! `/api/v1/stats/stream`: the document of `/api/v1/stats` once a second, as server-sent events.
//!
//! It is made once for all streams, and not at all while there is none. A stream that falls behind
//! gets the newest document and not those that it missed.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{self, Extension};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;

use super::connection::Connection;
use super::context::Context;
use super::document::Stats;
use super::error::Refusal;
use super::feed::Feed;
use super::state::State;
use super::streaming::{End, Listener};
use crate::task;

/// From one document to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/stats/stream", context.guard.reads(get(stream)))
}

/// Makes the documents for as long as the runtime runs.
pub(super) async fn make(state: Arc<State>, feed: Feed) {
    loop {
        if feed.newest.is_closed() {
            feed.wanted.notified().await;
        }
        feed.newest.send_replace(message(&Stats::read(&state)));
        tokio::time::sleep(PERIOD).await;
    }
}

/// JSON has no line breaks.
fn message(stats: &Stats) -> Bytes {
    let data = serde_json::to_string(stats).unwrap_or_default();
    format!("data: {data}\n\n").into()
}

async fn stream(
    extract::State(Context { feed, .. }): extract::State<Context>,
    Extension(connection): Extension<Connection>,
) -> Result<Response, Refusal> {
    let (listener, answer) = feed.streams.begin(connection)?;
    task::spawn(tell(feed.newest.subscribe(), listener));
    feed.wanted.notify_one();
    Ok(answer)
}

async fn tell(mut newest: watch::Receiver<Bytes>, mut listener: Listener) {
    let end = loop {
        if newest.changed().await.is_err() {
            break End::Gone;
        }
        let message = newest.borrow_and_update().clone();
        if let Err(end) = listener.send(message).await {
            break end;
        }
    };
    listener.end(end);
}
