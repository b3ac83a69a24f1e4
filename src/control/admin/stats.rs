//! Reading the statistics: sums over the blocks of the workers.
//!
//! Numbers are read one after the other while workers go on counting, so they need not agree with
//! each other.

use std::time::SystemTime;

use jiff::Timestamp;

use super::State;
use super::document::{
    BackendStats, Checks, FrontendStats, Process, ServerStats, Sessions, Stats, Worker,
    WorkerSessions,
};
use crate::config::{Backend, Frontend, Server};
use crate::shared::{Counter, Counters, FrontendCounters, Places, ServerCounters};

impl Stats {
    /// Reads them all. No lock is taken and no worker asked.
    pub fn read(state: &State) -> Self {
        let State { config, shared, .. } = state;
        Stats {
            process: process(state),
            workers: (0..shared.workers.len())
                .map(|index| worker(state, index))
                .collect(),
            frontends: (config.frontends.iter().enumerate())
                .map(|(index, frontend)| self::frontend(state, index, frontend))
                .collect(),
            backends: (config.backends.iter().enumerate())
                .map(|(index, backend)| self::backend(state, index, backend))
                .collect(),
        }
    }
}

fn process(state: &State) -> Process {
    let started = |worker: &Counters| worker.worker.0.sessions_started.get();
    Process {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        started: time(state.started),
        uptime_s: state.clock.elapsed().as_secs(),
        stopping: state.shared.is_stopping(),
        sessions: sessions(
            &state.shared.places,
            state.shared.workers.iter().map(started).sum(),
        ),
    }
}

fn sessions(places: &Places, total: u64) -> Sessions {
    Sessions {
        current: places.used(),
        max: places.peak(),
        limit: places.max(),
        total,
    }
}

fn worker(state: &State, index: usize) -> Worker {
    let counters = &state.shared.workers[index].worker.0;
    // In this order, so that sessions which begin in between do not make it negative.
    let ended = counters.sessions_ended.get();
    let started = counters.sessions_started.get();
    Worker {
        index,
        sessions: WorkerSessions {
            current: started.saturating_sub(ended),
            total: started,
        },
        bytes_from_clients: counters.bytes_from_clients.get(),
        bytes_from_servers: counters.bytes_from_servers.get(),
        connect_failures: counters.connect_failures.get(),
        retries: counters.retries.get(),
        shortages: counters.shortages.get(),
        log_lines_dropped: counters.log_lines_dropped.get(),
    }
}

fn frontend(state: &State, index: usize, frontend: &Frontend) -> FrontendStats {
    let sum = |count: fn(&FrontendCounters) -> &Counter| -> u64 {
        let workers = state.shared.workers.iter();
        workers
            .map(|worker| count(&worker.frontends[index]).get())
            .sum()
    };
    FrontendStats {
        name: frontend.name.clone(),
        listen: state.bound[index].clone(),
        backend: state.config.backends[frontend.backend].name.clone(),
        sessions: sessions(
            &state.shared.frontends[index].places,
            sum(|frontend| &frontend.sessions_started),
        ),
        bytes_from_clients: sum(|frontend| &frontend.bytes_from_clients),
        bytes_from_servers: sum(|frontend| &frontend.bytes_from_servers),
    }
}

fn backend(state: &State, index: usize, backend: &Backend) -> BackendStats {
    let waiting = |worker: &Counters| worker.backends[index].sessions_waiting.get();
    let servers = backend.servers.iter().enumerate();
    BackendStats {
        name: backend.name.clone(),
        balance: backend.balance.to_string(),
        sessions_waiting: state.shared.workers.iter().map(waiting).sum(),
        servers: servers
            .map(|(server_index, server)| self::server(state, index, server_index, server))
            .collect(),
    }
}

fn server(state: &State, backend: usize, index: usize, server: &Server) -> ServerStats {
    let sum = |count: fn(&ServerCounters) -> &Counter| -> u64 {
        let workers = state.shared.workers.iter();
        workers
            .map(|worker| count(&worker.backends[backend].servers[index]).get())
            .sum()
    };
    let status = (state.statuses)(backend, index);
    ServerStats {
        name: server.name.clone(),
        address: server.address,
        state: status.operational,
        admin_state: status.admin,
        reason: status.cause,
        since: time(status.changed),
        weight: status.weight,
        backup: server.backup,
        sessions: sessions(
            &state.shared.backends[backend].servers[index].places,
            sum(|server| &server.sessions_started),
        ),
        bytes_from_client: sum(|server| &server.bytes_from_clients),
        bytes_from_server: sum(|server| &server.bytes_from_server),
        connect_failures: sum(|server| &server.connect_failures),
        retries: sum(|server| &server.retries),
        checks: Checks {
            passed: status.checks_passed,
            failed: status.checks_failed,
            downs: status.downs,
        },
    }
}

/// As the log shows times, to the millisecond.
fn time(time: SystemTime) -> String {
    // A clock so wrong that it has no date is shown as the beginning of 1970.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Balance, Config, system_resolver};
    use crate::control::health::ServerStatus;
    use crate::shared::Shared;

    /// Two workers, of which each has counted something.
    fn state() -> State {
        let listen = ["127.0.0.1:0".to_owned()];
        let servers = ["127.0.0.1:1".to_owned(), "[::1]:2".to_owned()];
        let config = Config::simple(&listen, Balance::First, &servers, &system_resolver);
        let config = Arc::new(config.unwrap());
        let waker = || -> Box<dyn Fn() + Send + Sync> { Box::new(|| {}) };
        let shared = Shared::new(&config, 10, vec![waker(), waker()]);
        for (worker, times) in shared.workers.iter().zip([1, 2]) {
            worker.worker.0.sessions_started.add(5 * times);
            worker.worker.0.sessions_ended.add(times);
            worker.frontends[0].sessions_started.add(5 * times);
            worker.frontends[0].bytes_from_clients.add(10 * times);
            worker.backends[0].sessions_waiting.set(3 * times);
            worker.backends[0].servers[1].bytes_from_server.add(times);
            worker.backends[0].servers[1].retries.add(7);
        }
        assert!(shared.places.try_take() && shared.places.try_take());
        shared.places.give_back();
        let statuses = Box::new(|_, server| ServerStatus {
            operational: ["up", "down"][server],
            admin: "ready",
            usable: server == 0,
            weight: 5,
            cause: "L4CON refused".to_owned(),
            changed: SystemTime::UNIX_EPOCH,
            checks_passed: 11,
            checks_failed: 22,
            connects_failed: 33,
            downs: 44,
        });
        let bound = vec![vec!["127.0.0.1:8080".parse().unwrap()]];
        let mut state = State::new(config, Arc::new(shared), statuses, bound);
        state.started = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1500);
        state
    }

    fn read() -> Value {
        serde_json::to_value(Stats::read(&state())).unwrap()
    }

    #[test]
    fn workers_are_shown_one_by_one_and_summed_up() {
        let stats = read();
        assert_eq!(
            stats["process"],
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "pid": std::process::id(),
                "started": "1970-01-01T00:00:01.500Z",
                "uptime_s": 0,
                "stopping": false,
                "sessions": { "current": 1, "max": 2, "limit": 10, "total": 15 },
            })
        );
        assert_eq!(
            stats["workers"][1]["sessions"],
            json!({ "current": 8, "total": 10 })
        );
        assert_eq!(
            stats["frontends"],
            json!([{
                "name": "tcp",
                "listen": ["127.0.0.1:8080"],
                "backend": "servers",
                "sessions": { "current": 0, "max": 0, "limit": null, "total": 15 },
                "bytes_from_clients": 30,
                "bytes_from_servers": 0,
            }])
        );
        let backend = &stats["backends"][0];
        assert_eq!(
            (&backend["balance"], &backend["sessions_waiting"]),
            (&json!("first"), &json!(9))
        );
        let server = &backend["servers"][1];
        assert_eq!(server["address"], "[::1]:2");
        assert_eq!(
            (&server["state"], &server["weight"]),
            (&json!("down"), &json!(5))
        );
        assert_eq!(server["reason"], "L4CON refused");
        assert_eq!(
            server["checks"],
            json!({ "passed": 11, "failed": 22, "downs": 44 })
        );
        assert_eq!(
            (&server["bytes_from_server"], &server["retries"]),
            (&json!(3), &json!(14))
        );
    }

    #[test]
    fn names_stand_in_the_documented_order() {
        let text = serde_json::to_string(&Stats::read(&state())).unwrap();
        let mut rest = text.as_str();
        for name in [
            "process",
            "version",
            "pid",
            "started",
            "uptime_s",
            "stopping",
            "sessions",
            "workers",
            "index",
            "shortages",
            "frontends",
            "listen",
            "backends",
            "servers",
            "state",
            "admin_state",
            "reason",
            "since",
            "weight",
            "backup",
            "checks",
            "passed",
            "failed",
        ] {
            let at = rest.find(&format!("\"{name}\":"));
            rest = &rest[at.unwrap_or_else(|| panic!("{name} is not in {rest}"))..];
        }
    }
}
