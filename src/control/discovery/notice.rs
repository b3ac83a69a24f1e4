//! What is told of discovery: a line of the log and an event of the journal each.

use std::net::IpAddr;
use std::time::Duration;

use super::found::Failures;
use super::members::Change;
use super::message::RecordType;
use super::pace::Told;
use crate::config::{DiscoverQuery, format_duration};
use crate::control::journal::{Entry, Journal, Kind};

/// Servers that a line names; of the others it has the number.
const NAMED_MAX: usize = 8;

/// Who tells it: a backend and what it looks for.
pub struct Teller<'a> {
    pub journal: &'a Journal,
    pub backend: &'a str,
    pub query: &'a DiscoverQuery,
}

impl Teller<'_> {
    /// Servers joined or left; there are `now`.
    pub fn changed(&self, change: &Change, now: usize) {
        if change.joined.is_empty() && change.left.is_empty() {
            return;
        }
        let mut parts = Vec::new();
        for (verb, servers) in [("added", &change.joined), ("removed", &change.left)] {
            if !servers.is_empty() {
                let count = servers.len();
                let names: Vec<String> = servers
                    .iter()
                    .take(NAMED_MAX)
                    .map(ToString::to_string)
                    .collect();
                let more = match count.saturating_sub(NAMED_MAX) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                parts.push(format!("{verb} {count} ({}{more})", names.join(", ")));
            }
        }
        let text = format!(
            "backend {}: servers discovered by `{}`: {}; now {now}",
            self.backend,
            self.query,
            parts.join(", ")
        );
        log::info!("{text}");
        self.record(text, String::new(), Some(now));
    }

    /// Failures began or ended.
    pub fn failures(&self, told: Vec<Told>, now: usize) {
        for told in told {
            match told {
                Told::Began(failures) => self.began(&failures, now),
                Told::Ended(types, after) => self.ended(&types, after),
            }
        }
    }

    fn began(&self, failures: &Failures, now: usize) {
        let reason = reason(failures);
        let kept = match now {
            0 => "there is no discovered server until that succeeds".to_owned(),
            1 => "the discovered server stays".to_owned(),
            _ => format!("the {now} discovered servers stay"),
        };
        let text = format!(
            "backend {}: cannot discover servers by `{}`: {reason}; {kept}",
            self.backend, self.query
        );
        log::warn!("{text}");
        self.record(text, reason, None);
    }

    fn ended(&self, types: &[RecordType], after: Duration) {
        // In whole seconds from one on.
        let shown = match after.as_secs() {
            0 => Duration::from_millis(after.as_millis() as u64),
            seconds => Duration::from_secs(seconds),
        };
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let text = format!(
            "backend {}: discovers servers by `{}` again ({}), after {}",
            self.backend,
            self.query,
            types.join(", "),
            format_duration(shown)
        );
        log::info!("{text}");
        self.record(text, String::new(), None);
    }

    /// There are more servers than may be, or no longer.
    pub fn left_out(&self, count: usize, max: u32) {
        if count == 0 {
            let text = format!(
                "backend {}: no server that `{}` finds is left out any more",
                self.backend, self.query
            );
            log::info!("{text}");
            self.record(text, String::new(), None);
            return;
        }
        self.journal.warn(format!(
            "backend {}: {count} servers that `{}` finds are left out: max_servers is {max}",
            self.backend, self.query
        ));
    }

    /// See [`virtual_address`].
    pub fn warn(&self, text: &str) {
        self.journal
            .warn(format!("backend {}: {text}", self.backend));
    }

    fn record(&self, text: String, reason: String, now: Option<usize>) {
        self.journal.record(Entry {
            kind: Kind::Discovery,
            server: Some(self.backend.to_owned()),
            to: now.map(|now| now.to_string()),
            reason,
            text,
            ..Entry::default()
        });
    }
}

/// `NXDOMAIN (A, AAAA)`, or `no answer in time (A), SERVFAIL (AAAA)`.
pub fn reason(failures: &Failures) -> String {
    let mut all = failures.values();
    if let Some(first) = all.next()
        && all.all(|other| other == first)
    {
        let types: Vec<String> = failures.keys().map(ToString::to_string).collect();
        return format!("{first} ({})", types.join(", "));
    }
    let each: Vec<String> = (failures.iter())
        .map(|(record_type, failure)| format!("{failure} ({record_type})"))
        .collect();
    each.join(", ")
}

/// What is said of a name with one address, `only`, if these of `tasks.NAME` are others: the one is a virtual
/// address of Swarm.
pub fn virtual_address(query: &DiscoverQuery, only: IpAddr, tasks: &[IpAddr]) -> Option<String> {
    let name = query.name();
    let is_one = tasks.iter().any(|task| task.to_canonical() == only);
    (!is_one && !tasks.is_empty()).then(|| {
        format!(
            "`{name}` has one address, {only}, but `tasks.{name}` has {}: the one is a virtual address of \
             Docker Swarm, behind which Swarm balances; write `tasks.{name}` to discover the servers",
            tasks.len()
        )
    })
}
