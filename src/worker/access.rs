//! A worker's output to the log thread: records of ended sessions, and warnings.
//!
//! Records are collected during a turn of the loop and sent as one batch. Nothing here waits: when
//! the channel is full, a batch is dropped and its records are counted.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::exchange::Exchange;
use super::hello_info::HelloInfo;
use crate::config::AccessLog;
use crate::logic::session::Summary;
use crate::snapshot::{ServerShared, Snapshot};

/// An ended session, for the access log.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Address of the client; `None`: its connection had ended before the kernel was asked.
    pub client: Option<SocketAddr>,
    /// The peer of its connection: another one if a PROXY head named the client.
    pub peer: Option<SocketAddr>,
    /// Index of the frontend.
    pub frontend: u16,
    /// Index of its backend; `None`: none was chosen.
    pub backend: Option<u32>,
    /// Its server, if one was chosen.
    pub server: Option<Arc<ServerShared>>,
    /// Its outcome, times and bytes.
    pub summary: Summary,
    /// Its first request, in HTTP mode.
    pub exchange: Option<Exchange>,
    /// What its ClientHello asks for, in TLS mode; `None`: no whole one came.
    pub hello_info: Option<Box<HelloInfo>>,
}

/// Ended sessions, from a worker to the access log.
#[derive(Debug)]
pub struct LogBatch {
    /// The configuration of all of them.
    pub snapshot: Arc<Snapshot>,
    /// The sessions.
    pub records: Vec<AccessRecord>,
}

/// A worker's end of the channel to the log thread.
pub struct LogSink {
    sender: Sender<LogBatch>,
    /// Logs a warning. Warnings do not go through the channel, which is not read where there is no
    /// access log.
    warned: Arc<dyn Fn(String) + Send + Sync>,
    batch: Vec<AccessRecord>,
    /// The configuration of the records in the batch.
    snapshot: Option<Arc<Snapshot>>,
    /// Records that were dropped since the last flush, because the channel was full.
    dropped: u64,
}

impl LogSink {
    /// Records are sent to `sender`; `warned` is called with each warning, and must not block.
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
    pub(super) fn record(&mut self, snapshot: &Arc<Snapshot>, record: AccessRecord) {
        if snapshot.config.global.access_log == AccessLog::Off {
            return;
        }
        let current = self.snapshot.as_ref();
        if current.is_none_or(|current| current.version != snapshot.version) {
            self.send();
            self.snapshot = Some(Arc::clone(snapshot));
        }
        self.batch.push(record);
    }

    /// Logs a warning. It may be lost; the counters of shortages are exact.
    pub(super) fn warn(&mut self, text: String) {
        (self.warned)(text);
    }

    /// Sends what was recorded. Returns how many records were dropped since the last call.
    pub(super) fn flush(&mut self) -> u64 {
        self.send();
        std::mem::take(&mut self.dropped)
    }

    fn send(&mut self) {
        // Taken, so that the batch does not keep an old configuration alive.
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
