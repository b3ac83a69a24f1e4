//! Times and retries of sessions. HAProxy has them on each side, Ringway for each pair of a frontend and a backend;
//! they are written where they hold for as many pairs as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::proxy::{Mode, Settings};
use crate::config::format_duration;

/// Our longest time; HAProxy without a time waits for ever.
const LONGEST: Duration = Duration::from_secs(100 * 86_400);

/// Keys in the order in which they are written, with their values.
pub(super) type Values = BTreeMap<&'static str, String>;

/// What holds for the sessions of a frontend with a backend.
pub(super) fn values(mode: Mode, frontend: &Settings, backend: &Settings) -> Values {
    let (front, back) = (&frontend.timeouts, &backend.timeouts);
    let (client, server) = (
        front.client.unwrap_or(LONGEST),
        back.server.unwrap_or(LONGEST),
    );
    let both = client.min(server);
    let connect = back.connect.unwrap_or(LONGEST);
    // A tunnel has one time in place of those of both sides; all of TCP is one.
    let tunnel = back.tunnel.or(front.tunnel).unwrap_or(both);
    let idle = match mode {
        Mode::Tcp => tunnel,
        // That of the client does not run while the server works on its answer.
        Mode::Http => server,
    };
    let fin = |fin: Option<Duration>| fin.unwrap_or(idle);
    let half_closed = fin(front.client_fin).min(fin(back.server_fin));
    let mut values = Values::new();
    let mut set = |key, time| drop(values.insert(key, quoted(time)));
    set("connect_timeout", connect);
    set("idle_timeout", idle);
    set("half_closed_timeout", half_closed);
    if let Some(queue) = back.queue {
        set("queue_timeout", queue);
    }
    if mode == Mode::Http {
        set("request_timeout", front.request.unwrap_or(client));
        set("tunnel_timeout", tunnel);
    }
    if let Some(time) = user_timeout(frontend, backend) {
        set("user_timeout", time);
    }
    if let Some(retries) = back_retries(backend) {
        values.insert("retries", retries.to_string());
    }
    if let Some(probes) = keepalive(frontend).or_else(|| keepalive(backend)) {
        values.insert("keepalive", probes);
    }
    values
}

fn quoted(time: Duration) -> String {
    format!(
        "\"{}\"",
        format_duration(time.clamp(Duration::from_millis(1), LONGEST))
    )
}

/// More than this are refused here.
const RETRIES_MAX: u32 = 100;

fn back_retries(backend: &Settings) -> Option<u32> {
    backend.retries.map(|retries| retries.min(RETRIES_MAX))
}

fn user_timeout(frontend: &Settings, backend: &Settings) -> Option<Duration> {
    let front = frontend.binds.iter().filter_map(|bind| bind.user_timeout);
    let back = backend
        .servers
        .iter()
        .filter_map(|server| server.options.user_timeout);
    front.chain(back).min()
}

/// Linux asks after 2 hours, every 75 s, 9 times (tcp(7)), and takes whole seconds.
fn keepalive(settings: &Settings) -> Option<String> {
    let probes = &settings.keepalive;
    let seconds =
        |time: Option<Duration>, default| time.map_or(default, |time| time.as_secs().max(1));
    let idle = format_duration(Duration::from_secs(seconds(probes.idle, 7200)));
    let interval = format_duration(Duration::from_secs(seconds(probes.interval, 75)));
    let count = probes.count.unwrap_or(9).max(1);
    let shown = format!("{{ idle = \"{idle}\", interval = \"{interval}\", count = {count} }}");
    probes.is_on.then_some(shown)
}

/// Where values are written.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub defaults: Values,
    pub frontends: BTreeMap<String, Values>,
    pub backends: BTreeMap<String, Values>,
    /// Keys and frontends whose pairs with one backend differ; those of the first frontend hold for all.
    pub mixed: Vec<(&'static str, String)>,
}

/// A frontend, or none for a backend that has none, a backend, and what holds for both.
pub(super) type Pair = (Option<String>, String, Values);

/// Keys that mean nothing outside of HTTP mode.
const OF_HTTP: &[&str] = &["request_timeout", "tunnel_timeout"];

/// Writes each value where it holds for as many pairs as possible: all of them, else those of a backend, else those
/// of a frontend.
pub(super) fn place(pairs: &[Pair]) -> Placed {
    let mut placed = Placed::default();
    let keys: BTreeSet<&'static str> = pairs
        .iter()
        .flat_map(|(_, _, values)| values.keys().copied())
        .collect();
    for key in keys {
        let value = |pair: &Pair| pair.2.get(key).cloned();
        let concerned = pairs
            .iter()
            .filter(|pair| pair.2.contains_key(key) || !OF_HTTP.contains(&key));
        let pairs: Vec<&Pair> = concerned.collect();
        // It is `idle_timeout` unless it is written.
        if key == "tunnel_timeout"
            && pairs
                .iter()
                .all(|pair| value(pair) == pair.2.get("idle_timeout").cloned())
        {
            continue;
        }
        if let Some(same) = one(pairs.iter().copied().map(value)) {
            placed.defaults.extend(same.map(|value| (key, value)));
            continue;
        }
        let by = |name: &dyn Fn(&Pair) -> Option<String>| -> Option<BTreeMap<String, String>> {
            let mut groups: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
            for pair in &pairs {
                groups.entry(name(pair)?).or_default().push(value(pair));
            }
            let mut found = BTreeMap::new();
            for (name, values) in groups {
                found.extend(one(values.into_iter())?.map(|value| (name, value)));
            }
            Some(found)
        };
        if let Some(values) = by(&|pair| Some(pair.1.clone())) {
            for (backend, value) in values {
                placed
                    .backends
                    .entry(backend)
                    .or_default()
                    .insert(key, value);
            }
        } else if let Some(values) = by(&|pair| pair.0.clone()) {
            for (frontend, value) in values {
                placed
                    .frontends
                    .entry(frontend)
                    .or_default()
                    .insert(key, value);
            }
        } else {
            for (frontend, backend, values) in &pairs {
                let Some(value) = values.get(key) else {
                    continue;
                };
                let held = placed.backends.entry(backend.clone()).or_default();
                if held.entry(key).or_insert_with(|| value.clone()) != value {
                    placed
                        .mixed
                        .extend(frontend.clone().map(|frontend| (key, frontend)));
                }
            }
        }
    }
    placed
}

/// The value that all have, or which none has; `None`: they differ. A default holds where nothing is written, so
/// one that is written for some of them only is a difference, too.
fn one(mut values: impl Iterator<Item = Option<String>>) -> Option<Option<String>> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}
