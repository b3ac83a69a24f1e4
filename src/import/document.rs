//! The result as text: tables of TOML, with notes as comments beside them.

use std::time::Duration;

use super::notes::{Note, Place};
use crate::config::{Page, format_duration, quoted, quoted_key};

/// A table of the result.
#[derive(Debug)]
pub(super) struct Table {
    /// The section whose notes stand before it.
    pub place: Place,
    header: String,
    lines: Vec<(String, String, Option<String>)>,
}

impl Table {
    /// A table by the parts of its name.
    pub fn new(place: &Place, name: &[&str]) -> Self {
        let parts: Vec<String> = name.iter().map(|part| quoted_key(part)).collect();
        Table {
            place: place.clone(),
            header: format!("[{}]", parts.join(".")),
            lines: Vec::new(),
        }
    }

    /// A key with a value of TOML.
    pub fn line(&mut self, key: &str, value: String) {
        self.lines.push((key.to_owned(), value, None));
    }

    /// The same with a comment behind it.
    pub fn commented(&mut self, key: &str, value: String, comment: &str) {
        self.lines
            .push((key.to_owned(), value, Some(comment.to_owned())));
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// A string of TOML.
pub(super) fn text(value: &str) -> String {
    quoted(value)
}

/// A time.
pub(super) fn time(value: Duration) -> String {
    quoted(format_duration(value))
}

/// A list of strings.
pub(super) fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

/// A path, which `base` begins if it is relative.
pub(super) fn file(path: &str, base: Option<&str>) -> String {
    match base.filter(|_| !path.starts_with('/')) {
        Some(base) => quoted(format!("{}/{path}", base.trim_end_matches('/'))),
        None => quoted(path),
    }
}

/// Writes tables in order. Notes stand below the header of the first table of their section, those of sections that
/// are not there before all tables.
pub(super) fn write(begin: &str, tables: &[Table], notes: &[Note]) -> String {
    let mut page = Page::default();
    page.comment(begin);
    let mut written: Vec<&Place> = Vec::new();
    let of = |place: &Place| -> Vec<&Note> {
        notes.iter().filter(|note| note.place == *place).collect()
    };
    let has_table = |place: &Place| tables.iter().any(|table| table.place == *place);
    comments(
        &mut page,
        &notes
            .iter()
            .filter(|note| !has_table(&note.place))
            .collect::<Vec<_>>(),
    );
    for table in tables {
        page.header(&table.header);
        if !written.contains(&&table.place) {
            written.push(&table.place);
            comments(&mut page, &of(&table.place));
        }
        for (key, value, comment) in &table.lines {
            page.line(key, value, comment.clone());
        }
    }
    page.into_text()
}

/// Notes by line: each line once for each verdict. Reasons that several lines in a row share stand behind the last
/// of them.
fn comments(page: &mut Page, notes: &[&Note]) {
    let mut notes = notes.to_vec();
    notes.sort_by_key(|note| note.line);
    let by_line = |a: &&Note, b: &&Note| (a.line, a.verdict) == (b.line, b.verdict);
    let groups: Vec<&[&Note]> = notes.chunk_by(by_line).collect();
    let reasons =
        |group: &[&Note]| -> Vec<String> { group.iter().map(|note| note.why.clone()).collect() };
    for (index, group) in groups.iter().enumerate() {
        let note = group[0];
        page.comment(&format!(
            "line {}, {}: {}",
            note.line, note.verdict, note.text
        ));
        let next = groups.get(index + 1);
        if next
            .is_none_or(|next| next[0].verdict != note.verdict || reasons(next) != reasons(group))
        {
            reasons(group)
                .iter()
                .for_each(|why| page.comment(&format!("  {why}")));
        }
    }
}
