//! What an operator should look at now: found in the rest of the document of `/api/v1/stats`.
//!
//! The page, `ringway status --problems` and programs show the same list.

use std::time::{Duration, SystemTime};

use super::document::{
    BackendStats, DiscoveryStats, FrontendStats, Problem, Process, Sessions, Severity,
};

/// A backend whose servers are discovered has a problem when its queries fail and its last answer is older than
/// this: one that fails once is made again, and nothing is wrong if that succeeds.
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
    if let Some(discovery) = &backend.discovery
        && let Some(reason) = silence(discovery, now)
    {
        problems.push(Problem {
            since: discovery.last_success.clone(),
            ..error("backend", &backend.name, "NO DNS ANSWER", reason)
        });
    }
    if backend.sessions_waiting > 0 {
        let reason = format!(
            "sessions that wait in the queue: {}",
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
    let age = now.duration_since(last).unwrap_or_default();
    // While none fails, an old answer only means that the interval is a long one.
    (discovery.is_failing && age > ANSWER_AGE_MAX)
        .then(|| format!("{query} is not answered: its servers stay as they were"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn discovery_is_a_problem_while_it_fails_and_its_answer_is_old() {
        let silence = |age: Option<Duration>, is_failing: bool| {
            let now = SystemTime::now();
            let discovery = DiscoveryStats {
                query: "tasks.web:80".to_owned(),
                servers: 1,
                left_out: 0,
                last_success: None,
                last_success_at: age.map(|age| now - age),
                is_failing,
                // One that failed long ago says nothing of now.
                failures: BTreeMap::from([("timeout", 1)]),
            };
            silence(&discovery, now)
        };
        let [young, old] = [10, 3000].map(|age| Some(Duration::from_secs(age)));
        assert_eq!(silence(young, true), None);
        assert_eq!(silence(old, false), None);
        let text = silence(old, true).unwrap();
        assert!(text.starts_with("tasks.web:80 is not answered"), "{text}");
        let text = silence(None, false).unwrap();
        assert!(text.ends_with("has not been answered yet"), "{text}");
    }
}
