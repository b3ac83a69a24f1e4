//! Names of frontends, backends and servers.

use super::problem::{Problem, shorten};

/// Whether a name may be used.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    const LEN_MAX: usize = 64;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let problem = |why: &str| {
        Err(Problem::new(
            format!("invalid name `{}`: {why}", shorten(name)),
            "use 1 to 64 letters, digits, `_`, `.` and `-`",
        ))
    };
    match name.chars().find(|c| !valid(*c)) {
        Some(wrong) => problem(&format!("it has `{}`", wrong.escape_debug())),
        None if name.is_empty() => problem("it is empty"),
        None if name.len() > LEN_MAX => problem(&format!("it has {} characters", name.len())),
        None => Ok(()),
    }
}
