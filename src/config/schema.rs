//! Whether a section has a key, and what an unknown one may mean.
//!
//! The keys and what may be written for them are in `reference`.

use super::foreign::{self, Meaning};
use super::problem::{Problem, shorten};
use super::reference::{Kind, all_keys, section, sections};
use super::suggest::{either, suggest};

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

/// Looks up `key` in a section of `kind`, which messages call `location` ("[backend.app]").
pub(super) fn find(kind: Kind, key: &str, location: &str) -> Key {
    if let Some(known) = keys(kind).find(|known| *known == key) {
        return Key::Known(known);
    }
    let shown = shorten(key);
    let title = match kind {
        Kind::Root => format!("unknown section or key `{shown}` {location}"),
        _ => format!("unknown key `{shown}` in {location}"),
    };
    let (cure, meant) = unknown_cure(kind, key);
    Key::Unknown {
        problem: Problem::new(title, cure),
        meant,
    }
}

fn keys(kind: Kind) -> impl Iterator<Item = &'static str> {
    all_keys(section(kind)).map(|key| key.name)
}

/// What to do about an unknown key: an exact match elsewhere says more than a likeness here.
fn unknown_cure(kind: Kind, key: &str) -> (String, Option<&'static str>) {
    // `timeout` is a key of ours, too, but elsewhere.
    if let Some(Meaning::Said(text)) = foreign::meaning(key) {
        return (text.to_owned(), None);
    }
    let elsewhere: Vec<String> = sections()
        .filter(|section| section.kind != kind && section.kind != Kind::Root)
        .filter(|section| all_keys(section).any(|known| known.name == key))
        .map(|section| section.title.to_owned())
        .collect();
    if !elsewhere.is_empty() {
        return (format!("it belongs in {}", either(&elsewhere)), None);
    }
    if let Some(meaning) = foreign::meaning(key) {
        let (cure, meant) = foreign_cure(kind, key, meaning);
        return (
            cure,
            meant.and_then(|meant| keys(kind).find(|key| *key == meant)),
        );
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

/// What a word of another program is in this section; the key is read as the one that is meant.
fn foreign_cure(kind: Kind, key: &str, meaning: Meaning) -> (String, Option<&'static str>) {
    let meant = match meaning {
        Meaning::Said(text) => return (text.to_owned(), None),
        Meaning::Key(meant) => meant,
    };
    if !is_without_foreign_words(kind) && keys(kind).any(|key| key == meant) {
        return (format!("`{}` is `{meant}` here", shorten(key)), Some(meant));
    }
    let others = sections()
        .filter(|section| !is_without_foreign_words(section.kind))
        .filter(|section| all_keys(section).any(|key| key.name == meant));
    let others: Vec<String> = others.map(|section| section.title.to_owned()).collect();
    let cure = format!("`{}` is `{meant}` of {}", shorten(key), either(&others));
    (cure, None)
}

/// Whether no word of another program means a key of this section: its `interval`, `timeout` or `max_sessions` is
/// not what `inter`, `timeout check` or `maxconn` is there.
fn is_without_foreign_words(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Keepalive | Kind::AcceptProxy | Kind::PerClient | Kind::Discover
    )
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
    #[test]
    fn a_word_of_another_program_is_sent_to_the_sections_that_are_meant() {
        for (word, expected) in [
            (
                "inter",
                "`inter` is `interval` of [backend.NAME.health_check]",
            ),
            (
                "timeout_check",
                "`timeout_check` is `timeout` of [backend.NAME.health_check]",
            ),
            (
                "maxconn",
                "`maxconn` is `max_sessions` of [global], [frontend.NAME] or an entry of `servers`",
            ),
        ] {
            for kind in [Kind::Backend, Kind::Discover, Kind::Keepalive] {
                let Key::Unknown { problem, meant } = find(kind, word, "[backend.a]") else {
                    panic!()
                };
                assert_eq!((problem.cure.as_str(), meant), (expected, None));
            }
        }
    }
}
