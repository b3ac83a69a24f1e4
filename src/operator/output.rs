//! Output of the commands, and the error that ends one.

use std::fmt;
use std::io::IsTerminal;

use serde_json::Value;

use super::table::Piece;
use crate::console;
use crate::printable::{self, Printable};

/// Foreground colour red, and the usual one (ECMA-48, SGR).
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[39m";

/// Why a command did not do what it should: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Failure(why.into())
    }

    /// The sentence about one of several nodes, which it names.
    pub(super) fn of_node(&self, node: &str) -> String {
        // Many sentences begin with the node, or name it.
        match self.0.contains(node.trim_end_matches('/')) {
            true => self.0.clone(),
            false => format!("{node}: {}", self.0),
        }
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
    console::complain(&Printable(text));
}

/// Prints a line.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    print(&Printable(line))
}

/// Prints a line whose marked pieces are red on a terminal, unless `NO_COLOR` is set (no-color.org).
pub(super) fn say_pieces(pieces: &[Piece]) -> Result<(), Failure> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = std::io::stdout().is_terminal() && !no_color;
    let mut line = String::new();
    for (text, marked) in pieces {
        let text = Printable(text).to_string();
        line += &match coloured && *marked {
            true => format!("{RED}{text}{RESET}"),
            false => text,
        };
    }
    print(&line.trim_end())
}

/// Prints a line. Nobody reads on after `ringway events | head`: that is no failure of ours.
fn print(line: &dyn fmt::Display) -> Result<(), Failure> {
    match console::print(&format_args!("{line}\n")) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::new(console::unwritten(&error))),
    }
}
