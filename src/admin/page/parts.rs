//! What the page has beside the tables: the head, the filter, the last changes.

use std::collections::VecDeque;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::super::history::{Past, Rate, Subject};
use super::super::state::State;
use super::value::{Kind, View, is_fine, list};
use super::{format, table};
use crate::control::api::{Entry, Event, Journal, Kind as EventKind};

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
            div {
                dt { "Sessions" }
                dd { (shown("/sessions/current", Kind::Count)) " " small { "of " (shown("/sessions/limit", Kind::Count)) ", most " (shown("/sessions/max", Kind::Count)) } }
            }
            div {
                dt { "New sessions a second" }
                dd { span id="sessions-rate" { (format::rate(rate.sessions)) } }
                svg.line viewBox="0 0 59 20" preserveAspectRatio="none" role="img" aria-label="New sessions a second, last five minutes"
                    data-r="/sessions/rate" data-points=(rates) { polyline points=(table::points(&rates)) {} }
            }
            div { dt { "From clients" } dd { span id="bytes-in" { (format::bytes(rate.bytes_from_clients)) "/s" } } }
            div { dt { "From servers" } dd { span id="bytes-out" { (format::bytes(rate.bytes_from_servers)) "/s" } } }
            div data-bad=(if fine == statuses.len() { "no" } else { "yes" }) {
                dt { "Servers in order" }
                dd { span id="servers" { (format::count(fine as u64)) " of " (format::count(statuses.len() as u64)) } }
            }
            div {
                dt { "Running for" }
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
        form.tools id="tools" method="get" {
            input id="filter" name="filter" type="search" placeholder="Filter by name or address" aria-label="Filter" autocomplete="off"
                value=(wanted.filter.as_deref().unwrap_or_default());
            label { input id="only" name="problems" type="checkbox" checked[wanted.problems.is_some()]; "only problems" }
            button { "Apply" }
            span.quiet id="said" role="status" {
                @if !takes_actions { "This only reads: with token_file in [admin] it acts, too." }
            }
        }
    }
}

/// The last changes, the newest first.
pub(super) fn events(journal: &Journal, view: &View) -> Markup {
    let events = journal.since(0);
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "Changes" small { "the last 500" } }
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
        rates.map(|rate| format!("{:.1}", rate.sessions)).collect()
    };
    let written = |past: &Past| write(&past.rates);
    state.history.of(subject, written).join(" ")
}
