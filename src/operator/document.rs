//! Values of the document of `/api/v1/stats`, as commands show them.

use std::time::SystemTime;

use serde_json::Value;

use super::table::duration;
use crate::timestamp;

/// The elements; none, if it is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The text; empty, if it is none.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The number; 0, if it is none.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// A limit as it is shown; `-`: there is none.
pub(super) fn limit(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "-".to_owned(), |limit| limit.to_string())
}

/// How long ago a time was.
pub(super) fn age(time: &str, now: SystemTime) -> String {
    let then = timestamp::parse(time);
    let since = then.and_then(|then| now.duration_since(then).ok());
    duration(since.map_or(0, |since| since.as_secs()))
}
