//! `/api/v1/events`: the journal, as a list or as server-sent events that go on.
//!
//! A stream begins with what the client has not seen, then tells each event as it happens. It
//! holds no more than one piece of the journal at a time; a client that does not take it in time
//! is cut, and may come back with the id of the last event that it has.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Extension, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::context::Context;
use super::error::Refusal;
use super::streaming::{End, Listener};
use crate::control::api::{Event, Journal};
use crate::task;

/// Streams at once, so that some clients remain that ask for something else.
pub(super) const STREAMS_MAX: usize = 32;

/// Events in one piece.
const PIECE_EVENTS: usize = 20;

/// How long a stream is silent at most: what nobody reads any more is found by writing.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What keeps a silent stream alive: a comment.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/events", context.guard.reads(get(events)))
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only events that are newer than the one of this id; the header `Last-Event-ID` wins over it.
    since: Option<u64>,
    /// `false`: the events that there are, as a list, and the end.
    follow: Option<bool>,
}

/// The last events, at most 500, the oldest first.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Events<'e> {
    events: Vec<&'e Event>,
}

async fn events(
    extract::State(context): extract::State<Context>,
    Extension(connection): Extension<Connection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let seen = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let since = seen.or(wanted.since).unwrap_or(0);
    if wanted.follow == Some(false) {
        let events = context.actions.journal.since(since);
        let events = events.iter().map(AsRef::as_ref).collect();
        return Ok(Json(Events { events }).into_response());
    }
    let (listener, answer) = context.event_streams.begin(connection)?;
    task::spawn(tell(context.actions.journal.clone(), since, listener));
    Ok(answer)
}

/// Sends what is newer than `since`, and goes on until the client leaves or is too slow.
async fn tell(journal: Journal, since: u64, mut listener: Listener) {
    let end = stream(&journal, since, &mut listener).await;
    listener.end(end);
}

async fn stream(journal: &Journal, mut since: u64, listener: &mut Listener) -> End {
    let mut newest = journal.follow();
    loop {
        newest.mark_unchanged();
        let events = journal.since(since);
        for piece in events.chunks(PIECE_EVENTS) {
            let text: String = piece.iter().map(|event| message(event)).collect();
            if let Err(end) = listener.send(text.into()).await {
                return end;
            }
        }
        since = events.last().map_or(since, |event| event.id);
        while tokio::time::timeout(SILENCE_MAX, newest.changed())
            .await
            .is_err()
        {
            if let Err(end) = listener.send(COMMENT).await {
                return end;
            }
        }
    }
}

/// An event as the stream has it. JSON has no line breaks.
fn message(event: &Event) -> String {
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\ndata: {data}\n\n", event.id)
}
