//! The servers as rows: what each column shows and sorts by.

use std::cmp::Ordering;
use std::time::SystemTime;

use serde_json::Value;

use super::super::document::{age, limit, number, word};
use super::super::names;
use super::super::status::{state, why};
use super::super::table::{Align, bytes, millis};
use super::rates::{Rates, Totals};
use crate::cli::ServerName;

/// How much a server concerns an operator, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Error,
    Notice,
    Fine,
}

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub server: ServerName,
    /// The same in one piece, as it is shown.
    pub name: String,
    pub severity: Severity,
    state: String,
    time: String,
    sessions: u64,
    limit: String,
    rate: Totals,
    connect_p99: Option<u64>,
    session_p99: Option<u64>,
    failed: u64,
    weight: u64,
    address: String,
    why: String,
}

/// Every server of the document of `/api/v1/stats`, in its order.
pub(super) fn rows(stats: &Value, rates: &Rates, now: SystemTime) -> Vec<Row> {
    names::servers(stats)
        .map(|(name, server)| Row::new(name, server, rates, now))
        .collect()
}

impl Row {
    fn new(name: ServerName, server: &Value, rates: &Rates, now: SystemTime) -> Self {
        let shown = name.to_string();
        Row {
            server: name,
            severity: match word(&server["status"]) {
                "UP" | "no check" => Severity::Fine,
                "DOWN" => Severity::Error,
                _ => Severity::Notice,
            },
            state: state(server),
            time: age(word(&server["since"]), now),
            sessions: number(&server["sessions"]["current"]),
            limit: limit(&server["sessions"]["limit"]),
            rate: rates.of(&shown),
            connect_p99: server["connect_time"]["p99_us"].as_u64(),
            session_p99: server["session_time"]["p99_us"].as_u64(),
            failed: number(&server["connect_failures"]),
            weight: number(&server["weight"]),
            address: word(&server["address"]).to_owned(),
            why: why(server),
            name: shown,
        }
    }

    /// Whether the filter, in small letters, finds it.
    pub fn is_found_by(&self, filter: &str) -> bool {
        let texts = [&self.name, &self.address, &self.state, &self.why];
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(filter))
    }

    /// All that is known of it, in a line.
    pub fn detail(&self) -> String {
        let why = match self.why.as_str() {
            "" => String::new(),
            why => format!(": {why}"),
        };
        format!(
            "{}, {}, {} for {}{why}; weight {}, sessions {}, limit {}, failed connects {}",
            self.name,
            self.address,
            self.state,
            self.time,
            self.weight,
            self.sessions,
            self.limit,
            self.failed
        )
    }
}

/// A column.
pub(super) struct Column {
    pub head: &'static str,
    pub align: Align,
    pub cell: fn(&Row) -> String,
    /// How rows are ordered by it: what needs a look or is large comes first.
    pub order: fn(&Row, &Row) -> Ordering,
}

/// A time in microseconds; `-`: there is none.
fn time(micros: Option<u64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(micros @ 0..1_000) => format!("{micros}us"),
        Some(micros @ 1_000..10_000) => format!("{:.1}ms", micros as f64 / 1000.0),
        Some(micros) => millis(micros / 1000),
    }
}

/// All columns, in the order in which they are shown.
#[rustfmt::skip]
pub(super) const COLUMNS: &[Column] = &[
    Column { head: "SERVER", align: Align::Left, cell: |row| row.name.clone(), order: |a, b| a.name.cmp(&b.name) },
    Column { head: "STATE", align: Align::Left, cell: |row| row.state.clone(), order: |a, b| a.severity.cmp(&b.severity) },
    Column { head: "FOR", align: Align::Right, cell: |row| row.time.clone(), order: |a, b| a.severity.cmp(&b.severity) },
    Column { head: "SESSIONS", align: Align::Right, cell: |row| row.sessions.to_string(), order: |a, b| b.sessions.cmp(&a.sessions) },
    Column { head: "NEW/S", align: Align::Right, cell: |row| row.rate.sessions.to_string(), order: |a, b| b.rate.sessions.cmp(&a.rate.sessions) },
    Column { head: "IN/S", align: Align::Right, cell: |row| bytes(row.rate.bytes_in), order: |a, b| b.rate.bytes_in.cmp(&a.rate.bytes_in) },
    Column { head: "OUT/S", align: Align::Right, cell: |row| bytes(row.rate.bytes_out), order: |a, b| b.rate.bytes_out.cmp(&a.rate.bytes_out) },
    Column { head: "CONN P99", align: Align::Right, cell: |row| time(row.connect_p99), order: |a, b| b.connect_p99.cmp(&a.connect_p99) },
    Column { head: "SESS P99", align: Align::Right, cell: |row| time(row.session_p99), order: |a, b| b.session_p99.cmp(&a.session_p99) },
    Column { head: "FAILED", align: Align::Right, cell: |row| row.failed.to_string(), order: |a, b| b.failed.cmp(&a.failed) },
    Column { head: "WHY", align: Align::Left, cell: |row| row.why.clone(), order: |a, b| a.why.cmp(&b.why) },
];

/// The column that rows are sorted by at first: problems come first.
pub(super) const STATE: usize = 1;
