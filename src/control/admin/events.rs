//! `/api/v1/events`: the journal, as a list or as server-sent events that go on.
//!
//! A stream begins with what the client has not seen, then tells each event as it happens. It
//! holds no more than one piece of the journal at a time; a client that does not take it in time
//! is cut, and may come back with the id of the last event that it has.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Extension, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Parts;
use super::error::Refusal;
use super::server::Connection;
use crate::control::journal::{Event, Journal};

/// Streams at once, so that some clients remain that ask for something else.
const STREAMS_MAX: usize = 32;

/// How long a client may take to take a piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// Events in one piece.
const PIECE_EVENTS: usize = 20;

/// How long a stream is silent at most: what nobody reads any more is found by writing.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What keeps a silent stream alive: a comment.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// What streams share.
#[derive(Debug)]
struct Streams {
    journal: Journal,
    places: Arc<Semaphore>,
}

/// The routes.
pub(super) fn routes(parts: &Parts) -> Router {
    let streams = Streams {
        journal: parts.actions.journal.clone(),
        places: Arc::new(Semaphore::new(STREAMS_MAX)),
    };
    Router::new()
        .route("/api/v1/events", parts.guard.reads(get(events)))
        .with_state(Arc::new(streams))
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only what is newer than the event of this id.
    since: Option<u64>,
    /// `false`: what there is, as a list.
    follow: Option<bool>,
}

async fn events(
    extract::State(streams): extract::State<Arc<Streams>>,
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
        let events = streams.journal.since(since);
        let events: Vec<&Event> = events.iter().map(AsRef::as_ref).collect();
        return Ok(Json(json!({ "events": events })).into_response());
    }
    let place = Arc::clone(&streams.places)
        .try_acquire_owned()
        .map_err(|_| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many event streams: close one",
            )
        })?;
    let (sender, body) = Channel::<Bytes>::new(1);
    let journal = streams.journal.clone();
    tokio::spawn(tell(journal, since, sender, connection, place));
    let mut answer = Body::new(body).into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(answer)
}

/// Sends what is newer than `since`, and goes on until the client leaves or is too slow.
async fn tell(
    journal: Journal,
    since: u64,
    mut sender: Sender<Bytes>,
    connection: Connection,
    _place: OwnedSemaphorePermit,
) {
    connection.allow_endless();
    match stream(&journal, since, &mut sender).await {
        End::Gone => connection.end(),
        End::TooSlow => connection.cut(),
    }
}

/// Why a stream ends.
enum End {
    /// Nobody wants the answer any more.
    Gone,
    /// The client did not take a piece in time.
    TooSlow,
}

async fn stream(journal: &Journal, mut since: u64, sender: &mut Sender<Bytes>) -> End {
    let mut newest = journal.follow();
    loop {
        newest.mark_unchanged();
        let events = journal.since(since);
        for piece in events.chunks(PIECE_EVENTS) {
            let text: String = piece.iter().map(|event| message(event)).collect();
            if let Err(end) = send(sender, text.into()).await {
                return end;
            }
        }
        since = events.last().map_or(since, |event| event.id);
        while tokio::time::timeout(SILENCE_MAX, newest.changed())
            .await
            .is_err()
        {
            if let Err(end) = send(sender, COMMENT).await {
                return end;
            }
        }
    }
}

async fn send(sender: &mut Sender<Bytes>, piece: Bytes) -> Result<(), End> {
    match tokio::time::timeout(PIECE_TIMEOUT, sender.send_data(piece)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TooSlow),
    }
}

/// An event as the stream has it. JSON has no line breaks.
fn message(event: &Event) -> String {
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\ndata: {data}\n\n", event.id)
}
