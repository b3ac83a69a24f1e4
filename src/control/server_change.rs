//! What an operator changes of a server, and who did it.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logic::health::AdminState;
use crate::timestamp::rfc3339;

/// Who changed something, when and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Attribution {
    /// `uid 0, pid 4711` over the Unix socket, the client's address over TCP.
    pub who: String,
    /// When; RFC 3339, UTC.
    pub time: String,
    /// In the operator's words; may be empty.
    pub reason: String,
}

/// Longest reason in characters.
const REASON_MAX: usize = 256;

impl Attribution {
    /// Somebody, now.
    ///
    /// # Errors
    ///
    /// The reason is too long or has control characters: a sentence.
    pub fn now(who: String, reason: Option<String>) -> Result<Self, String> {
        let reason = reason.unwrap_or_default();
        if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
            return Err(format!(
                "reason must be one line of at most {REASON_MAX} characters"
            ));
        }
        let time = rfc3339(SystemTime::now());
        Ok(Attribution { who, time, reason })
    }
}

/// What an operator changes of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChange {
    /// The administrative state, if it is to change.
    pub state: Option<AdminState>,
    /// The weight, if it is to change.
    pub weight: Option<u16>,
    /// Who wants it.
    pub by: Attribution,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        let now = |reason: &str| Attribution::now("x".to_owned(), Some(reason.to_owned()));
        assert_eq!(now("ä".repeat(256).as_str()).unwrap().reason.len(), 512);
        assert!(
            now(&"x".repeat(257)).is_err() && now("a\nb").is_err() && now("\u{1b}[2J").is_err()
        );
    }
}
