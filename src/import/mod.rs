//! From a configuration of HAProxy to one of ours: `ringway import`.
//!
//! `words` and `source` read the file: words, lines (`directive`), sections. `process`, `proxy_lines` (into `proxy`)
//! and `resolvers` say what each line asks for, by a module for each subject: `acl`, `admin`, `balance`, `bind`,
//! `check`, `cookie`, `expect`, `options`, `server`, `sides`, `timeouts`. `translation` puts that together: `frontends`
//! with `clients` and `routes`, `backends` with `servers`, `health_check` and `shared`, and `sessions` make tables of
//! ours, which `document` writes. `keywords` and `parameters` have what has no translation. A line that is not
//! translated exactly has a note, which is a comment of the result. All of it is from text to text; `command` reads and
//! writes files.
//!
//! The words of HAProxy are those of its configuration manual, 2.6 to 3.2.

mod acl;
mod admin;
mod backends;
mod balance;
mod bind;
mod check;
mod clients;
mod command;
mod conditions;
mod cookie;
mod directive;
mod document;
mod expect;
mod frontends;
mod health_check;
mod keywords;
mod notes;
mod options;
mod parameters;
mod process;
mod proxy;
mod proxy_lines;
mod resolvers;
mod routes;
mod server;
mod servers;
mod sessions;
mod shared;
mod sides;
mod source;
mod timeouts;
mod translation;
mod values;
mod words;

use std::collections::BTreeSet;

use notes::{Notes, Verdict};
use translation::Translation;

pub use command::run;

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// The configuration, as TOML with comments.
    pub text: String,
    /// What is wrong with the file of HAProxy, by line: lines counted from 1, and sentences.
    pub faults: Vec<(usize, String)>,
    /// Lines that are not translated, that differ, and that are not needed.
    pub counts: Counts,
}

/// Numbers of lines that have a comment, by what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that have words.
    pub lines: usize,
    /// What they ask for is not done.
    pub not_translated: usize,
    /// They are translated, and do not do quite the same.
    pub differing: usize,
    /// They have no effect here.
    pub not_needed: usize,
}

/// Translates a configuration of HAProxy. `name`: how it is called in the result; `variables`: the environment in
/// which HAProxy runs.
pub fn translate(
    name: &str,
    text: &str,
    variables: impl Iterator<Item = (String, String)>,
) -> Imported {
    let mut notes = Notes::default();
    let sections = source::read(text, &variables.collect(), &mut notes);
    let lines = sections
        .iter()
        .map(|section| 1 + section.directives.len())
        .sum();
    let tables = Translation::read(&sections, &mut notes).tables(&mut notes);
    let begin = format!(
        "Made of {name} by `ringway import`; its lines have a comment where something differs."
    );
    let count = |verdict| {
        let of = notes.notes.iter().filter(|note| note.verdict == verdict);
        of.map(|note| note.line).collect::<BTreeSet<_>>().len()
    };
    let counts = Counts {
        lines,
        not_translated: count(Verdict::NotTranslated),
        differing: count(Verdict::Differs),
        not_needed: count(Verdict::NotNeeded),
    };
    let mut faults: Vec<(usize, String)> = notes
        .faults
        .iter()
        .map(|fault| (fault.line, fault.what.clone()))
        .collect();
    faults.sort();
    Imported {
        text: document::write(&begin, &tables, &notes.notes),
        faults,
        counts,
    }
}
