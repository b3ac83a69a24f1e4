//! The lines that the log gets when health changes.

use std::time::Duration;

use crate::config::format_duration;
use crate::logic::health::{Cause, Change};

/// A server's state changed. `server` is `BACKEND/SERVER`.
pub fn server_changed(server: &str, change: &Change) {
    let Change { from, to, .. } = *change;
    let level = match to {
        "down" => log::Level::Warn,
        _ => log::Level::Info,
    };
    let cause = change.cause.to_string();
    let lasted_ms = u64::try_from(change.lasted.as_millis()).unwrap_or(u64::MAX);
    log::log!(
        level,
        server = server,
        from = from,
        to = to,
        cause = cause.as_str(),
        lasted_ms = lasted_ms;
        "{}", sentence(server, change)
    );
}

fn sentence(server: &str, change: &Change) -> String {
    let Change {
        from,
        to,
        cause,
        results,
        lasted,
    } = *change;
    let lasted = rounded(lasted);
    match cause.passed() {
        Some(passed) => {
            let verb = if passed { "passed" } else { "failed" };
            format!(
                "server {server} is {to}: {cause}, {results}/{results} checks {verb}, \
                 was {from} for {lasted}"
            )
        }
        None => format!("server {server} is {to}: {cause}, was {from} for {lasted}"),
    }
}

/// The last usable server of a backend is gone.
pub fn backend_lost(backend: &str) {
    log::error!(backend = backend, to = "down"; "backend {backend} has no usable server");
}

/// It has a usable server again.
pub fn backend_back(backend: &str, lost: Duration) {
    let lost_ms = u64::try_from(lost.as_millis()).unwrap_or(u64::MAX);
    log::warn!(
        backend = backend,
        to = "up",
        lasted_ms = lost_ms;
        "backend {backend} has a usable server again, had none for {}", rounded(lost)
    );
}

/// This host could not probe.
pub fn cannot_probe(cause: Cause) {
    log::warn!("servers cannot be checked, and keep their state: {cause}");
}

/// A duration without digits that nobody wants to know.
fn rounded(duration: Duration) -> String {
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

    #[test]
    fn a_change_is_one_sentence() {
        let change = Change {
            from: "up",
            to: "down",
            cause: Cause::L4Connect("connection refused"),
            results: 3,
            lasted: Duration::from_millis(4 * 3_600_000 + 12_345),
        };
        assert_eq!(
            sentence("app/web2", &change),
            "server app/web2 is down: L4CON connection refused, 3/3 checks failed, was up for 4h"
        );
        let change = Change {
            from: "down",
            to: "up",
            cause: Cause::L7Ok(200),
            results: 2,
            lasted: Duration::from_millis(12_345),
        };
        assert_eq!(
            sentence("app/web2", &change),
            "server app/web2 is up: L7OK 200, 2/2 checks passed, was down for 12s"
        );
        let change = Change {
            from: "ready",
            to: "drain",
            cause: Cause::Operator,
            results: 0,
            lasted: Duration::from_millis(345),
        };
        assert_eq!(
            sentence("app/web2", &change),
            "server app/web2 is drain: operator, was ready for 345ms"
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
