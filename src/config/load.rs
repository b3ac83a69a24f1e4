//! From a file or a text to a [`Loaded`] configuration, or to the report of all that is wrong.
//!
//! The entrance of this module for `run`, `check` and tests: it puts the stages together and has no
//! rule of its own but those of files: size, encoding, syntax.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use toml::de::{DeTable, Error};

use super::error::{Diagnostics, Report};
use super::problem::{Problem, Span, shorten};
use super::raw::RawConfig;
use super::render::Lines;
use super::resolve::Resolver;
use super::syntax;
use super::{Config, backends::check_server_names, defaults, read::read, validate::validate};

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// What a check does with the host names of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// They are kept for the process that resolves them.
    Keep,
    /// They are kept, and resolved to see whether that is possible now.
    Resolve,
}

/// A configuration that was found valid, and what its file has to say beside it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is probably not meant; empty when all is well.
    pub warnings: Report,
    /// What was written, which tells it from defaults.
    pub(super) raw: RawConfig,
    /// Host names of servers with the addresses that they have now, each once; empty unless they were
    /// resolved.
    pub names: Vec<(String, Vec<IpAddr>)>,
}

/// Reads the configuration file at `path`, resolving host names of listeners.
///
/// # Errors
///
/// One sentence if the file cannot be read, else the report of every error in it.
pub fn load(path: &Path, resolver: Resolver<'_>) -> Result<Loaded, Report> {
    read_file(path, resolver, parse)
}

/// As [`load`], of standard input if the path is [`STANDARD_INPUT`], and resolves the host names of servers as
/// well, unless they are kept: one that cannot be resolved now is an error.
///
/// # Errors
///
/// As [`load`].
pub fn check(path: &Path, servers: Servers, resolver: Resolver<'_>) -> Result<Loaded, Report> {
    let parse = match servers {
        Servers::Keep => parse,
        Servers::Resolve => check_text,
    };
    if path != Path::new(STANDARD_INPUT) {
        return read_file(path, resolver, parse);
    }
    let bytes = read_bytes(Path::new("standard input"), || Ok(io::stdin()));
    read_text("standard input", bytes, resolver, parse)
}

type Parse = fn(&str, &str, Resolver<'_>) -> Result<Loaded, Report>;

fn read_file(path: &Path, resolver: Resolver<'_>, parse: Parse) -> Result<Loaded, Report> {
    let bytes = read_bytes(path, || File::open(path));
    read_text(&path.display().to_string(), bytes, resolver, parse)
}

fn read_text(
    name: &str,
    bytes: Result<Vec<u8>, Problem>,
    resolver: Resolver<'_>,
    parse: Parse,
) -> Result<Loaded, Report> {
    let bytes = bytes.map_err(|problem| Report::sentence(&problem))?;
    match str::from_utf8(&bytes) {
        Ok(text) => parse(name, text, resolver),
        Err(error) => Err(not_utf8(name, &bytes, error.valid_up_to())),
    }
}

/// Reads a configuration from its text, which messages call `name`.
///
/// # Errors
///
/// The report of every error in it, with the warnings.
pub fn parse(name: &str, text: &str, resolver: Resolver<'_>) -> Result<Loaded, Report> {
    parse_with(name, text, resolver, Servers::Keep)
}

/// As [`parse`], and resolves the host names of servers as well.
///
/// # Errors
///
/// As [`parse`], with the names that cannot be resolved.
pub fn check_text(name: &str, text: &str, resolver: Resolver<'_>) -> Result<Loaded, Report> {
    parse_with(name, text, resolver, Servers::Resolve)
}

fn parse_with(
    name: &str,
    text: &str,
    resolver: Resolver<'_>,
    servers: Servers,
) -> Result<Loaded, Report> {
    // Some editors begin UTF-8 with a byte order mark, which would count as a column.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    let mut out = Diagnostics::default();
    let (root, syntax_errors) = DeTable::parse_recoverable(text);
    let raw = read(&mut out, root.get_ref());
    if syntax_errors.is_empty() {
        let config = validate(&mut out, &raw, &lines, resolver);
        let names = match servers {
            Servers::Keep => Vec::new(),
            Servers::Resolve => check_server_names(&mut out, &raw, resolver),
        };
        return match config {
            Some(config) if !out.has_errors() => Ok(Loaded {
                config,
                warnings: out.into_report(name, text),
                raw,
                names,
            }),
            _ => Err(out.into_report(name, text)),
        };
    }
    if let Some(problem) = syntax::recognise(text) {
        let mut out = Diagnostics::default();
        out.error(lines.first(), problem);
        return Err(out.into_report(name, text));
    }
    report_syntax(&mut out, &syntax_errors, text, &lines);
    Err(out.into_report(name, text))
}

/// Adds what the parser found, the first of each line: what follows is mostly its echo. For the
/// same reason, what the readers found on such a line is left out.
fn report_syntax(out: &mut Diagnostics, errors: &[Error], text: &str, lines: &Lines<'_>) {
    let mut first_of_line = BTreeMap::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        first_of_line
            .entry(lines.index(span.start))
            .or_insert((error, span));
    }
    // A value that the parser made up has no location.
    out.retain(|d| !d.span.is_empty() && !first_of_line.contains_key(&lines.index(d.span.start)));
    for (error, span) in first_of_line.into_values() {
        out.error(span.clone(), syntax_problem(text, error.message(), span));
    }
}

/// The parser's words, with a cure where they have none.
fn syntax_problem(text: &str, message: &str, span: Span) -> Problem {
    let written = text.get(span).unwrap_or_default();
    let (title, expected) = match message.split_once(", expected ") {
        Some((title, expected)) => (title, Some(expected)),
        None => (message, None),
    };
    match (title, written) {
        ("string values must be quoted", "") => {
            Problem::new("missing value", "write a value after `=`")
        }
        ("string values must be quoted", _) if !written.contains(['"', '\\', '\n']) => {
            Problem::new(title, format!("write \"{}\"", shorten(written)))
        }
        ("duplicate key", _) => Problem::new(
            format!("`{}` is written twice", shorten(written)),
            "it stands above already: remove one or give it another name",
        ),
        _ => Problem::new(
            title,
            match expected {
                Some(expected) => format!("expected {expected}"),
                None => "TOML does not allow this here".to_owned(),
            },
        ),
    }
}

/// The bytes of a file, if they may be a configuration.
fn read_bytes<F: Read>(
    path: &Path,
    open: impl FnOnce() -> io::Result<F>,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    open()
        .and_then(|file| {
            file.take(defaults::FILE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > defaults::FILE_BYTES_MAX {
        let limit = super::format_size(defaults::FILE_BYTES_MAX);
        return Err(Problem::new(
            format!("{} is larger than {limit}", path.display()),
            "name a configuration file with `-c FILE`",
        ));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (cause, cure) = match error.kind() {
        io::ErrorKind::NotFound => (
            "it does not exist",
            "create it, or name another one with `-c FILE`",
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied",
            "let this user read it, or run as one who may",
        ),
        io::ErrorKind::IsADirectory => ("it is a directory", "name a file in it with `-c FILE`"),
        _ => {
            let title = format!("cannot read {}: {error}", path.display());
            return Problem::new(title, "name another file with `-c FILE`");
        }
    };
    Problem::new(format!("cannot read {}: {cause}", path.display()), cure)
}

/// Points at the first byte that is not UTF-8, in the text as far as it can be shown.
fn not_utf8(name: &str, bytes: &[u8], at: usize) -> Report {
    let shown = String::from_utf8_lossy(bytes);
    let mut out = Diagnostics::default();
    let problem = Problem::new(
        "the file is not UTF-8",
        format!(
            "byte 0x{:02X}: save the file as UTF-8",
            bytes.get(at).unwrap_or(&0)
        ),
    );
    // Up to `at`, the shown text has the same bytes.
    out.error(at..at + char::REPLACEMENT_CHARACTER.len_utf8(), problem);
    out.into_report(name, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_files_give_one_sentence_with_cause_and_cure() {
        let text = |path: &str| {
            load(Path::new(path), &crate::config::system_resolver)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text("/nonexistent/ringway.toml"),
            "error: cannot read /nonexistent/ringway.toml: it does not exist: \
             create it, or name another one with `-c FILE`"
        );
        assert_eq!(
            text("/"),
            "error: cannot read /: it is a directory: name a file in it with `-c FILE`"
        );
        assert_eq!(
            text("/dev/zero"),
            "error: /dev/zero is larger than 8MiB: name a configuration file with `-c FILE`"
        );
    }

    #[test]
    fn a_file_that_is_not_utf8_gives_the_line() {
        let bytes = b"[global]\nworkers = 2\n# caf\xe9\n".to_vec();
        let at = str::from_utf8(&bytes).unwrap_err().valid_up_to();
        let expected = "\
error: the file is not UTF-8
 --> x.toml:3:6
  |
3 | # caf\u{fffd}
  |      ^ byte 0xE9: save the file as UTF-8

1 error";
        assert_eq!(not_utf8("x.toml", &bytes, at).to_string(), expected);
    }
}
