//! Every counter of the process is shown: each changes `/api/v1/stats` or `/metrics`.

use std::collections::BTreeSet;

use super::document::Stats;
use super::metrics;
use super::state::State;
use super::stats::tests::state;
use crate::shared::WorkerCounters;
use crate::snapshot::{FrontendCounters, ServerCounters};

/// Where counters are made.
const SOURCES: [&str; 3] = [
    include_str!("../shared.rs"),
    include_str!("../snapshot/counters.rs"),
    include_str!("../snapshot/server.rs"),
];

/// The fields of the sources that count, as `Struct.field`.
fn counters_of_the_sources() -> BTreeSet<String> {
    let types = ["Counter", "[Counter;", "ByWorker<Gauge>", "Histogram<"];
    let mut found = BTreeSet::new();
    for source in SOURCES {
        let mut within = "";
        for line in source.lines() {
            if let Some(name) = line.strip_prefix("pub struct ") {
                within = name.split([' ', '<', '(']).next().unwrap_or_default();
            }
            let field = line
                .strip_prefix("    pub ")
                .and_then(|field| field.split_once(": "));
            if let Some((field, of)) = field
                && types.iter().any(|known| of.starts_with(known))
            {
                found.insert(format!("{within}.{field}"));
            }
        }
    }
    found
}

/// Counts something once more.
type Change = fn(&State);

/// Counts once more, by field; the histogram stands for each of [`crate::snapshot::Times`].
fn changes() -> Vec<(&'static str, Change)> {
    fn worker(state: &State) -> &WorkerCounters {
        &state.shared.workers[1]
    }
    fn frontend(state: &State, change: fn(&FrontendCounters)) {
        change(&state.active().snapshot.frontends[0].counters[1]);
    }
    fn server(state: &State, change: fn(&ServerCounters)) {
        change(&state.active().snapshot.server(0, 1).counters[1]);
    }
    vec![
        ("WorkerCounters.sessions_started", |state| {
            worker(state).sessions_started.add(1);
        }),
        ("WorkerCounters.sessions_ended", |state| {
            worker(state).sessions_ended.add(1);
        }),
        ("WorkerCounters.sessions_handed_over", |state| {
            worker(state).sessions_handed_over.add(1);
        }),
        ("WorkerCounters.bytes_from_clients", |state| {
            worker(state).bytes_from_clients.add(1);
        }),
        ("WorkerCounters.bytes_from_servers", |state| {
            worker(state).bytes_from_servers.add(1);
        }),
        ("WorkerCounters.connect_failures", |state| {
            worker(state).connect_failures.add(1);
        }),
        ("WorkerCounters.retries", |state| {
            worker(state).retries.add(1);
        }),
        ("WorkerCounters.shortages", |state| {
            worker(state).shortages.add(1);
        }),
        ("WorkerCounters.buffer_misses", |state| {
            worker(state).buffer_misses.add(1);
        }),
        ("WorkerCounters.stale_completions", |state| {
            worker(state).stale_completions.add(1);
        }),
        ("WorkerCounters.log_lines_dropped", |state| {
            worker(state).log_lines_dropped.add(1);
        }),
        ("FrontendCounters.sessions_started", |state| {
            frontend(state, |all| all.sessions_started.add(1));
        }),
        ("FrontendCounters.bytes_from_clients", |state| {
            frontend(state, |all| all.bytes_from_clients.add(1));
        }),
        ("FrontendCounters.bytes_from_servers", |state| {
            frontend(state, |all| all.bytes_from_servers.add(1));
        }),
        ("FrontendCounters.answers", |state| {
            frontend(state, |all| all.answers[0].add(1));
        }),
        ("FrontendCounters.unparsed_responses", |state| {
            frontend(state, |all| all.unparsed_responses.add(1));
        }),
        ("FrontendCounters.refused", |state| {
            frontend(state, |all| all.refused[0].add(1));
        }),
        ("FrontendCounters.requests_via_proxy", |state| {
            frontend(state, |all| all.requests_via_proxy.add(1));
        }),
        ("FrontendCounters.proxy_heads_wrong", |state| {
            frontend(state, |all| all.proxy_heads_wrong.add(1));
        }),
        ("FrontendCounters.proxy_heads_late", |state| {
            frontend(state, |all| all.proxy_heads_late.add(1));
        }),
        ("FrontendCounters.hellos_wrong", |state| {
            frontend(state, |all| all.hellos_wrong.add(1));
        }),
        ("FrontendCounters.hellos_late", |state| {
            frontend(state, |all| all.hellos_late.add(1));
        }),
        ("FrontendCounters.unrouted", |state| {
            frontend(state, |all| all.unrouted.add(1));
        }),
        ("RouteCounters.sessions", |state| {
            state.active().snapshot.routes[0][0].counters[1]
                .sessions
                .add(1);
        }),
        ("ServerCounters.sessions_started", |state| {
            server(state, |all| all.sessions_started.add(1));
        }),
        ("ServerCounters.bytes_from_clients", |state| {
            server(state, |all| all.bytes_from_clients.add(1));
        }),
        ("ServerCounters.bytes_from_server", |state| {
            server(state, |all| all.bytes_from_server.add(1));
        }),
        ("ServerCounters.connect_failures", |state| {
            server(state, |all| all.connect_failures.add(1));
        }),
        ("ServerCounters.answer_failures", |state| {
            server(state, |all| all.answer_failures.add(1));
        }),
        ("ServerCounters.retries", |state| {
            server(state, |all| all.retries.add(1));
        }),
        ("ServerCounters.reconnects", |state| {
            server(state, |all| all.reconnects.add(1));
        }),
        ("ServerCounters.redispatches", |state| {
            server(state, |all| all.redispatches.add(1));
        }),
        ("Histogram.counts", |state| {
            server(state, |all| all.times.queue.counts[0].add(1));
        }),
        ("Histogram.sum", |state| {
            server(state, |all| all.times.queue.sum.add(1));
        }),
        ("Times.queue", |state| {
            server(state, |all| all.times.queue.counts[1].add(1));
        }),
        ("Times.connect", |state| {
            server(state, |all| all.times.connect.counts[0].add(1));
        }),
        ("Times.session", |state| {
            server(state, |all| all.times.session.counts[0].add(1));
        }),
        ("QueueShared.sessions_waiting", |state| {
            let waiting = &state.active().snapshot.backends[0].queue.sessions_waiting[1];
            waiting.set(waiting.get() + 1);
        }),
        ("QueueShared.downs", |state| {
            state.active().snapshot.backends[0].queue.downs.add(1);
        }),
    ]
}

/// All that is shown, without what changes with time.
fn shown(state: &State) -> String {
    let stats = Stats::read(state);
    let metrics = metrics::text(&stats, &state.active().snapshot);
    let mut stats = serde_json::to_value(stats).expect("JSON");
    for time in ["now", "uptime_s"] {
        stats["process"][time] = serde_json::Value::Null;
    }
    format!("{stats}\n{metrics}")
}

#[test]
fn every_counter_is_shown() {
    let changes = changes();
    let names = changes.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(
        counters_of_the_sources(),
        names.collect(),
        "a counter of the sources is not in this test, or the other way round"
    );
    for (name, change) in changes {
        let state = state();
        let before = shown(&state);
        change(&state);
        assert_ne!(shown(&state), before, "{name} is shown nowhere");
    }
}
