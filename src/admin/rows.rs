//! The rows of HAProxy's `show stat`: each frontend, then each backend's servers and the backend, as there.
//!
//! A field that means nothing here is empty. `csv` and `haproxy` write them.

use std::time::SystemTime;

use super::columns::{COLUMNS, COUNT, Column};
use super::document::{BackendStats, FrontendStats, ServerStats, Sessions, Stats};
use crate::logic::health::OperationalState;

/// Which rows are wanted: those of this frontend or backend, of these kinds, of this server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter<'a> {
    /// Its name, or its number in the column `iid`; `None`: every one.
    pub proxy: Option<&'a str>,
    /// Bits by the number in the column `type`; `None`: every one.
    pub kinds: Option<u32>,
    /// Its number in the column `sid`; `None`: every one.
    pub server: Option<u32>,
    pub hidden: Hidden,
}

/// Servers that are not wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hidden {
    #[default]
    Nothing,
    /// Those in maintenance.
    Maint,
    /// Those in maintenance and those that are down.
    Down,
}

impl Hidden {
    fn hides(self, row: &Row) -> bool {
        match row.get("status") {
            "MAINT" => self != Hidden::Nothing,
            "DOWN" => self == Hidden::Down,
            _ => false,
        }
    }
}

impl Filter<'_> {
    /// Whether no frontend or backend is what it names.
    pub fn names_nothing(&self, stats: &Stats) -> bool {
        let mut names = (stats.frontends.iter().map(|it| &it.name))
            .chain(stats.backends.iter().map(|it| &it.name));
        self.proxy
            .is_some_and(|wanted| number(wanted) == 0 && !names.any(|name| name == wanted))
    }

    fn wants(&self, row: &Row) -> bool {
        let [name, iid] = ["pxname", "iid"].map(|column| row.get(column));
        let kind = row.get("type").parse::<u32>().ok();
        self.proxy
            .is_none_or(|wanted| wanted == iid || wanted == name)
            && (self.kinds).is_none_or(|kinds| kind.is_some_and(|kind| kinds & 1 << kind != 0))
            && (self.server).is_none_or(|wanted| row.get("sid").parse() == Ok(wanted))
            && !(row.kind == Kind::Server && self.hidden.hides(row))
    }
}

/// A number as HAProxy reads it: what is none is 0.
pub(super) fn number(word: &str) -> i64 {
    word.parse().unwrap_or(0)
}

/// How a row differs from the others, in the column `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
}

/// Fields by name; what is not set is empty.
pub(super) struct Row {
    pub kind: Kind,
    fields: [String; COUNT],
}

impl Row {
    /// `proxy` counts from 1 and is the same for a backend and its servers, `server` within it.
    fn new(kind: Kind, names: [&str; 2], proxy: usize, server: usize) -> Self {
        let mut row = Row {
            kind,
            fields: std::array::from_fn(|_| String::new()),
        };
        let [proxy_name, name] = names;
        row.set("pxname", proxy_name);
        row.set("svname", name);
        row.set("pid", 1);
        row.set("iid", proxy);
        row.set("sid", server);
        row.set("type", kind as u8);
        row
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        let index = COLUMNS.iter().position(|column| column.name == name);
        debug_assert!(index.is_some(), "there is no column {name}");
        if let Some(index) = index {
            self.fields[index] = value.to_string();
        }
    }

    pub fn get(&self, name: &str) -> &str {
        let index = COLUMNS.iter().position(|column| column.name == name);
        index.map_or("", |index| &self.fields[index])
    }

    fn set_sessions(&mut self, sessions: &Sessions) {
        self.set("scur", sessions.current);
        self.set("smax", sessions.max);
        if let Some(limit) = sessions.limit {
            self.set("slim", limit);
        }
        self.set("stot", sessions.total);
        self.set("rate", sessions.rate.round());
        self.set("rate_max", sessions.rate_max.round());
    }

    /// All fields, in the order of the columns.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(String::as_str)
    }

    /// Those that are not empty, with the positions of their columns.
    pub fn filled(&self) -> impl Iterator<Item = (usize, &'static Column, &str)> {
        let fields = COLUMNS.iter().zip(self.fields()).enumerate();
        fields
            .filter(|(_, (_, value))| !value.is_empty())
            .map(|(position, (column, value))| (position, column, value))
    }
}

/// The rows that are wanted.
pub(super) fn rows(stats: &Stats, filter: &Filter<'_>) -> Vec<Row> {
    let now = SystemTime::now();
    let mut rows = Vec::new();
    let mut proxy = 0;
    for of in &stats.frontends {
        proxy += 1;
        rows.push(frontend(stats, of, proxy));
    }
    for of in &stats.backends {
        proxy += 1;
        let servers = of.servers.iter().enumerate();
        let servers = servers.map(|(index, it)| server(of, it, [proxy, index + 1], now));
        let servers: Vec<_> = servers.collect();
        let mut backend = sum(of, proxy);
        if filter.hidden != Hidden::Nothing {
            let up = servers
                .iter()
                .filter(|row| !Hidden::Down.hides(row))
                .count();
            backend.set("status", format!("{} ({up}/{})", of.status, servers.len()));
        }
        rows.extend(servers);
        rows.push(backend);
    }
    rows.retain(|row| filter.wants(row));
    rows
}

fn frontend(stats: &Stats, frontend: &FrontendStats, proxy: usize) -> Row {
    let mut row = Row::new(Kind::Frontend, [&frontend.name, "FRONTEND"], proxy, 0);
    row.set_sessions(&frontend.sessions);
    // One without a limit of its own has that of the process.
    let limit = frontend.sessions.limit.or(stats.process.sessions.limit);
    if let Some(limit) = limit {
        row.set("slim", limit);
    }
    row.set("bin", frontend.bytes_from_clients);
    row.set("bout", frontend.bytes_from_servers);
    row.set("status", frontend.status);
    row.set("mode", frontend.mode);
    // A session is a connection.
    row.set("conn_rate", frontend.sessions.rate.round());
    row.set("conn_rate_max", frontend.sessions.rate_max.round());
    row.set("conn_tot", frontend.sessions.total);
    row
}

fn server(
    backend: &BackendStats,
    server: &ServerStats,
    numbers: [usize; 2],
    now: SystemTime,
) -> Row {
    let [proxy, number] = numbers;
    let mut row = Row::new(Kind::Server, [&backend.name, &server.name], proxy, number);
    row.set_sessions(&server.sessions);
    row.set("bin", server.bytes_from_client);
    row.set("bout", server.bytes_from_server);
    row.set("econ", server.connect_failures);
    row.set("eresp", server.answer_failures);
    row.set("wretr", server.reconnects);
    row.set("wredis", server.redispatches);
    // HAProxy has no word for it; open sessions continue, as in a drain.
    let status = if server.leaving {
        "DRAIN"
    } else if server.ejected {
        // As with `observe layer4`.
        "DOWN"
    } else {
        server.status
    };
    row.set("status", status);
    row.set("weight", server.weight);
    row.set("act", u8::from(!server.backup));
    row.set("bck", u8::from(server.backup));
    let since = now.duration_since(server.changed).unwrap_or_default();
    row.set("lastchg", since.as_secs());
    row.set("lbtot", server.sessions.total);
    row.set("uweight", server.weight_configured);
    row.set("addr", &server.address);
    if server.state != OperationalState::Unchecked {
        row.set("chkfail", server.checks.failed_while_up);
        row.set("chkdown", server.checks.downs);
        if let Some((code, detail)) = check(&server.reason) {
            row.set("check_status", code);
            match detail.parse::<u16>() {
                Ok(status) => row.set("check_code", status),
                Err(_) => row.set("last_chk", detail),
            }
        }
    }
    row
}

/// The code of a probe's result, as in `L4CON connection refused`, and the rest. `None`: `reason` is no
/// probe's.
fn check(reason: &str) -> Option<(&str, &str)> {
    let (code, detail) = reason.split_once(' ').unwrap_or((reason, ""));
    let is_code =
        ["L4", "L6", "L7", "INI", "SOCKERR", "RESOLVE"].map(|begin| code.starts_with(begin));
    is_code.contains(&true).then_some((code, detail))
}

/// The row of a backend.
fn sum(backend: &BackendStats, proxy: usize) -> Row {
    let servers = &backend.servers;
    // Backups count when nobody else is there.
    let counts = |server: &&ServerStats| server.usable && server.backup == (backend.active == 0);
    let weights = servers.iter().filter(counts).map(|server| server.weight);
    let mut row = Row::new(Kind::Backend, [&backend.name, "BACKEND"], proxy, 0);
    row.set("qcur", backend.sessions_waiting);
    row.set("scur", backend.sessions.current);
    row.set("stot", backend.sessions.total);
    row.set("bin", backend.bytes_from_clients);
    row.set("bout", backend.bytes_from_servers);
    row.set("econ", backend.connect_failures);
    row.set("eresp", backend.answer_failures);
    row.set("wretr", backend.reconnects);
    row.set("wredis", backend.redispatches);
    row.set("status", backend.status);
    row.set("weight", weights.sum::<u32>());
    row.set("act", backend.active);
    row.set("bck", backend.backup);
    row.set("chkdown", backend.downs);
    row.set("lbtot", backend.sessions.total);
    row.set("rate", backend.sessions.rate.round());
    row.set("algo", algorithm(&backend.balance));
    row
}

/// HAProxy's name for ours.
fn algorithm(balance: &str) -> &str {
    match balance {
        "round_robin" => "roundrobin",
        "least_conn" => "leastconn",
        "source_hash" => "source",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_probe_s_or_not() {
        assert_eq!(
            check("L4CON connection refused"),
            Some(("L4CON", "connection refused"))
        );
        assert_eq!(check("L7STS 503"), Some(("L7STS", "503")));
        assert_eq!(check("L4OK"), Some(("L4OK", "")));
        assert_eq!(check("operator"), None);
        assert_eq!(check(""), None);
    }
}
