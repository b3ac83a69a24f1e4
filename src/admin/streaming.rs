//! Answers without an end: server-sent events, piece by piece, to clients that may be slow.
//!
//! A stream holds one piece at a time, and a client that does not take it within [`PIECE_TIMEOUT`] is
//! cut. What the pieces are is the business of `events` and `live`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::error::Refusal;

/// How long a client may take to take a piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// SessionLimit for streams of one kind.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Semaphore>);

/// Why a stream ends.
pub(super) enum End {
    /// Nobody wants the answer any more.
    Gone,
    /// The client did not take a piece in time.
    TooSlow,
}

/// The client of a stream.
pub(super) struct Listener {
    sender: Sender<Bytes>,
    connection: Connection,
    _slot: OwnedSemaphorePermit,
}

impl Streams {
    /// So many at once.
    pub fn new(max: usize) -> Self {
        Streams(Arc::new(Semaphore::new(max)))
    }

    /// Begins the answer to a request that came on this connection. What the listener is sent follows.
    ///
    /// # Errors
    ///
    /// There are too many already.
    pub fn begin(&self, connection: Connection) -> Result<(Listener, Response), Refusal> {
        let slot = Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many event streams: close one",
            )
        })?;
        connection.allow_endless();
        let (sender, body) = Channel::<Bytes>::new(1);
        let mut answer = Body::new(body).into_response();
        let kind = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        let listener = Listener {
            sender,
            connection,
            _slot: slot,
        };
        Ok((listener, answer))
    }
}

impl Listener {
    /// Sends a piece, and returns when there is room for the next.
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), End> {
        match tokio::time::timeout(PIECE_TIMEOUT, self.sender.send_data(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }

    /// The stream is over.
    pub fn end(self, why: End) {
        match why {
            End::Gone => self.connection.end(),
            End::TooSlow => self.connection.cut(),
        }
    }
}
