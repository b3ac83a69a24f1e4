//! The tables: one for each frontend and backend with HAProxy's columns in their order, one for the
//! workers.
//!
//! A cell says where its value is in the document of `/api/v1/stats` (`data-v`, a path within the
//! row's object) and how it is written (`data-k`). The page is filled in by that here, and kept up to
//! date by that in the browser: a column is described in one place only.

use std::time::SystemTime;

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::format::{self, NONE};

/// How a value is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Count,
    Rate,
    Bytes,
    Micros,
    /// How long ago it was.
    Since,
    Ago,
    /// How long it has lasted.
    Age,
    Percent,
    /// Sessions that remain, of a server that is not to have new ones.
    Left,
    /// The last reload.
    Reload,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::Rate => "rate",
            Kind::Bytes => "bytes",
            Kind::Micros => "micros",
            Kind::Since => "since",
            Kind::Ago => "ago",
            Kind::Age => "age",
            Kind::Percent => "percent",
            Kind::Left => "left",
            Kind::Reload => "reload",
        }
    }

    /// `None`: the value is not of this kind, or there is none.
    fn write(self, value: &Value, now: SystemTime) -> Option<String> {
        Some(match self {
            Kind::Count if value == true => "Y".to_owned(),
            Kind::Count => format::count(value.as_u64()?),
            Kind::Rate => format::rate(value.as_f64()?),
            Kind::Bytes => format::bytes(value.as_f64()?),
            Kind::Micros => format::micros(value.as_u64()?),
            Kind::Since => since(value, now)?,
            Kind::Ago => format!("{} ago", since(value, now)?),
            Kind::Age => format::age(value.as_u64()?),
            Kind::Percent => format!("{:.0} %", (value.as_f64()? * 100.0).round()),
            Kind::Left => left(value)?,
            Kind::Reload => reload(value, now)?,
        })
    }
}

fn since(time: &Value, now: SystemTime) -> Option<String> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    let passed = now.duration_since(time.into()).unwrap_or_default();
    Some(format::age(passed.as_secs()))
}

fn left(server: &Value) -> Option<String> {
    if server["admin_state"] == "ready" {
        return None;
    }
    Some(match server.pointer("/sessions/current")?.as_u64()? {
        0 => "no session left".to_owned(),
        1 => "1 session left".to_owned(),
        open => format!("{} sessions left", format::count(open)),
    })
}

fn reload(reload: &Value, now: SystemTime) -> Option<String> {
    let last = &reload["last"];
    let Some(at) = since(&last["at"], now) else {
        return Some("never reloaded".to_owned());
    };
    let how = if last["ok"] == true {
        "reloaded"
    } else {
        "reload refused"
    };
    Some(format!("{how} {at} ago"))
}

/// The moment that ages are counted to, and what rows are shown.
pub(super) struct View {
    pub now: SystemTime,
    /// In small letters.
    pub filter: String,
    pub only_problems: bool,
}

impl View {
    /// Whether a row that is found by these words is shown.
    pub fn shows(&self, words: &str, status: &str) -> bool {
        words.contains(&self.filter) && !(self.only_problems && is_fine(status))
    }

    /// A piece of a row that shows the value at `path` of `object`; what there is none of is `none`.
    pub fn shown(&self, object: &Value, path: &str, kind: Kind, none: &str) -> Markup {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        let text = kind.write(value, self.now);
        html! {
            span data-v=(path) data-k=(kind.word()) data-none=(none) { (text.as_deref().unwrap_or(none)) }
        }
    }

    fn small(&self, object: &Value, path: &str, kind: Kind) -> Markup {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        let text = kind.write(value, self.now).unwrap_or_default();
        html! { small data-v=(path) data-k=(kind.word()) data-none="" { (text) } }
    }
}

/// Whether nobody needs to look at it.
pub(super) fn is_fine(status: &str) -> bool {
    matches!(status, "UP" | "OPEN" | "no check")
}

/// What a row is about.
#[derive(Clone, Copy)]
enum Of {
    Frontend = 0,
    Server = 1,
    Backend = 2,
}

/// A column of numbers.
struct Column {
    head: &'static str,
    title: &'static str,
    /// The same in a word or two, where there are no heads.
    label: &'static str,
    /// Its width, as a class.
    width: &'static str,
    kind: Kind,
    /// By [`Of`]: the path of the value; empty: there is none.
    paths: [&'static str; 3],
}

/// Columns under one head.
struct Group {
    head: &'static str,
    columns: &'static [Column],
}

/// `label` is empty for what small screens leave out.
const fn column(
    head: &'static str,
    title: &'static str,
    label: &'static str,
    width: &'static str,
    kind: Kind,
    paths: [&'static str; 3],
) -> Column {
    Column {
        head,
        title,
        label,
        width,
        kind,
        paths,
    }
}

const CURRENT: [&str; 3] = ["/sessions/current"; 3];
const TOTAL: [&str; 3] = ["/sessions/total"; 3];
const RATE: [&str; 3] = ["/sessions/rate"; 3];
const IN: [&str; 3] = [
    "/bytes_from_clients",
    "/bytes_from_client",
    "/bytes_from_clients",
];
const OUT: [&str; 3] = [
    "/bytes_from_servers",
    "/bytes_from_server",
    "/bytes_from_servers",
];

/// Before the line of the last minutes.
#[rustfmt::skip]
const QUEUE: Group = Group { head: "Queue", columns: &[
    column("Cur", "Sessions that wait for a place", "", "n4", Kind::Count, ["", "", "/sessions_waiting"]),
]};

/// The line is one more of these.
#[rustfmt::skip]
const RATES: Group = Group { head: "Session rate", columns: &[
    column("Cur", "New sessions a second", "Rate", "n4", Kind::Rate, RATE),
    column("Max", "Most new sessions a second", "", "n4", Kind::Rate, ["/sessions/rate_max", "/sessions/rate_max", ""]),
]};

#[rustfmt::skip]
const TRAFFIC: [Group; 4] = [
    Group { head: "Sessions", columns: &[
        column("Cur", "Sessions now", "Sessions", "n4", Kind::Count, CURRENT),
        column("Max", "Most sessions at once", "Max", "n4", Kind::Count, ["/sessions/max", "/sessions/max", ""]),
        column("Limit", "Limit of sessions", "", "n5", Kind::Count, ["/sessions/limit", "/sessions/limit", ""]),
        column("Total", "Sessions so far", "Total", "n6", Kind::Count, TOTAL),
    ]},
    Group { head: "Bytes", columns: &[
        column("In", "Bytes from clients", "In", "n6", Kind::Bytes, IN),
        column("Out", "Bytes from servers", "Out", "n6", Kind::Bytes, OUT),
    ]},
    Group { head: "Errors", columns: &[
        column("Conn", "Failed connects", "Conn. errors", "n5", Kind::Count, ["", "/connect_failures", "/connect_failures"]),
    ]},
    Group { head: "Warn.", columns: &[
        column("Retr", "Connects after the first of a session", "Retries", "n5", Kind::Count, ["", "/retries", "/retries"]),
    ]},
];

/// The status and the last check are two more of these, before them.
#[rustfmt::skip]
const SERVER: Group = Group { head: "Server", columns: &[
    column("Wght", "Weight now", "Weight", "n4", Kind::Count, ["", "/weight", ""]),
    column("Act", "Servers in use", "", "n3", Kind::Count, ["", "", "/active"]),
    column("Bck", "Backups in use", "", "n3", Kind::Count, ["", "/backup", "/backup"]),
    column("Chk", "Failed checks", "Chk failed", "n4", Kind::Count, ["", "/checks/failed", ""]),
    column("Dwn", "Times it went down", "Downs", "n3", Kind::Count, ["", "/checks/downs", ""]),
]};

#[rustfmt::skip]
const TIMES: [Group; 2] = [
    Group { head: "Connect time", columns: &[
        column("p50", "Connect time, median", "Connect p50", "t", Kind::Micros, ["", "/connect_time/p50_us", ""]),
        column("p90", "Connect time, 90 %", "", "t", Kind::Micros, ["", "/connect_time/p90_us", ""]),
        column("p99", "Connect time, 99 %", "Connect p99", "t", Kind::Micros, ["", "/connect_time/p99_us", ""]),
    ]},
    Group { head: "Session time", columns: &[
        column("p50", "Session time, median", "Session p50", "t", Kind::Micros, ["", "/session_time/p50_us", ""]),
        column("p90", "Session time, 90 %", "", "t", Kind::Micros, ["", "/session_time/p90_us", ""]),
        column("p99", "Session time, 99 %", "Session p99", "t", Kind::Micros, ["", "/session_time/p99_us", ""]),
    ]},
];

/// Above the columns.
fn head() -> Markup {
    let cols = |group: &Group| html! { @for column in group.columns { col class=(column.width); } };
    let over = |group: &Group, more: usize| html! { th scope="colgroup" colspan=(group.columns.len() + more) { (group.head) } };
    let heads = |group: &Group, class: &str| {
        html! {
            @for (index, column) in group.columns.iter().enumerate() {
                th.(if index == 0 { class } else { "" }) scope="col" title=(column.title) { (column.head) }
            }
        }
    };
    html! {
        colgroup {
            col class="name";
            (cols(&QUEUE)) (cols(&RATES)) col class="spark";
            @for group in &TRAFFIC { (cols(group)) }
            col class="status"; col class="check"; (cols(&SERVER))
            @for group in &TIMES { (cols(group)) }
            col class="acts";
        }
        thead {
            tr {
                th scope="col" rowspan="2" { "Name" }
                (over(&QUEUE, 0)) (over(&RATES, 1))
                @for group in &TRAFFIC { (over(group, 0)) }
                (over(&SERVER, 2))
                @for group in &TIMES { (over(group, 0)) }
                th.acts scope="col" rowspan="2" { span.sr { "Actions" } }
            }
            tr {
                (heads(&QUEUE, "first")) (heads(&RATES, "first")) th scope="col" { "5 minutes" }
                @for group in &TRAFFIC { (heads(group, "first")) }
                th.first.left scope="col" { "Status" } th.left scope="col" { "LastChk" } (heads(&SERVER, ""))
                @for group in &TIMES { (heads(group, "first")) }
            }
        }
    }
}

/// A frontend, a server or a backend.
struct Row<'a> {
    of: Of,
    /// As the script names it.
    key: String,
    name: &'a str,
    /// Under the name.
    detail: String,
    object: &'a Value,
    /// Sessions a second in the last minutes, for the line.
    rates: Option<String>,
}

impl Row<'_> {
    fn status(&self) -> &str {
        self.object["status"].as_str().unwrap_or_default()
    }

    /// What the filter looks at.
    fn words(&self) -> String {
        format!("{} {}", self.key, self.detail).to_lowercase()
    }

    fn render(&self, view: &View, hidden: bool, class: &str) -> Markup {
        let group = |group: &Group| {
            html! {
                @for (index, column) in group.columns.iter().enumerate() {
                    (self.cell(view, column, if index == 0 { "first" } else { "" }))
                }
            }
        };
        let rest = |group: &Group| html! { @for column in group.columns { (self.cell(view, column, "")) } };
        html! {
            tr class=(class) data-row=(self.key) data-status=(self.status())
                data-find=[class.is_empty().then(|| self.words())] hidden[hidden]
            {
                th scope="row" title=(self.name) { (self.name) small title=(self.detail) { (self.detail) } }
                (group(&QUEUE)) (group(&RATES))
                td.spark data-label="5 minutes" {
                    @if let Some(rates) = &self.rates {
                        svg.line viewBox="0 0 59 20" preserveAspectRatio="none" aria-hidden="true"
                            data-r="/sessions/rate" data-points=(rates) { polyline points=(points(rates)) {} }
                    }
                }
                @for some in &TRAFFIC { (group(some)) }
                td.status.first.left {
                    span.word data-v="/status" data-k="text" { (self.status()) }
                    (view.small(self.object, "/since", Kind::Since))
                }
                td.check.left data-label=[matches!(self.of, Of::Server).then_some("Last check")] {
                    @if let Of::Server = self.of {
                        @let reason = self.object["reason"].as_str().unwrap_or_default();
                        span title=(reason) data-v="/reason" data-k="text" data-none="" { (reason) }
                        (view.small(self.object, "/checks/last", Kind::Ago))
                    }
                }
                (rest(&SERVER))
                @for some in &TIMES { (group(some)) }
                td.acts.left {
                    @if let Of::Server = self.of { (self.actions(view)) }
                }
            }
        }
    }

    fn cell(&self, view: &View, column: &Column, class: &str) -> Markup {
        let path = column.paths[self.of as usize];
        if path.is_empty() {
            return html! { td class=(class) {} };
        }
        let value = self.object.pointer(path).unwrap_or(&Value::Null);
        let text = column.kind.write(value, view.now);
        let minor = if column.label.is_empty() { "minor" } else { "" };
        html! {
            td.(class).(minor) data-label=(column.label) data-v=(path) data-k=(column.kind.word()) {
                (text.as_deref().unwrap_or(NONE))
            }
        }
    }

    fn actions(&self, view: &View) -> Markup {
        let is = |state: &str| self.object["admin_state"] == *state;
        html! {
            span.set role="group" aria-label={ "State of " (self.name) } {
                @for state in ["ready", "drain", "maint"] {
                    button type="button" value=(state) aria-pressed=(is(state)) { (state) }
                }
            }
            " " (view.small(self.object, "", Kind::Left))
        }
    }
}

/// A frontend, a server or a backend with its history.
pub(super) struct Proxy<'a> {
    pub object: &'a Value,
    /// Rates of new sessions, the oldest first: of a frontend, or of each server.
    pub rates: Vec<String>,
}

/// The table of a frontend.
pub(super) fn frontend(view: &View, proxy: &Proxy) -> Markup {
    let name = text(proxy.object, "name");
    let listen = proxy.object["listen"].as_array().into_iter().flatten();
    let listen: Vec<&str> = listen.filter_map(Value::as_str).collect();
    let row = Row {
        of: Of::Frontend,
        key: format!("frontend {name}"),
        name,
        detail: format!(
            "{}, {} to {}",
            listen.join(" "),
            text(proxy.object, "mode"),
            text(proxy.object, "backend")
        ),
        object: proxy.object,
        rates: proxy.rates.first().cloned(),
    };
    let heading = html! { h2.sr id={ "frontend-" (name) } { "Frontend " (name) } };
    section(view, "frontend", name, &heading, &[row], None)
}

/// The table of a backend.
pub(super) fn backend(view: &View, proxy: &Proxy) -> Markup {
    let name = text(proxy.object, "name");
    let servers = proxy.object["servers"].as_array().into_iter().flatten();
    let rows: Vec<Row> = (servers.zip(&proxy.rates))
        .map(|(server, rates)| Row {
            of: Of::Server,
            key: format!("server {name} {}", text(server, "name")),
            name: text(server, "name"),
            detail: text(server, "address").to_owned(),
            object: server,
            rates: Some(rates.clone()),
        })
        .collect();
    let sum = Row {
        of: Of::Backend,
        key: format!("backend {name}"),
        name: "Backend",
        detail: String::new(),
        object: proxy.object,
        rates: None,
    };
    let heading = html! {
        h2 id={ "backend-" (name) } { small { "Backend" } " " (name) " " small { (text(proxy.object, "balance")) } }
    };
    section(view, "backend", name, &heading, &rows, Some(&sum))
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// Rows under a heading; nothing of it is seen while none of them is.
fn section(
    view: &View,
    what: &str,
    name: &str,
    heading: &Markup,
    rows: &[Row],
    sum: Option<&Row>,
) -> Markup {
    let hidden = |row: &Row| !view.shows(&row.words(), row.status());
    let none = rows.iter().all(hidden);
    let id = format!("{what}-{name}");
    html! {
        section.proxy.(what) data-proxy hidden[none] aria-labelledby=(id) {
            (heading)
            div.scroll tabindex="0" role="region" aria-labelledby=(id) {
                table {
                    (head())
                    tbody {
                        @for row in rows { (row.render(view, hidden(row), "")) }
                        @if let Some(sum) = sum { (sum.render(view, none, "sum")) }
                    }
                }
            }
        }
    }
}

/// The table of the workers. `share` is how many of all sessions each began, from 0 to 1.
pub(super) fn workers(view: &View, workers: &[(&Value, f64)]) -> Markup {
    let columns = [
        ("Sessions", "/sessions/current", Kind::Count),
        ("Total", "/sessions/total", Kind::Count),
        ("Bytes in", "/bytes_from_clients", Kind::Bytes),
        ("Bytes out", "/bytes_from_servers", Kind::Bytes),
        ("Failed connects", "/connect_failures", Kind::Count),
        ("Retries", "/retries", Kind::Count),
        ("Shortages", "/shortages", Kind::Count),
        ("Log lines dropped", "/log_lines_dropped", Kind::Count),
    ];
    html! {
        section.workers aria-labelledby="workers" {
            h2 id="workers" { "Workers" small { "how sessions are spread over them" } }
            div.scroll tabindex="0" role="region" aria-labelledby="workers" {
                table {
                    thead { tr {
                        th scope="col" { "Worker" } th scope="col" colspan="2" { "Share of all sessions" }
                        @for (head, _, _) in columns { th scope="col" { (head) } }
                    } }
                    tbody {
                        @for (worker, share) in workers {
                            @let index = worker["index"].as_u64().unwrap_or_default();
                            tr data-row={ "worker " (index) } {
                                th scope="row" { (index) }
                                td { meter min="0" max="1" value=(share) data-m="/share" aria-label={ "Share of worker " (index) } {} }
                                td data-label="Share" data-v="/share" data-k="percent" {
                                    (Kind::Percent.write(&Value::from(*share), view.now).unwrap_or_default())
                                }
                                @for (head, path, kind) in columns {
                                    td data-label=(head) data-v=(path) data-k=(kind.word()) {
                                        (worker.pointer(path).and_then(|value| kind.write(value, view.now)).as_deref().unwrap_or(NONE))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The line of these rates: 60 places, the newest at the right, and the largest at the top.
pub(super) fn points(rates: &str) -> String {
    const PLACES: usize = 60;
    let rates: Vec<f64> = rates
        .split(' ')
        .filter_map(|rate| rate.parse().ok())
        .collect();
    let most = rates.iter().copied().fold(1.0, f64::max);
    let from = PLACES.saturating_sub(rates.len());
    let places = rates.iter().enumerate();
    let places =
        places.map(|(index, rate)| format!("{},{:.1}", from + index, 19.0 - 17.0 * rate / most));
    places.collect::<Vec<_>>().join(" ")
}
