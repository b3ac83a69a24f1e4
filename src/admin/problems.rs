//! What an operator should look at now: found in the rest of the document of `/api/v1/stats`.
//!
//! The page, `ringway status --problems` and programs show the same list.

use std::time::{Duration, SystemTime};

use super::document::{
    BackendStats, DiscoveryStats, FrontendStats, Problem, Process, Sessions, Severity,
};

/// A backend whose servers are discovered has a problem when its last answer is older than this: a query
/// that fails is made again after 10 seconds at most, and a good interval may be an hour.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(30);

/// All problems: errors first, the rest in the order of the document.
pub(super) fn find(
    process: &Process,
    frontends: &[FrontendStats],
    backends: &[BackendStats],
    now: SystemTime,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    of_process(process, &mut problems);
    for frontend in frontends {
        if is_full(&frontend.sessions) {
            let reason = "its sessions are at max_sessions: new connections wait".to_owned();
            problems.push(error("frontend", &frontend.name, "FULL", reason));
        }
    }
    for backend in backends {
        of_backend(backend, now, &mut problems);
    }
    problems.sort_by_key(|problem| problem.severity);
    problems
}

fn error(kind: &'static str, name: &str, status: &'static str, reason: String) -> Problem {
    Problem {
        kind,
        name: name.to_owned(),
        severity: Severity::Error,
        status,
        reason,
        since: None,
    }
}

fn of_process(process: &Process, problems: &mut Vec<Problem>) {
    if process.stopping {
        let reason = "the process takes no new sessions and ends with the last one".to_owned();
        problems.push(error("process", "", "STOPPING", reason));
    }
    if is_full(&process.sessions) {
        let reason = "sessions are at max_sessions of [global]: new connections wait".to_owned();
        problems.push(error("process", "", "FULL", reason));
    }
    let last = process.reload.last.as_ref().filter(|last| !last.ok);
    if let Some(last) = last {
        let why = last.error.as_deref().unwrap_or_default();
        problems.push(Problem {
            since: Some(last.at.clone()),
            ..error("process", "", "RELOAD REFUSED", first_line(why))
        });
    }
}

/// The first line of what `ringway check` prints says what is wrong, the others where.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn is_full(sessions: &Sessions) -> bool {
    sessions
        .limit
        .is_some_and(|limit| sessions.current >= limit)
}

fn of_backend(backend: &BackendStats, now: SystemTime, problems: &mut Vec<Problem>) {
    if backend.status == "DOWN" {
        let reason = match backend.servers.len() {
            0 => "it has no server".to_owned(),
            1 => "its only server can't be used".to_owned(),
            count => format!("none of its {count} servers can be used"),
        };
        problems.push(error("backend", &backend.name, "DOWN", reason));
    }
    if let Some(reason) = (backend.discovery.as_ref()).and_then(|found| silence(found, now)) {
        let since = (backend.discovery.as_ref()).and_then(|found| found.last_success.clone());
        problems.push(Problem {
            since,
            ..error("backend", &backend.name, "NO DNS ANSWER", reason)
        });
    }
    if backend.sessions_waiting > 0 {
        let reason = format!(
            "sessions that wait for a server with a free place: {}",
            backend.sessions_waiting
        );
        problems.push(Problem {
            severity: Severity::Notice,
            ..error("backend", &backend.name, "QUEUE", reason)
        });
    }
    for server in &backend.servers {
        let severity = match server.status {
            "UP" | "no check" => continue,
            "DOWN" => Severity::Error,
            _ => Severity::Notice,
        };
        let by_itself = matches!(server.status, "DOWN" | "EJECTED");
        let ordered = server.operator.as_ref().filter(|_| !by_itself);
        let reason = ordered.map(|by| match by.reason.as_str() {
            "" => by.who.clone(),
            reason => format!("{reason} ({})", by.who),
        });
        problems.push(Problem {
            kind: "server",
            name: format!("{}/{}", backend.name, server.name),
            severity,
            status: server.status,
            reason: reason.unwrap_or_else(|| server.reason.clone()),
            since: Some(server.since.clone()),
        });
    }
}

/// Why discovery needs a look, if it does.
fn silence(discovery: &DiscoveryStats, now: SystemTime) -> Option<String> {
    let query = &discovery.query;
    let Some(last) = discovery.last_success_at else {
        return Some(format!("{query} has not been answered yet"));
    };
    let failures: u64 = discovery.failures.values().sum();
    let age = now.duration_since(last).unwrap_or_default();
    // Without a failure the interval is a long one.
    (failures > 0 && age > ANSWER_AGE_MAX)
        .then(|| format!("{query} is not answered: its servers stay as they were"))
}
