//! The columns of HAProxy's `show stat`: their names, and what the typed format says of their values.
//!
//! They are those that HAProxy 2.6 has in every build (section 9.1 of its management guide); newer ones append theirs.

use ValueType::{S32, Str, U32, U64};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub name: &'static str,
    /// Origin, nature and scope of the values, a letter each (section 9.2 of the guide).
    pub tags: &'static str,
    pub value: ValueType,
}

/// What a value of the typed format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    S32,
    U32,
    U64,
    Str,
}

/// How many there are.
pub(super) const COUNT: usize = 103;

/// HAProxy's columns in its order, with the tags of frontends and servers.
pub(super) const COLUMNS: [Column; COUNT] = [
    column("pxname", "KNS", Str),
    column("svname", "KNS", Str),
    column("qcur", "MGP", U32),
    column("qmax", "MMP", U32),
    column("scur", "MGP", U32),
    column("smax", "MMP", U32),
    column("slim", "CLP", U32),
    column("stot", "MCP", U64),
    column("bin", "MCP", U64),
    column("bout", "MCP", U64),
    column("dreq", "MCP", U64),
    column("dresp", "MCP", U64),
    column("ereq", "MCP", U64),
    column("econ", "MCP", U64),
    column("eresp", "MCP", U64),
    column("wretr", "MCP", U64),
    column("wredis", "MCP", U64),
    column("status", "SGP", Str),
    column("weight", "MaP", U32),
    column("act", "SGP", U32),
    column("bck", "SGP", U32),
    column("chkfail", "MCP", U64),
    column("chkdown", "MCP", U64),
    column("lastchg", "MAP", U32),
    column("downtime", "MCP", U32),
    column("qlimit", "CGS", U32),
    column("pid", "KGP", U32),
    column("iid", "KGS", U32),
    column("sid", "KGS", U32),
    column("throttle", "MaP", U32),
    column("lbtot", "MCP", U64),
    column("tracked", "CNS", Str),
    column("type", "CGS", U32),
    column("rate", "MRP", U32),
    column("rate_lim", "CLP", U32),
    column("rate_max", "MMP", U32),
    column("check_status", "MOP", Str),
    column("check_code", "MOP", U32),
    column("check_duration", "MDP", U64),
    column("hrsp_1xx", "MCP", U64),
    column("hrsp_2xx", "MCP", U64),
    column("hrsp_3xx", "MCP", U64),
    column("hrsp_4xx", "MCP", U64),
    column("hrsp_5xx", "MCP", U64),
    column("hrsp_other", "MCP", U64),
    column("hanafail", "MCP", U64),
    column("req_rate", "MRP", U32),
    column("req_rate_max", "MMP", U32),
    column("req_tot", "MCP", U64),
    column("cli_abrt", "MCP", U64),
    column("srv_abrt", "MCP", U64),
    column("comp_in", "MCP", U64),
    column("comp_out", "MCP", U64),
    column("comp_byp", "MCP", U64),
    column("comp_rsp", "MCP", U64),
    column("lastsess", "MAP", S32),
    column("last_chk", "MOP", Str),
    column("last_agt", "MOP", Str),
    column("qtime", "MaP", U32),
    column("ctime", "MaP", U32),
    column("rtime", "MaP", U32),
    column("ttime", "MaP", U32),
    column("agent_status", "MOP", Str),
    column("agent_code", "MOP", U32),
    column("agent_duration", "MDP", U64),
    column("check_desc", "MOP", Str),
    column("agent_desc", "MOP", Str),
    column("check_rise", "CGS", U32),
    column("check_fall", "CGS", U32),
    column("check_health", "CGS", U32),
    column("agent_rise", "CGS", U32),
    column("agent_fall", "CGS", U32),
    column("agent_health", "CGS", U32),
    column("addr", "CGS", Str),
    column("cookie", "CNS", Str),
    column("mode", "CGS", Str),
    column("algo", "CGS", Str),
    column("conn_rate", "MRP", U32),
    column("conn_rate_max", "MMP", U32),
    column("conn_tot", "MCP", U64),
    column("intercepted", "MCP", U64),
    column("dcon", "MCP", U64),
    column("dses", "MCP", U64),
    column("wrew", "MCP", U64),
    column("connect", "MCP", U64),
    column("reuse", "MCP", U64),
    column("cache_lookups", "MCP", U64),
    column("cache_hits", "MCP", U64),
    column("srv_icur", "MGP", U32),
    column("src_ilim", "CLP", U32),
    column("qtime_max", "MMP", U32),
    column("ctime_max", "MMP", U32),
    column("rtime_max", "MMP", U32),
    column("ttime_max", "MMP", U32),
    column("eint", "MCP", U64),
    column("idle_conn_cur", "MGP", U32),
    column("safe_conn_cur", "MGP", U32),
    column("used_conn_cur", "MGP", U32),
    column("need_conn_est", "MGP", U32),
    column("uweight", "MaP", U32),
    column("agg_server_status", "MGP", U32),
    column("agg_server_check_status", "MGP", U32),
    column("agg_check_status", "MGP", U32),
];

/// Columns of backends whose values are of another kind there.
const OF_BACKENDS: [(&str, &str); 4] = [
    ("act", "MGP"),
    ("bck", "MGP"),
    ("rate", "MGP"),
    ("rate_max", "MGP"),
];

const fn column(name: &'static str, tags: &'static str, value: ValueType) -> Column {
    Column { name, tags, value }
}

impl Column {
    /// The tags of its values in the row of a backend.
    pub fn tags_of_backend(&self) -> &'static str {
        let found = OF_BACKENDS.iter().find(|(name, _)| *name == self.name);
        found.map_or(self.tags, |(_, tags)| tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_one_name_each() {
        let mut names = COLUMNS.map(|column| column.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
