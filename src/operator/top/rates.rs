//! What happens in a second: the difference of two answers of `/api/v1/stats`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::document::{list, number};
use super::super::names;
use super::super::table::bytes;

/// What is compared from one answer to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub sessions: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Totals {
    fn of_process(stats: &Value) -> Self {
        let sum = |name: &str| -> u64 {
            let frontends = list(&stats["frontends"]).iter();
            frontends.map(|frontend| number(&frontend[name])).sum()
        };
        Totals {
            sessions: number(&stats["process"]["sessions"]["total"]),
            bytes_in: sum("bytes_from_clients"),
            bytes_out: sum("bytes_from_servers"),
        }
    }

    fn of_server(server: &Value) -> Self {
        Totals {
            sessions: number(&server["sessions"]["total"]),
            bytes_in: number(&server["bytes_from_client"]),
            bytes_out: number(&server["bytes_from_server"]),
        }
    }

    /// What came since `earlier`, for each second.
    fn since(self, earlier: Self, passed: Duration) -> Self {
        let rate = |now: u64, then: u64| {
            (now.saturating_sub(then) as f64 / passed.as_secs_f64().max(0.001)).round() as u64
        };
        Totals {
            sessions: rate(self.sessions, earlier.sessions),
            bytes_in: rate(self.bytes_in, earlier.bytes_in),
            bytes_out: rate(self.bytes_out, earlier.bytes_out),
        }
    }
}

/// What the last answer has, and the rates since the one before.
pub(super) struct Rates {
    updated: Instant,
    process: Totals,
    servers: HashMap<String, Totals>,
    /// `None`: there was one answer only.
    process_rate: Option<Totals>,
    server_rates: HashMap<String, Totals>,
}

impl Rates {
    /// Of the first answer: there are no rates yet.
    pub fn new(stats: &Value) -> Self {
        Rates {
            updated: Instant::now(),
            process: Totals::of_process(stats),
            servers: servers(stats),
            process_rate: None,
            server_rates: HashMap::new(),
        }
    }

    /// Takes the next statistics.
    pub fn update(&mut self, stats: &Value) {
        let passed = self.updated.elapsed();
        self.add(stats, passed);
        self.updated = Instant::now();
    }

    fn add(&mut self, stats: &Value, passed: Duration) {
        let process = Totals::of_process(stats);
        self.process_rate = Some(process.since(self.process, passed));
        self.process = process;
        let servers = servers(stats);
        let rates = servers.iter().filter_map(|(name, now)| {
            let earlier = self.servers.get(name)?;
            Some((name.clone(), now.since(*earlier, passed)))
        });
        self.server_rates = rates.collect();
        self.servers = servers;
    }

    /// A line with those of the process.
    pub fn line(&self) -> String {
        let Some(rate) = self.process_rate else {
            return "rates follow".to_owned();
        };
        let Totals {
            sessions,
            bytes_in,
            bytes_out,
        } = rate;
        format!(
            "{sessions} sessions/s, in {}/s, out {}/s",
            bytes(bytes_in),
            bytes(bytes_out)
        )
    }

    /// Those of a server; nothing of one that is new.
    pub fn of(&self, server: &str) -> Totals {
        self.server_rates.get(server).copied().unwrap_or_default()
    }
}

fn servers(stats: &Value) -> HashMap<String, Totals> {
    let servers = names::servers(stats);
    servers
        .map(|(name, server)| (name.to_string(), Totals::of_server(server)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rates_are_those_of_a_second() {
        let stats = |total: u64| {
            json!({
                "process": { "sessions": { "total": total } },
                "frontends": [
                    { "bytes_from_clients": total * 1024, "bytes_from_servers": 0 },
                    { "bytes_from_clients": total * 1024, "bytes_from_servers": total },
                ],
                "backends": [{ "name": "app", "servers": [
                    { "name": "a", "sessions": { "total": total }, "bytes_from_client": 0, "bytes_from_server": total },
                ]}],
            })
        };
        let mut rates = Rates::new(&stats(10));
        rates.add(&stats(30), Duration::from_millis(500));
        assert_eq!(rates.line(), "40 sessions/s, in 80 KiB/s, out 40 B/s");
        let of_a = Totals {
            sessions: 40,
            bytes_in: 0,
            bytes_out: 40,
        };
        assert_eq!(rates.of("app/a"), of_a);
        assert_eq!(rates.of("app/new"), Totals::default());
        // It was restarted.
        rates.add(&stats(10), Duration::from_secs(1));
        assert_eq!(rates.line(), "0 sessions/s, in 0 B/s, out 0 B/s");
    }
}
