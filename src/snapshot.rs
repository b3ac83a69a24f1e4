//! A configuration in use, and what all workers share of each frontend, backend and server in it.
//!
//! A [`Snapshot`] never changes. A reload makes another one, in which frontends, backends and
//! servers that are still the same are the same objects: they keep their sessions, counters and
//! health. The [`Registry`] knows which are; the control plane has one. Workers hold a snapshot for
//! as long as one of its sessions is open.
//!
//! Nothing here is touched for a byte that is relayed.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::config::{Address, Backend, Config, Server};
use crate::logic::histogram::{CONNECT, QUEUE, SESSION, Scale};
use crate::logic::session::{ErrorResponse, Summary};
use crate::sync::{
    Addresses, ConnectFailures, Counter, Gauge, ServerAvailability, SessionLimit, WaitRegistry,
};

/// What one worker counts for one frontend.
#[derive(Debug, Default)]
pub struct FrontendCounters {
    /// Sessions that began.
    pub sessions_started: Counter,
    /// Bytes read from clients.
    pub bytes_from_clients: Counter,
    /// Bytes read from servers.
    pub bytes_from_servers: Counter,
    /// Answers of our own, by [`ErrorResponse::index`].
    pub answers: [Counter; ErrorResponse::ALL.len()],
    /// Answers of servers that passed as they are, because they are not HTTP or their head is too
    /// long.
    pub unparsed_responses: Counter,
    /// Requests for a backend with a sticky cookie that came through a proxy, which may put
    /// several users on one connection.
    pub requests_via_proxy: Counter,
}

/// What one worker counts for one server.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Sessions that it was given; those that went elsewhere after a failed connect are among them.
    pub sessions_started: Counter,
    /// Bytes read from clients for it.
    pub bytes_from_clients: Counter,
    /// Bytes read from it.
    pub bytes_from_server: Counter,
    /// Connect attempts to it that failed.
    pub connect_failures: Counter,
    /// Connect attempts to it that were not the first of their session.
    pub retries: Counter,
    /// Those of them that followed a failed one to this very server.
    pub reconnects: Counter,
    /// Connect attempts to other servers that followed a failed one to this.
    pub redispatches: Counter,
    /// How long its sessions took.
    pub times: Times,
}

/// How often a duration fell into each bucket of a scale, as one worker counts it.
#[derive(Debug)]
pub struct Histogram<const BUCKETS: usize> {
    /// By index of the bucket.
    pub counts: [Counter; BUCKETS],
    /// All durations together, in microseconds.
    pub sum: Counter,
}

impl<const BUCKETS: usize> Default for Histogram<BUCKETS> {
    fn default() -> Self {
        Histogram {
            counts: std::array::from_fn(|_| Counter::default()),
            sum: Counter::default(),
        }
    }
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    fn record(&self, scale: Scale<BUCKETS>, duration: Duration) {
        self.counts[scale.bucket(duration)].add(1);
        self.sum.add(duration.as_micros() as u64);
    }
}

/// How long the sessions of a server took that were connected to it and have ended.
#[derive(Debug, Default)]
pub struct Times {
    /// In the queue, on the scale [`QUEUE`].
    pub queue: Histogram<{ QUEUE.buckets() }>,
    /// From the first choice of a server to the connection, on the scale [`CONNECT`].
    pub connect: Histogram<{ CONNECT.buckets() }>,
    /// From accept to the end, on the scale [`SESSION`].
    pub session: Histogram<{ SESSION.buckets() }>,
}

// There is one for each server and worker.
const _: () = assert!(size_of::<Times>() < 1024);

impl Times {
    /// Counts a session that ended. One that never was connected is not counted.
    pub fn record(&self, summary: &Summary) {
        if let Some(connect) = summary.connect {
            self.queue.record(QUEUE, summary.waited);
            self.connect.record(CONNECT, connect);
            self.session.record(SESSION, summary.total);
        }
    }
}

/// One element for each worker, which alone writes it, on cache lines of its own.
pub type ByWorker<T> = Box<[CachePadded<T>]>;

fn by_worker<T: Default>(workers: usize) -> ByWorker<T> {
    (0..workers).map(|_| CachePadded::default()).collect()
}

/// A frontend as all workers see it: the same object as long as its name is the same.
#[derive(Debug)]
pub struct FrontendShared {
    /// Of this process, never used again.
    pub id: u64,
    /// Its sessions.
    pub session_limit: SessionLimit,
    /// Workers that stopped accepting because the limit is reached.
    pub paused: WaitRegistry,
    /// What each worker counts.
    pub counters: ByWorker<FrontendCounters>,
}

/// The queue of a backend as all workers see it: sessions that wait for a slot on any of its servers. It is the
/// same object as long as the backend's name is the same.
#[derive(Debug)]
pub struct QueueShared {
    /// Of this process, never used again.
    pub id: u64,
    /// Workers with sessions that wait.
    pub waiting: WaitRegistry,
    /// How many sessions of each worker wait now.
    pub sessions_waiting: ByWorker<Gauge>,
    /// Times that the last usable server was lost; the health thread counts them.
    pub downs: Counter,
}

/// A server as all workers see it: the same object as long as the name of its backend, its own name and its
/// address as it is written are the same.
#[derive(Debug)]
pub struct ServerShared {
    /// Of this process, never used again.
    pub id: u64,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Sessions that were given to it.
    pub session_limit: SessionLimit,
    /// Whether it takes new ones.
    pub availability: ServerAvailability,
    /// Workers with sessions that wait for a slot on this very server.
    pub waiting: WaitRegistry,
    /// The queue of its backend.
    pub queue: Arc<QueueShared>,
    /// Connects that failed.
    pub connect_failures: ConnectFailures,
    /// What each worker counts.
    pub counters: ByWorker<ServerCounters>,
}

impl ServerShared {
    /// Whether a session that a cookie leads here would get a slot now.
    pub fn is_open(&self) -> bool {
        self.availability.is_usable() && self.session_limit.free() > 0
    }

    /// Whether any session would get a slot now. While sessions that a cookie leads here wait, free slots are
    /// theirs.
    pub fn is_open_to_any(&self) -> bool {
        self.is_open() && self.availability.weight() > 0 && !self.waiting.any()
    }
}

/// A backend as all workers see it.
#[derive(Clone, Debug)]
pub struct BackendShared {
    /// By index of the server.
    pub servers: Vec<Arc<ServerShared>>,
    /// The queue of sessions for any of them.
    pub queue: Arc<QueueShared>,
}

impl BackendShared {
    /// Whether new sessions can be given to any of its servers.
    pub fn has_usable(&self) -> bool {
        let mut availability = self.servers.iter().map(|server| &server.availability);
        availability.any(|availability| availability.is_usable() && availability.weight() > 0)
    }
}

/// A configuration in use.
#[derive(Debug)]
pub struct Snapshot {
    /// 1 for the first of the process, one more for each that follows.
    pub version: u64,
    /// The configuration.
    pub config: Config,
    /// By index of the frontend.
    pub frontends: Vec<Arc<FrontendShared>>,
    /// By index of the backend.
    pub backends: Vec<BackendShared>,
    /// Indices of frontends, by [`FrontendShared::id`].
    index_by_id: HashMap<u64, usize>,
}

impl Snapshot {
    /// The server of these indices.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn server(&self, backend: usize, server: usize) -> &Arc<ServerShared> {
        &self.backends[backend].servers[server]
    }

    /// The index of a frontend, if this configuration has it.
    pub fn index_of(&self, frontend: &Arc<FrontendShared>) -> Option<usize> {
        self.index_by_id.get(&frontend.id).copied()
    }
}

/// What identifies a server: the name of its backend, its own name, its address as it is written.
type ServerKey = (String, String, Address);

/// Everything that is in use anywhere in the process, by name. A server that a configuration drops and a later
/// one brings back is the same object if a session still uses it, so that its limits count both.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    /// Of the newest snapshot.
    version: u64,
    /// Of the newest server.
    server_id: u64,
    /// Of the newest frontend or backend.
    id: u64,
    frontends: HashMap<String, Weak<FrontendShared>>,
    queues: HashMap<String, Weak<QueueShared>>,
    servers: HashMap<ServerKey, Weak<ServerShared>>,
}

impl Registry {
    /// For a process with so many workers.
    pub fn new(workers: usize) -> Self {
        Registry {
            workers,
            version: 0,
            server_id: 0,
            id: 0,
            frontends: HashMap::new(),
            queues: HashMap::new(),
            servers: HashMap::new(),
        }
    }

    /// The next snapshot. The limits of `config` hold from now on.
    pub fn snapshot(&mut self, config: Config) -> Arc<Snapshot> {
        self.frontends.retain(|_, found| found.strong_count() > 0);
        self.queues.retain(|_, found| found.strong_count() > 0);
        self.servers.retain(|_, found| found.strong_count() > 0);
        self.version += 1;
        let frontends = config.frontends.iter();
        let frontends = frontends.map(|frontend| self.frontend(&frontend.name));
        let frontends: Vec<_> = frontends.collect();
        for (shared, frontend) in frontends.iter().zip(&config.frontends) {
            shared.session_limit.set_max(frontend.sessions_max);
        }
        let backends = config.backends.iter();
        let backends = backends.map(|backend| self.backend(backend)).collect();
        let ids = frontends.iter().map(|frontend| frontend.id);
        Arc::new(Snapshot {
            index_by_id: ids.zip(0..).collect(),
            version: self.version,
            config,
            frontends,
            backends,
        })
    }

    fn frontend(&mut self, name: &str) -> Arc<FrontendShared> {
        let workers = self.workers;
        self.id += 1;
        let id = self.id;
        find_or_make(&mut self.frontends, name.to_owned(), || FrontendShared {
            id,
            session_limit: SessionLimit::new(None),
            paused: WaitRegistry::new(workers),
            counters: by_worker(workers),
        })
    }

    fn backend(&mut self, backend: &Backend) -> BackendShared {
        let workers = self.workers;
        self.id += 1;
        let id = self.id;
        let queue = find_or_make(&mut self.queues, backend.name.clone(), || QueueShared {
            id,
            waiting: WaitRegistry::new(workers),
            sessions_waiting: by_worker(workers),
            downs: Counter::default(),
        });
        let servers = backend.servers.iter();
        let servers = servers.map(|server| self.server(&backend.name, server, &queue));
        BackendShared {
            servers: servers.collect(),
            queue: Arc::clone(&queue),
        }
    }

    fn server(
        &mut self,
        backend: &str,
        server: &Server,
        queue: &Arc<QueueShared>,
    ) -> Arc<ServerShared> {
        let key = (
            backend.to_owned(),
            server.name.clone(),
            server.address.clone(),
        );
        let id = self.server_id + 1;
        let workers = self.workers;
        let shared = find_or_make(&mut self.servers, key, || ServerShared {
            id,
            addresses: Addresses::new(server.address.ip().into_iter().collect()),
            session_limit: SessionLimit::new(None),
            availability: ServerAvailability::new(server.weight.into()),
            waiting: WaitRegistry::new(workers),
            queue: Arc::clone(queue),
            connect_failures: ConnectFailures::default(),
            counters: by_worker(workers),
        });
        self.server_id = self.server_id.max(shared.id);
        shared.session_limit.set_max(server.sessions_max);
        shared
    }
}

fn find_or_make<K: Eq + std::hash::Hash, T>(
    known: &mut HashMap<K, Weak<T>>,
    key: K,
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let entry = known.entry(key).or_default();
    entry.upgrade().unwrap_or_else(|| {
        let made = Arc::new(make());
        *entry = Arc::downgrade(&made);
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, system_resolver};

    /// A frontend of this name before a backend with these servers: name, port, `max_sessions`.
    fn config(frontend: &str, backend: &str, servers: &[(&str, u16, u32)]) -> Config {
        let servers: Vec<String> = (servers.iter())
            .map(|(name, port, max)| {
                format!("{{ name = \"{name}\", address = \"[::1]:{port}\", max_sessions = {max} }}")
            })
            .collect();
        let text = format!(
            "[frontend.{frontend}]\nlisten = [\"[::1]:0\"]\nbackend = \"{backend}\"\n\
             [backend.{backend}]\nservers = [{}]\n",
            servers.join(", ")
        );
        match parse("x.toml", &text, &system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        }
    }

    #[test]
    fn what_is_still_the_same_stays_itself() {
        let mut registry = Registry::new(2);
        let old = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
        // Another order and bound, an address that moved, a new server.
        let new = [("s2", 20, 5), ("s1", 1, 9), ("s3", 3, 5)];
        let new = registry.snapshot(config("f", "b", &new));
        assert_eq!((old.version, new.version), (1, 2));
        assert!(Arc::ptr_eq(&old.frontends[0], &new.frontends[0]));
        assert!(Arc::ptr_eq(&old.backends[0].queue, &new.backends[0].queue));
        assert!(Arc::ptr_eq(old.server(0, 0), new.server(0, 1)));
        assert_eq!(
            old.server(0, 0).session_limit.max(),
            Some(9),
            "the new bound"
        );
        assert!(!Arc::ptr_eq(old.server(0, 1), new.server(0, 0)));
        let mut ids = vec![old.server(0, 0).id, old.server(0, 1).id];
        ids.extend([new.server(0, 0).id, new.server(0, 2).id]);
        ids.dedup();
        assert_eq!(ids.len(), 4, "{ids:?}");
    }

    #[test]
    fn other_names_are_others() {
        let mut registry = Registry::new(1);
        let old = registry.snapshot(config("f", "b", &[("s", 1, 5)]));
        let new = registry.snapshot(config("g", "c", &[("s", 1, 5)]));
        assert_eq!(new.index_of(&old.frontends[0]), None);
        assert_eq!(new.index_of(&new.frontends[0]), Some(0));
        assert!(!Arc::ptr_eq(&old.backends[0].queue, &new.backends[0].queue));
        assert!(!Arc::ptr_eq(old.server(0, 0), new.server(0, 0)));
    }

    #[test]
    fn what_comes_back_is_itself_while_a_session_has_it() {
        let mut registry = Registry::new(1);
        let first = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
        assert!(first.server(0, 1).session_limit.try_acquire());
        let without = registry.snapshot(config("f", "b", &[("s1", 1, 5)]));
        let again = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
        assert_eq!(
            again.server(0, 1).session_limit.used(),
            1,
            "a session is open"
        );
        drop((first, again));
        let again = registry.snapshot(config("f", "b", &[("s1", 1, 5), ("s2", 2, 5)]));
        assert_eq!(again.server(0, 1).session_limit.used(), 0, "nobody had it");
        drop((without, again));
        let last = registry.snapshot(config("f", "b", &[("s3", 3, 5)]));
        assert_eq!(registry.servers.len(), 1, "nothing is kept for good");
        assert_eq!(last.version, 5);
    }
}
