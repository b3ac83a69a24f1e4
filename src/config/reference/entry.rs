//! The form of the reference: a section, its keys, and what may be written for each.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::page::quoted;
use super::super::units::{format_duration, format_size};

/// A kind of section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file itself.
    Root,
    /// `[global]`
    Global,
    /// `[admin]`
    Admin,
    /// `[defaults]`
    Defaults,
    /// `keepalive`
    Keepalive,
    /// `[frontend.NAME]`
    Frontend,
    /// `[frontend.NAME.accept_proxy]`
    AcceptProxy,
    /// One entry of `routes`.
    Route,
    /// `[frontend.NAME.per_client]`
    PerClient,
    /// `[backend.NAME]`
    Backend,
    /// One entry of `servers`.
    Server,
    /// `[backend.NAME.health_check]`
    HealthCheck,
    /// `[backend.NAME.health_check.tls]`
    CheckTls,
    /// `[backend.NAME.passive]`
    Passive,
    /// `[backend.NAME.sticky]`
    Sticky,
    /// `[backend.NAME.discover]`
    Discover,
}

/// A kind of section and its keys.
pub struct Section {
    pub kind: Kind,
    /// How `ringway help` calls it, such as `backend.health_check`; empty for the file itself.
    pub path: &'static str,
    /// How messages and pages call it, such as `[backend.NAME.health_check]`.
    pub title: &'static str,
    /// What it is for, and what holds without it: plain sentences.
    pub about: &'static str,
    /// Its own keys.
    pub keys: &'static [Key],
    /// A section all of whose keys may be written here as well.
    pub also: Option<Kind>,
    /// Keys of which at least one must be written; may be empty.
    pub one_needed: &'static [&'static str],
}

/// One key.
pub struct Key {
    pub name: &'static str,
    /// What may be written.
    pub value: Value,
    /// What it does: one plain sentence.
    pub meaning: &'static str,
    /// What holds when it is not written.
    pub default: Default,
    /// Bounds that `value` does not tell, in words; may be empty.
    pub bounds: &'static str,
    /// Another key of the section and the choice without which this one must not be written.
    pub only_with: Option<(&'static str, &'static str)>,
    /// Another key of the section that must be written as well.
    pub needs: Option<&'static str>,
    /// A value as the file has it; empty for a section.
    pub example: &'static str,
    /// More that is worth knowing: plain sentences; may be empty.
    pub note: &'static str,
}

impl Key {
    /// What most keys have in common, to be filled in.
    pub const BASE: Key = Key {
        name: "",
        value: Value::Boolean,
        meaning: "",
        default: Default::Required,
        bounds: "",
        only_with: None,
        needs: None,
        example: "",
        note: "",
    };
}

/// What may be written for a key.
pub enum Value {
    /// `true` or `false`.
    Boolean,
    /// `true` or `false`, or this word.
    BooleanOr(&'static str),
    /// A whole number.
    Integer(fn() -> RangeInclusive<u64>),
    /// A whole number, or this word.
    IntegerOr(&'static str, fn() -> RangeInclusive<u64>),
    /// A string such as `"1m30s"`.
    Duration(RangeInclusive<Duration>),
    /// The same, or this word.
    DurationOr(&'static str, RangeInclusive<Duration>),
    /// A string such as `"16KiB"`; in bytes.
    Size(RangeInclusive<u64>),
    /// One of a few strings.
    Choice(fn() -> Vec<&'static str>),
    /// A string.
    Text(Text),
    /// A list of at least one string.
    Texts(Text),
    /// A table of strings, each with the name that it belongs to.
    NamedTexts { names: Text, values: Text },
    /// A list of tables, at least one and at most this many.
    Tables(Kind, usize),
    /// A section.
    Section(Kind),
    /// This word, or a section.
    SectionOr(&'static str, Kind),
    /// `true`, `false`, or a section.
    BooleanOrSection(Kind),
    /// Sections with names.
    NamedSections(Kind),
}

/// Which strings are taken.
#[derive(Clone, Copy)]
pub struct Text {
    /// A regular expression that every valid string matches, in the syntax that JSON Schema and the
    /// `regex` crate share. Some that match are still refused.
    pub pattern: &'static str,
    /// Characters at most.
    pub len_max: Option<usize>,
}

impl Text {
    /// A name of a frontend, a backend or a server.
    pub const NAME: Text = Text::new("^[A-Za-z0-9_.-]{1,64}$");
    /// `IP:port`, `[IPv6]:port` or `host:port`.
    pub const ADDRESS: Text =
        Text::new(r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\]):[0-9]{1,5}$");
    /// An IP address, or one with the length of its prefix.
    pub const NETWORK: Text = Text::new(r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$");
    /// The name or the number of a user or a group.
    pub const USER: Text = Text::new(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$");
    /// The path of a file.
    pub const FILE: Text = Text::new(r"^[^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f]$");

    /// The strings that match a regular expression.
    pub const fn new(pattern: &'static str) -> Self {
        Text {
            pattern,
            len_max: None,
        }
    }

    /// The same, with at most so many characters.
    pub const fn at_most(self, len_max: usize) -> Self {
        Text {
            pattern: self.pattern,
            len_max: Some(len_max),
        }
    }
}

/// What holds when a key is not written.
pub enum Default {
    /// It must be written.
    Required,
    /// This value, as the file would have it.
    Value(fn() -> String),
    /// Something that no value stands for, in words.
    Words(&'static str),
}

/// The bounds of a whole number of any type.
pub fn whole<T: TryInto<u64> + Copy>(bounds: &RangeInclusive<T>) -> RangeInclusive<u64> {
    let wide = |bound: T| bound.try_into().unwrap_or(u64::MAX);
    wide(*bounds.start())..=wide(*bounds.end())
}

/// The words of a table of choices.
pub fn words<T>(names: &[(&'static str, T)]) -> Vec<&'static str> {
    names.iter().map(|(word, _)| *word).collect()
}

/// A duration as the file has it.
pub fn duration(value: Duration) -> String {
    quoted(format_duration(value))
}

/// What may be written for a key, in words: `"1ms" to "100d"`; empty if there is nothing to say.
pub fn bounds(key: &Key) -> String {
    let range = |start: &dyn Display, end: &dyn Display| format!("{start} to {end}");
    let told = match &key.value {
        Value::Boolean => "true or false".to_owned(),
        Value::BooleanOr(word) => format!("true, false or {}", quoted(word)),
        Value::Integer(bounds) => range(bounds().start(), bounds().end()),
        Value::IntegerOr(word, bounds) => {
            let numbers = range(bounds().start(), bounds().end());
            format!("{}, or {numbers}", quoted(word))
        }
        Value::Duration(bounds) => range(&duration(*bounds.start()), &duration(*bounds.end())),
        Value::DurationOr(word, bounds) => {
            let times = range(&duration(*bounds.start()), &duration(*bounds.end()));
            format!("{}, or {times}", quoted(word))
        }
        Value::SectionOr(word, _) => format!("{}, or keys in braces", quoted(word)),
        Value::Size(bounds) => {
            let [start, end] =
                [bounds.start(), bounds.end()].map(|size| quoted(format_size(*size)));
            range(&start, &end)
        }
        Value::Choice(words) => {
            let words: Vec<String> = words().iter().map(quoted).collect();
            words.join(", ")
        }
        Value::Tables(_, count_max) => range(&1, count_max),
        Value::BooleanOrSection(_) => "true, false, or keys in braces".to_owned(),
        Value::Text(_)
        | Value::Texts(_)
        | Value::NamedTexts { .. }
        | Value::Section(_)
        | Value::NamedSections(_) => String::new(),
    };
    let condition = key
        .only_with
        .map(|(other, choice)| format!("only with `{other} = {}`", quoted(choice)));
    let needs = key.needs.map(|other| format!("only with `{other}`"));
    let parts = [
        told,
        key.bounds.to_owned(),
        condition.unwrap_or_default(),
        needs.unwrap_or_default(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

/// What holds when a key is not written, in words.
pub fn default(key: &Key) -> String {
    match &key.default {
        Default::Required => "none, it is required".to_owned(),
        Default::Value(value) => value(),
        Default::Words(words) => (*words).to_owned(),
    }
}

/// A key with a value, as the file has it; empty for a section.
pub fn example(section: &Section, key: &Key) -> String {
    match (key.example, section.kind) {
        ("", _) => String::new(),
        (value, Kind::Server) => format!("{{ {} = {value}, ... }}", key.name),
        (value, _) => format!("{} = {value}", key.name),
    }
}
