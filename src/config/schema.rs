//! Which keys each section has, and what an unknown one may mean.
//!
//! It knows names only; types and bounds are with the readers in `read`.

use super::error::{Problem, shorten};

/// A kind of section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The file itself.
    Root,
    /// `[global]`
    Global,
    /// `[admin]`
    Admin,
    /// `[defaults]`
    Defaults,
    /// `[frontend.NAME]`
    Frontend,
    /// `[backend.NAME]`
    Backend,
    /// One entry of `servers`.
    Server,
    /// `[backend.NAME.health_check]`
    HealthCheck,
    /// `[backend.NAME.sticky]`
    Sticky,
}

/// The keys that are read, by section. In [`Kind::Root`] they are the sections.
const KEYS: &[(Kind, &[&str])] = &[
    (
        Kind::Root,
        &["global", "admin", "defaults", "frontend", "backend"],
    ),
    (
        Kind::Global,
        &[
            "workers",
            "max_sessions",
            "shutdown_timeout",
            "shutdown_grace",
            "access_log",
            "state_file",
            "user",
            "group",
        ],
    ),
    (Kind::Admin, &["listen", "socket", "token_file", "page"]),
    (
        Kind::Defaults,
        &[
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
            "request_timeout",
            "queue_timeout",
            "retries",
        ],
    ),
    (
        Kind::Frontend,
        &[
            "listen",
            "backend",
            "mode",
            "head_max",
            "inspect",
            "max_sessions",
            "backlog",
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
            "request_timeout",
            "queue_timeout",
            "retries",
        ],
    ),
    (
        Kind::Backend,
        &[
            "servers",
            "balance",
            "slow_start",
            "on_down",
            "health_check",
            "sticky",
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
            "request_timeout",
            "queue_timeout",
            "retries",
        ],
    ),
    (
        Kind::Server,
        &[
            "name",
            "address",
            "weight",
            "max_sessions",
            "backup",
            "cookie",
        ],
    ),
    (
        Kind::HealthCheck,
        &[
            "type",
            "path",
            "method",
            "host",
            "expect_status",
            "interval",
            "fast_interval",
            "down_interval",
            "timeout",
            "fall",
            "rise",
            "port",
        ],
    ),
    (
        Kind::Sticky,
        &[
            "cookie",
            "http_only",
            "secure",
            "same_site",
            "path",
            "domain",
            "max_age",
        ],
    ),
];

/// What a written key is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It is read.
    Known(&'static str),
    /// It is not one; `meant` is the key of this section that it resembles.
    Unknown {
        problem: Problem,
        meant: Option<&'static str>,
    },
}

/// Looks up `key` in a section of `kind`, which messages call `place` ("[backend.app]").
pub(super) fn find(kind: Kind, key: &str, place: &str) -> Key {
    if let Some(known) = keys(kind).iter().find(|known| **known == key) {
        return Key::Known(known);
    }
    let shown = shorten(key);
    let title = match kind {
        Kind::Root => format!("unknown section or key `{shown}` {place}"),
        _ => format!("unknown key `{shown}` in {place}"),
    };
    let (cure, meant) = unknown_cure(kind, key);
    Key::Unknown {
        problem: Problem::new(title, cure),
        meant,
    }
}

/// The candidate that resembles `word` most, if any does enough.
pub(super) fn suggest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    // Below this, suggestions are more often silly than helpful.
    const LIKENESS_MIN: f64 = 0.8;
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Joins `"a", "b" or "c"`.
pub(super) fn one_of<'c>(choices: impl Iterator<Item = &'c str>) -> String {
    let quoted: Vec<String> = choices.map(|choice| format!("\"{choice}\"")).collect();
    either(&quoted)
}

fn either(choices: &[String]) -> String {
    match choices {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}

fn keys(kind: Kind) -> &'static [&'static str] {
    KEYS.iter()
        .find(|(k, _)| *k == kind)
        .map_or(&[], |(_, keys)| keys)
}

/// What to do about an unknown key: an exact match elsewhere says more than a likeness here.
fn unknown_cure(kind: Kind, key: &str) -> (String, Option<&'static str>) {
    let elsewhere: Vec<String> = KEYS
        .iter()
        .map(|(k, _)| *k)
        .filter(|k| *k != kind && *k != Kind::Root)
        .filter(|k| keys(*k).contains(&key))
        .map(|k| generic_place(k).to_owned())
        .collect();
    if !elsewhere.is_empty() {
        return (format!("it belongs in {}", either(&elsewhere)), None);
    }
    if let Some(meant) = suggest(key, keys(kind).iter().copied()) {
        let cure = match kind {
            Kind::Root if matches!(meant, "frontend" | "backend") => {
                format!("did you mean [{meant}.NAME]?")
            }
            Kind::Root => format!("did you mean [{meant}]?"),
            _ => format!("did you mean `{meant}`?"),
        };
        return (cure, Some(meant));
    }
    let choices: Vec<&str> = keys(kind).to_vec();
    let cure = match kind {
        Kind::Root => {
            "the sections are [global], [admin], [defaults], [frontend.NAME], [backend.NAME]".into()
        }
        _ => format!("the keys here are {}", choices.join(", ")),
    };
    (cure, None)
}

fn generic_place(kind: Kind) -> &'static str {
    match kind {
        Kind::Root => "the top level",
        Kind::Global => "[global]",
        Kind::Admin => "[admin]",
        Kind::Defaults => "[defaults]",
        Kind::Frontend => "[frontend.NAME]",
        Kind::Backend => "[backend.NAME]",
        Kind::Server => "an entry of `servers`",
        Kind::HealthCheck => "[backend.NAME.health_check]",
        Kind::Sticky => "[backend.NAME.sticky]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_section_is_sent_there() {
        let Key::Unknown { problem, meant } = find(Kind::Backend, "backlog", "[backend.a]") else {
            panic!()
        };
        assert_eq!(
            problem.to_string(),
            "unknown key `backlog` in [backend.a]: it belongs in [frontend.NAME]"
        );
        assert_eq!(meant, None);
    }

    #[test]
    fn a_likeness_is_suggested_and_read() {
        let Key::Unknown { problem, meant } = find(Kind::Backend, "stiky", "[backend.a]") else {
            panic!()
        };
        assert_eq!(problem.cure, "did you mean `sticky`?");
        assert_eq!(meant, Some("sticky"));
    }
}
