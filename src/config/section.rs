//! Reading one section: every key is looked up once, then its value is taken by name.
//!
//! It reports unknown keys and keeps apart "not written" from "written, but wrong", so that one
//! mistake gives one error. Used by `read` only.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Diagnostics;
use super::field::Field;
use super::name::check_name;
use super::problem::Span;
use super::reference::Kind;
use super::schema::{self, Key};

/// A key with its value, as the readers of `value` take it.
pub(super) struct Entry<'a, 'i> {
    pub key: &'static str,
    pub value: &'a DeValue<'i>,
    pub span: Span,
}

impl<'a, 'i> Entry<'a, 'i> {
    pub fn new(key: &'static str, value: &'a Spanned<DeValue<'i>>) -> Self {
        Self {
            key,
            value: value.get_ref(),
            span: value.span(),
        }
    }
}

/// A section whose keys were looked up.
pub(super) struct Section<'a, 'i, 'd> {
    out: &'d mut Diagnostics,
    entries: Vec<Entry<'a, 'i>>,
    /// A table was found where none belongs: what is missing may well be in there.
    misplaced: bool,
}

impl<'a, 'i, 'd> Section<'a, 'i, 'd> {
    /// Looks up all keys of a table that messages call `location`.
    ///
    /// A misspelled key is reported and then read as the one that was meant, so that its value is
    /// checked in the same run and the right key is not reported as missing.
    pub fn open(
        out: &'d mut Diagnostics,
        kind: Kind,
        location: &str,
        table: &'a DeTable<'i>,
    ) -> Self {
        let mut entries = Vec::new();
        let mut misplaced = false;
        for (key, value) in in_file_order(table) {
            let known = match schema::find(kind, key.get_ref(), location) {
                Key::Known(known) => Some(known),
                Key::Unknown { mut problem, meant } => {
                    if meant.is_none() && value.get_ref().is_table() {
                        misplaced = true;
                        problem.cure =
                            dotted_name_cure(kind, location, key.get_ref()).unwrap_or(problem.cure);
                    }
                    out.error(key.span(), problem);
                    meant.filter(|meant| !table.contains_key(*meant))
                }
            };
            entries.extend(known.map(|known| Entry::new(known, value)));
        }
        Self {
            out,
            entries,
            misplaced,
        }
    }

    /// Reads the value of `key` with `read`, which reports what is wrong with it.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Diagnostics, &Entry<'a, 'i>) -> Option<T>,
    ) -> Field<T> {
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            return if self.misplaced {
                Field::Invalid
            } else {
                Field::Absent
            };
        };
        match read(self.out, entry) {
            Some(value) => Field::Written(Spanned::new(entry.span.clone(), value)),
            None => Field::Invalid,
        }
    }

    /// The entry of `key`, for readers that take it apart themselves, and where they report.
    pub fn entry(&mut self, key: &'static str) -> (Option<&Entry<'a, 'i>>, &mut Diagnostics) {
        (self.entries.iter().find(|entry| entry.key == key), self.out)
    }

    /// Whether something was found in this section that belongs nowhere.
    pub fn is_misplaced(&self) -> bool {
        self.misplaced
    }
}

/// For `[backend.app.v1]`, which TOML takes for a part of `[backend.app]`.
fn dotted_name_cure(kind: Kind, location: &str, key: &str) -> Option<String> {
    let named = matches!(kind, Kind::Frontend | Kind::Backend);
    let (section, name) = location.trim_matches(['[', ']']).split_once('.')?;
    let whole = format!("{name}.{key}");
    let usable = named && check_name(&whole).is_ok();
    usable.then(|| format!("quote a name with a dot: [{section}.\"{whole}\"]"))
}

/// The entries of a table as they stand in the file; the parser sorts them by name.
pub(super) fn in_file_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(
    &'a Spanned<toml::de::DeString<'i>>,
    &'a Spanned<DeValue<'i>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
