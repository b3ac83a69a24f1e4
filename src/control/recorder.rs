//! What is remembered of each server, so that `ringway why` can tell what took it down or up: its last probes, the
//! sessions that failed with it, what happened to it and who ordered it.
//!
//! Memory is bounded for each server, and records of servers that are gone are bounded in number. The health
//! thread and the [`Journal`](super::journal::Journal) write, the admin listener reads; workers know nothing of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::event::{Event, Kind};
use crate::logic::health::Cause;
use crate::logic::session::Fault;
use crate::timestamp::rfc3339;

/// Probes of a server that are kept.
pub const PROBES_MAX: usize = 20;

/// Times at which sessions with a server failed that are kept.
pub const FAILURES_MAX: usize = 20;

/// Events that are kept of each server, of each backend, and of the process.
pub const EVENTS_MAX: usize = 20;

/// Records of servers that are gone; the one that has been gone for the longest time is dropped first.
const GONE_MAX: usize = 256;

/// Failures within this time are counted together.
pub const FAILURES_PERIOD: Duration = Duration::from_secs(1);

/// A probe that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeRecord {
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What it found.
    pub cause: Cause,
}

/// Sessions with a server that failed within [`FAILURES_PERIOD`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureRecord {
    /// When the first of them was seen.
    pub time: SystemTime,
    /// Connects that failed.
    pub connects: u64,
    /// Why the last of these connects failed, if it is known.
    pub connect_fault: Option<Fault>,
    /// Sessions in HTTP mode that the server left without an answer.
    pub answers: u64,
}

/// Something that happened to a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When; RFC 3339, UTC.
    pub time: String,
    /// What it is about.
    pub kind: Kind,
    /// A sentence.
    pub text: String,
    /// Why, in the words of who brought it about; may be empty.
    pub reason: String,
    /// Who brought it about; `None`: nobody did.
    pub who: Option<String>,
}

impl Happened {
    fn of(event: &Event) -> Self {
        Happened {
            time: event.time.clone(),
            kind: event.entry.kind,
            text: event.entry.text.clone(),
            reason: event.entry.reason.clone(),
            who: event.entry.who.clone(),
        }
    }
}

/// What is remembered of a server, each list oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// At most [`PROBES_MAX`].
    pub probes: VecDeque<ProbeRecord>,
    /// At most [`FAILURES_MAX`].
    pub failures: VecDeque<FailureRecord>,
    /// Of the server itself, at most [`EVENTS_MAX`]; what [`Recorder::server`] returns has those of its backend and
    /// of the process too.
    pub events: VecDeque<Happened>,
}

/// All records. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    /// By `BACKEND/SERVER`.
    servers: HashMap<String, Record>,
    /// Names of servers that are gone, the one that went first first.
    gone: VecDeque<String>,
    /// Events of backends, by their names.
    backends: HashMap<String, VecDeque<Happened>>,
    /// Events of the process: reloads.
    process: VecDeque<Happened>,
}

impl Recorder {
    /// Remembers an event of the journal, if it concerns servers.
    pub fn event(&self, event: &Event) {
        let mut records = self.records();
        let happened = || Happened::of(event);
        match (&event.entry.server, event.entry.kind) {
            (Some(name), _) if name.contains('/') => {
                push(&mut records.server(name).events, happened(), EVENTS_MAX);
            }
            (Some(backend), _) => {
                let events = records.backends.entry(backend.clone()).or_default();
                push(events, happened(), EVENTS_MAX);
            }
            (None, Kind::Reload) => push(&mut records.process, happened(), EVENTS_MAX),
            (None, _) => {}
        }
    }

    /// Remembers what happened to a server just now and is no event of its own in the journal.
    pub fn note(&self, server: &str, kind: Kind, text: &str) {
        let happened = Happened {
            time: rfc3339(SystemTime::now()),
            kind,
            text: format!("server {server} {text}"),
            reason: String::new(),
            who: None,
        };
        push(
            &mut self.records().server(server).events,
            happened,
            EVENTS_MAX,
        );
    }

    /// Remembers a probe of a server.
    pub fn probe(&self, server: &str, probe: ProbeRecord) {
        push(&mut self.records().server(server).probes, probe, PROBES_MAX);
    }

    /// Remembers that sessions with a server have failed .
    pub fn failures(&self, server: &str, new: FailureRecord) {
        let time = new.time;
        let mut records = self.records();
        let failures = &mut records.server(server).failures;
        let same = failures.back_mut().filter(|last| {
            let age = time.duration_since(last.time);
            age.is_ok_and(|age| age < FAILURES_PERIOD)
        });
        match same {
            Some(last) => {
                last.connects += new.connects;
                last.answers += new.answers;
                last.connect_fault = new.connect_fault.or(last.connect_fault);
            }
            None => push(failures, new, FAILURES_MAX),
        }
    }

    /// A server is in use: its record is kept until it is gone.
    pub fn present(&self, server: &str) {
        let mut records = self.records();
        records.server(server);
        records.gone.retain(|name| name != server);
    }

    /// A server is not in use any more. Its record is kept for as long as there is room.
    pub fn gone(&self, server: &str) {
        let mut records = self.records();
        records.gone.retain(|name| name != server);
        records.leave(server);
    }

    /// Forgets the events of backends whose names are not `wanted`.
    pub fn retain_backends(&self, wanted: impl Fn(&str) -> bool) {
        self.records().backends.retain(|name, _| wanted(name));
    }

    /// What is remembered of a server; events in the order of time, with those of its backend and of the process.
    /// `None`: nothing.
    pub fn server(&self, backend: &str, server: &str) -> Option<Record> {
        let records = self.records();
        let mut record = records.servers.get(&format!("{backend}/{server}"))?.clone();
        let shared = records.backends.get(backend).into_iter().flatten();
        record
            .events
            .extend(shared.chain(&records.process).cloned());
        // Times in this form are in the order of their texts.
        let events = record.events.make_contiguous();
        events.sort_by(|one, other| one.time.cmp(&other.time));
        Some(record)
    }

    /// Every write under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// The record of a server. One that has none yet counts as gone until it is present.
    fn server(&mut self, name: &str) -> &mut Record {
        if !self.servers.contains_key(name) {
            self.servers.insert(name.to_owned(), Record::default());
            self.leave(name);
        }
        self.servers.entry(name.to_owned()).or_default()
    }

    fn leave(&mut self, name: &str) {
        if self.gone.len() == GONE_MAX
            && let Some(first) = self.gone.pop_front()
        {
            self.servers.remove(&first);
        }
        self.gone.push_back(name.to_owned());
    }
}

/// Appends to a list that has at most `max` elements.
fn push<T>(list: &mut VecDeque<T>, element: T, max: usize) {
    if list.len() == max {
        list.pop_front();
    }
    list.push_back(element);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::Entry;

    fn event(id: u64, kind: Kind, server: Option<&str>) -> Event {
        Event {
            id,
            time: format!("2026-11-26T10:00:{id:02}.000Z"),
            entry: Entry {
                kind,
                server: server.map(str::to_owned),
                text: id.to_string(),
                ..Entry::default()
            },
        }
    }

    fn probe(millis: u64) -> ProbeRecord {
        ProbeRecord {
            began: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(millis),
            cause: Cause::L4Ok,
        }
    }

    #[test]
    fn a_server_has_its_own_events_and_those_of_its_backend_and_of_reloads() {
        let recorder = Recorder::default();
        recorder.present("app/web1");
        for (id, kind, server) in [
            (1, Kind::Reload, None),
            (2, Kind::State, Some("app/web1")),
            (3, Kind::Backend, Some("app")),
            (4, Kind::State, Some("app/web2")),
            (5, Kind::Backend, Some("db")),
            (6, Kind::Warning, None),
            (7, Kind::Admin, Some("app/web1")),
        ] {
            recorder.event(&event(id, kind, server));
        }
        let record = recorder.server("app", "web1").unwrap();
        let texts: Vec<&str> = record.events.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["1", "2", "3", "7"]);
        assert_eq!(recorder.server("app", "web3"), None);
        recorder.retain_backends(|name| name == "db");
        assert_eq!(recorder.server("app", "web1").unwrap().events.len(), 3);
    }

    #[test]
    fn each_list_keeps_the_newest() {
        let recorder = Recorder::default();
        for number in 0..50 {
            recorder.probe("app/web1", probe(number));
            recorder.event(&event(number, Kind::State, Some("app/web1")));
        }
        let failures = |connects, connect_fault, answers| FailureRecord {
            time: SystemTime::UNIX_EPOCH,
            connects,
            connect_fault,
            answers,
        };
        recorder.failures("app/web1", failures(2, Some(Fault::Refused), 0));
        recorder.failures("app/web1", failures(1, None, 4));
        let record = recorder.server("app", "web1").unwrap();
        assert_eq!(record.probes.len(), PROBES_MAX);
        assert_eq!(record.probes.back(), Some(&probe(49)));
        assert_eq!(record.events.len(), EVENTS_MAX);
        assert_eq!(record.failures.len(), 1, "{record:?}");
        let failures = record.failures[0];
        assert_eq!((failures.connects, failures.answers), (3, 4));
        assert_eq!(failures.connect_fault, Some(Fault::Refused));
    }

    #[test]
    fn records_of_servers_that_are_gone_are_bounded_and_others_stay() {
        let recorder = Recorder::default();
        recorder.present("app/stays");
        recorder.probe("app/back", probe(1));
        recorder.gone("app/back");
        recorder.present("app/back");
        for number in 0..2 * GONE_MAX {
            let name = format!("app/{number}");
            recorder.present(&name);
            recorder.gone(&name);
            // Told after it has gone.
            recorder.note(&name, Kind::Servers, "removed");
        }
        assert_eq!(recorder.records().servers.len(), GONE_MAX + 2);
        assert!(recorder.server("app", "0").is_none());
        assert!(
            recorder
                .server("app", &(2 * GONE_MAX - 1).to_string())
                .is_some()
        );
        assert_eq!(recorder.server("app", "back").unwrap().probes.len(), 1);
    }
}
