//! `show info` and `show servers state`, with the names that HAProxy 2.6 gives to what there is here too.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::super::columns::ValueType::{self, Str, U32, U64};
use super::super::document::{BackendStats, ServerStats, Stats};
use super::command::Format;
use super::typed::{Field, info_json, info_typed};
use crate::logic::health::{AdminState, OperationalState};
use crate::timestamp;

/// The columns of `show servers state`, version 1 of the format.
const COLUMNS: &str = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                       srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                       srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                       srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/// `show info`: what means something here, and zeros where tools need a number.
pub fn info(stats: &Stats, format: Format) -> String {
    let process = &stats.process;
    let sessions = &process.sessions;
    let limit = sessions.limit.unwrap_or_default();
    let uptime = process.uptime_s;
    let (days, hours) = (uptime / 86_400, uptime / 3600 % 24);
    let host = rustix::system::uname();
    let listeners: usize = stats
        .frontends
        .iter()
        .map(|frontend| frontend.listen.len())
        .sum();
    let bytes: u64 = stats
        .workers
        .iter()
        .map(|worker| worker.bytes_from_servers)
        .sum();
    let started = process.started_at.duration_since(SystemTime::UNIX_EPOCH);
    let dropped: u64 = stats
        .workers
        .iter()
        .map(|worker| worker.log_lines_dropped)
        .sum();
    let rate = (sessions.rate.round(), sessions.rate_max.round());
    // Positions, tags and types are HAProxy's.
    let lines: &[(usize, &str, &str, ValueType, &dyn std::fmt::Display)] = &[
        (0, "Name", "POS", Str, &"Ringway"),
        (1, "Version", "POS", Str, &process.version),
        (2, "Release_date", "POS", Str, &"-"),
        (3, "Nbthread", "CGS", U32, &stats.workers.len()),
        (4, "Nbproc", "CGS", U32, &1),
        (5, "Process_num", "KGP", U32, &1),
        (6, "Pid", "SGP", U32, &process.pid),
        (
            7,
            "Uptime",
            "MDP",
            Str,
            &format_args!(
                "{days}d {hours}h{:02}m{:02}s",
                uptime / 60 % 60,
                uptime % 60
            ),
        ),
        (8, "Uptime_sec", "MDP", U32, &uptime),
        (15, "Maxconn", "CLP", U32, &limit),
        (16, "Hard_maxconn", "CLP", U32, &limit),
        (17, "CurrConns", "MGP", U32, &sessions.current),
        (18, "CumConns", "MCP", U32, &sessions.total),
        (23, "Maxpipes", "CLP", U32, &0),
        (24, "PipesUsed", "MGP", U32, &0),
        (25, "PipesFree", "MGP", U32, &0),
        (26, "ConnRate", "MRP", U32, &rate.0),
        (28, "MaxConnRate", "MMP", U32, &rate.1),
        (29, "SessRate", "MRP", U32, &rate.0),
        (31, "MaxSessRate", "MRP", U32, &rate.1),
        (47, "Tasks", "MGP", U32, &sessions.current),
        (48, "Run_queue", "MGP", U32, &0),
        (50, "node", "COS", Str, &host.nodename().to_string_lossy()),
        (52, "Stopping", "MGP", U32, &u8::from(process.stopping)),
        (
            53,
            "Jobs",
            "MGP",
            U32,
            &(sessions.current as usize + listeners),
        ),
        (55, "Listeners", "MGP", U32, &listeners),
        (
            58,
            "DroppedLogs",
            "MGP",
            U32,
            &(dropped + process.messages_dropped),
        ),
        (61, "TotalBytesOut", "MGP", U64, &bytes),
        (
            70,
            "Start_time_sec",
            "MDP",
            U32,
            &started.unwrap_or_default().as_secs(),
        ),
    ];
    let values: Vec<String> = lines.iter().map(|(.., value)| value.to_string()).collect();
    let fields = lines.iter().zip(&values);
    let fields = fields.map(|((position, name, tags, value_type, _), value)| Field {
        position: *position,
        name,
        tags,
        value_type: *value_type,
        value,
    });
    match format {
        Format::Plain => fields
            .map(|Field { name, value, .. }| format!("{name}: {value}\n"))
            .collect(),
        Format::Typed => info_typed(fields),
        Format::Json => info_json(fields),
    }
}

/// `show errors`: requests that HAProxy keeps because it cannot read them; they are not kept here.
pub fn errors() -> String {
    let now = timestamp::common_log(SystemTime::now());
    format!("Total events captured on [{now}] : 0\n")
}

/// `show servers state`; `backend`: only of this one. `None`: there is no such backend.
pub fn servers_state(stats: &Stats, backend: Option<&str>, now: SystemTime) -> Option<String> {
    let mut text = format!("1\n# {COLUMNS}\n");
    let mut found = backend.is_none();
    for (index, of) in stats.backends.iter().enumerate() {
        if backend.is_some_and(|wanted| wanted != of.name) {
            continue;
        }
        found = true;
        // As in the column `iid` of `show stat`.
        let id = stats.frontends.len() + index + 1;
        for (number, server) in of.servers.iter().enumerate() {
            text += &server_state(of, server, [id, number + 1], now);
        }
    }
    found.then_some(text)
}

fn server_state(
    backend: &BackendStats,
    server: &ServerStats,
    [id, number]: [usize; 2],
    now: SystemTime,
) -> String {
    let address: Option<SocketAddr> = server.addresses.first().and_then(|it| it.parse().ok());
    let ip = address.map_or_else(|| "-".to_owned(), |address| address.ip().to_string());
    let written: Option<SocketAddr> = server.address.parse().ok();
    let (host, port) = server.address.rsplit_once(':').unwrap_or_default();
    let name = if written.is_some() || address.is_none() {
        "-"
    } else {
        host
    };
    let port = address.map_or_else(|| port.to_owned(), |address| address.port().to_string());
    // SRV_ST_STOPPED and SRV_ST_RUNNING.
    let is_maint = server.admin_state == AdminState::Maint;
    let runs = server.state != OperationalState::Down && !server.ejected && !is_maint;
    let operational = if runs { 2 } else { 0 };
    // SRV_ADMF_FMAINT and SRV_ADMF_FDRAIN.
    let admin = match (server.admin_state, server.leaving) {
        (AdminState::Maint, _) => 1,
        (AdminState::Drain, _) | (AdminState::Ready, true) => 8,
        (AdminState::Ready, false) => 0,
    };
    let age = now.duration_since(server.changed).unwrap_or_default();
    let enabled = if is_maint { 14 } else { 6 };
    let is_checked = server.state != OperationalState::Unchecked;
    // CHK_RES_FAILED and CHK_RES_PASSED; CHK_ST_CONFIGURED, CHK_ST_ENABLED and CHK_ST_PAUSED.
    let (result, health, check) = match (is_checked, server.state) {
        (false, _) => (0, 0, 0),
        (true, OperationalState::Down) => (2, 0, enabled),
        (true, _) => (3, 1, enabled),
    };
    format!(
        "{id} {} {number} {} {ip} {operational} {admin} {} {} {} {} {result} {health} {check} 0 0 0 {name} {port} - \
         0 0 - - 0\n",
        backend.name,
        server.name,
        server.weight,
        server.weight_configured,
        age.as_secs(),
        check_status(&server.reason),
    )
}

/// HAProxy's number for the result of a health check.
fn check_status(reason: &str) -> u8 {
    match reason.split(' ').next().unwrap_or_default() {
        "INI" => 1,
        "SOCKERR" => 5,
        "L4OK" => 6,
        "L4TOUT" => 7,
        "L4CON" => 8,
        "L6OK" => 9,
        "L6TOUT" => 10,
        "L6RSP" => 11,
        "L7TOUT" => 12,
        "L7RSP" => 13,
        "L7OK" => 15,
        "L7STS" => 17,
        _ => 0,
    }
}
