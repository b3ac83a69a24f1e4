//! The command: files in and out, messages, the exit status.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{Imported, translate};
use crate::config;
use crate::printable::Printable;

/// Translates the file, `-` for standard input, into `output`, or to standard output. The exit status is 1 if the
/// file has faults, or can't be read, or the result not be written.
pub fn run(path: &Path, output: Option<&Path>) -> ExitCode {
    if output.is_some_and(|output| is_same_file(path, output)) {
        return failed(format_args!(
            "{} would be overwritten: name another file",
            path.display()
        ));
    }
    let bytes = match path == Path::new(config::STANDARD_INPUT) {
        true => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(path),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return failed(format_args!("{} can't be read: {error}", path.display())),
    };
    let name = path
        .file_name()
        .map_or("standard input".into(), |name| name.to_string_lossy());
    let name = Printable(name).to_string();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let imported = translate(&name, &String::from_utf8_lossy(&bytes), variables);
    let written = match output {
        Some(output) => std::fs::write(output, &imported.text),
        None => io::stdout().write_all(imported.text.as_bytes()),
    };
    if let Err(error) = written {
        let target = output.map_or("standard output".to_owned(), |output| {
            output.display().to_string()
        });
        return failed(format_args!("{target} can't be written: {error}"));
    }
    report(&name, &imported);
    match imported.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Whether both paths lead to one regular file that is there.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.canonicalize().ok().filter(|path| path.is_file());
    file(one).is_some_and(|path| file(other) == Some(path))
}

fn failed(why: std::fmt::Arguments<'_>) -> ExitCode {
    eprintln!("error: {}", Printable(why));
    ExitCode::FAILURE
}

/// Says what was wrong, how much is translated, and what is left to do.
fn report(name: &str, imported: &Imported) {
    for (line, what) in &imported.faults {
        eprintln!("error: {name}:{line}: {}", Printable(what));
    }
    let counts = imported.counts;
    eprintln!(
        "{name}: {} lines; not translated: {}, differing: {}, not needed: {}; the comments say why",
        counts.lines, counts.not_translated, counts.differing, counts.not_needed
    );
    // What depends on this host is for `check`: certificates, lists of addresses.
    let resolver = &|_: &str, _: u16| Err(io::Error::other("names are not looked up here"));
    if let Err(report) = config::parse("the result", &imported.text, resolver) {
        eprintln!("The result is not complete yet:\n{report}");
    }
}
