//! Log lines and journal entries about changes of health.

use std::time::Duration;

use crate::config::format_duration;
use crate::control::journal::{Entry, Journal, Kind};
use crate::control::server_change::Attribution;
use crate::logic::ejection::EjectionRules;
use crate::logic::health::{Cause, Change, OperationalState};

/// Reports that a server's state changed. `server` is `BACKEND/SERVER`; `by` is who changed the server last.
pub fn server_changed(journal: &Journal, server: &str, change: &Change, by: Option<&Attribution>) {
    let (from, to) = change.transition.names();
    let level = match change.transition.is_down() {
        true => log::Level::Warn,
        false => log::Level::Info,
    };
    let cause = change.cause.to_string();
    let lasted_ms = u64::try_from(change.lasted.as_millis()).unwrap_or(u64::MAX);
    let by = by.filter(|_| change.cause == Cause::Operator);
    let text = sentence(server, change, by);
    log::log!(
        level,
        server = server,
        from = from,
        to = to,
        cause = cause.as_str(),
        lasted_ms = lasted_ms;
        "{text}"
    );
    journal.record(Entry {
        kind: if by.is_some() {
            Kind::Admin
        } else {
            Kind::State
        },
        server: Some(server.to_owned()),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        reason: by.map_or(cause, |by| by.reason.clone()),
        who: by.map(|by| by.who.clone()),
        text,
    });
}

fn sentence(server: &str, change: &Change, by: Option<&Attribution>) -> String {
    let Change {
        transition,
        cause,
        results,
        lasted,
    } = *change;
    let (from, to) = transition.names();
    let lasted = rounded(lasted);
    match cause.passed() {
        Some(passed) => {
            let verb = if passed { "passed" } else { "failed" };
            format!(
                "server {server} is {to}: {cause}, {results}/{results} checks {verb}, \
                 was {from} for {lasted}"
            )
        }
        None => format!(
            "server {server} is {to}: {cause}{}, was {from} for {lasted}",
            attributed(by)
        ),
    }
}

/// Who and why, in brackets.
fn attributed(by: Option<&Attribution>) -> String {
    match by {
        None => String::new(),
        Some(by) if by.reason.is_empty() => format!(" ({})", by.who),
        Some(by) => format!(" ({}: {})", by.who, by.reason),
    }
}

/// An operator changed the weight of a server, from the first to the second.
pub fn weight_changed(
    journal: &Journal,
    server: &str,
    (from, to): (u32, u32),
    by: Option<&Attribution>,
) {
    let text = format!(
        "server {server} has weight {to}: {}{}, had {from}",
        Cause::Operator,
        attributed(by)
    );
    log::info!(server = server, weight = to; "{text}");
    journal.record(Entry {
        kind: Kind::Weight,
        server: Some(server.to_owned()),
        from: Some(from.to_string()),
        to: Some(to.to_string()),
        reason: by.map(|by| by.reason.clone()).unwrap_or_default(),
        who: by.map(|by| by.who.clone()),
        text,
    });
}

/// The last usable server of a backend is gone.
pub fn backend_lost(journal: &Journal, backend: &str) {
    let text = format!("backend {backend} has no usable server");
    log::error!(backend = backend, to = "down"; "{text}");
    backend_changed(journal, backend, ("up", "down"), text);
}

/// It has its first usable server.
pub fn backend_usable(journal: &Journal, backend: &str) {
    let text = format!("backend {backend} has a usable server");
    log::info!(backend = backend, to = "up"; "{text}");
    backend_changed(journal, backend, ("down", "up"), text);
}

/// It has lost its last usable server, and has one again.
pub fn backend_back(journal: &Journal, backend: &str, lost: Duration) {
    let lost_ms = u64::try_from(lost.as_millis()).unwrap_or(u64::MAX);
    let text = format!(
        "backend {backend} has a usable server again, had none for {}",
        rounded(lost)
    );
    log::warn!(backend = backend, to = "up", lasted_ms = lost_ms; "{text}");
    backend_changed(journal, backend, ("down", "up"), text);
}

fn backend_changed(journal: &Journal, backend: &str, (from, to): (&str, &str), text: String) {
    journal.record(Entry {
        kind: Kind::Backend,
        server: Some(backend.to_owned()),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        text,
        ..Entry::default()
    });
}

/// A server is left out for a time, because sessions with it failed.
pub fn ejected(
    journal: &Journal,
    server: &str,
    from: OperationalState,
    rules: EjectionRules,
    pause: Duration,
) {
    let reason = failures(rules);
    let pause = format_duration(pause);
    let text = format!("server {server} is left out for {pause}: {reason}");
    log::warn!(server = server, from = from.as_str(), to = EJECTED; "{text}");
    journal.record(Entry {
        kind: Kind::Passive,
        server: Some(server.to_owned()),
        from: Some(from.as_str().to_owned()),
        to: Some(EJECTED.to_owned()),
        reason,
        who: None,
        text,
    });
}

/// Why a server with these rules is left out.
pub fn failures(rules: EjectionRules) -> String {
    let within = format_duration(rules.within);
    match rules.failures {
        1 => "1 failed session".to_owned(),
        failures => format!("{failures} failed sessions within {within}"),
    }
}

/// It takes sessions again.
pub fn returned(journal: &Journal, server: &str, to: OperationalState, reason: &str) {
    let text = format!("server {server} takes sessions again: {reason}");
    log::info!(server = server, from = EJECTED, to = to.as_str(); "{text}");
    journal.record(Entry {
        kind: Kind::Passive,
        server: Some(server.to_owned()),
        from: Some(EJECTED.to_owned()),
        to: Some(to.as_str().to_owned()),
        reason: reason.to_owned(),
        who: None,
        text,
    });
}

/// The state of a server that is left out, in logs and events.
const EJECTED: &str = "ejected";

/// This host could not probe.
pub fn cannot_probe(journal: &Journal, cause: Cause) {
    journal.warn(format!(
        "servers cannot be checked, and keep their state: {cause}"
    ));
}

/// A duration rounded down to milliseconds below 10 s, to seconds below 10 min, else to minutes.
pub fn rounded(duration: Duration) -> String {
    const MINUTE: u128 = 60_000;
    let millis = duration.as_millis();
    let unit = match millis {
        0..10_000 => 1,
        10_000..600_000 => 1_000,
        600_000.. => MINUTE,
    };
    let millis = u64::try_from(millis / unit * unit).unwrap_or(u64::MAX);
    format_duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::health::{AdminState, OperationalState, Transition};

    #[test]
    fn a_change_is_one_sentence() {
        let change = Change {
            transition: Transition::Operational(OperationalState::Up, OperationalState::Down),
            cause: Cause::L4Connect("connection refused"),
            results: 3,
            lasted: Duration::from_millis(4 * 3_600_000 + 12_345),
        };
        assert_eq!(
            sentence("app/web2", &change, None),
            "server app/web2 is down: L4CON connection refused, 3/3 checks failed, was up for 4h"
        );
        let change = Change {
            transition: Transition::Operational(OperationalState::Down, OperationalState::Up),
            cause: Cause::L7Ok(200),
            results: 2,
            lasted: Duration::from_millis(12_345),
        };
        assert_eq!(
            sentence("app/web2", &change, None),
            "server app/web2 is up: L7OK 200, 2/2 checks passed, was down for 12s"
        );
        let change = Change {
            transition: Transition::Admin(AdminState::Ready, AdminState::Drain),
            cause: Cause::Operator,
            results: 0,
            lasted: Duration::from_millis(345),
        };
        assert_eq!(
            sentence("app/web2", &change, None),
            "server app/web2 is drain: operator, was ready for 345ms"
        );
        let mut by = Attribution {
            who: "uid 0, pid 7".to_owned(),
            ..Attribution::default()
        };
        assert_eq!(
            sentence("app/web2", &change, Some(&by)),
            "server app/web2 is drain: operator (uid 0, pid 7), was ready for 345ms"
        );
        by.reason = "kernel update".to_owned();
        assert_eq!(
            sentence("app/web2", &change, Some(&by)),
            "server app/web2 is drain: operator (uid 0, pid 7: kernel update), was ready for 345ms"
        );
    }

    #[test]
    fn durations_are_as_exact_as_they_are_long() {
        for (millis, text) in [
            (0, "0s"),
            (9_999, "9s999ms"),
            (10_001, "10s"),
            (599_999, "9m59s"),
            (600_000, "10m"),
            (86_400_000 + 61_000, "1d1m"),
        ] {
            assert_eq!(rounded(Duration::from_millis(millis)), text);
        }
    }
}
