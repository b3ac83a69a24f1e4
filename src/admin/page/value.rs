//! Values on the page: the kinds of them, and the moment at which they are shown.
//!
//! A piece of the page says where its value is in the document of `/api/v1/stats` (`data-v`, a path
//! within the row's object) and how it is written (`data-k`). It is filled in by that here, and kept
//! up to date by that in the browser.

use std::time::SystemTime;

use maud::{Markup, html};
use serde_json::Value;

use super::format;
use crate::timestamp;

/// How a value is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Count,
    Rate,
    Bytes,
    Micros,
    /// How long ago it was.
    Since,
    Ago,
    /// How long it has lasted.
    Age,
    Percent,
    /// Sessions that remain, of a server that is not to have new ones.
    Left,
    /// The last reload.
    Reload,
    /// How servers are discovered.
    Discovery,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::Rate => "rate",
            Kind::Bytes => "bytes",
            Kind::Micros => "micros",
            Kind::Since => "since",
            Kind::Ago => "ago",
            Kind::Age => "age",
            Kind::Percent => "percent",
            Kind::Left => "left",
            Kind::Reload => "reload",
            Kind::Discovery => "discovery",
        }
    }

    /// `None`: the value is not of this kind, or there is none.
    pub fn write(self, value: &Value, now: SystemTime) -> Option<String> {
        Some(match self {
            Kind::Count if value == true => "Y".to_owned(),
            Kind::Count => format::count(value.as_u64()?),
            Kind::Rate => format::rate(value.as_f64()?),
            Kind::Bytes => format::bytes(value.as_f64()?),
            Kind::Micros => format::micros(value.as_u64()?),
            Kind::Since => since(value, now)?,
            Kind::Ago => format!("{} ago", since(value, now)?),
            Kind::Age => format::age(value.as_u64()?),
            Kind::Percent => format!("{:.0} %", (value.as_f64()? * 100.0).round()),
            Kind::Left => left(value)?,
            Kind::Reload => reload(value, now)?,
            Kind::Discovery => discovery(value, now)?,
        })
    }
}

fn since(time: &Value, now: SystemTime) -> Option<String> {
    let time = timestamp::parse(time.as_str()?)?;
    let passed = now.duration_since(time).unwrap_or_default();
    Some(format::age(passed.as_secs()))
}

fn left(server: &Value) -> Option<String> {
    if server["admin_state"] == "ready" && server["leaving"] != true {
        return None;
    }
    Some(match server.pointer("/sessions/current")?.as_u64()? {
        0 => "no session left".to_owned(),
        1 => "1 session left".to_owned(),
        open => format!("{} sessions left", format::count(open)),
    })
}

fn reload(reload: &Value, now: SystemTime) -> Option<String> {
    let last = &reload["last"];
    let Some(at) = since(&last["at"], now) else {
        return Some("never reloaded".to_owned());
    };
    let how = if last["ok"] == true {
        "reloaded"
    } else {
        "reload refused"
    };
    Some(format!("{how} {at} ago"))
}

fn discovery(discovery: &Value, now: SystemTime) -> Option<String> {
    let query = discovery["query"].as_str()?;
    let answer = match since(&discovery["last_success"], now) {
        Some(age) => format!("last answer {age} ago"),
        None => "no answer yet".to_owned(),
    };
    let failures = discovery["failures"].as_object()?.values();
    let failures: u64 = failures.filter_map(Value::as_u64).sum();
    Some(format!(
        "discovered by {query}, {answer}, failed queries: {}",
        format::count(failures)
    ))
}

/// The moment that ages are counted to, and what rows are shown.
pub(super) struct View {
    pub now: SystemTime,
    /// In small letters.
    pub filter: String,
    pub only_problems: bool,
}

impl View {
    /// Whether a row that is found by these words is shown.
    pub fn shows(&self, words: &str, status: &str) -> bool {
        words.contains(&self.filter) && !(self.only_problems && is_fine(status))
    }

    /// A piece of a row that shows the value at `path` of `object`; what there is none of is `none`.
    pub fn shown(&self, object: &Value, path: &str, kind: Kind, none: &str) -> Markup {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        let text = kind.write(value, self.now);
        html! {
            span data-v=(path) data-k=(kind.as_str()) data-none=(none) { (text.as_deref().unwrap_or(none)) }
        }
    }

    /// The same in small letters; nothing, if there is none.
    pub fn small(&self, object: &Value, path: &str, kind: Kind) -> Markup {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        let text = kind.write(value, self.now).unwrap_or_default();
        html! { small data-v=(path) data-k=(kind.as_str()) data-none="" { (text) } }
    }
}

/// Whether nobody needs to look at it.
pub(super) fn is_fine(status: &str) -> bool {
    matches!(status, "UP" | "OPEN" | "no check")
}

pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

pub(super) fn list<'a>(stats: &'a Value, name: &str) -> &'a [Value] {
    stats[name].as_array().map_or(&[], Vec::as_slice)
}
