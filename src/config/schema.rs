//! Which keys each section has, which of them are not built yet, and what an unknown one may mean.
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
}

/// The keys that are read, by section. In [`Kind::Root`] they are the sections.
const KEYS: &[(Kind, &[&str])] = &[
    (
        Kind::Root,
        &["global", "admin", "defaults", "frontend", "backend"],
    ),
    (
        Kind::Global,
        &["workers", "max_sessions", "shutdown_timeout", "access_log"],
    ),
    (Kind::Admin, &["listen"]),
    (
        Kind::Defaults,
        &[
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
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
            "max_sessions",
            "backlog",
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
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
            "connect_timeout",
            "idle_timeout",
            "half_closed_timeout",
            "queue_timeout",
            "retries",
        ],
    ),
    (
        Kind::Server,
        &["name", "address", "weight", "max_sessions", "backup"],
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
];

/// Keys of the design that this version refuses, with the feature they wait for. Whoever builds
/// the feature moves its lines to [`KEYS`].
const NOT_YET: &[(Kind, &str, &str)] = &[
    (Kind::Global, "shutdown_grace", "a grace period at shutdown"),
    (Kind::Global, "state_file", "a state file"),
    (Kind::Admin, "socket", "an admin socket"),
    (Kind::Admin, "token_file", "actions over the admin listener"),
    (Kind::Admin, "page", "a stats page"),
    (Kind::Defaults, "request_timeout", "HTTP mode"),
    (Kind::Frontend, "request_timeout", "HTTP mode"),
    (Kind::Frontend, "head_max", "HTTP mode"),
    (Kind::Frontend, "inspect", "HTTP mode"),
    (Kind::Backend, "request_timeout", "HTTP mode"),
    (Kind::Backend, "sticky", "HTTP mode"),
    (Kind::Server, "cookie", "HTTP mode"),
];

/// The same for single values: key, value, feature.
const VALUES_NOT_YET: &[(&str, &str, &str)] = &[("mode", "http", "HTTP mode")];

/// What a written key is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It is read.
    Known(&'static str),
    /// It is refused because it waits for a feature.
    NotYet(Problem),
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
    if let Some((.., feature)) = NOT_YET
        .iter()
        .find(|(k, name, _)| *k == kind && *name == key)
    {
        let title = match kind {
            Kind::Root => format!("section [{key}] is not supported yet"),
            _ => format!("`{key}` in {place} is not supported yet"),
        };
        return Key::NotYet(Problem::new(title, not_yet_cure(feature)));
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

/// The refusal of a value that waits for a feature.
pub(super) fn value_not_yet(key: &str, value: &str) -> Option<Problem> {
    let (.., feature) = VALUES_NOT_YET
        .iter()
        .find(|(k, v, _)| *k == key && *v == value)?;
    let title = format!("{key} = \"{value}\" is not supported yet");
    Some(Problem::new(title, not_yet_cure(feature)))
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

fn not_yet_cure(feature: &str) -> String {
    format!("this version does not have {feature}: remove it")
}

fn keys(kind: Kind) -> &'static [&'static str] {
    KEYS.iter()
        .find(|(k, _)| *k == kind)
        .map_or(&[], |(_, keys)| keys)
}

fn not_yet_keys(kind: Kind) -> impl Iterator<Item = &'static str> {
    NOT_YET
        .iter()
        .filter(move |(k, ..)| *k == kind)
        .map(|(_, name, _)| *name)
}

/// What to do about an unknown key: an exact match elsewhere says more than a likeness here.
fn unknown_cure(kind: Kind, key: &str) -> (String, Option<&'static str>) {
    let elsewhere: Vec<String> = KEYS
        .iter()
        .map(|(k, _)| *k)
        .filter(|k| *k != kind && *k != Kind::Root)
        .filter(|k| keys(*k).contains(&key) || not_yet_keys(*k).any(|name| name == key))
        .map(|k| generic_place(k).to_owned())
        .collect();
    if !elsewhere.is_empty() {
        return (format!("it belongs in {}", either(&elsewhere)), None);
    }
    let here = keys(kind).iter().copied().chain(not_yet_keys(kind));
    if let Some(meant) = suggest(key, here) {
        let known = keys(kind).contains(&meant);
        let cure = match kind {
            Kind::Root if matches!(meant, "frontend" | "backend") => {
                format!("did you mean [{meant}.NAME]?")
            }
            Kind::Root => format!("did you mean [{meant}]?"),
            _ => format!("did you mean `{meant}`?"),
        };
        return (cure, known.then_some(meant));
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_or_refused_but_not_both() {
        for (kind, name, _) in NOT_YET {
            assert!(!keys(*kind).contains(name), "{name}");
        }
    }

    #[test]
    fn every_refusal_is_one_sentence_with_a_cure() {
        for (kind, name, feature) in NOT_YET {
            let Key::NotYet(problem) = find(*kind, name, "[x]") else {
                panic!("{name}")
            };
            assert!(problem.title.ends_with("is not supported yet"), "{name}");
            assert_eq!(
                problem.cure,
                format!("this version does not have {feature}: remove it")
            );
        }
    }

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
    fn a_key_that_waits_is_suggested_but_not_read() {
        let Key::Unknown { problem, meant } = find(Kind::Backend, "stiky", "[backend.a]") else {
            panic!()
        };
        assert_eq!(problem.cure, "did you mean `sticky`?");
        assert_eq!(meant, None);
    }
}
