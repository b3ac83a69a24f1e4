//! The journal: the last events in order, for the admin listener to show.
//!
//! Changes of servers and backends, actions of operators, reloads and warnings are recorded here as well as in
//! the log. Memory is bounded: the oldest event is dropped when the journal is full. Recording never waits
//! for a reader; readers ask for the events behind the last that they have seen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

pub use super::event::{Entry, Event, Kind};
use super::recorder::Recorder;
use crate::timestamp::rfc3339;

/// Events that are kept.
pub const EVENTS_MAX: usize = 500;

/// Longest text of an event in bytes; the rest is cut off.
const TEXT_MAX: usize = 1024;

/// The last events. Clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    events: Mutex<VecDeque<Arc<Event>>>,
    /// The id of the newest.
    newest: watch::Sender<u64>,
    recorder: Recorder,
}

impl Journal {
    /// An empty one.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now.map_or(0, |since| since.as_millis() as u64);
        Journal(Arc::new(Inner {
            events: Mutex::new(VecDeque::with_capacity(EVENTS_MAX)),
            newest: watch::Sender::new(before),
            recorder: Recorder::default(),
        }))
    }

    /// What is remembered of each server, these events among it.
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
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
            let event = Arc::new(Event {
                id: *newest,
                time,
                entry,
            });
            self.0.recorder.event(&event);
            events.push_back(event);
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
