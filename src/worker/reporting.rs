//! What a worker reports: counters, the access log, warnings, and lists of open sessions.
//!
//! Nothing here blocks the worker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::access::{AccessRecord, LogSink};
use super::accounting::Accounting;
use super::config_generations::LocalConfig;
use super::session_commands::SessionScan;
use super::slot::Slot;
use crate::io::Engine;
use crate::logic::session::Side;
use crate::logic::time::Instant;
use crate::shared::Shared;

/// Warnings of the same kind are at least this far apart.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The reports of one worker.
pub struct Reporting {
    worker: usize,
    /// Counters of the process, the frontends and the servers.
    pub accounting: Accounting,
    /// Where warnings and records of ended sessions go.
    pub log: LogSink,
    /// Session commands that are carried out, the next first.
    pub session_scans: VecDeque<SessionScan>,
    /// The earliest time of the next warning of a shortage.
    shortage_warning_at: Instant,
    /// The earliest time of the next warning of connections that several users share.
    mixed_users_warning_at: Instant,
}

impl Reporting {
    /// `shows_bytes`: bytes of open sessions are counted, because an admin listener shows them.
    pub fn new(worker: usize, shared: &Arc<Shared>, log: LogSink, shows_bytes: bool) -> Self {
        Reporting {
            worker,
            accounting: Accounting::new(worker, Arc::clone(shared), shows_bytes),
            log,
            session_scans: VecDeque::new(),
            shortage_warning_at: Instant::ZERO,
            mixed_users_warning_at: Instant::ZERO,
        }
    }

    /// A session ended: counts it and, if there is an access log, records it.
    pub fn session_ended<E: Engine>(
        &mut self,
        entry: &mut Slot<E>,
        config: &LocalConfig,
        now: Instant,
    ) {
        let summary = entry.session.summary(now);
        self.accounting.session_ended(entry, config, &summary);
        let logs_empty =
            config.snapshot.config.frontends[usize::from(entry.route.frontend)].log_empty;
        let is_empty = entry.session.bytes(Side::Client) == 0;
        if entry.unlogged || (is_empty && !logs_empty) {
            return;
        }
        let record = AccessRecord {
            client: entry.client.get(),
            peer: entry.peer(),
            frontend: entry.route.frontend,
            backend: entry.backend(),
            // Another reference is a write to what all workers share.
            server: (entry.server.as_ref().filter(|_| config.is_logged())).cloned(),
            summary,
            exchange: entry.extras.take_http().map(|http| http.exchange),
            hello_info: entry.extras.take_hello_info(),
        };
        self.log.record(&config.snapshot, record);
    }

    /// Logs a warning of a shortage, unless there was one a short time ago.
    pub fn warn_of_shortage(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if is_due(&mut self.shortage_warning_at, now) {
            self.log.warn(format!("worker {}: {}", self.worker, text()));
        }
    }

    /// Logs that clients of this frontend are proxies, which may put requests of several users on
    /// one connection, unless that was logged a short time ago.
    pub fn warn_of_mixed_users(&mut self, now: Instant, frontend: &str) {
        if is_due(&mut self.mixed_users_warning_at, now) {
            let worker = self.worker;
            self.log.warn(format!(
                "worker {worker}: requests to frontend {frontend} come through a proxy, which may put \
                 several users on one connection: all would get the first one's server; \
                 use inspect = \"close\""
            ));
        }
    }

    /// Hands the records of this turn to the log thread, and counts those that found no room.
    pub fn flush_log(&mut self) {
        let dropped = self.log.flush();
        if dropped > 0 {
            self.accounting.counters().log_lines_dropped.add(dropped);
        }
    }
}

/// Whether a warning may be logged now. Sets the time of the next.
fn is_due(at: &mut Instant, now: Instant) -> bool {
    let is_due = *at <= now;
    if is_due {
        *at = now + WARNING_INTERVAL;
    }
    is_due
}
