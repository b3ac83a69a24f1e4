//! `ringway help KEY`: what is known of keys, sections and rules by their names.

use super::entry::Kind;
use super::entry::{Key, Section, Value, bounds, default, example};
use super::rules::RULES;
use super::sections::{all_keys, sections};
use crate::topics::fill;

/// What is known of a key, a section or a rule; `None`: there is none of this name.
///
/// A key is named alone (`interval`) or behind its section (`health_check.interval`,
/// `backend.health_check.interval`); the section may have a name (`backend.app.servers`). One that
/// stands in several sections is described for each.
pub fn help(name: &str) -> Option<String> {
    let paths = [Some(name.to_owned()), without_name(name)];
    let is_meant = |path: &str| paths.iter().flatten().any(|name| ends_with(path, name));
    let mut text = String::new();
    for rule in RULES.iter().filter(|rule| is_meant(rule.name)) {
        heading(&mut text, rule.name);
        paragraph(&mut text, rule.text);
    }
    for section in sections().filter(|section| section.kind != Kind::Root) {
        if is_meant(section.path) {
            tell_section(&mut text, section);
        }
        for key in section.keys {
            // A key that is a section itself is described with the sections.
            let is_section = matches!(key.value, Value::Section(_) | Value::NamedSections(_));
            let holders = holders(section);
            let is_meant = holders.iter().any(|holder| is_meant(&path(holder, key)));
            if is_meant && !is_section {
                tell_key(&mut text, &holders, key);
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Every name that [`help`] knows, once.
pub fn help_names() -> Vec<&'static str> {
    let paths = sections().map(|section| section.path);
    let keys = sections().flat_map(|section| section.keys);
    let mut names: Vec<&str> = paths
        .chain(keys.map(|key| key.name))
        .chain(rule_names())
        .collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

/// The names of the rules that hold for all sections.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

/// `backend.app.sticky` as `backend.sticky`.
fn without_name(path: &str) -> Option<String> {
    let mut parts = path.splitn(3, '.');
    match (parts.next()?, parts.next()?, parts.next()?) {
        (kind @ ("frontend" | "backend"), _, rest) => Some(format!("{kind}.{rest}")),
        _ => None,
    }
}

/// Whether the last parts of a path are those of `name`.
fn ends_with(path: &str, name: &str) -> bool {
    let before = path.strip_suffix(name);
    !name.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn path(section: &Section, key: &Key) -> String {
    format!("{}.{}", section.path, key.name)
}

/// A section and those that its keys may be written in as well.
fn holders(section: &'static Section) -> Vec<&'static Section> {
    let others = sections().filter(|other| other.also == Some(section.kind));
    std::iter::once(section).chain(others).collect()
}

fn tell_section(text: &mut String, section: &Section) {
    heading(text, section.title);
    paragraph(text, section.about);
    text.push('\n');
    let names = all_keys(section).map(|key| key.name.len());
    let column = names.max().unwrap_or_default() + 4;
    for key in all_keys(section) {
        item(text, column, key.name, key.meaning);
    }
}

fn tell_key(text: &mut String, sections: &[&Section], key: &Key) {
    let titles: Vec<&str> = sections.iter().map(|section| section.title).collect();
    heading(text, &format!("{} in {}", key.name, titles.join(", ")));
    paragraph(text, key.meaning);
    text.push('\n');
    for (name, value) in [
        ("Default:", default(key)),
        ("Bounds:", bounds(key)),
        ("Example:", example(sections[0], key)),
    ] {
        if !value.is_empty() {
            item(text, 11, name, &value);
        }
    }
    if !key.note.is_empty() {
        text.push('\n');
        paragraph(text, key.note);
    }
    let rule = match key.value {
        Value::Duration(_) | Value::DurationOr(..) => "durations",
        Value::Size(_) => "sizes",
        _ => return,
    };
    let told = format!("`ringway help {rule}` says how {rule} are written.");
    text.push('\n');
    paragraph(text, &told);
}

/// Begins a description.
fn heading(text: &mut String, title: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(title);
    text.push_str("\n\n");
}

fn paragraph(text: &mut String, told: &str) {
    fill(text, "  ", "  ", told);
}

/// A name, and its description in a column of its own.
fn item(text: &mut String, column: usize, name: &str, told: &str) {
    let first = format!("  {name:<width$}", width = column - 2);
    fill(text, &first, &" ".repeat(column), told);
}
