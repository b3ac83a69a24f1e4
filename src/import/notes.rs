//! What the result says of a line beside its translation, and what is wrong with the file.

use std::fmt;

use super::directive::Directive;

/// What became of a line that has no exact translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has no effect here; nothing is missing without it.
    NotNeeded,
    /// What it asks for is not done.
    NotTranslated,
    /// It is translated, and does not do quite the same.
    Differs,
    /// HAProxy would refuse it.
    Wrong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::NotNeeded => "not needed",
            Verdict::NotTranslated => "not translated",
            Verdict::Differs => "differs",
            Verdict::Wrong => "error",
        })
    }
}

/// The section of the result beside whose keys a note stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before all sections.
    Top,
    Global,
    Admin,
    Defaults,
    /// By its name here.
    Frontend(String),
    /// By its name here.
    Backend(String),
}

/// A comment on a line.
#[derive(Debug)]
pub(super) struct Note {
    pub place: Place,
    pub line: usize,
    /// The line as it was written, without indentation and comment.
    pub text: String,
    pub verdict: Verdict,
    /// A sentence without a full stop.
    pub why: String,
}

/// A fault of the file: HAProxy would refuse it.
#[derive(Debug)]
pub(super) struct Fault {
    pub line: usize,
    /// A sentence without a full stop.
    pub what: String,
}

/// All of both, as they are found.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub notes: Vec<Note>,
    pub faults: Vec<Fault>,
}

impl Notes {
    pub fn add(
        &mut self,
        place: &Place,
        directive: &Directive,
        verdict: Verdict,
        why: impl Into<String>,
    ) {
        self.notes.push(Note {
            place: place.clone(),
            line: directive.line,
            text: directive.text.clone(),
            verdict,
            why: one_line(&why.into()),
        });
    }

    pub fn not_needed(&mut self, place: &Place, directive: &Directive, why: impl Into<String>) {
        self.add(place, directive, Verdict::NotNeeded, why);
    }

    pub fn not_translated(&mut self, place: &Place, directive: &Directive, why: impl Into<String>) {
        self.add(place, directive, Verdict::NotTranslated, why);
    }

    pub fn differs(&mut self, place: &Place, directive: &Directive, why: impl Into<String>) {
        self.add(place, directive, Verdict::Differs, why);
    }

    /// A fault, which is a comment as well.
    pub fn wrong(&mut self, place: &Place, directive: &Directive, what: impl Into<String>) {
        let what = what.into();
        self.add(place, directive, Verdict::Wrong, what.clone());
        self.faults.push(Fault {
            line: directive.line,
            what: one_line(&what),
        });
    }
}

/// Characters of a message that are shown at most: it may have a word of the file.
const MESSAGE_MAX: usize = 500;

/// A message that may have any characters of the file: control characters are escaped, and a long one is cut.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len().min(MESSAGE_MAX));
    for (count, next) in message.chars().enumerate() {
        match next {
            _ if count == MESSAGE_MAX => {
                line.push_str("...");
                break;
            }
            next if next.is_control() => line.extend(next.escape_default()),
            next => line.push(next),
        }
    }
    line
}
