//! Readers of single values: the type, the unit, the bounds.
//!
//! Each takes an [`Entry`], reports what is wrong with it, and returns the value if nothing is.
//! They know no section; `read` says which reader and which bounds belong to which key.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::choice::parse_choice;
use super::error::Diagnostics;
use super::name::check_name;
use super::problem::{Problem, shorten};
use super::section::Entry;
use super::suggest::one_of;
use super::units::{
    bare_duration, bare_number, bare_size, format_duration, format_size, parse_duration, parse_size,
};

/// What readers return: `None` after they reported.
pub(super) type Read<T> = Option<T>;

/// A whole number within bounds.
pub(super) fn integer<T: TryFrom<i64> + PartialOrd + Display>(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    bounds: RangeInclusive<T>,
) -> Read<T> {
    let DeValue::Integer(written) = entry.value else {
        let cure = number_cure(entry.value, "write a whole number");
        return wrong_type(out, entry, "an integer", cure);
    };
    let number = to_i64(written).and_then(|number| T::try_from(number).ok());
    let within = number.filter(|number| bounds.contains(number));
    if within.is_none() {
        let cure = format!("must be {} to {}", bounds.start(), bounds.end());
        out.error(entry.span.clone(), out_of_bounds(entry.key, cure));
    }
    within
}

/// A duration with its unit, within bounds.
pub(super) fn duration(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    bounds: RangeInclusive<Duration>,
) -> Read<Duration> {
    let text = match entry.value {
        DeValue::String(text) => text,
        DeValue::Integer(written) => {
            let number = to_i64(written).and_then(|number| u64::try_from(number).ok());
            let problem = number.map_or_else(
                || out_of_bounds(entry.key, duration_bounds(&bounds)),
                |number| bare_duration(number, &bounds),
            );
            out.error(entry.span.clone(), problem);
            return None;
        }
        _ => {
            return wrong_type(out, entry, "a duration", "write it like \"5s\"");
        }
    };
    let problem = match parse_duration(text) {
        Ok(duration) if bounds.contains(&duration) => return Some(duration),
        Ok(_) => out_of_bounds(entry.key, duration_bounds(&bounds)),
        Err(problem) => bare_number(text).map_or(problem, |number| bare_duration(number, &bounds)),
    };
    out.error(entry.span.clone(), problem);
    None
}

/// A size in bytes with its unit, within bounds.
pub(super) fn size(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    bounds: RangeInclusive<u64>,
) -> Read<u64> {
    let outside = || {
        let (start, end) = (format_size(*bounds.start()), format_size(*bounds.end()));
        out_of_bounds(entry.key, format!("must be \"{start}\" to \"{end}\""))
    };
    let problem = match entry.value {
        DeValue::String(text) => match parse_size(text) {
            Ok(bytes) if bounds.contains(&bytes) => return Some(bytes),
            Ok(_) => outside(),
            Err(problem) => bare_number(text).map_or(problem, |number| bare_size(number, &bounds)),
        },
        DeValue::Integer(written) => {
            let number = to_i64(written).and_then(|number| u64::try_from(number).ok());
            number.map_or_else(outside, |number| bare_size(number, &bounds))
        }
        _ => return wrong_type(out, entry, "a size", "write it like \"64KiB\""),
    };
    out.error(entry.span.clone(), problem);
    None
}

/// The path of a file, whether it exists or not; a relative one begins in the working directory.
pub(super) fn file_path(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    example: &str,
) -> Read<PathBuf> {
    let text = string(out, entry)?;
    let is_file = !text.is_empty() && !text.ends_with('/');
    if is_file && !text.contains(char::is_control) {
        return Some(PathBuf::from(text));
    }
    let title = format!("invalid path `{}` of a file", shorten(&text));
    let problem = Problem::new(title, format!("write it like \"{example}\""));
    out.error(entry.span.clone(), problem);
    None
}

/// `true` or `false`.
pub(super) fn boolean(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<bool> {
    match entry.value {
        DeValue::Boolean(written) => Some(*written),
        DeValue::String(text) if matches!(&**text, "true" | "false") => wrong_type(
            out,
            entry,
            "true or false",
            format!("write {text} without quotes"),
        ),
        _ => wrong_type(out, entry, "true or false", "write true or false"),
    }
}

/// Text.
pub(super) fn string(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<String> {
    match entry.value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        _ => wrong_type(out, entry, "a string", "write it in double quotes"),
    }
}

/// Text that `parse` understands.
pub(super) fn parsed<T>(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Read<T> {
    let text = string(out, entry)?;
    parse(&text)
        .map_err(|problem| out.error(entry.span.clone(), problem))
        .ok()
}

/// A name of `[A-Za-z0-9_.-]{1,64}`.
pub(super) fn name(out: &mut Diagnostics, entry: &Entry<'_, '_>) -> Read<String> {
    parsed(out, entry, |text| {
        check_name(text).map(|()| text.to_owned())
    })
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    choices: &[(&str, T)],
) -> Read<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let DeValue::String(text) = entry.value else {
        return wrong_type(out, entry, "a string", format!("write {}", one_of(words())));
    };
    parse_choice(entry.key, text, choices)
        .map_err(|problem| out.error(entry.span.clone(), problem))
        .ok()
}

/// The elements of a list that must have some; `example` is a whole element.
pub(super) fn list<'a, 'i>(
    out: &mut Diagnostics,
    entry: &Entry<'a, 'i>,
    of: &str,
    example: &str,
) -> Read<&'a [Spanned<DeValue<'i>>]> {
    let cure = format!("write {} = [{example}]", entry.key);
    match entry.value {
        DeValue::Array(elements) if elements.is_empty() => {
            let title = format!("`{}` is empty", entry.key);
            out.error(
                entry.span.clone(),
                Problem::new(title, format!("{cure} or more")),
            );
            None
        }
        DeValue::Array(elements) => Some(&elements[..]),
        _ => wrong_type(out, entry, &format!("a list of {of}"), cure),
    }
}

/// The elements of such a list of texts that `parse` understands. All are checked before the first wrong one ends it.
pub(super) fn parsed_list<T>(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    of: &str,
    example: &str,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Read<Vec<Spanned<T>>> {
    let elements = list(out, entry, of, example)?;
    let read = |element| {
        let entry = Entry::new(entry.key, element);
        let value = parsed(out, &entry, &parse)?;
        Some(Spanned::new(element.span(), value))
    };
    let values: Vec<_> = elements.iter().map(read).collect();
    values.into_iter().collect()
}

/// The table of a section that messages call `location`.
pub(super) fn table<'a, 'i>(
    out: &mut Diagnostics,
    entry: &Entry<'a, 'i>,
    location: &str,
) -> Read<&'a DeTable<'i>> {
    match entry.value {
        DeValue::Table(table) => Some(table),
        _ => wrong_type(out, entry, "a section", format!("write {location}")),
    }
}

/// Reports a value of another type than `needed`.
pub(super) fn wrong_type<T>(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    needed: &str,
    cure: impl Into<String>,
) -> Read<T> {
    let found = match entry.value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    let title = format!("`{}` needs {needed}, not {found}", entry.key);
    out.error(entry.span.clone(), Problem::new(title, cure));
    None
}

/// The cure for a number that stands in quotes, or `otherwise`.
pub(super) fn number_cure(value: &DeValue<'_>, otherwise: &str) -> String {
    let number = match value {
        DeValue::String(text) => text.replace('_', "").parse::<u32>().ok(),
        _ => None,
    };
    number.map_or_else(
        || otherwise.to_owned(),
        |number| format!("write {number} without quotes"),
    )
}

fn out_of_bounds(key: &str, cure: String) -> Problem {
    Problem::new(format!("`{key}` is out of bounds"), cure)
}

fn duration_bounds(bounds: &RangeInclusive<Duration>) -> String {
    let (start, end) = (
        format_duration(*bounds.start()),
        format_duration(*bounds.end()),
    );
    format!("must be \"{start}\" to \"{end}\"")
}

/// The parser keeps integers as text, since TOML bounds them no more than this.
fn to_i64(written: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(written.as_str(), written.radix()).ok()
}
