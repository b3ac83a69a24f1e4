//! The columns of frontends, servers and backends: name, status and last check, which are always seen; then
//! HAProxy's, in its order, and ours behind them.

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
    /// The same in short, where the table has no header row; empty: small screens leave
    /// the column out.
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
    column("Cur", "Sessions that wait in the queue", "", "n5", Kind::Count, ["", "", "/sessions_waiting"]),
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
        column("Resp", "Sessions without an answer", "Resp. errors", "n4", Kind::Count, ["", "/answer_failures", "/answer_failures"]),
    ]},
    Group { head: "Warn.", columns: &[
        column("Retr", "Connects after the first of a session", "Retries", "n5", Kind::Count, ["", "/retries", "/retries"]),
    ]},
];

#[rustfmt::skip]
pub(super) const SERVER: Group = Group { head: "Server", columns: &[
    column("Wght", "Weight now", "Weight", "n4", Kind::Count, ["", "/weight", ""]),
    column("Act", "Servers in use", "", "n3", Kind::Count, ["", "", "/active"]),
    column("Bck", "Backups in use", "", "n3", Kind::Count, ["", "/backup", "/backup"]),
    column("Chk", "Failed checks", "Chk failed", "n4", Kind::Count, ["", "/checks/failed", ""]),
    column("Dwn", "Times it went down", "Downs", "n3", Kind::Count, ["", "/checks/downs", ""]),
    column("Ejc", "Times it was left out because sessions with it failed", "Left out", "n3", Kind::Count, ["", "/ejections", ""]),
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

/// Columns before the groups: name, status, last check, actions.
const BEFORE: usize = 4;

/// All groups, in their order; `true`: the line of the last minutes is one more column of it.
fn groups() -> impl Iterator<Item = (&'static Group, bool)> {
    let rates = [(&QUEUE, false), (&RATES, true)];
    let rest = TRAFFIC.iter().chain([&SERVER]).chain(&TIMES);
    rates.into_iter().chain(rest.map(|group| (group, false)))
}

/// Above the columns. Each `col` says where the values of its cells are and how they are written.
pub(super) fn head(of: Of) -> Markup {
    let col = |column: &Column| {
        let path = column.paths[of as usize];
        let sum = match of {
            Of::Server => column.paths[Of::Backend as usize],
            Of::Frontend | Of::Backend => "",
        };
        let given = |path: &'static str| (!path.is_empty()).then_some(path);
        html! {
            col class=(column.width) data-v=[given(path)] data-sum=[given(sum)] data-k=(column.kind.as_str());
        }
    };
    let mut index = BEFORE;
    let mut place = || {
        index += 1;
        index - 1
    };
    html! {
        colgroup {
            col class="name"; col class="status"; col class="check"; col class="acts";
            @for (group, has_line) in groups() {
                @for column in group.columns { (col(column)) }
                @if has_line { col class="spark" data-r="/sessions/rate"; }
            }
        }
        thead {
            tr {
                th scope="col" rowspan="2" data-i="0" { "Name" }
                th.left scope="col" rowspan="2" data-i="1" { "Status" }
                th.left scope="col" rowspan="2" data-i="2" { "LastChk" }
                th.acts scope="col" rowspan="2" { "Actions" }
                @for (group, has_line) in groups() {
                    th scope="colgroup" colspan=(group.columns.len() + usize::from(has_line)) { (group.head) }
                }
            }
            tr {
                @for (group, has_line) in groups() {
                    @for (number, column) in group.columns.iter().enumerate() {
                        th.(if number == 0 { "first" } else { "" }) scope="col" title=(column.title) data-i=(place()) { (column.head) }
                    }
                    @if has_line { th scope="col" data-i=(place()) { "5 minutes" } }
                }
            }
        }
    }
}

/// What the style has of the columns: lines between groups, labels on small screens, and what those leave out.
pub(super) fn style() -> [String; 3] {
    let (mut firsts, mut labels, mut minor) = (Vec::new(), String::new(), Vec::new());
    // `nth-child` counts from 1.
    let mut number = BEFORE + 1;
    for (group, has_line) in groups() {
        for (place, column) in group.columns.iter().enumerate() {
            if place == 0 {
                firsts.push(format!("td:nth-child({number})"));
            }
            match column.label {
                "" => minor.push(format!(".proxy td:nth-child({number})")),
                label => {
                    labels += &format!(
                        ".proxy td:nth-child({number})::before {{ content: \"{label}\"; }}\n"
                    );
                }
            }
            number += 1;
        }
        if has_line {
            labels +=
                &format!(".proxy td:nth-child({number})::before {{ content: \"5 minutes\"; }}\n");
            number += 1;
        }
    }
    [firsts.join(", "), labels, minor.join(", ")]
}
