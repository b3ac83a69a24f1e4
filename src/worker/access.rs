//! What a worker has to say to the log, without ever waiting for it.
//!
//! Records of ended sessions are collected during a turn and handed over in one piece; when the
//! log can't keep up they are dropped and counted.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::http::Exchange;
use crate::config::AccessLog;
use crate::logic::session::Summary;
use crate::snapshot::Snapshot;

/// An ended session, for the access log.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Where the client came from, if the kernel still knew it.
    pub client: Option<SocketAddr>,
    /// Index of the frontend.
    pub frontend: u16,
    /// Index of the server in the frontend's backend, if one was chosen.
    pub server: Option<u16>,
    /// What is known of its course.
    pub summary: Summary,
    /// Its first request, in HTTP mode.
    pub exchange: Option<Exchange>,
}

/// Sessions that ended, from a worker to the access log.
#[derive(Debug)]
pub struct LogBatch {
    /// The configuration of all of them.
    pub snapshot: Arc<Snapshot>,
    /// The sessions.
    pub records: Vec<AccessRecord>,
}

/// A worker's end of the way to the log.
pub struct LogSink {
    sender: Sender<LogBatch>,
    /// Takes warnings. They do not go with the sessions: nobody may read the access log.
    warned: Arc<dyn Fn(String) + Send + Sync>,
    batch: Vec<AccessRecord>,
    /// The configuration of those in the batch.
    snapshot: Option<Arc<Snapshot>>,
    /// Records that found no room.
    dropped: u64,
}

impl LogSink {
    /// Sessions go to `sender`, warnings to `warned`, which must not block.
    pub fn new(sender: Sender<LogBatch>, warned: Arc<dyn Fn(String) + Send + Sync>) -> Self {
        LogSink {
            sender,
            warned,
            batch: Vec::new(),
            snapshot: None,
            dropped: 0,
        }
    }

    /// Records a session of this configuration, if that has an access log.
    pub(super) fn record(
        &mut self,
        snapshot: &Arc<Snapshot>,
        client: Option<SocketAddr>,
        frontend: u16,
        server: Option<u16>,
        summary: Summary,
        exchange: Option<Exchange>,
    ) {
        if snapshot.config.global.access_log == AccessLog::Off {
            return;
        }
        let current = self.snapshot.as_ref();
        if current.is_none_or(|current| current.version != snapshot.version) {
            self.send();
            self.snapshot = Some(Arc::clone(snapshot));
        }
        self.batch.push(AccessRecord {
            client,
            frontend,
            server,
            summary,
            exchange,
        });
    }

    /// A warning that finds no room is lost: the counters tell the same.
    pub(super) fn warn(&mut self, text: String) {
        (self.warned)(text);
    }

    /// Hands over what was recorded. Returns how many records had to be dropped.
    pub(super) fn flush(&mut self) -> u64 {
        self.send();
        std::mem::take(&mut self.dropped)
    }

    fn send(&mut self) {
        // TakeoverClient, so that an old configuration is not kept by this.
        let Some(snapshot) = self.snapshot.take() else {
            return;
        };
        let records = std::mem::take(&mut self.batch);
        let count = records.len() as u64;
        if (self.sender.try_send(LogBatch { snapshot, records })).is_err() {
            self.dropped += count;
        }
    }
}
