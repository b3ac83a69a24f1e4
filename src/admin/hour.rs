//! The last hour of a backend, a point for every half minute.
//!
//! `history` adds what has happened since its last reading, `hours` tells it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use crate::logic::histogram::{CONNECT, SESSION, Scale};
use crate::timestamp::rfc3339;

/// What one point covers.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// Points that are kept: an hour.
const POINTS: usize = 120;

/// What has happened to a backend in some time.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    pub sessions: u64,
    pub bytes_from_clients: u64,
    pub bytes_from_servers: u64,
    /// Sessions that have ended, by bucket.
    pub connect: [u64; CONNECT.buckets()],
    pub session: [u64; SESSION.buckets()],
}

impl Default for Growth {
    fn default() -> Self {
        Growth {
            sessions: 0,
            bytes_from_clients: 0,
            bytes_from_servers: 0,
            connect: [0; CONNECT.buckets()],
            session: [0; SESSION.buckets()],
        }
    }
}

impl Growth {
    /// Adds what else has happened in the same time.
    pub fn add(&mut self, other: &Growth) {
        self.sessions += other.sessions;
        self.bytes_from_clients += other.bytes_from_clients;
        self.bytes_from_servers += other.bytes_from_servers;
        let add = |to: &mut [u64], from: &[u64]| {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        };
        add(&mut self.connect, &other.connect);
        add(&mut self.session, &other.session);
    }
}

/// A backend in some time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// For each second.
    sessions: f64,
    bytes_from_clients: f64,
    bytes_from_servers: f64,
    /// In microseconds; `None`: no session has ended.
    connect_p99: Option<u64>,
    session_p99: Option<u64>,
}

impl Point {
    fn of(growth: &Growth, time: Duration) -> Self {
        let rate = |count: u64| (count as f64 / time.as_secs_f64() * 10.0).round() / 10.0;
        Point {
            sessions: rate(growth.sessions),
            bytes_from_clients: rate(growth.bytes_from_clients),
            bytes_from_servers: rate(growth.bytes_from_servers),
            connect_p99: quantile_us(CONNECT, &growth.connect, 0.99),
            session_p99: quantile_us(SESSION, &growth.session, 0.99),
        }
    }
}

/// What this part of the times did not exceed, in microseconds; `None`: there are none.
pub(super) fn quantile_us<const BUCKETS: usize>(
    scale: Scale<BUCKETS>,
    counts: &[u64; BUCKETS],
    quantile: f64,
) -> Option<u64> {
    let seconds = scale.quantile(counts, quantile)?;
    Some((seconds * 1e6).round() as u64)
}

/// The last hour of a backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Hour {
    /// The newest last.
    points: VecDeque<Point>,
    /// What belongs to the next point, and how long it has taken so far.
    open: Growth,
    time: Duration,
    end: Option<SystemTime>,
}

impl Hour {
    /// Adds what has happened in the `time` before `now`.
    pub fn add(&mut self, growth: &Growth, time: Duration, now: SystemTime) {
        // One that is complete is kept until more comes: the last point is never an empty one.
        if self.time >= INTERVAL {
            if self.points.len() + 1 == POINTS {
                self.points.pop_front();
            }
            self.points.push_back(Point::of(&self.open, self.time));
            (self.open, self.time) = Default::default();
        }
        self.open.add(growth);
        self.time += time;
        self.end = Some(now);
    }

    /// As the API tells it.
    pub fn document(&self, name: &str) -> BackendHistory {
        let open = (!self.time.is_zero()).then(|| Point::of(&self.open, self.time));
        let points: Vec<Point> = self.points.iter().copied().chain(open).collect();
        BackendHistory {
            name: name.to_owned(),
            end: self.end.map(rfc3339),
            sessions_per_s: points.iter().map(|point| point.sessions).collect(),
            bytes_from_clients_per_s: points
                .iter()
                .map(|point| point.bytes_from_clients)
                .collect(),
            bytes_from_servers_per_s: points
                .iter()
                .map(|point| point.bytes_from_servers)
                .collect(),
            connect_time_p99_us: points.iter().map(|point| point.connect_p99).collect(),
            session_time_p99_us: points.iter().map(|point| point.session_p99).collect(),
        }
    }
}

/// The last hour of a backend: lists with one value for each point, the newest last. The last point is of the
/// time since the one before it. Servers that were removed since are counted.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct BackendHistory {
    /// The name of the backend.
    name: String,
    /// When the last point ends; RFC 3339, UTC; null: there is no point yet.
    end: Option<String>,
    /// New sessions in a second.
    sessions_per_s: Vec<f64>,
    /// Bytes from clients in a second.
    bytes_from_clients_per_s: Vec<f64>,
    /// Bytes from servers in a second.
    bytes_from_servers_per_s: Vec<f64>,
    /// What 99 % of the connect times did not exceed, in microseconds; null: no session has ended.
    connect_time_p99_us: Vec<Option<u64>>,
    /// What 99 % of the session times did not exceed, in microseconds; null: no session has ended.
    session_time_p99_us: Vec<Option<u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Duration = Duration::from_secs(5);

    #[test]
    fn a_point_is_half_a_minute_and_an_hour_is_kept() {
        let mut hour = Hour::default();
        assert_eq!(hour.document("app").end, None);
        let mut growth = Growth {
            sessions: 10,
            bytes_from_clients: 50,
            bytes_from_servers: 5000,
            ..Growth::default()
        };
        hour.add(&growth, READING, SystemTime::UNIX_EPOCH);
        let document = hour.document("app");
        assert_eq!(
            document.sessions_per_s,
            [2.0],
            "it does not wait for the whole"
        );
        assert_eq!(document.connect_time_p99_us, [None]);
        assert_eq!(document.end.as_deref(), Some("1970-01-01T00:00:00.000Z"));
        growth.connect[3] = 1;
        for _ in 1..12 {
            hour.add(&growth, READING, SystemTime::UNIX_EPOCH);
        }
        let document = hour.document("app");
        assert_eq!(document.sessions_per_s, [2.0, 2.0]);
        assert_eq!(document.bytes_from_servers_per_s, [1000.0, 1000.0]);
        assert_eq!(document.connect_time_p99_us, [Some(76), Some(76)]);
        growth.sessions = 0;
        for _ in 0..POINTS * 6 {
            hour.add(&growth, READING, SystemTime::UNIX_EPOCH);
        }
        let document = hour.document("app");
        assert_eq!(document.sessions_per_s, [0.0; POINTS]);
    }
}
