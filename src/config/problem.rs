//! One thing that is wrong with a configuration: what it is, how to cure it, and where it is.

use std::fmt;
use std::ops::Range;

/// Byte range in the text of a file.
pub(super) type Span = Range<usize>;

/// Names from the file are cut to this many characters in messages.
const NAME_SHOWN_MAX: usize = 64;

/// A mistake and its cure, without a location: the parsers of single values return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, without a final full stop.
    pub title: String,
    /// What to do about it.
    pub cure: String,
}

impl Problem {
    pub(super) fn new(title: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            cure: cure.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.cure)
    }
}

impl std::error::Error for Problem {}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// It is probably not meant.
    Warning,
}

/// A problem at a location.
#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    pub severity: Severity,
    pub span: Span,
    pub problem: Problem,
}

/// How messages call the section `key` within the one that they call `section`: `[backend.app.sticky]`.
pub(super) fn subsection(section: &str, key: &str) -> String {
    format!("{}.{key}]", section.trim_end_matches(']'))
}

/// Cuts a name from the file to what fits a message; control characters are escaped.
pub(super) fn shorten(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(NAME_SHOWN_MAX)
        .flat_map(|c| c.escape_debug())
        .collect();
    if name.chars().nth(NAME_SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    // Quotes are not worth escaping: messages put names between backquotes.
    shown.replace("\\'", "'").replace("\\\"", "\"")
}
