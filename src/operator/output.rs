//! Output of the commands, and the error that ends one.

use std::fmt;

use serde_json::Value;

use crate::printable::{self, Printable};

/// Why a command did not do what it should: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Failure(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints a JSON response as it was received, so that a program can read it.
pub(super) fn say_json(answer: &Value) -> Result<(), Failure> {
    say(&printable::json(&format!("{answer:#}")))
}

/// Prints a message to standard error.
pub(super) fn complain(text: &str) {
    eprintln!("{}", Printable(text));
}

/// Prints a line. Nobody reads on after `ringway events | head`: that is no failure of ours.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", Printable(line)).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::new(format!(
            "standard output takes nothing: {error}"
        ))),
    }
}
