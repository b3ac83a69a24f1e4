//! What commands print: their result to standard output, what went wrong to standard error.
//!
//! Either may take nothing, because a disk is full or nobody reads on. That decides about an exit status, and is no
//! fault of the program: the macros of the standard library, which panic then, are not used. Text of outsiders is
//! made fit for a terminal by `printable` before it comes here. A process that serves prints by `logging`.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Writes to standard output, at once.
///
/// # Errors
///
/// Not all of it was taken; `BrokenPipe`: nobody reads on.
pub fn print(text: &dyn Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Writes a line to standard error. Where that takes nothing there is nobody left to tell.
pub fn complain(text: &dyn Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The exit status of a command whose result was printed, `done` if it was. Who does not read on, as in `ringway help |
/// head`, has got what was wanted.
pub fn exit_code(printed: io::Result<()>, done: ExitCode) -> ExitCode {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format_args!("error: {}", unwritten(&error)));
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => done,
    }
}

/// What is said of standard output that can't be written to.
pub fn unwritten(error: &io::Error) -> String {
    format!("standard output takes nothing: {error}")
}
