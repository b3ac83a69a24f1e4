//! `/api/v1/servers/BACKEND/SERVER/why`: why a server gets sessions or gets none, from what the recorder of the
//! control plane remembers.

use std::time::{Duration, SystemTime};

use axum::extract::{self, Path};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;

use super::context::Context;
use super::document::ServerStats;
use super::error::Refusal;
use super::lookup::find_server;
use super::stats;
use crate::config::format_duration;
use crate::control::api::{FailureRecord, Happened, Kind, ProbeRecord, Record};
use crate::logic::health::{AdminState, Cause, OperationalState};
use crate::logic::session::Fault;
use crate::timestamp::rfc3339;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route(
        "/api/v1/servers/{backend}/{server}/why",
        context.guard.reads(get(why)),
    )
}

/// Why a server gets sessions or gets none. Each list is the oldest first, and has at most 20 elements; `events` has as
/// many of the server, of its backend and of reloads.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Why {
    /// `BACKEND/SERVER`.
    name: String,
    /// The answer in a sentence.
    verdict: String,
    /// The server as `/api/v1/stats` has it; null: the backend does not have it any more.
    server: Option<ServerStats>,
    /// What happened to the server, and who brought it about.
    events: Vec<WhyEvent>,
    /// Its health checks.
    probes: Vec<WhyProbe>,
    /// Sessions that failed with it, counted for each second in which there were some.
    failures: Vec<WhyFailures>,
}

/// Something that happened to a server.
#[derive(Debug, JsonSchema, Serialize)]
struct WhyEvent {
    /// When; RFC 3339, UTC.
    time: String,
    /// What it is about.
    kind: Kind,
    /// A sentence.
    text: String,
    /// Why, in the words of the probe or of the operator; may be empty.
    reason: String,
    /// The operator who brought it about, or `SIGHUP`; null: it was none.
    who: Option<String>,
}

/// A health check that has ended.
#[derive(Debug, JsonSchema, Serialize)]
struct WhyProbe {
    /// When it began; RFC 3339, UTC.
    time: String,
    /// How long it took, in microseconds.
    took_us: u64,
    /// Whether the server passed it; null: this host could not make it.
    passed: Option<bool>,
    /// What it found, such as `L7STS 503`.
    result: String,
}

/// Sessions that failed within a second.
#[derive(Debug, JsonSchema, Serialize)]
struct WhyFailures {
    /// When the first of them was seen; RFC 3339, UTC.
    time: String,
    /// Connects that failed.
    connects: u64,
    /// Why the last of these failed, such as `L4CON connection refused`; null: it is not known.
    connect_error: Option<String>,
    /// HTTP mode, while the backend has `passive`: sessions that ended before the server had answered.
    answers: u64,
}

impl From<Happened> for WhyEvent {
    fn from(happened: Happened) -> Self {
        WhyEvent {
            time: happened.time,
            kind: happened.kind,
            text: happened.text,
            reason: happened.reason,
            who: happened.who,
        }
    }
}

impl From<ProbeRecord> for WhyProbe {
    fn from(probe: ProbeRecord) -> Self {
        WhyProbe {
            time: rfc3339(probe.began),
            took_us: u64::try_from(probe.took.as_micros()).unwrap_or(u64::MAX),
            passed: probe.cause.passed(),
            result: probe.cause.to_string(),
        }
    }
}

impl From<FailureRecord> for WhyFailures {
    fn from(failures: FailureRecord) -> Self {
        WhyFailures {
            time: rfc3339(failures.time),
            connects: failures.connects,
            connect_error: failures
                .connect_fault
                .map(|it| connect_error(it).to_string()),
            answers: failures.answers,
        }
    }
}

/// In the words of a health check that could not connect.
fn connect_error(fault: Fault) -> Cause {
    match fault {
        Fault::Refused => Cause::L4Connect("connection refused"),
        Fault::Unreachable => Cause::L4Connect("host unreachable"),
        Fault::TimedOut => Cause::L4Timeout,
        Fault::Reset | Fault::Closed => Cause::L4Connect("connection reset"),
        Fault::Other => Cause::L4Connect("connection failed"),
    }
}

async fn why(
    extract::State(context): extract::State<Context>,
    Path((backend, server)): Path<(String, String)>,
) -> Result<Json<Why>, Refusal> {
    let active = context.state.active();
    let found = find_server(&active.snapshot, &backend, &server);
    let record = context.actions.journal.recorder().server(&backend, &server);
    let name = format!("{backend}/{server}");
    let (server, verdict) = match found {
        Ok(member) => {
            let stats = stats::server(&context.state, &member.config, &member.server);
            let is_open = member.server.availability.is_usable();
            let verdict = verdict(&stats, is_open, SystemTime::now());
            (Some(stats), verdict)
        }
        // Of one that is gone there may be a record.
        Err(unknown) => (None, gone(record.as_ref().ok_or(unknown)?, &name)),
    };
    let Record {
        probes,
        failures,
        events,
    } = record.unwrap_or_default();
    Ok(Json(Why {
        verdict: format!("{name} {verdict}"),
        name,
        server,
        events: events.into_iter().map(Into::into).collect(),
        probes: probes.into_iter().map(Into::into).collect(),
        failures: failures.into_iter().map(Into::into).collect(),
    }))
}

/// Why a server is not there, from the last that happened to it.
fn gone(record: &Record, name: &str) -> String {
    let own = format!("server {name} ");
    let mut events = record.events.iter().rev();
    let last = events.find_map(|event| Some((&event.time, event.text.strip_prefix(&own)?)));
    match last {
        Some((time, text)) => {
            format!("is not there any more; the last of it, at {time}: it {text}")
        }
        None => "is not there any more".to_owned(),
    }
}

/// Whether a server gets sessions, and why, in words that follow its name. `is_open`: workers may choose it, be it
/// by a cookie.
pub(super) fn verdict(server: &ServerStats, is_open: bool, now: SystemTime) -> String {
    const NONE: &str = "gets no new sessions";
    const STICKY: &str = "gets no new sessions but those that a cookie leads there";
    let age = now.duration_since(server.changed).unwrap_or_default();
    let age = format_duration(Duration::from_secs(age.as_secs()));
    let since = format!("since {} ({age} ago)", server.since);
    let ordered = match &server.operator {
        None => String::new(),
        Some(by) if by.reason.is_empty() => format!(", ordered by {} at {}", by.who, by.time),
        Some(by) => format!(", ordered by {} at {}: {}", by.who, by.time, by.reason),
    };
    let reason = &server.reason;
    if server.leaving {
        let open = server.sessions.current;
        return format!("{NONE}: it was removed, and is here until its {open} sessions have ended");
    }
    if server.admin_state == AdminState::Maint {
        return format!("{NONE}: it is in maint{ordered}");
    }
    if server.state == OperationalState::Down {
        return match reason.as_str() {
            "RESOLVE" => format!("{NONE}: its host name cannot be resolved, {since}"),
            _ => format!("{NONE}: its health check fails, {since}: {reason}"),
        };
    }
    if server.ejected {
        return format!("{NONE}: it is left out for a time, {since}: {reason}");
    }
    if !is_open {
        return format!("{NONE} before the first result of its health check");
    }
    if server.admin_state == AdminState::Drain {
        return format!("{STICKY}: it drains{ordered}");
    }
    if server.weight == 0 {
        return format!("{STICKY}: its weight is 0{ordered}");
    }
    let full = server
        .sessions
        .limit
        .filter(|limit| server.sessions.current >= *limit);
    let state = match (server.state, full) {
        (_, Some(limit)) => format!(
            "gets a session when one of its {limit} ends: it has as many open as max_sessions allows"
        ),
        (OperationalState::Unchecked, None) => "gets sessions: it is not checked".to_owned(),
        (OperationalState::Up | OperationalState::Down, None) => {
            format!("gets sessions: it is up, {since}: {reason}")
        }
    };
    let backup = if server.backup {
        "; as a backup, it does when no other server can be used"
    } else {
        ""
    };
    format!("{state}{backup}")
}
