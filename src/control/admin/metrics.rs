//! `/metrics`: the statistics as Prometheus reads them, in its text format 0.0.4.
//!
//! One table for each kind of thing says which metrics it has; values come from the document of
//! `/api/v1/stats`, so that both tell the same. Histograms are read here, since nobody else shows
//! them whole.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, extract};
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::document::{BackendStats, FrontendStats, Process, ServerStats, Stats, Worker};
use super::{Parts, State, history};
use crate::logic::histogram::{CONNECT, QUEUE, SESSION, Scale};
use crate::snapshot::{ByWorker, ServerCounters, Snapshot};

/// The routes.
pub(super) fn routes(parts: &Parts) -> Router {
    Router::new()
        .route("/metrics", parts.guard.reads(get(metrics)))
        .with_state(Arc::clone(&parts.state))
}

async fn metrics(extract::State(state): extract::State<Arc<State>>) -> Response {
    let text = text(&Stats::read(&state), &state.active().snapshot);
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
}

/// What a metric's value is of `T`; `None`: it has none.
type Value<T> = fn(&T) -> Option<f64>;

/// Names and values of labels.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A metric of each `T`.
struct Table<T: 'static> {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// A label that tells `values` apart; empty: there is one value.
    label: &'static str,
    values: &'static [(&'static str, Value<T>)],
}

/// Whether a value only grows.
#[derive(Clone, Copy)]
enum Kind {
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

fn flag(value: bool) -> Option<f64> {
    Some(f64::from(value))
}

#[rustfmt::skip]
const PROCESS: &[Table<Process>] = &[
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
];

#[rustfmt::skip]
const WORKERS: &[Table<Worker>] = &[
    metric!(Gauge "worker_sessions_open", "Sessions of the worker open now.",
        |worker| count(worker.sessions.current)),
    metric!(Counter "worker_sessions_total", "Sessions that the worker began.",
        |worker| count(worker.sessions.total)),
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
];

#[rustfmt::skip]
const FRONTENDS: &[Table<FrontendStats>] = &[
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
    metric!(Counter "frontend_opaque_answers_total", "Answers of servers that passed as they are: not HTTP, or their head is too long.",
        |frontend| count(frontend.opaque_answers)),
    metric!(Counter "frontend_proxied_requests_total", "Requests for a sticky backend that came through a proxy.",
        |frontend| count(frontend.proxied_requests)),
];

#[rustfmt::skip]
const BACKENDS: &[Table<BackendStats>] = &[
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
];

#[rustfmt::skip]
const SERVERS: &[Table<ServerStats>] = &[
    metric!(Gauge "server_state", "1 for the state that the health checks found.", "state" {
        "up" => |server| flag(server.state == "up"),
        "down" => |server| flag(server.state == "down"),
        "no check" => |server| flag(server.state == "no check")
    }),
    metric!(Gauge "server_admin_state", "1 for the state that operators want.", "state" {
        "ready" => |server| flag(server.admin_state == "ready"),
        "drain" => |server| flag(server.admin_state == "drain"),
        "maint" => |server| flag(server.admin_state == "maint")
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
    metric!(Counter "server_retries_total", "Connect attempts to the server that were not the first of their session.",
        |server| count(server.retries)),
    metric!(Counter "server_checks_total", "Health checks of the server, by result.", "result" {
        "passed" => |server| count(server.checks.passed),
        "failed" => |server| count(server.checks.failed)
    }),
    metric!(Counter "server_downs_total", "Times that the server went down.",
        |server| count(server.checks.downs)),
];

/// A time as Prometheus has it.
fn seconds(time: std::time::SystemTime) -> Option<f64> {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Some(since.unwrap_or_default().as_secs_f64())
}

/// All metrics.
fn text(stats: &Stats, snapshot: &Snapshot) -> String {
    let mut families = Vec::new();
    let version = [("version", stats.process.version)];
    families.push(family(
        MetricType::GAUGE,
        "ringway_build_info",
        "The version of the program.",
        vec![sample(&version, Kind::Gauge, 1.0)],
    ));
    add(&mut families, PROCESS, [(Vec::new(), &stats.process)]);
    let indices: Vec<String> = (stats.workers.iter())
        .map(|worker| worker.index.to_string())
        .collect();
    let workers = indices.iter().zip(&stats.workers);
    let workers = workers.map(|(index, worker)| (vec![("worker", index.as_str())], worker));
    add(&mut families, WORKERS, workers);
    let frontends = stats.frontends.iter();
    let frontends = frontends.map(|frontend| {
        let labels = vec![
            ("frontend", frontend.name.as_str()),
            ("backend", frontend.backend.as_str()),
        ];
        (labels, frontend)
    });
    add(&mut families, FRONTENDS, frontends);
    families.push(answers(&stats.frontends));
    let backends = stats.backends.iter();
    let backends = backends.map(|backend| (vec![("backend", backend.name.as_str())], backend));
    add(&mut families, BACKENDS, backends);
    let servers = stats.backends.iter().flat_map(|backend| {
        let servers = backend.servers.iter();
        servers.map(|server| (server_labels(&backend.name, &server.name), server))
    });
    add(&mut families, SERVERS, servers);
    add_histograms(&mut families, snapshot);
    // It fails for families without a name or a sample only, and there is none.
    TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_default()
}

/// Answers of our own.
fn answers(frontends: &[FrontendStats]) -> MetricFamily {
    let samples = frontends.iter().flat_map(|frontend| {
        frontend.answers.iter().map(|(status, answers)| {
            let labels = [
                ("frontend", frontend.name.as_str()),
                ("backend", frontend.backend.as_str()),
                ("status", &status.to_string()),
            ];
            sample(&labels, Kind::Counter, *answers as f64)
        })
    });
    family(
        MetricType::COUNTER,
        "ringway_frontend_answers_total",
        "HTTP mode: answers of our own, by status.",
        samples.collect(),
    )
}

fn server_labels<'a>(backend: &'a str, server: &'a str) -> Labels<'a> {
    vec![("backend", backend), ("server", server)]
}

/// Adds the metrics of a table, each with a sample for each thing that has it.
fn add<'a, T>(
    families: &mut Vec<MetricFamily>,
    tables: &[Table<T>],
    things: impl IntoIterator<Item = (Labels<'a>, &'a T)>,
) {
    let things: Vec<_> = things.into_iter().collect();
    for table in tables {
        let mut samples = Vec::new();
        for (labels, thing) in &things {
            for (of, value) in table.values {
                let Some(value) = value(thing) else {
                    continue;
                };
                let mut labels = labels.clone();
                if !table.label.is_empty() {
                    labels.push((table.label, of));
                }
                samples.push(sample(&labels, table.kind, value));
            }
        }
        if !samples.is_empty() {
            let kind = match table.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
            };
            families.push(family(kind, table.name, table.help, samples));
        }
    }
}

/// Adds the histograms of all servers.
fn add_histograms(families: &mut Vec<MetricFamily>, snapshot: &Snapshot) {
    let backends = snapshot.config.backends.iter().zip(&snapshot.backends);
    let servers = backends.flat_map(|(backend, shared)| {
        let servers = backend.servers.iter().zip(&shared.servers);
        servers.map(|(server, shared)| {
            let labels = server_labels(&backend.name, &server.name);
            (labels, &shared.counters)
        })
    });
    let servers: Vec<_> = servers.collect();
    families.push(histograms(
        "ringway_server_queue_seconds",
        "How long connected sessions of the server had waited for a place.",
        &servers,
        |counters| histogram(QUEUE, counters, |all| &all.times.queue),
    ));
    families.push(histograms(
        "ringway_server_connect_seconds",
        "How long connecting to the server took.",
        &servers,
        |counters| histogram(CONNECT, counters, |all| &all.times.connect),
    ));
    families.push(histograms(
        "ringway_server_session_seconds",
        "How long connected sessions of the server took in all.",
        &servers,
        |counters| histogram(SESSION, counters, |all| &all.times.session),
    ));
}

fn histograms<'a>(
    name: &str,
    help: &str,
    servers: &[(Labels<'a>, &'a ByWorker<ServerCounters>)],
    histogram: impl Fn(&ByWorker<ServerCounters>) -> Histogram,
) -> MetricFamily {
    let samples = servers.iter().map(|(labels, counters)| {
        let mut metric = Metric::default();
        metric.set_label(pairs(labels));
        metric.set_histogram(histogram(counters));
        metric
    });
    family(MetricType::HISTOGRAM, name, help, samples.collect())
}

/// A histogram over all workers, with a bucket for each doubling: its own finer ones would be twice
/// as many series.
fn histogram<const BUCKETS: usize>(
    scale: Scale<BUCKETS>,
    counters: &ByWorker<ServerCounters>,
    of: fn(&ServerCounters) -> &crate::snapshot::Histogram<BUCKETS>,
) -> Histogram {
    let counts = history::counts(counters, of);
    let mut cumulative = 0;
    let mut buckets = Vec::new();
    for (index, count) in counts.iter().enumerate() {
        cumulative += count;
        let Some(bound) = scale.doubling(index) else {
            continue;
        };
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(cumulative);
        buckets.push(bucket);
    }
    let micros: u64 = counters.iter().map(|worker| of(&worker.0).sum.get()).sum();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(cumulative);
    histogram.set_sample_sum(micros as f64 / 1e6);
    histogram
}

fn family(kind: MetricType, name: &str, help: &str, samples: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(samples);
    family
}

fn sample(labels: &[(&str, &str)], kind: Kind, value: f64) -> Metric {
    let mut metric = Metric::default();
    metric.set_label(pairs(labels));
    match kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }
    metric
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}
