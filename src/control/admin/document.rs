//! The document of `/api/v1/stats`: each type is an object, each field a name in it.
//!
//! Names are stable: later versions add fields, and do not rename or remove any. `stats` fills
//! them in; README describes them for operators.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use serde::Serialize;

use crate::control::overrides::Attribution;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    pub process: Process,
    pub workers: Vec<Worker>,
    pub frontends: Vec<FrontendStats>,
    pub backends: Vec<BackendStats>,
}

/// The process as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Process {
    pub version: &'static str,
    pub pid: u32,
    /// RFC 3339, UTC.
    pub started: String,
    #[serde(skip)]
    pub started_at: SystemTime,
    pub uptime_s: u64,
    /// When the numbers were read; RFC 3339, UTC.
    pub now: String,
    /// It is about to take no new sessions and to end with the last one.
    pub stopping: bool,
    pub sessions: Sessions,
    pub reload: Reload,
    /// Lines for standard error that were dropped because nobody read it in time.
    pub messages_dropped: u64,
}

/// The configuration in use.
#[derive(Debug, Serialize)]
pub(super) struct Reload {
    /// 1 at the start, one more with each reload.
    pub version: u64,
    /// The last reload; null: there was none.
    pub last: Option<LastReload>,
}

/// How the last reload ended.
#[derive(Debug, Serialize)]
pub(super) struct LastReload {
    /// RFC 3339, UTC.
    pub at: String,
    #[serde(skip)]
    pub ended: SystemTime,
    /// The configuration that it read is in use.
    pub ok: bool,
    /// Why it is not; null if it is.
    pub error: Option<String>,
}

/// Sessions of the process, a frontend or a server.
#[derive(Debug, Serialize)]
pub(super) struct Sessions {
    /// Now.
    pub current: u32,
    /// The most at once since the start.
    pub max: u32,
    /// `max_sessions`; null: no limit of its own.
    pub limit: Option<u32>,
    /// Since the start.
    pub total: u64,
    /// New ones in a second, over the last five seconds.
    pub rate: f64,
    /// The largest `rate` so far.
    pub rate_max: f64,
}

/// One worker.
#[derive(Debug, Serialize)]
pub(super) struct Worker {
    pub index: usize,
    pub sessions: WorkerSessions,
    pub bytes_from_clients: u64,
    pub bytes_from_servers: u64,
    pub connect_failures: u64,
    pub retries: u64,
    /// Times that descriptors, memory or ports were short.
    pub shortages: u64,
    pub log_lines_dropped: u64,
    /// Receives that found no buffer and were made again.
    pub buffer_misses: u64,
    /// Completions for a session that is gone: always 0 unless something is wrong.
    pub stale_completions: u64,
}

/// Sessions of one worker.
#[derive(Debug, Serialize)]
pub(super) struct WorkerSessions {
    /// Now.
    pub current: u64,
    /// Since the start.
    pub total: u64,
}

/// One frontend.
#[derive(Debug, Serialize)]
pub(super) struct FrontendStats {
    pub name: String,
    /// `tcp` or `http`.
    pub mode: &'static str,
    /// Where it listens, the ports that the kernel chose filled in.
    pub listen: Vec<SocketAddr>,
    /// Name of its backend.
    pub backend: String,
    /// `OPEN`, or `STOP` while the process stops.
    pub status: &'static str,
    pub sessions: Sessions,
    pub bytes_from_clients: u64,
    pub bytes_from_servers: u64,
    /// HTTP mode: answers of our own, by status.
    pub answers: BTreeMap<u16, u64>,
    /// HTTP mode: answers of servers that passed as they are.
    pub opaque_answers: u64,
    /// HTTP mode: first requests for a sticky backend that came through a proxy.
    pub proxied_requests: u64,
}

/// One backend.
#[derive(Debug, Serialize)]
pub(super) struct BackendStats {
    pub name: String,
    pub balance: String,
    /// `UP` while balancing has a server to choose, else `DOWN`.
    pub status: &'static str,
    /// Servers that balancing may choose, without backups.
    pub active: usize,
    /// Backups that it may choose.
    pub backup: usize,
    /// Sessions that wait for a place on a server.
    pub sessions_waiting: u64,
    pub sessions: BackendSessions,
    pub bytes_from_clients: u64,
    pub bytes_from_servers: u64,
    pub connect_failures: u64,
    pub retries: u64,
    pub reconnects: u64,
    pub redispatches: u64,
    /// Times that it became `DOWN`.
    pub downs: u64,
    pub servers: Vec<ServerStats>,
}

/// Sessions of all servers of a backend.
#[derive(Debug, Serialize)]
pub(super) struct BackendSessions {
    /// Now.
    pub current: u64,
    /// Since the start.
    pub total: u64,
    /// New ones in a second, over the last five seconds.
    pub rate: f64,
}

/// One server.
#[derive(Debug, Serialize)]
pub(super) struct ServerStats {
    #[serde(skip)]
    pub id: u64,
    pub name: String,
    pub address: String,
    pub addresses: Vec<SocketAddr>,
    /// One word for `state` and `admin_state`, as HAProxy has it: `MAINT`, `DOWN`, `DRAIN`, `UP` or
    /// `no check`.
    pub status: &'static str,
    /// `up`, `down` or `no check`.
    pub state: &'static str,
    /// `ready`, `drain` or `maint`.
    pub admin_state: &'static str,
    /// Why `state` is what it is; may be empty.
    pub reason: String,
    /// Since when; RFC 3339, UTC.
    pub since: String,
    #[serde(skip)]
    pub changed: SystemTime,
    /// Whether balancing may choose it.
    #[serde(skip)]
    pub usable: bool,
    /// Its share now, or when it is ready again.
    pub weight: u32,
    /// What the configuration says.
    pub weight_configured: u16,
    /// Who set `admin_state` or `weight` last; null: nobody, it is as configured.
    pub operator: Option<Attribution>,
    pub backup: bool,
    /// Sessions that it was given.
    pub sessions: Sessions,
    /// Bytes read from clients for it.
    pub bytes_from_client: u64,
    /// Bytes read from it.
    pub bytes_from_server: u64,
    /// Connects of sessions to it that failed.
    pub connect_failures: u64,
    /// Connects of sessions to it that were not the first of their session.
    pub retries: u64,
    /// Those of them that followed a failed one to it.
    pub reconnects: u64,
    /// Connects to others that followed a failed one to it.
    pub redispatches: u64,
    /// Connecting to it.
    pub connect_time: Quantiles,
    /// Whole sessions.
    pub session_time: Quantiles,
    pub checks: Checks,
}

/// How long sessions took that were connected and have ended in the last five to ten minutes, in
/// microseconds; null: there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Quantiles {
    pub p50_us: Option<u64>,
    pub p90_us: Option<u64>,
    pub p99_us: Option<u64>,
}

/// Health checks of one server.
#[derive(Debug, Serialize)]
pub(super) struct Checks {
    pub passed: u64,
    pub failed: u64,
    /// Those of them that failed while the server was up.
    pub failed_while_up: u64,
    /// Times that the server went down.
    pub downs: u64,
    /// When the last one ended; RFC 3339, UTC; null: there was none.
    pub last: Option<String>,
}
