//! `/metrics`: the statistics as Prometheus reads them, in its text format 0.0.4.
//!
//! One table for each kind of thing (`tables`) says which metrics it has; values come from the document of
//! `/api/v1/stats`, so that both tell the same. Histograms are read here, since nobody else shows
//! them whole.

mod tables;

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, extract};
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::context::Context;
use super::document::{FrontendStats, Stats};
use super::history;
use super::state::State;
use crate::logic::histogram::{CONNECT, QUEUE, SESSION, Scale};
use crate::snapshot::{ByWorker, ServerCounters, Snapshot};
use tables::{BACKENDS, FRONTENDS, Kind, PROCESS, ROUTES, SERVERS, Table, WORKERS};

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/metrics", context.guard.reads(get(metrics)))
}

async fn metrics(extract::State(state): extract::State<Arc<State>>) -> Response {
    let text = text(&Stats::read(&state), &state.active().snapshot);
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
}

/// Names and values of labels.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// All metrics.
pub(super) fn text(stats: &Stats, snapshot: &Snapshot) -> String {
    let mut families = Vec::new();
    let build = [
        ("engine", stats.process.engine),
        ("version", stats.process.version),
    ];
    families.push(family(
        MetricType::GAUGE,
        "ringway_build_info",
        "The version of the program, and the engine that its workers use.",
        vec![sample(&build, Kind::Gauge, 1.0)],
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
            ("backend", frontend.backend.as_deref().unwrap_or_default()),
        ];
        (labels, frontend)
    });
    add(&mut families, FRONTENDS, frontends);
    families.push(answers(&stats.frontends));
    let routes = stats.frontends.iter().flat_map(|frontend| {
        frontend.routes.iter().flatten().map(|route| {
            let labels = vec![
                ("frontend", frontend.name.as_str()),
                ("route", route.name.as_str()),
                ("backend", route.backend.as_str()),
            ];
            (labels, route)
        })
    });
    add(&mut families, ROUTES, routes);
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
                ("backend", frontend.backend.as_deref().unwrap_or_default()),
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
    let members = snapshot.backends.iter().map(|backend| backend.members());
    let members: Vec<_> = members.collect();
    let backends = snapshot.config.backends.iter().zip(&members);
    let servers = backends.flat_map(|(backend, members)| {
        members.all().map(|member| {
            let labels = server_labels(&backend.name, &member.server.name);
            (labels, &member.server.counters)
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
    let micros: u64 = counters.iter().map(|worker| of(worker).sum.get()).sum();
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
