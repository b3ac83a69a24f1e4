//! Which metrics there are of the process and of each worker, frontend, route, backend and server.

use super::super::document::{
    BackendStats, FrontendStats, Process, RouteStats, ServerStats, Worker,
};
use crate::logic::health::{AdminState, OperationalState};

/// What a metric's value is of `T`; `None`: it has none.
pub(super) type Value<T> = fn(&T) -> Option<f64>;

/// A metric of each `T`.
pub(super) struct Table<T: 'static> {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    /// A label that tells `values` apart; empty: there is one value.
    pub label: &'static str,
    pub values: &'static [(&'static str, Value<T>)],
}

/// Whether a value only grows.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

macro_rules! metric {
    ($kind:ident $name:literal, $help:literal, $value:expr) => {
        metric!($kind $name, $help, "" { "" => $value })
    };
    ($kind:ident $name:literal, $help:literal, $label:literal { $($of:literal => $value:expr),* }) => {
        Table {
            name: concat!("ringway_", $name),
            help: $help,
            kind: Kind::$kind,
            label: $label,
            values: &[$(($of, $value)),*],
        }
    };
}

fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

fn refused(frontend: &FrontendStats, reason: &str) -> Option<f64> {
    frontend.refused.get(reason).map(|count| *count as f64)
}

fn flag(value: bool) -> Option<f64> {
    Some(f64::from(value))
}

#[rustfmt::skip]
pub(super) const PROCESS: &[Table<Process>] = &[
    metric!(Gauge "start_time_seconds", "When the process started, in seconds since 1970.",
        |process| seconds(process.started_at)),
    metric!(Gauge "stopping", "1 while it takes no new sessions and ends with the last one.",
        |process| flag(process.stopping)),
    metric!(Gauge "sessions_open", "Sessions open now.",
        |process| count(process.sessions.current.into())),
    metric!(Gauge "sessions_open_max", "The most sessions that were open at once.",
        |process| count(process.sessions.max.into())),
    metric!(Gauge "sessions_limit", "max_sessions of the process.",
        |process| process.sessions.limit.map(f64::from)),
    metric!(Counter "sessions_total", "Sessions that began.",
        |process| count(process.sessions.total)),
    metric!(Gauge "config_version", "Version of the configuration in use: 1 at the start, one more with each reload.",
        |process| count(process.reload.version)),
    metric!(Gauge "config_last_reload_successful", "Whether the last reload put a configuration into effect; absent before the first.",
        |process| process.reload.last.as_ref().and_then(|last| flag(last.ok))),
    metric!(Gauge "config_last_reload_timestamp_seconds", "When the last reload ended, in seconds since 1970; absent before the first.",
        |process| process.reload.last.as_ref().and_then(|last| seconds(last.ended))),
    metric!(Counter "messages_dropped_total", "Lines for standard error that nobody took in time.",
        |process| count(process.messages_dropped)),
];

#[rustfmt::skip]
pub(super) const WORKERS: &[Table<Worker>] = &[
    metric!(Gauge "worker_stalled", "Whether the worker has something to do and does not do it, and so gets no new sessions.",
        |worker| count(u64::from(worker.stalled))),
    metric!(Gauge "worker_sessions_open", "Sessions of the worker open now.",
        |worker| count(worker.sessions.current)),
    metric!(Counter "worker_sessions_total", "Sessions that the worker began.",
        |worker| count(worker.sessions.total)),
    metric!(Counter "worker_sessions_handed_over_total", "Sessions that the worker began and another one had accepted.",
        |worker| count(worker.sessions.handed_over)),
    metric!(Counter "worker_bytes_total", "Bytes that the worker read, by side.", "from" {
        "client" => |worker| count(worker.bytes_from_clients),
        "server" => |worker| count(worker.bytes_from_servers)
    }),
    metric!(Counter "worker_connect_failures_total", "Connect attempts of the worker that failed.",
        |worker| count(worker.connect_failures)),
    metric!(Counter "worker_retries_total", "Connect attempts of the worker after the first of a session.",
        |worker| count(worker.retries)),
    metric!(Counter "worker_shortages_total", "Times that the worker was short of descriptors, memory or ports.",
        |worker| count(worker.shortages)),
    metric!(Counter "worker_log_lines_dropped_total", "Lines of the access log that nobody took in time.",
        |worker| count(worker.log_lines_dropped)),
    metric!(Counter "worker_buffer_misses_total", "Receives of the worker that found no buffer and were made again.",
        |worker| count(worker.buffer_misses)),
    metric!(Counter "worker_stale_completions_total", "Completions for a session that is gone: always 0 unless something is wrong.",
        |worker| count(worker.stale_completions)),
];

#[rustfmt::skip]
pub(super) const FRONTENDS: &[Table<FrontendStats>] = &[
    metric!(Gauge "frontend_sessions_open", "Sessions of the frontend open now.",
        |frontend| count(frontend.sessions.current.into())),
    metric!(Gauge "frontend_sessions_open_max", "The most sessions of the frontend that were open at once.",
        |frontend| count(frontend.sessions.max.into())),
    metric!(Gauge "frontend_sessions_limit", "max_sessions of the frontend, if it has one.",
        |frontend| frontend.sessions.limit.map(f64::from)),
    metric!(Counter "frontend_sessions_total", "Sessions of the frontend that began.",
        |frontend| count(frontend.sessions.total)),
    metric!(Counter "frontend_bytes_total", "Bytes read for the frontend, by side.", "from" {
        "client" => |frontend| count(frontend.bytes_from_clients),
        "server" => |frontend| count(frontend.bytes_from_servers)
    }),
    metric!(Counter "frontend_refused_total", "Connections to the frontend that were reset at once for their client's address, by reason.", "reason" {
        "denied" => |frontend| refused(frontend, "denied"),
        "not_allowed" => |frontend| refused(frontend, "not_allowed"),
        "rate" => |frontend| refused(frontend, "rate"),
        "sessions" => |frontend| refused(frontend, "sessions")
    }),
    metric!(Counter "frontend_opaque_answers_total", "Answers of servers that passed as they are: not HTTP, or their head is too long.",
        |frontend| count(frontend.opaque_answers)),
    metric!(Counter "frontend_proxied_requests_total", "Requests for a sticky backend that came through a proxy.",
        |frontend| count(frontend.proxied_requests)),
    metric!(Counter "frontend_proxy_heads_refused_total", "Connections that ended because of their PROXY head: it was malformed or missing, or late.", "cause" {
        "wrong" => |frontend| count(frontend.proxy_heads_wrong),
        "late" => |frontend| count(frontend.proxy_heads_late)
    }),
    metric!(Counter "frontend_hellos_refused_total", "TLS mode: connections that ended because of their ClientHello: it was none or wrong, late, or asks for what nobody serves.", "cause" {
        "wrong" => |frontend| count(frontend.hellos_wrong),
        "late" => |frontend| count(frontend.hellos_late),
        "unrouted" => |frontend| count(frontend.unrouted)
    }),
];

#[rustfmt::skip]
pub(super) const ROUTES: &[Table<RouteStats>] = &[
    metric!(Counter "route_sessions_total", "Sessions that took the route.",
        |route| count(route.sessions)),
];

#[rustfmt::skip]
pub(super) const BACKENDS: &[Table<BackendStats>] = &[
    metric!(Gauge "backend_sessions_waiting", "Sessions that wait for a place on a server of the backend.",
        |backend| count(backend.sessions_waiting)),
    metric!(Gauge "backend_servers", "Servers of the backend.",
        |backend| count(backend.servers.len() as u64)),
    metric!(Gauge "backend_servers_usable", "Servers of the backend that balancing may choose.",
        |backend| count((backend.active + backend.backup) as u64)),
    metric!(Gauge "backend_sessions_open", "Sessions of all servers of the backend open now.",
        |backend| count(backend.sessions.current)),
    metric!(Counter "backend_sessions_total", "Sessions that all servers of the backend were given.",
        |backend| count(backend.sessions.total)),
    metric!(Counter "backend_downs_total", "Times that the backend lost its last usable server.",
        |backend| count(backend.downs)),
    metric!(Gauge "discovery_servers", "Servers of the backend that were discovered.",
        |backend| count(backend.discovery.as_ref()?.servers as u64)),
    metric!(Gauge "discovery_servers_left_out", "Servers that were found and that max_servers leaves out.",
        |backend| count(backend.discovery.as_ref()?.left_out as u64)),
    metric!(Gauge "discovery_last_success_timestamp_seconds", "When the last usable answer came, in seconds since 1970; absent before the first.",
        |backend| seconds(backend.discovery.as_ref()?.last_success_at?)),
    metric!(Counter "discovery_failures_total", "Failed queries of discovery, by cause.", "cause" {
        "nxdomain" => |backend| failures(backend, "nxdomain"),
        "servfail" => |backend| failures(backend, "servfail"),
        "refused" => |backend| failures(backend, "refused"),
        "timeout" => |backend| failures(backend, "timeout"),
        "malformed" => |backend| failures(backend, "malformed"),
        "empty" => |backend| failures(backend, "empty"),
        "unreachable" => |backend| failures(backend, "unreachable"),
        "other" => |backend| failures(backend, "other")
    }),
];

#[rustfmt::skip]
pub(super) const SERVERS: &[Table<ServerStats>] = &[
    metric!(Gauge "server_state", "1 for the state that the health checks found.", "state" {
        "up" => |server| flag(server.state == OperationalState::Up),
        "down" => |server| flag(server.state == OperationalState::Down),
        "no check" => |server| flag(server.state == OperationalState::Unchecked)
    }),
    metric!(Gauge "server_admin_state", "1 for the state that operators want.", "state" {
        "ready" => |server| flag(server.admin_state == AdminState::Ready),
        "drain" => |server| flag(server.admin_state == AdminState::Drain),
        "maint" => |server| flag(server.admin_state == AdminState::Maint)
    }),
    metric!(Gauge "server_state_change_timestamp_seconds", "When either state changed last, in seconds since 1970.",
        |server| seconds(server.changed)),
    metric!(Gauge "server_weight", "Share of the server in balancing now.",
        |server| count(server.weight.into())),
    metric!(Gauge "server_backup", "1 if the server is a backup.",
        |server| flag(server.backup)),
    metric!(Gauge "server_sessions_open", "Sessions of the server open now.",
        |server| count(server.sessions.current.into())),
    metric!(Gauge "server_sessions_open_max", "The most sessions of the server that were open at once.",
        |server| count(server.sessions.max.into())),
    metric!(Gauge "server_sessions_limit", "max_sessions of the server, if it has one.",
        |server| server.sessions.limit.map(f64::from)),
    metric!(Counter "server_sessions_total", "Sessions that the server was given, failed connects among them.",
        |server| count(server.sessions.total)),
    metric!(Counter "server_bytes_total", "Bytes read for and from the server, by side.", "from" {
        "client" => |server| count(server.bytes_from_client),
        "server" => |server| count(server.bytes_from_server)
    }),
    metric!(Counter "server_connect_failures_total", "Connect attempts of sessions to the server that failed.",
        |server| count(server.connect_failures)),
    metric!(Counter "server_answer_failures_total", "Sessions that ended before the server had answered, in HTTP mode.",
        |server| count(server.answer_failures)),
    metric!(Gauge "server_ejected", "1 while the server is left out because sessions with it failed.",
        |server| flag(server.ejected)),
    metric!(Counter "server_ejections_total", "Times that the server was left out because sessions with it failed.",
        |server| count(server.ejections)),
    metric!(Counter "server_retries_total", "Connect attempts to the server that were not the first of their session.",
        |server| count(server.retries)),
    metric!(Counter "server_reconnects_total", "Connect attempts to the server that followed a failed one to it.",
        |server| count(server.reconnects)),
    metric!(Counter "server_redispatches_total", "Connect attempts to other servers that followed a failed one to the server.",
        |server| count(server.redispatches)),
    metric!(Counter "server_checks_total", "Health checks of the server, by result.", "result" {
        "passed" => |server| count(server.checks.passed),
        "failed" => |server| count(server.checks.failed)
    }),
    metric!(Counter "server_checks_failed_while_up_total", "Health checks of the server that failed while it was up.",
        |server| count(server.checks.failed_while_up)),
    metric!(Counter "server_downs_total", "Times that the server went down.",
        |server| count(server.checks.downs)),
];

/// Failed queries of a cause; none, if servers are not discovered.
fn failures(backend: &BackendStats, cause: &str) -> Option<f64> {
    let failures = &backend.discovery.as_ref()?.failures;
    failures.get(cause).copied().and_then(count)
}

/// A time as Prometheus has it.
pub(super) fn seconds(time: std::time::SystemTime) -> Option<f64> {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Some(since.unwrap_or_default().as_secs_f64())
}
