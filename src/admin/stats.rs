//! `/api/v1/stats`: reading the statistics, sums over the blocks of the workers.
//!
//! Numbers are read one after the other while workers go on counting, so they need not agree with
//! each other.

use std::sync::Arc;
use std::time::SystemTime;

use axum::routing::get;
use axum::{Json, Router, extract};

use super::context::Context;
use super::document::{
    BackendSessions, BackendStats, Checks, DiscoveryStats, FrontendStats, LastReload, Process,
    Reload, RouteStats, ServerStats, Sessions, Stats, WithoutBusiest, Worker, WorkerSessions,
};
use super::history::{Past, Subject, sum};
use super::problems;
use super::state::State;
use crate::config::{Backend, Server};
use crate::control::api::DiscoveryFailure;
use crate::control::api::Reloader;
use crate::control::api::refused;
use crate::control::api::{Active, Bound};
use crate::logic::balance;
use crate::logic::client_limits::ClientRefusal;
use crate::logic::health::{AdminState, OperationalState};
use crate::logic::session::ErrorResponse;
use crate::snapshot::{Members, ServerShared, Snapshot};
use crate::sync::{Counter, SessionLimit, ShownAddress};
use crate::timestamp::rfc3339;

/// The status of a server that was removed and has sessions.
const LEAVING: &str = "LEAVING";

/// A server that is left out because sessions with it failed.
const EJECTED: &str = "EJECTED";

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/stats", context.guard.reads(get(stats)))
}

async fn stats(extract::State(state): extract::State<Arc<State>>) -> Json<Stats> {
    Json(Stats::read(&state))
}

impl Stats {
    /// Reads them all. No lock is taken and no worker asked.
    pub fn read(state: &State) -> Self {
        let active = state.active();
        let config = &active.snapshot.config;
        let process = process(state);
        let frontends: Vec<_> = (0..config.frontends.len())
            .map(|index| frontend(state, &active, index))
            .collect();
        let backends: Vec<_> = (0..config.backends.len())
            .map(|index| backend(state, &active.snapshot, index))
            .collect();
        Stats {
            problems: problems::find(&process, &frontends, &backends, SystemTime::now()),
            process,
            workers: (0..state.shared.workers.len())
                .map(|index| worker(state, index))
                .collect(),
            frontends,
            backends,
        }
    }
}

fn process(state: &State) -> Process {
    Process {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        engine: state.engine,
        started: rfc3339(state.started),
        started_at: state.started,
        uptime_s: state.clock.elapsed().as_secs(),
        now: rfc3339(SystemTime::now()),
        stopping: state.shared.is_stopping(),
        sessions: sessions(
            state,
            &Subject::Process,
            &state.shared.session_limit,
            sum(&state.shared.workers, |worker| &worker.sessions_started),
        ),
        reload: reload(&state.reloader),
        messages_dropped: crate::logging::messages_dropped(),
    }
}

fn reload(reloader: &Reloader) -> Reload {
    let last = reloader.last().map(|outcome| LastReload {
        at: rfc3339(outcome.at),
        ended: outcome.at,
        ok: outcome.result.is_ok(),
        error: outcome.result.err(),
    });
    Reload {
        version: reloader.version(),
        last,
    }
}

/// Rounded to one decimal.
fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

fn sessions(
    state: &State,
    subject: &Subject,
    session_limit: &SessionLimit,
    total: u64,
) -> Sessions {
    let rates = |past: &Past| [past.rate().sessions, past.sessions_max].map(tenths);
    let [rate, rate_max] = state.history.of(subject, rates);
    Sessions {
        current: session_limit.used(),
        max: session_limit.peak(),
        limit: session_limit.max(),
        total,
        rate,
        rate_max,
    }
}

fn worker(state: &State, index: usize) -> Worker {
    let counters = &state.shared.workers[index];
    // In this order, so that sessions which begin in between do not make it negative.
    let ended = counters.sessions_ended.get();
    let started = counters.sessions_started.get();
    Worker {
        index,
        stalled: state.loads.is_stalled(index),
        sessions: WorkerSessions {
            current: started.saturating_sub(ended),
            handed_over: counters.sessions_handed_over.get(),
            total: started,
        },
        bytes_from_clients: counters.bytes_from_clients.get(),
        bytes_from_servers: counters.bytes_from_servers.get(),
        connect_failures: counters.connect_failures.get(),
        retries: counters.retries.get(),
        shortages: counters.shortages.get(),
        log_lines_dropped: counters.log_lines_dropped.get(),
        buffer_misses: counters.buffer_misses.get(),
        stale_completions: counters.stale_completions.get(),
    }
}

fn frontend(state: &State, active: &Active, index: usize) -> FrontendStats {
    let config = &active.snapshot.config;
    let frontend = &config.frontends[index];
    let shared = &active.snapshot.frontends[index];
    let counters = &shared.counters;
    let answers = |answer: ErrorResponse| {
        let counts = counters.iter();
        let counts = counts.map(|worker| worker.answers[answer.index()].get());
        (answer.status(), counts.sum())
    };
    let subject = Subject::Frontend(frontend.name.clone());
    let total = sum(counters, |all| &all.sessions_started);
    FrontendStats {
        name: frontend.name.clone(),
        mode: frontend.mode.as_str(),
        listen: active.bound[index].iter().map(Bound::to_string).collect(),
        backend: frontend.backend.map(|it| config.backends[it].name.clone()),
        status: if state.shared.is_stopping() {
            "STOP"
        } else {
            "OPEN"
        },
        sessions: sessions(state, &subject, &shared.session_limit, total),
        bytes_from_clients: sum(counters, |all| &all.bytes_from_clients),
        bytes_from_servers: sum(counters, |all| &all.bytes_from_servers),
        refused: ClientRefusal::ALL
            .map(|refusal| (refusal.name(), refused(shared, refusal)))
            .into(),
        answers: ErrorResponse::ALL.into_iter().map(answers).collect(),
        opaque_answers: sum(counters, |all| &all.unparsed_responses),
        proxied_requests: sum(counters, |all| &all.requests_via_proxy),
        proxy_heads_wrong: sum(counters, |all| &all.proxy_heads_wrong),
        proxy_heads_late: sum(counters, |all| &all.proxy_heads_late),
        hellos_wrong: sum(counters, |all| &all.hellos_wrong),
        hellos_late: sum(counters, |all| &all.hellos_late),
        unrouted: sum(counters, |all| &all.unrouted),
        routes: routes_of(&active.snapshot, index),
    }
}

fn routes_of(snapshot: &Snapshot, frontend: usize) -> Option<Vec<RouteStats>> {
    let written = &snapshot.config.frontends[frontend].routes;
    let routes = written.iter().zip(&snapshot.routes[frontend]);
    let routes = routes.map(|(route, shared)| RouteStats {
        name: route.to_string(),
        backend: snapshot.config.backends[route.backend].name.clone(),
        sessions: shared.counters.iter().map(|it| it.sessions.get()).sum(),
    });
    (!written.is_empty()).then(|| routes.collect())
}

fn backend(state: &State, snapshot: &Snapshot, index: usize) -> BackendStats {
    let backend = &snapshot.config.backends[index];
    let shared = &snapshot.backends[index];
    let waiting = shared.queue.sessions_waiting.iter();
    let members = shared.members();
    let servers: Vec<ServerStats> = (members.all())
        .map(|member| self::server(state, &member.config, &member.server))
        .collect();
    let total = |of: fn(&ServerStats) -> u64, forgotten: &Counter| -> u64 {
        servers.iter().map(of).sum::<u64>() + forgotten.get()
    };
    let forgotten = &shared.queue.forgotten;
    let current = servers
        .iter()
        .map(|server| u64::from(server.sessions.current));
    let usable = |backup| {
        let of_kind = servers.iter().filter(|server| server.backup == backup);
        of_kind.filter(|server| server.usable).count()
    };
    let (active, backup) = (usable(false), usable(true));
    BackendStats {
        name: backend.name.clone(),
        balance: backend.balance.to_string(),
        status: if active + backup > 0 { "UP" } else { "DOWN" },
        active,
        backup,
        sessions_waiting: waiting.map(|worker| worker.get()).sum(),
        sessions: BackendSessions {
            current: current.sum(),
            total: total(|server| server.sessions.total, &forgotten.sessions_started),
            rate: tenths(servers.iter().map(|server| server.sessions.rate).sum()),
        },
        bytes_from_clients: total(
            |server| server.bytes_from_client,
            &forgotten.bytes_from_clients,
        ),
        bytes_from_servers: total(
            |server| server.bytes_from_server,
            &forgotten.bytes_from_server,
        ),
        connect_failures: total(
            |server| server.connect_failures,
            &forgotten.connect_failures,
        ),
        answer_failures: total(|server| server.answer_failures, &forgotten.answer_failures),
        retries: total(|server| server.retries, &forgotten.retries),
        reconnects: total(|server| server.reconnects, &forgotten.reconnects),
        redispatches: total(|server| server.redispatches, &forgotten.redispatches),
        downs: shared.queue.downs.get(),
        without_busiest: without_busiest(&members),
        discovery: discovery(state, backend),
        servers,
    }
}

fn without_busiest(members: &Members) -> Option<WithoutBusiest> {
    let found = balance::without_busiest(members, |index| {
        let limit = &members.servers()[index].server.session_limit;
        limit.max().map(|max| max.saturating_sub(limit.used()))
    })?;
    let percent = |share: f64| tenths(share * 100.0);
    Some(WithoutBusiest {
        server: members.servers()[found.busiest].config.name.clone(),
        sessions: found.sessions,
        share_percent: percent(found.share),
        others: found.others,
        others_share_percent: percent(found.others_share),
        free: found.free,
        fits: found.fits(),
    })
}

fn discovery(state: &State, backend: &Backend) -> Option<DiscoveryStats> {
    let query = &backend.discover.as_ref()?.query;
    let status = state.discovery.backend(&backend.name)?;
    let failures = DiscoveryFailure::ALL.iter().zip(status.failures);
    Some(DiscoveryStats {
        query: query.to_string(),
        servers: status.servers,
        left_out: status.left_out,
        last_success: status.last_success.map(rfc3339),
        last_success_at: status.last_success,
        is_failing: status.is_failing,
        failures: failures
            .map(|(failure, count)| (failure.label(), count))
            .collect(),
    })
}

/// Both states in one, as HAProxy has it: the administrative state comes before the operational state, but
/// a server that is down stays `DOWN` while it drains.
fn combined(admin: AdminState, operational: OperationalState) -> &'static str {
    match (admin, operational) {
        (AdminState::Maint, _) => "MAINT",
        (AdminState::Ready | AdminState::Drain, OperationalState::Down) => "DOWN",
        (AdminState::Drain, OperationalState::Up | OperationalState::Unchecked) => "DRAIN",
        (AdminState::Ready, OperationalState::Up) => "UP",
        (AdminState::Ready, OperationalState::Unchecked) => OperationalState::Unchecked.as_str(),
    }
}

pub(super) fn server(state: &State, server: &Server, shared: &ServerShared) -> ServerStats {
    let counters = &shared.counters;
    let status = (state.statuses)(shared);
    let leaving = shared.availability.is_leaving();
    let subject = Subject::Server(shared.id);
    let times = |past: &Past| (past.connect_time, past.session_time);
    let (connect_time, session_time) = state.history.of(&subject, times);
    let total = sum(counters, |all| &all.sessions_started);
    ServerStats {
        name: server.name.clone(),
        id: shared.id,
        address: server.address.to_string(),
        addresses: (shared.addresses.all().iter())
            .map(|address| ShownAddress(address).to_string())
            .collect(),
        status: if leaving {
            LEAVING
        } else if status.ejected {
            EJECTED
        } else {
            combined(status.admin, status.operational)
        },
        leaving,
        ejected: status.ejected,
        ejections: status.ejections,
        state: status.operational,
        admin_state: status.admin,
        reason: status.cause,
        since: rfc3339(status.changed),
        changed: status.changed,
        usable: status.balanced,
        weight: status.weight,
        weight_configured: server.weight,
        operator: status.by,
        backup: server.backup,
        sessions: sessions(state, &subject, &shared.session_limit, total),
        bytes_from_client: sum(counters, |all| &all.bytes_from_clients),
        bytes_from_server: sum(counters, |all| &all.bytes_from_server),
        connect_failures: sum(counters, |all| &all.connect_failures),
        answer_failures: sum(counters, |all| &all.answer_failures),
        retries: sum(counters, |all| &all.retries),
        reconnects: sum(counters, |all| &all.reconnects),
        redispatches: sum(counters, |all| &all.redispatches),
        connect_time,
        session_time,
        checks: Checks {
            passed: status.checks_passed,
            failed: status.checks_failed,
            failed_while_up: status.checks_failed_while_up,
            downs: status.downs,
            last: status.checked.map(rfc3339),
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};
    use tokio::sync::watch;

    use super::*;
    use crate::config::{Algorithm, Config, system_resolver};
    use crate::config::{Route, SessionRules};
    use crate::control::api::ServerStatus;
    use crate::logic::tls::Conditions;
    use crate::shared::Shared;
    use crate::snapshot::Registry;

    /// Two workers, of which each has counted something.
    pub fn state() -> State {
        let listen = ["127.0.0.1:0".to_owned()];
        let servers = ["127.0.0.1:1".to_owned(), "[::1]:2".to_owned()];
        let config = Config::simple(&listen, Algorithm::First, &servers, &system_resolver);
        let mut config = config.unwrap();
        config.frontends[0].routes.push(Route {
            conditions: Conditions {
                names: Vec::new(),
                protocols: vec!["h2".to_owned()],
            },
            backend: 0,
            session: SessionRules::default(),
        });
        let snapshot = Registry::new(2).snapshot(config);
        let waker = || -> Box<dyn Fn() + Send + Sync> { Box::new(|| {}) };
        let shared = Shared::new(10, vec![waker(), waker()]);
        for (worker, times) in [(0, 1), (1, 2)] {
            let process = &shared.workers[worker];
            process.sessions_started.add(5 * times);
            process.sessions_ended.add(times);
            let frontend = &snapshot.frontends[0].counters[worker];
            frontend.sessions_started.add(5 * times);
            frontend.bytes_from_clients.add(10 * times);
            frontend.answers[ErrorResponse::Unavailable.index()].add(2 * times);
            frontend.unparsed_responses.add(4 * times);
            frontend.requests_via_proxy.add(times);
            frontend.proxy_heads_wrong.add(5 * times);
            frontend.proxy_heads_late.add(6 * times);
            frontend.hellos_wrong.add(7 * times);
            frontend.hellos_late.add(8 * times);
            frontend.unrouted.add(9 * times);
            snapshot.routes[0][0].counters[worker]
                .sessions
                .add(10 * times);
            let queue = &snapshot.backends[0].queue;
            queue.sessions_waiting[worker].set(3 * times);
            let server = &snapshot.server(0, 1).counters[worker];
            server.bytes_from_server.add(times);
            server.retries.add(7);
        }
        assert!(shared.session_limit.try_acquire() && shared.session_limit.try_acquire());
        shared.session_limit.release();
        let second = snapshot.server(0, 1).id;
        let statuses = Box::new(move |server: &ServerShared| ServerStatus {
            operational: if server.id == second {
                OperationalState::Down
            } else {
                OperationalState::Up
            },
            admin: AdminState::Ready,
            usable: server.id != second,
            balanced: server.id != second,
            weight: 5,
            by: None,
            cause: "L4CON refused".to_owned(),
            changed: SystemTime::UNIX_EPOCH,
            ejected: false,
            ejections: 55,
            checks_passed: 11,
            checks_failed: 22,
            checks_failed_while_up: 12,
            connects_failed: 33,
            downs: 44,
            checked: Some(SystemTime::UNIX_EPOCH),
        });
        let bound = vec![vec![Bound::Ip("127.0.0.1:8080".parse().unwrap())]];
        let (_, active) = watch::channel(Arc::new(Active {
            snapshot,
            bound,
            listeners: Vec::new(),
        }));
        let mut state = State::new(
            "io_uring",
            active.clone(),
            Arc::new(shared),
            statuses,
            Reloader::new(active).0,
        );
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
                "engine": "io_uring",
                "started": "1970-01-01T00:00:01.500Z",
                "uptime_s": 0,
                "now": stats["process"]["now"],
                "stopping": false,
                "sessions": {
                    "current": 1, "max": 2, "limit": 10, "total": 15, "rate": 0.0, "rate_max": 0.0,
                },
                "reload": { "version": 1, "last": null },
                "messages_dropped": 0,
            })
        );
        assert_eq!(
            stats["workers"][1]["sessions"],
            json!({ "current": 8, "handed_over": 0, "total": 10 })
        );
        assert_eq!(
            stats["frontends"],
            json!([{
                "name": "tcp",
                "mode": "tcp",
                "listen": ["127.0.0.1:8080"],
                "backend": "servers",
                "status": "OPEN",
                "sessions": {
                    "current": 0, "max": 0, "limit": null, "total": 15, "rate": 0.0, "rate_max": 0.0,
                },
                "bytes_from_clients": 30,
                "bytes_from_servers": 0,
                "refused": { "denied": 0, "not_allowed": 0, "rate": 0, "sessions": 0 },
                "answers": { "400": 0, "408": 0, "431": 0, "502": 0, "503": 6, "504": 0 },
                "opaque_answers": 12,
                "proxied_requests": 3,
                "proxy_heads_wrong": 15,
                "proxy_heads_late": 18,
                "hellos_wrong": 21,
                "hellos_late": 24,
                "unrouted": 27,
                "routes": [{ "name": "alpn=h2", "backend": "servers", "sessions": 30 }],
                "status": "OPEN",
            }])
        );
        let backend = &stats["backends"][0];
        assert_eq!(
            (&backend["balance"], &backend["sessions_waiting"]),
            (&json!("first"), &json!(9))
        );
        assert_eq!(
            [&backend["status"], &backend["active"], &backend["retries"]],
            [&json!("UP"), &json!(1), &json!(14)]
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
            json!({ "passed": 11, "failed": 22, "failed_while_up": 12, "downs": 44, "last": "1970-01-01T00:00:00.000Z" })
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
            "engine",
            "started",
            "uptime_s",
            "stopping",
            "sessions",
            "workers",
            "index",
            "shortages",
            "frontends",
            "listen",
            "answers",
            "opaque_answers",
            "proxied_requests",
            "proxy_heads_wrong",
            "proxy_heads_late",
            "hellos_wrong",
            "hellos_late",
            "unrouted",
            "routes",
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
