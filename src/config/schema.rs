//! Whether a section has a key, and what an unknown one may mean.
//!
//! The keys and what may be written for them are in `reference`.

use super::error::{Problem, shorten};
use super::reference::{self, section};

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
    if let Some(known) = keys(kind).find(|known| *known == key) {
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

fn keys(kind: Kind) -> impl Iterator<Item = &'static str> {
    section(kind).all_keys().map(|key| key.name)
}

/// What to do about an unknown key: an exact match elsewhere says more than a likeness here.
fn unknown_cure(kind: Kind, key: &str) -> (String, Option<&'static str>) {
    let elsewhere: Vec<String> = reference::sections()
        .filter(|section| section.kind != kind && section.kind != Kind::Root)
        .filter(|section| section.all_keys().any(|known| known.name == key))
        .map(|section| section.title.to_owned())
        .collect();
    if !elsewhere.is_empty() {
        return (format!("it belongs in {}", either(&elsewhere)), None);
    }
    if let Some(meant) = suggest(key, keys(kind)) {
        let cure = match kind {
            Kind::Root if matches!(meant, "frontend" | "backend") => {
                format!("did you mean [{meant}.NAME]?")
            }
            Kind::Root => format!("did you mean [{meant}]?"),
            _ => format!("did you mean `{meant}`?"),
        };
        return (cure, Some(meant));
    }
    let choices: Vec<&str> = keys(kind).collect();
    let cure = match kind {
        Kind::Root => {
            "the sections are [global], [admin], [defaults], [frontend.NAME], [backend.NAME]".into()
        }
        _ => format!("the keys here are {}", choices.join(", ")),
    };
    (cure, None)
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
