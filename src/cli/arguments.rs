//! From the words of the command line to a [`Cli`].

use std::ffi::OsString;

use clap::Parser;

use super::program::Cli;

/// The option of `ringway tcp` and `ringway http` whose value may be left out.
const CHECK: &str = "--check";

impl Cli {
    /// Reads a command line, the name of the program first.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or the help that it asks for.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        Self::try_parse_from(join_check(arguments))
    }
}

/// Writes `--check /PATH` as `--check=/PATH`. What follows `--check` may as well be a server, and clap does not
/// tell one from the other: only a path begins with a slash.
fn join_check(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_path = argument.as_encoded_bytes().starts_with(b"/");
        match joined.last_mut() {
            Some(last) if is_path && last == CHECK => {
                last.push("=");
                last.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}
