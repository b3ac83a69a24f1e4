//! A line of the file that has words.

/// One line with words.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    /// Counted from 1.
    pub line: usize,
    /// As it was written, without indentation and comment.
    pub text: String,
    /// At least one.
    pub words: Vec<String>,
}

impl Directive {
    /// The word at an index, if there is one.
    pub fn word(&self, index: usize) -> Option<&str> {
        self.words.get(index).map(String::as_str)
    }

    /// The words from an index on.
    pub fn from(&self, index: usize) -> &[String] {
        self.words.get(index..).unwrap_or_default()
    }
}
