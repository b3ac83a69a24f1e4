//! The journal: the last events in order, for the admin listener to show.
//!
//! Changes of servers and backends, actions of operators, reloads and warnings are recorded here as well as in
//! the log. Memory is bounded: the oldest event is dropped when the journal is full. Recording never waits
//! for a reader; readers ask for the events behind the last that they have seen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

/// Events that are kept.
pub const EVENTS_MAX: usize = 500;

/// Longest text of an event in bytes; the rest is cut off.
const TEXT_MAX: usize = 1024;

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
    /// The operator who brought it about; null: it was none.
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

/// The last events. Clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    events: Mutex<VecDeque<Arc<Event>>>,
    /// The id of the newest.
    newest: watch::Sender<u64>,
}

impl Journal {
    /// An empty one.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now.map_or(0, |since| since.as_millis() as u64);
        Journal(Arc::new(Inner {
            events: Mutex::new(VecDeque::with_capacity(EVENTS_MAX)),
            newest: watch::Sender::new(before),
        }))
    }

    /// Adds what happened just now.
    pub fn record(&self, mut entry: Entry) {
        cut(&mut entry.text);
        cut(&mut entry.reason);
        let time = rfc3339(SystemTime::now());
        let mut events = self.events();
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        // Under the lock, so that the order is that of the ids.
        self.0.newest.send_modify(|newest| {
            *newest += 1;
            let id = *newest;
            events.push_back(Arc::new(Event { id, time, entry }));
        });
    }

    /// Logs a warning and adds it.
    pub fn warn(&self, text: impl Into<String>) {
        let entry = Entry::warning(text);
        log::warn!("{}", entry.text);
        self.record(entry);
    }

    /// The events that are newer than that of this id, oldest first; all, if it never was one.
    pub fn since(&self, id: u64) -> Vec<Arc<Event>> {
        let events = self.events();
        let unknown = events.back().is_some_and(|newest| newest.id < id);
        let newer = events.iter().filter(|event| unknown || event.id > id);
        newer.cloned().collect()
    }

    /// Receives the id of the newest event whenever one is recorded.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn events(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        let events = self.0.events.lock();
        events.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rfind(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

/// A time as the log shows it: RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(time: SystemTime) -> String {
    // A clock so wrong that it has no date is shown as the beginning of 1970.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_ids_go_on() {
        let journal = Journal::new();
        let mut newest = journal.follow();
        let before = *newest.borrow_and_update();
        for number in 1..=EVENTS_MAX + 3 {
            journal.record(Entry::warning(number.to_string()));
        }
        assert!(newest.has_changed().unwrap());
        let all = journal.since(0);
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!(all[0].entry.text, "4");
        let ids: Vec<u64> = all.iter().map(|event| event.id - before).collect();
        assert!(ids.into_iter().eq(4..=EVENTS_MAX as u64 + 3));

        let last = *newest.borrow();
        let texts = |since| -> Vec<String> {
            let events = journal.since(since);
            events
                .iter()
                .map(|event| event.entry.text.clone())
                .collect()
        };
        assert_eq!(texts(last - 2), ["502", "503"]);
        assert_eq!(texts(last), Vec::<String>::new());
        assert_eq!(texts(last + 1).len(), EVENTS_MAX, "of another process");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let journal = Journal::new();
        journal.record(Entry::warning("ä".repeat(600)));
        journal.record(Entry::warning("x".repeat(TEXT_MAX)));
        let events = journal.since(0);
        assert_eq!(events[0].entry.text, "ä".repeat(512) + "…");
        assert_eq!(events[1].entry.text.len(), TEXT_MAX);
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let journal = Journal::new();
        journal.record(Entry {
            kind: Kind::Admin,
            server: Some("app/web1".into()),
            from: Some("ready".into()),
            to: Some("drain".into()),
            reason: "kernel update".into(),
            who: Some("uid 0, pid 1".into()),
            text: "server app/web1 is drain".into(),
        });
        let event = serde_json::to_value(&*journal.since(0)[0]).unwrap();
        assert_eq!(event["kind"], "admin");
        assert_eq!(event["server"], "app/web1");
        assert_eq!(event.as_object().unwrap().len(), 9);
    }
}
