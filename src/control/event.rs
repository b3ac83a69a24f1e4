//! An event: what happened, as the journal and the recorder keep it.

use schemars::JsonSchema;
use serde::Serialize;

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EventKind")]
pub enum Kind {
    /// Probes took a server up or down.
    State,
    /// A server is left out because sessions with it failed, or takes sessions again.
    Passive,
    /// An operator set the administrative state of a server.
    Admin,
    /// An operator set the weight of a server.
    Weight,
    /// An operator closed sessions.
    Sessions,
    /// An operator added or removed a server.
    Servers,
    /// A backend lost its last usable server, or has one again.
    Backend,
    /// Servers were discovered, or cannot be.
    Discovery,
    /// The configuration was read again, or refused.
    Reload,
    /// Something that an operator should know.
    #[default]
    Warning,
}

/// What happened, as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// `BACKEND/SERVER`, or `BACKEND` for all of it; null: neither is concerned.
    pub server: Option<String>,
    /// The state or weight before; may be null.
    pub from: Option<String>,
    /// The state or weight since; may be null.
    pub to: Option<String>,
    /// Why, in the words of the probe or of the operator; may be empty.
    pub reason: String,
    /// The operator who brought it about, or `SIGHUP`; null: it was none.
    pub who: Option<String>,
    /// The whole as a sentence: the line of the log.
    pub text: String,
}

impl Entry {
    /// A warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Entry {
            text: text.into(),
            ..Entry::default()
        }
    }
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Event {
    /// Grows by one with each event, and over restarts too: it begins at the milliseconds of the time.
    pub id: u64,
    /// When it happened; RFC 3339, UTC.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}
