//! The document of `/api/v1/stats`: each type is an object, each field a name in it.
//!
//! Names are stable: later versions add fields, and do not rename or remove any. `stats` fills
//! them in. The comments of types and fields are what the API's document says of them to users, see
//! `openapi`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::control::api::Attribution;
use crate::logic::health::{AdminState, OperationalState};

/// All numbers. They are read one after the other while the workers go on, so sums may differ by what happened in
/// between.
///
/// Totals count from the start of the process, or from when a reload brought the frontend or the
/// server. Sessions are counted at once; bytes when their session ends and once a second before.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Stats {
    pub process: Process,
    pub workers: Vec<Worker>,
    /// In the order of the configuration file.
    pub frontends: Vec<FrontendStats>,
    /// In the order of the configuration file.
    pub backends: Vec<BackendStats>,
    /// What an operator should look at now; errors first.
    pub problems: Vec<Problem>,
}

/// Something that an operator should look at.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Problem {
    /// What has the problem.
    #[schemars(extend("enum" = ["process", "frontend", "backend", "server"]))]
    pub kind: &'static str,
    /// The name of it, of a server `BACKEND/SERVER`; empty: it is the process.
    pub name: String,
    pub severity: Severity,
    /// The problem in a word or two: the `status` of a server that is not `UP`, or `FULL`, `QUEUE`,
    /// `STOPPING`, `RELOAD REFUSED`, `NO DNS ANSWER`.
    pub status: &'static str,
    /// Why; may be empty.
    pub reason: String,
    /// Since when; RFC 3339, UTC; null: it is not known.
    pub since: Option<String>,
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Clients may be refused, or will be if it goes on.
    Error,
    /// An operator wanted it so, or it goes away by itself.
    Notice,
}

/// The process as a whole.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Process {
    /// The version of the program.
    pub version: &'static str,
    /// The process id.
    pub pid: u32,
    /// By which interface of the kernel the workers move bytes: io_uring, epoll.
    pub engine: &'static str,
    /// When the process started; RFC 3339, UTC.
    pub started: String,
    #[serde(skip)]
    pub started_at: SystemTime,
    /// For how many seconds the process has been running.
    pub uptime_s: u64,
    /// When the numbers were read; RFC 3339, UTC.
    pub now: String,
    /// Whether the process is about to take no new sessions and to end with the last one.
    pub stopping: bool,
    /// All sessions of the process.
    pub sessions: Sessions,
    pub reload: Reload,
    /// Lines for standard error that were dropped because nobody read it in time.
    pub messages_dropped: u64,
}

/// The configuration in use.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Reload {
    /// The number of the configuration in use: 1 at the start, one more with each reload that
    /// succeeded.
    pub version: u64,
    /// The last reload; null: there was none.
    pub last: Option<LastReload>,
}

/// How the last reload ended.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct LastReload {
    /// When it ended; RFC 3339, UTC.
    pub at: String,
    #[serde(skip)]
    pub ended: SystemTime,
    /// Whether it succeeded: the configuration that it read is in use.
    pub ok: bool,
    /// Why it did not succeed; null: it did.
    pub error: Option<String>,
}

/// Sessions of the process, a frontend or a server.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Sessions {
    /// Sessions that are open now.
    pub current: u32,
    /// The most sessions that were open at once.
    pub max: u32,
    /// The limit `max_sessions`; null: it has none of its own.
    pub limit: Option<u32>,
    /// All sessions so far.
    pub total: u64,
    /// New sessions in a second, over the last five seconds; it is made every five seconds.
    pub rate: f64,
    /// The largest `rate` so far.
    pub rate_max: f64,
}

/// One worker thread.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Worker {
    /// The number of the worker, from 0.
    pub index: usize,
    /// It has something to do and does not do it: it gets no new sessions.
    pub stalled: bool,
    pub sessions: WorkerSessions,
    /// Bytes that the worker read from clients.
    pub bytes_from_clients: u64,
    /// Bytes that the worker read from servers.
    pub bytes_from_servers: u64,
    /// Connect attempts that failed.
    pub connect_failures: u64,
    /// Connect attempts after the first of a session.
    pub retries: u64,
    /// How many times descriptors, memory or ports were short.
    pub shortages: u64,
    /// Lines of the access log that nobody took in time.
    pub log_lines_dropped: u64,
    /// Receives that found no buffer and were made again.
    pub buffer_misses: u64,
    /// Completions for a session that is gone: always 0 unless something is wrong.
    pub stale_completions: u64,
}

/// Sessions of one worker.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct WorkerSessions {
    /// Sessions that are open now.
    pub current: u64,
    /// Of all that the worker began, those whose connection another worker had accepted.
    pub handed_over: u64,
    /// All sessions that the worker began.
    pub total: u64,
}

/// One frontend.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct FrontendStats {
    /// The name of the frontend.
    pub name: String,
    /// What the frontend relays.
    #[schemars(extend("enum" = ["tcp", "http", "tls"]))]
    pub mode: &'static str,
    /// The addresses that the frontend listens on, with the ports that the kernel chose.
    pub listen: Vec<String>,
    /// The name of its backend; null: it has only those of its routes.
    pub backend: Option<String>,
    /// `OPEN`, or `STOP` while the process stops.
    #[schemars(extend("enum" = ["OPEN", "STOP"]))]
    pub status: &'static str,
    /// The sessions of the frontend.
    pub sessions: Sessions,
    /// Bytes that its sessions read from clients.
    pub bytes_from_clients: u64,
    /// Bytes that its sessions read from servers.
    pub bytes_from_servers: u64,
    /// Connections that were reset at once for their client's address, by reason: `denied`, `not_allowed`, `rate`
    /// and `sessions` of one client.
    pub refused: BTreeMap<&'static str, u64>,
    /// HTTP mode: answers of the load balancer itself, by status.
    pub answers: BTreeMap<u16, u64>,
    /// HTTP mode: answers of servers that passed as they are: not HTTP, or a head over `head_max`.
    pub opaque_answers: u64,
    /// HTTP mode: first requests for a sticky backend that came through a proxy, unless
    /// `inspect = "close"`.
    pub proxied_requests: u64,
    /// Connections that ended because their PROXY head was malformed, or missing though it is
    /// required.
    pub proxy_heads_wrong: u64,
    /// Connections that ended because their PROXY head was not whole in time.
    pub proxy_heads_late: u64,
    /// TLS mode: connections that ended because they began with no ClientHello, or a wrong one.
    pub hellos_wrong: u64,
    /// TLS mode: connections that ended because their ClientHello was not whole in time.
    pub hellos_late: u64,
    /// TLS mode: connections that no route matched, and that have no other backend.
    pub unrouted: u64,
    /// TLS mode: the routes, in their order; null: there are none.
    pub routes: Option<Vec<RouteStats>>,
}

/// One route of a frontend.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct RouteStats {
    /// Its first name, and its protocols: `shop.example.com`, `alpn=acme-tls/1`.
    pub name: String,
    /// The name of its backend.
    pub backend: String,
    /// Sessions that took it.
    pub sessions: u64,
}

/// One backend.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct BackendStats {
    /// The name of the backend.
    pub name: String,
    /// How the backend chooses a server.
    pub balance: String,
    /// `UP` while balancing has a server to choose, else `DOWN`.
    #[schemars(extend("enum" = ["UP", "DOWN"]))]
    pub status: &'static str,
    /// Servers that balancing may choose, without backups.
    pub active: usize,
    /// Backups that balancing may choose.
    pub backup: usize,
    /// Sessions that wait in the queue for a server with a free slot.
    pub sessions_waiting: u64,
    /// Sums over the servers.
    pub sessions: BackendSessions,
    /// Sum over the servers.
    pub bytes_from_clients: u64,
    /// Sum over the servers.
    pub bytes_from_servers: u64,
    /// Sum over the servers.
    pub connect_failures: u64,
    /// Sum over the servers.
    pub answer_failures: u64,
    /// Sum over the servers.
    pub retries: u64,
    /// Sum over the servers.
    pub reconnects: u64,
    /// Sum over the servers.
    pub redispatches: u64,
    /// How many times the backend became `DOWN`.
    pub downs: u64,
    /// What would be if the busiest server failed; null: balancing has no server to choose.
    pub without_busiest: Option<WithoutBusiest>,
    /// How servers are discovered; null: they are not.
    pub discovery: Option<DiscoveryStats>,
    /// In the order of the configuration file, then those that were discovered, in the order of their
    /// addresses.
    pub servers: Vec<ServerStats>,
}

/// What the servers of a backend would carry if the busiest of those that balancing chooses from failed.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct WithoutBusiest {
    /// The name of the busiest server: the one with the most open sessions, among equals that of the greatest
    /// weight, then the first.
    pub server: String,
    /// Its open sessions.
    pub sessions: u32,
    /// The share of the sessions that it carries, in per cent; while there is none, its share of the weights.
    pub share_percent: f64,
    /// How many others would carry them; 0: there is none, 1: it may be a backup.
    pub others: usize,
    /// The greatest share that one of the others would carry by its weight, in per cent.
    pub others_share_percent: f64,
    /// How many more sessions `max_sessions` of the others allows; null: it is no limit.
    pub free: Option<u64>,
    /// Whether the others may have the sessions of the busiest.
    pub fits: bool,
}

/// How the servers of a backend are discovered.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct DiscoveryStats {
    /// What is asked for: `dns` or `srv` of the configuration.
    pub query: String,
    /// How many servers are discovered.
    pub servers: usize,
    /// How many more were found, which `max_servers` has left out.
    pub left_out: usize,
    /// When the last usable answer came; RFC 3339, UTC; null: there was none.
    pub last_success: Option<String>,
    #[serde(skip)]
    pub last_success_at: Option<SystemTime>,
    /// The last round of queries brought no usable answer.
    #[serde(skip)]
    pub is_failing: bool,
    /// Failed queries by cause.
    pub failures: BTreeMap<&'static str, u64>,
}

/// Sessions of all servers of a backend.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct BackendSessions {
    /// Sessions that are open now.
    pub current: u64,
    /// All sessions so far.
    pub total: u64,
    /// New sessions in a second, over the last five seconds.
    pub rate: f64,
}

/// One server.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct ServerStats {
    #[serde(skip)]
    pub id: u64,
    /// The name of the server.
    pub name: String,
    /// The address of the server as it is written.
    pub address: String,
    /// Where the server is reached: that address, or those that its host name was resolved to last;
    /// empty: none yet.
    pub addresses: Vec<String>,
    /// `state` and `admin_state` in one, as HAProxy has it, and `LEAVING` and `EJECTED`.
    #[schemars(extend("enum" = ["MAINT", "DOWN", "DRAIN", "UP", "no check", "LEAVING", "EJECTED"]))]
    pub status: &'static str,
    /// Whether it was removed: it gets no new sessions, and is here until its open ones have ended.
    pub leaving: bool,
    /// Whether it is left out for a time, because sessions with it failed: see `passive` of the backend.
    pub ejected: bool,
    /// How many times it was left out.
    pub ejections: u64,
    /// What the health checks found.
    #[serde(serialize_with = "operational")]
    #[schemars(with = "String", extend("enum" = ["up", "down", "no check"]))]
    pub state: OperationalState,
    /// What operators want: `drain`: no new sessions but those that a cookie leads there; `maint`:
    /// no new sessions and no checks.
    #[serde(serialize_with = "admin")]
    #[schemars(with = "String", extend("enum" = ["ready", "drain", "maint"]))]
    pub admin_state: AdminState,
    /// Why the server is in this state; may be empty.
    pub reason: String,
    /// Since when the server is in this state; RFC 3339, UTC.
    pub since: String,
    #[serde(skip)]
    pub changed: SystemTime,
    /// Whether balancing may choose it.
    #[serde(skip)]
    pub usable: bool,
    /// The weight of the server now, or when it is ready again.
    pub weight: u32,
    /// The weight in the configuration file.
    pub weight_configured: u16,
    /// Who set `admin_state` or `weight` last, when and why; null: nobody, it is as configured.
    pub operator: Option<Attribution>,
    /// Whether the server is a backup.
    pub backup: bool,
    /// Sessions that the server was given, failed connects among them.
    pub sessions: Sessions,
    /// Bytes read from clients for the server.
    pub bytes_from_client: u64,
    /// Bytes read from the server.
    pub bytes_from_server: u64,
    /// Connect attempts of sessions to the server that failed.
    pub connect_failures: u64,
    /// HTTP mode: sessions that ended, by the server or by a timeout, before the server had answered.
    pub answer_failures: u64,
    /// Connect attempts to the server that were not the first of their session.
    pub retries: u64,
    /// Connect attempts to the server that followed a failed one to the same server.
    pub reconnects: u64,
    /// Connect attempts to other servers that followed a failed one to this server.
    pub redispatches: u64,
    /// How long connecting to the server took.
    pub connect_time: Quantiles,
    /// How long whole sessions with the server took.
    pub session_time: Quantiles,
    pub checks: Checks,
}

/// Times of the sessions that were connected and have ended in the last five to ten minutes, in microseconds, a
/// fifth more or less; null: there was none. They are made every five seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub(super) struct Quantiles {
    /// What half of them did not exceed.
    pub p50_us: Option<u64>,
    /// What 90 % of them did not exceed.
    pub p90_us: Option<u64>,
    /// What 99 % of them did not exceed.
    pub p99_us: Option<u64>,
}

/// Health checks of one server.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Checks {
    /// Health checks that the server passed.
    pub passed: u64,
    /// Health checks that the server failed.
    pub failed: u64,
    /// Health checks that failed while the server was up.
    pub failed_while_up: u64,
    /// How many times the server went down.
    pub downs: u64,
    /// When the last health check ended; RFC 3339, UTC; null: there was none.
    pub last: Option<String>,
}

fn operational<S: Serializer>(state: &OperationalState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn admin<S: Serializer>(state: &AdminState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
