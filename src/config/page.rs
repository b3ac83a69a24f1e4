//! Writing TOML line by line, with comments in a column: what `print` and the import fill.
//!
//! It knows no key of the configuration.

use std::fmt::{Display, Write};

/// Comments stand two columns after this, unless the value is longer.
const COMMENT_COLUMN: usize = 36;

/// The comment of a value that nobody wrote.
pub(super) const DEFAULT: &str = "default";

/// A TOML string.
pub(crate) fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

/// The text as it grows.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Begins a section.
    pub fn header(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
    }

    /// A comment on lines of its own.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.text.push_str("# ");
            // A comment has no control characters but tabs.
            self.text.extend(line.chars().map(|c| {
                if c.is_control() && c != '\t' {
                    '\u{fffd}'
                } else {
                    c
                }
            }));
            self.text.push('\n');
        }
    }

    /// One key, with a comment unless it was written.
    pub fn line(&mut self, key: &str, value: impl Display, comment: Option<String>) {
        let line = format!("{key} = {value}");
        // Writing to a string cannot fail.
        let _ = match comment {
            Some(comment) => writeln!(self.text, "{line:<COMMENT_COLUMN$}  # {comment}"),
            None => writeln!(self.text, "{line}"),
        };
    }

    /// A limit, or a comment on what holds without one: it has no value that could be written.
    pub fn limit(&mut self, key: &str, limit: Option<impl Display>, without: &str) {
        match limit {
            Some(limit) => self.line(key, limit, None),
            None => self.absent(key, without),
        }
    }

    /// A comment on what holds without a key or section.
    pub fn absent(&mut self, key: &str, without: &str) {
        let line = format!("# {key}");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line:<COMMENT_COLUMN$}  # {DEFAULT}: {without}");
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}
