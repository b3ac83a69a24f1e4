//! What a worker has to say to the log, without ever waiting for it.
//!
//! Records of ended sessions are collected during a turn and handed over in one piece; when the
//! log can't keep up they are dropped and counted.

use std::net::SocketAddr;

use crossbeam_channel::Sender;

use super::http::Exchange;
use crate::logic::session::Summary;

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

/// From a worker to the log.
#[derive(Debug)]
pub enum LogMessage {
    /// Sessions that ended.
    Sessions(Vec<AccessRecord>),
    /// A warning.
    Warning(String),
}

/// A worker's end of the way to the log.
pub struct LogSink {
    sender: Sender<LogMessage>,
    record_sessions: bool,
    batch: Vec<AccessRecord>,
}

impl LogSink {
    /// `record_sessions`: there is an access log.
    pub fn new(sender: Sender<LogMessage>, record_sessions: bool) -> Self {
        LogSink {
            sender,
            record_sessions,
            batch: Vec::new(),
        }
    }

    /// Whether sessions are recorded.
    pub fn records_sessions(&self) -> bool {
        self.record_sessions
    }

    pub(super) fn record(
        &mut self,
        client: Option<SocketAddr>,
        frontend: u16,
        server: Option<u16>,
        summary: Summary,
        exchange: Option<Exchange>,
    ) {
        if self.record_sessions {
            self.batch.push(AccessRecord {
                client,
                frontend,
                server,
                summary,
                exchange,
            });
        }
    }

    /// A warning that finds no room is lost: the counters tell the same.
    pub(super) fn warn(&mut self, text: String) {
        let _ = self.sender.try_send(LogMessage::Warning(text));
    }

    /// Hands over what was recorded. Returns how many records had to be dropped.
    pub(super) fn flush(&mut self) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        match self.sender.try_send(LogMessage::Sessions(batch)) {
            Ok(()) => 0,
            Err(_) => count,
        }
    }
}
