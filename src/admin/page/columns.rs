//! The columns of frontends, servers and backends: HAProxy's, in its order, and ours behind them.

use maud::{Markup, html};

use super::value::Kind;

/// What a row is about.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Frontend = 0,
    Server = 1,
    Backend = 2,
}

/// A column of numbers.
pub(super) struct Column {
    pub head: &'static str,
    pub title: &'static str,
    /// The same in short, where the table has no header row.
    pub label: &'static str,
    /// Its width, as a class.
    pub width: &'static str,
    pub kind: Kind,
    /// By [`Of`]: the path of the value; empty: there is none.
    pub paths: [&'static str; 3],
}

/// Columns under one head.
pub(super) struct Group {
    pub head: &'static str,
    pub columns: &'static [Column],
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
pub(super) const QUEUE: Group = Group { head: "Queue", columns: &[
    column("Cur", "Sessions that wait for a place", "", "n4", Kind::Count, ["", "", "/sessions_waiting"]),
]};

/// The line is one more of these.
#[rustfmt::skip]
pub(super) const RATES: Group = Group { head: "Session rate", columns: &[
    column("Cur", "New sessions a second", "Rate", "n4", Kind::Rate, RATE),
    column("Max", "Most new sessions a second", "", "n4", Kind::Rate, ["/sessions/rate_max", "/sessions/rate_max", ""]),
]};

#[rustfmt::skip]
pub(super) const TRAFFIC: [Group; 4] = [
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
pub(super) const SERVER: Group = Group { head: "Server", columns: &[
    column("Wght", "Weight now", "Weight", "n4", Kind::Count, ["", "/weight", ""]),
    column("Act", "Servers in use", "", "n3", Kind::Count, ["", "", "/active"]),
    column("Bck", "Backups in use", "", "n3", Kind::Count, ["", "/backup", "/backup"]),
    column("Chk", "Failed checks", "Chk failed", "n4", Kind::Count, ["", "/checks/failed", ""]),
    column("Dwn", "Times it went down", "Downs", "n3", Kind::Count, ["", "/checks/downs", ""]),
]};

#[rustfmt::skip]
pub(super) const TIMES: [Group; 2] = [
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
pub(super) fn head() -> Markup {
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
