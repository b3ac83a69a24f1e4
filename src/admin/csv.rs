//! `/stats.csv`: the statistics with HAProxy's header line and columns, so that what collects from it
//! collects from us.
//!
//! The columns are those that HAProxy 2.6 has in every build (section 9.1 of its management guide);
//! newer ones append theirs. A field that means nothing here is empty. Rows come as there: each
//! frontend, then each backend's servers and the backend.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, extract};

use super::context::Context;
use super::document::{BackendStats, FrontendStats, ServerStats, Sessions, Stats};
use super::error::Refusal;
use super::state::State;
use crate::logic::health::OperationalState;

/// HAProxy's names, in its order.
const COLUMNS: [&str; 103] = [
    "pxname",
    "svname",
    "qcur",
    "qmax",
    "scur",
    "smax",
    "slim",
    "stot",
    "bin",
    "bout",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "status",
    "weight",
    "act",
    "bck",
    "chkfail",
    "chkdown",
    "lastchg",
    "downtime",
    "qlimit",
    "pid",
    "iid",
    "sid",
    "throttle",
    "lbtot",
    "tracked",
    "type",
    "rate",
    "rate_lim",
    "rate_max",
    "check_status",
    "check_code",
    "check_duration",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "hanafail",
    "req_rate",
    "req_rate_max",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "lastsess",
    "last_chk",
    "last_agt",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "agent_status",
    "agent_code",
    "agent_duration",
    "check_desc",
    "agent_desc",
    "check_rise",
    "check_fall",
    "check_health",
    "agent_rise",
    "agent_fall",
    "agent_health",
    "addr",
    "cookie",
    "mode",
    "algo",
    "conn_rate",
    "conn_rate_max",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "wrew",
    "connect",
    "reuse",
    "cache_lookups",
    "cache_hits",
    "srv_icur",
    "src_ilim",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "eint",
    "idle_conn_cur",
    "safe_conn_cur",
    "used_conn_cur",
    "need_conn_est",
    "uweight",
    "agg_server_status",
    "agg_server_check_status",
    "agg_check_status",
];

/// Which rows are wanted: those of this frontend or backend, of these kinds, of this server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter<'a> {
    /// Its name, or its number in the column `iid`; `None`: every one.
    pub proxy: Option<&'a str>,
    /// Bits by the number in the column `type`; `None`: every one.
    pub kinds: Option<u32>,
    /// Its number in the column `sid`; `None`: every one.
    pub server: Option<u32>,
}

impl Filter<'_> {
    fn wants(&self, row: &Row) -> bool {
        let [name, iid] = ["pxname", "iid"].map(|column| row.get(column));
        let kind = row.get("type").parse::<u32>().ok();
        self.proxy
            .is_none_or(|wanted| wanted == iid || wanted == name)
            && (self.kinds).is_none_or(|kinds| kind.is_some_and(|kind| kinds & 1 << kind != 0))
            && (self.server).is_none_or(|wanted| row.get("sid").parse() == Ok(wanted))
    }
}

/// How a row differs from the others, in the column `type`.
#[derive(Clone, Copy)]
enum Kind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
}

/// Fields by name; what is not set is empty.
struct Row([String; COLUMNS.len()]);

impl Row {
    /// `proxy` counts from 1 and is the same for a backend and its servers, `server` within it.
    fn new(kind: Kind, names: [&str; 2], proxy: usize, server: usize) -> Self {
        let mut row = Row(std::array::from_fn(|_| String::new()));
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
        let index = COLUMNS.iter().position(|column| *column == name);
        debug_assert!(index.is_some(), "there is no column {name}");
        if let Some(index) = index {
            self.0[index] = value.to_string();
        }
    }

    fn get(&self, name: &str) -> &str {
        let index = COLUMNS.iter().position(|column| *column == name);
        index.map_or("", |index| &self.0[index])
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

    /// As HAProxy writes it: each field is followed by a comma, as if there were one more, which is empty.
    fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).chain([""])
    }
}

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    let mut paths = vec!["/stats.csv".to_owned(), "/stats;csv".to_owned()];
    let page = context.page.iter().map(|page| format!("{page};csv"));
    paths.extend(page);
    paths.dedup();
    let mut router = Router::new();
    for path in paths {
        router = router.route(&path, context.guard.reads(get(csv)));
    }
    router
}

async fn csv(extract::State(state): extract::State<Arc<State>>) -> Result<String, Refusal> {
    let text = text(&Stats::read(&state), &Filter::default());
    text.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The header, and the rows that are wanted.
pub(super) fn text(stats: &Stats, filter: &Filter<'_>) -> std::io::Result<String> {
    let now = SystemTime::now();
    let mut rows = csv::Writer::from_writer(Vec::new());
    let [first, others @ ..] = COLUMNS;
    let first = format!("# {first}");
    let header = [first.as_str()].into_iter().chain(others).chain([""]);
    rows.write_record(header)?;
    let mut write = |row: Row| match filter.wants(&row) {
        true => rows.write_record(row.fields()),
        false => Ok(()),
    };
    let mut proxy = 0;
    for stats_of in &stats.frontends {
        proxy += 1;
        write(frontend(stats, stats_of, proxy))?;
    }
    for backend in &stats.backends {
        proxy += 1;
        for (index, stats_of) in backend.servers.iter().enumerate() {
            let numbers = [proxy, index + 1];
            write(server(backend, stats_of, numbers, now))?;
        }
        write(sum(backend, proxy))?;
    }
    let bytes = rows.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
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

    #[test]
    fn columns_have_one_name_each() {
        let mut names = COLUMNS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
