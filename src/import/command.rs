//! The command: files in and out, messages, the exit status.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use super::{Imported, translate};
use crate::config::{self, FILE_BYTES_MAX};
use crate::console;
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
    let is_input = path == Path::new(config::STANDARD_INPUT);
    let bytes = match is_input {
        true => read_bounded(io::stdin()),
        false => File::open(path).and_then(read_bounded),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return failed(format_args!("{} can't be read: {error}", path.display())),
    };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let limit = config::format_size(FILE_BYTES_MAX);
        return failed(format_args!("{} is larger than {limit}", path.display()));
    }
    let name = path.file_name().filter(|_| !is_input);
    let name = name.map_or("standard input".into(), |name| name.to_string_lossy());
    let name = Printable(name).to_string();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let imported = translate(&name, &String::from_utf8_lossy(&bytes), variables);
    let written = match output {
        Some(output) => std::fs::write(output, &imported.text),
        None => console::print(&imported.text),
    };
    match (written, output) {
        (Err(error), Some(output)) => {
            return failed(format_args!(
                "{} can't be written: {error}",
                output.display()
            ));
        }
        (Err(error), None) if error.kind() != io::ErrorKind::BrokenPipe => {
            return failed(format_args!("{}", console::unwritten(&error)));
        }
        (Ok(()) | Err(_), _) => {}
    }
    report(&name, &imported);
    match imported.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Reads a file, of one that is too large one byte more than [`FILE_BYTES_MAX`].
fn read_bounded(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether both paths, or links, lead to one regular file that is there.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| {
        let metadata = path.metadata().ok().filter(Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    file(one).is_some_and(|found| file(other) == Some(found))
}

fn failed(why: std::fmt::Arguments<'_>) -> ExitCode {
    console::complain(&Printable(format_args!("error: {why}")));
    ExitCode::FAILURE
}

/// Says what was wrong, how much is translated, and what is left to do.
fn report(name: &str, imported: &Imported) {
    let mut text = String::new();
    for (line, what) in &imported.faults {
        text += &format!("error: {name}:{line}: {what}\n");
    }
    let counts = imported.counts;
    text += &format!(
        "{name}: {} lines; not translated: {}, differing: {}, not needed: {}; the comments say why\n",
        counts.lines, counts.not_translated, counts.differing, counts.not_needed
    );
    // What depends on this host is for `check`: certificates, lists of addresses.
    let resolver = &|_: &str, _: u16| Err(io::Error::other("names are not looked up here"));
    if let Err(report) = config::parse("the result", &imported.text, resolver) {
        text += &format!("The result is not complete yet:\n{report}\n");
    }
    console::complain(&Printable(text.trim_end_matches('\n')));
}
