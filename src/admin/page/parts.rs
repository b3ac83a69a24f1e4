//! What the page has beside the tables: the head, the filter, the last changes.

use std::collections::VecDeque;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::super::history::{Past, Rate, Subject};
use super::super::state::State;
use super::value::{Kind, View, is_fine, list, text};
use super::{format, table};
use crate::control::api::{Entry, Event, Journal, Kind as EventKind};

/// Problems that the summary shows at most.
const PROBLEMS_MAX: usize = 20;

/// What may stand behind the question mark; old bookmarks may have more.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    pub filter: Option<String>,
    pub problems: Option<String>,
}

/// What is true of the process as a whole.
pub(super) fn header(state: &State, stats: &Value, view: &View) -> Markup {
    let process = &stats["process"];
    let rate = state.history.of(&Subject::Process, Past::rate);
    let rates = rates(state, &Subject::Process);
    let servers = list(stats, "backends").iter();
    let statuses = servers.flat_map(|backend| list(backend, "servers"));
    let statuses: Vec<&str> = statuses
        .filter_map(|server| server["status"].as_str())
        .collect();
    let fine = statuses.iter().filter(|status| is_fine(status)).count();
    let workers = list(stats, "workers").len();
    let shown = |path: &str, kind| view.shown(process, path, kind, format::NONE);
    html! {
        div.bar {
            h1 { "Ringway" }
            span.quiet {
                "version " (process["version"].as_str().unwrap_or_default()) ", process " (process["pid"]) ", "
                (workers) @if workers == 1 { " worker" } @else { " workers" } " on " (process["engine"].as_str().unwrap_or_default())
            }
            span id="live" role="status" { "as of " (process["now"].as_str().unwrap_or_default()) }
        }
        dl.tiles data-row="process" {
            div data-bad=(if fine == statuses.len() { "no" } else { "yes" }) {
                dt { "Servers up" }
                dd { span id="servers" { (format::count(fine as u64)) " of " (format::count(statuses.len() as u64)) } }
            }
            div {
                dt { "Sessions" }
                dd { (shown("/sessions/current", Kind::Count)) " " small { "of " (shown("/sessions/limit", Kind::Count)) ", peak " (shown("/sessions/max", Kind::Count)) } }
            }
            div {
                dt { "New sessions/s" }
                dd { span id="sessions-rate" { (format::rate(rate.sessions)) } }
                svg.line viewBox="0 0 59 20" preserveAspectRatio="none" role="img" aria-label="New sessions each second, last five minutes"
                    data-r="/sessions/rate" data-points=(rates) { polyline points=(table::points(&rates)) {} }
            }
            div { dt { "Bytes in" } dd { span id="bytes-in" { (format::bytes(rate.bytes_from_clients)) "/s" } } }
            div { dt { "Bytes out" } dd { span id="bytes-out" { (format::bytes(rate.bytes_from_servers)) "/s" } } }
            div {
                dt { "Uptime" }
                dd { (shown("/uptime_s", Kind::Age)) br; small { "messages dropped: " (shown("/messages_dropped", Kind::Count)) } }
            }
            div {
                dt { "Configuration" }
                dd { "version " (shown("/reload/version", Kind::Count)) br; small { (shown("/reload", Kind::Reload)) } }
            }
        }
    }
}

/// What chooses rows, and where the script says how actions went.
pub(super) fn tools(wanted: &Wanted, takes_actions: bool) -> Markup {
    html! {
        form.tools id="tools" method="get" role="search" {
            input id="filter" name="filter" type="search" placeholder="Filter by name or address" aria-label="Filter" autocomplete="off"
                value=(wanted.filter.as_deref().unwrap_or_default());
            label { input id="only" name="problems" type="checkbox" checked[wanted.problems.is_some()]; "only problems" }
            button { "Apply" }
            span.quiet id="said" role="status" {
                @if !takes_actions { "This page only reads. To change servers here, set token_file in [admin]." }
            }
        }
    }
}

/// What an operator should look at now, each with a link to its row.
pub(super) fn problems(stats: &Value, view: &View) -> Markup {
    let problems = list(stats, "problems");
    html! {
        section.problems aria-labelledby="problems-head" data-some=(if problems.is_empty() { "no" } else { "yes" }) {
            h2 { span id="problems-head" role="status" { (problem_count(problems.len())) } }
            ul id="problems" {
                @for problem in problems.iter().take(PROBLEMS_MAX) {
                    @let (kind, name) = (text(problem, "kind"), text(problem, "name"));
                    li data-status=(text(problem, "severity")) {
                        @if kind == "process" { "Process" } @else {
                            a href={ "#" (kind) "/" (name) } { (kind) " " (name) }
                        }
                        " " span.word { (text(problem, "status")) } " "
                        span { (text(problem, "reason")) } " "
                        small { (Kind::Since.write(&problem["since"], view.now).unwrap_or_default()) }
                    }
                }
                @if problems.len() > PROBLEMS_MAX {
                    li { a href="?problems=on" { "and " (problems.len() - PROBLEMS_MAX) " more" } }
                }
            }
        }
    }
}

fn problem_count(count: usize) -> String {
    match count {
        0 => "No problems".to_owned(),
        1 => "1 problem".to_owned(),
        count => format!("{} problems", format::count(count as u64)),
    }
}

/// Routes that are shown of each frontend at most; all are in the document.
const ROUTES_MAX: usize = 100;

/// How many sessions took each route of the frontends that have routes.
pub(super) fn routes(stats: &Value, view: &View) -> Markup {
    html! {
        @for frontend in list(stats, "frontends") {
            @let (name, routes) = (text(frontend, "name"), list(frontend, "routes"));
            @if !routes.is_empty() {
                section.routes aria-labelledby={ "routes/" (name) } {
                    h2 id={ "routes/" (name) } { small.kind { "Routes of" } " " (name) " " small { "sessions since the start" } }
                    ul {
                        @for route in routes.iter().take(ROUTES_MAX) {
                            @let (route_name, backend) = (text(route, "name"), text(route, "backend"));
                            // A route that leads to another backend is another row.
                            li data-row={ "route " (name) " " (route_name) " " (backend) } {
                                b { (view.shown(route, "/sessions", Kind::Count, format::NONE)) } " " (route_name) " " small { "backend " (backend) }
                            }
                        }
                        @if routes.len() > ROUTES_MAX {
                            li { "and " (format::count((routes.len() - ROUTES_MAX) as u64)) " more in " a href="/api/v1/stats" { "JSON" } }
                        }
                    }
                }
            }
        }
    }
}

/// Counters of what frontends refuse: where they are in a frontend of the document, and what they count. One
/// that is an object has a line for each of its names, which stands for `{}`. All that are not 0 are shown.
const REFUSALS: &[(&str, &str)] = &[
    ("/refused", "connections of clients: {}"),
    ("/proxy_heads_wrong", "PROXY heads that were wrong"),
    ("/proxy_heads_late", "PROXY heads that did not come in time"),
    ("/hellos_wrong", "TLS hellos that were wrong"),
    ("/hellos_late", "TLS hellos that did not come in time"),
    ("/unrouted", "TLS connections without a route"),
    ("/answers", "HTTP answers {} of the balancer itself"),
];

/// What frontends refused. The script finds the counters where this says.
pub(super) fn refusals(stats: &Value) -> Markup {
    let counters: Vec<_> = REFUSALS.iter().map(|(path, what)| [path, what]).collect();
    let counters = serde_json::to_string(&counters).unwrap_or_default();
    let lines = list(stats, "frontends").iter().flat_map(|frontend| {
        let name = frontend["name"].as_str().unwrap_or_default();
        let all = REFUSALS.iter().flat_map(|(path, what)| {
            let value = frontend.pointer(path).unwrap_or(&Value::Null);
            match value.as_object() {
                Some(counts) => (counts.iter())
                    .map(|(key, count)| (what.replace("{}", key), count.as_u64()))
                    .collect(),
                None => vec![((*what).to_owned(), value.as_u64())],
            }
        });
        all.map(move |(what, count)| (name, what, count.unwrap_or(0)))
    });
    let lines: Vec<_> = lines.filter(|(_, _, count)| *count > 0).collect();
    html! {
        section.refusals id="refusals" data-counters=(counters) hidden[lines.is_empty()] aria-labelledby="refused" {
            h2 id="refused" { "Refused" small { "since the start" } }
            ul {
                @for (name, what, count) in lines {
                    li { b { (format::count(count)) } " " (what) " " small { "frontend " (name) } }
                }
            }
        }
    }
}

/// The last changes, the newest first.
pub(super) fn events(journal: &Journal, view: &View) -> Markup {
    let events = journal.since(0);
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "Events" small { "the last 500, times in " span id="zone" { "UTC" } } }
            ol.log id="events" tabindex="0" {
                @for event in events.iter().rev() {
                    (line(event, !event.entry.text.to_lowercase().contains(&view.filter)))
                }
            }
            template id="event" { li { time {} span.kind {} span.what {} } }
        }
    }
}

fn line(event: &Event, hidden: bool) -> Markup {
    let Event { id, time, entry } = event;
    let kind = serde_json::to_value(entry.kind).unwrap_or_default();
    let shown = time.get(..19).unwrap_or(time).replace('T', " ");
    html! {
        li data-id=(id) data-tone=(tone(entry)) hidden[hidden] {
            time datetime=(time) { (shown) }
            span.kind { (kind.as_str().unwrap_or_default()) }
            span.what { (entry.text) }
        }
    }
}

fn tone(entry: &Entry) -> &'static str {
    match (entry.kind, entry.to.as_deref()) {
        (EventKind::Warning, _) | (_, Some("down")) => "bad",
        (_, Some("up")) => "good",
        (_, Some(_) | None) => "",
    }
}

/// Rates of new sessions, as lines have them.
pub(super) fn rates(state: &State, subject: &Subject) -> String {
    let write = |rates: &VecDeque<Rate>| -> Vec<String> {
        let rates = rates.iter();
        rates
            .map(|rate| ((rate.sessions * 10.0).round() / 10.0).to_string())
            .collect()
    };
    let written = |past: &Past| write(&past.rates);
    state.history.of(subject, written).join(" ")
}
