//! What the streams of `/api/v1/stats/stream` share.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{Notify, watch};

use super::streaming::Streams;

/// Streams at once: with those of events, some clients remain that ask for something else.
const STREAMS_MAX: usize = 24;

/// The newest message, for all streams; `live` makes and sends it.
#[derive(Clone)]
pub(super) struct Feed {
    pub newest: watch::Sender<Bytes>,
    /// There is a stream.
    pub wanted: Arc<Notify>,
    pub streams: Streams,
}

impl Feed {
    /// Without a message.
    pub fn new() -> Self {
        Feed {
            newest: watch::Sender::new(Bytes::new()),
            wanted: Arc::default(),
            streams: Streams::new(STREAMS_MAX),
        }
    }
}
