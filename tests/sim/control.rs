//! The control plane of a run: draws configurations, opens listeners, remembers what must hold
//! whatever is reloaded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use ringway::config::{self, Config, Listen};
use ringway::shared::{Counter, WorkerCounters};
use ringway::snapshot::{FrontendCounters, Registry, ServerCounters, Snapshot};
use ringway::worker::Listening;

use crate::kernel::Listener;
use crate::random::Random;

/// Whether somebody looks at statistics, so that the bytes of open sessions are counted.
#[derive(Clone, Copy, Debug)]
pub enum Looked {
    At,
    Not,
}

impl From<&mut Random> for Looked {
    fn from(random: &mut Random) -> Self {
        if random.chance(30) {
            Looked::At
        } else {
            Looked::Not
        }
    }
}

/// Draws a configuration; `varied`: frontends and backends come and go with it.
pub fn configuration(random: &mut Random, looked: Looked, varied: bool) -> Config {
    let mut text = format!(
        "[global]\nmax_sessions = {}\n\
         [defaults]\nconnect_timeout = \"500ms\"\nidle_timeout = \"2s\"\n\
         half_closed_timeout = \"1s\"\nqueue_timeout = \"{}ms\"\nretries = {}\n",
        random.up_to(20),
        1 + random.below(2_000),
        random.below(4),
    );
    if let Looked::At = looked {
        text += "[admin]\nlisten = \"127.0.0.1:0\"\n";
    }
    let both = ["f", "g"];
    let frontends = match random.below(3) {
        1 if varied => &both[1..],
        2 if varied => &both[..],
        _ => &both[..1],
    };
    // An address belongs to one of them, not always to the same.
    let mut ports: Vec<u16> = (1..=4).collect();
    for frontend in frontends {
        let count = if varied { random.up_to(2) } else { 1 };
        let listen: Vec<String> = (0..count)
            .map(|_| {
                let index = random.below(ports.len() as u64) as usize;
                format!("\"127.0.0.1:{}\"", ports.remove(index))
            })
            .collect();
        let backend = if varied && random.chance(40) {
            "c"
        } else {
            "b"
        };
        text += &format!(
            "[frontend.{frontend}]\nlisten = [{}]\nbackend = \"{backend}\"\n",
            listen.join(", ")
        );
        if random.chance(30) {
            text += &format!("max_sessions = {}\n", random.up_to(5));
        }
    }
    let backends: &[(&str, u64)] = if varied {
        &[("b", 0), ("c", 100)]
    } else {
        &[("b", 0)]
    };
    for (backend, first_port) in backends {
        text += &self::backend(random, backend, *first_port, varied);
    }
    match config::parse("sim.toml", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

fn backend(random: &mut Random, name: &str, first_port: u64, varied: bool) -> String {
    let algorithms = [
        "round_robin",
        "least_conn",
        "random",
        "source_hash",
        "first",
    ];
    let algorithm = algorithms[random.below(5) as usize];
    let mut text = format!("[backend.{name}]\nbalance = \"{algorithm}\"\nservers = [\n");
    let first = if varied { random.below(3) } else { 0 };
    for server in first + 1..=first + random.up_to(4) {
        let port = first_port + server;
        text += &format!("{{ name = \"s{server}\", address = \"127.0.0.1:{port}\"");
        if random.chance(40) {
            text += &format!(", max_sessions = {}", random.up_to(4));
        }
        if random.chance(30) {
            text += &format!(", weight = {}", random.below(4));
        }
        if random.chance(20) {
            text += ", backup = true";
        }
        text += " },\n";
    }
    text + "]\n"
}

/// A bound that changes: the highest that it ever was; `None`: for a time there was none.
type Highest = Option<u32>;

fn raise(highest: &mut Highest, bound: Option<u32>) {
    *highest = highest
        .zip(bound)
        .map(|(highest, bound)| highest.max(bound));
}

/// What the control plane of a run knows.
pub struct Control {
    registry: Registry,
    newest: Option<Arc<Snapshot>>,
    /// All that there ever were.
    snapshots: Vec<Weak<Snapshot>>,
    /// The same, so that nothing is forgotten and all counters can be added up.
    remembered: Option<Vec<Arc<Snapshot>>>,
    /// Numbers of open listeners, by port.
    listening: HashMap<u16, u64>,
    next_id: u64,
    workers: usize,
    process_bound: Highest,
    frontend_bounds: HashMap<String, Highest>,
    server_bounds: HashMap<SocketAddr, Highest>,
}

impl Control {
    pub fn new(workers: usize, remembers: bool) -> Self {
        Control {
            registry: Registry::new(workers),
            newest: None,
            snapshots: Vec::new(),
            remembered: remembers.then(Vec::new),
            listening: HashMap::new(),
            next_id: 0,
            workers,
            process_bound: Some(0),
            frontend_bounds: HashMap::new(),
            server_bounds: HashMap::new(),
        }
    }

    pub fn newest(&self) -> &Arc<Snapshot> {
        self.newest.as_ref().expect("there is always one")
    }

    /// Those that anybody still has.
    pub fn in_use(&self) -> Vec<Arc<Snapshot>> {
        self.snapshots.iter().filter_map(Weak::upgrade).collect()
    }

    pub fn looked(&self) -> Looked {
        match self.newest().config.admin {
            Some(_) => Looked::At,
            None => Looked::Not,
        }
    }

    /// Makes a snapshot, and does what the health thread does with it.
    pub fn adopt(&mut self, config: Config) -> Arc<Snapshot> {
        let snapshot = self.registry.snapshot(config);
        let config = &snapshot.config;
        raise(&mut self.process_bound, config.global.sessions_max);
        for frontend in &config.frontends {
            let bound = self.frontend_bounds.entry(frontend.name.clone());
            raise(bound.or_insert(Some(0)), frontend.sessions_max);
        }
        for (backend, shared) in config.backends.iter().zip(&snapshot.backends) {
            for (server, shared) in backend.servers.iter().zip(&shared.servers) {
                let bound = self.server_bounds.entry(server.address);
                raise(bound.or_insert(Some(0)), server.sessions_max);
                shared.liveness.publish(true, server.weight.into());
            }
        }
        self.snapshots.push(Arc::downgrade(&snapshot));
        if let Some(remembered) = &mut self.remembered {
            remembered.push(Arc::clone(&snapshot));
        }
        self.newest = Some(Arc::clone(&snapshot));
        snapshot
    }

    /// The listeners of each worker with the newest snapshot; `open` opens one.
    pub fn listeners(
        &mut self,
        mut open: impl FnMut(usize) -> Listener,
    ) -> Vec<Vec<Listening<Listener>>> {
        let known = std::mem::take(&mut self.listening);
        let mut by_worker: Vec<Vec<_>> = (0..self.workers).map(|_| Vec::new()).collect();
        let snapshot = Arc::clone(self.newest());
        for (frontend, written) in snapshot.config.frontends.iter().enumerate() {
            for listen in &written.listen {
                let Listen::Address(address) = listen else {
                    panic!("only addresses are drawn");
                };
                let id = known.get(&address.port()).copied().unwrap_or_else(|| {
                    self.next_id += 1;
                    self.next_id
                });
                for (worker, listeners) in by_worker.iter_mut().enumerate() {
                    let is_open = known.contains_key(&address.port());
                    listeners.push(Listening {
                        id,
                        frontend: frontend as u16,
                        opened: (!is_open).then(|| open(worker)),
                    });
                }
                self.listening.insert(address.port(), id);
            }
        }
        by_worker
    }

    /// No bound is ever exceeded, however it moves.
    pub fn check_bounds(&self, open: u32) {
        let within = |used: u32, bound: Highest| bound.is_none_or(|bound| used <= bound);
        assert!(within(open, self.process_bound), "{open} sessions");
        for snapshot in self.in_use() {
            for (frontend, shared) in snapshot.config.frontends.iter().zip(&snapshot.frontends) {
                let used = shared.places.used();
                let bound = self.frontend_bounds[&frontend.name];
                assert!(within(used, bound), "{used} sessions of {}", frontend.name);
            }
        }
    }

    /// No server ever had more connections than it may have.
    pub fn check_servers(&self, open_max: &HashMap<SocketAddr, u32>) {
        for (address, most) in open_max {
            let bound = self.server_bounds[address];
            assert!(
                bound.is_none_or(|bound| *most <= bound),
                "{address}: {most}"
            );
        }
    }

    /// The workers are gone: nothing is taken any more, nobody waits, old snapshots are gone, and
    /// what is counted twice agrees. Returns how many reloads there were.
    pub fn check_end(&mut self, workers: &[&WorkerCounters]) -> u64 {
        for snapshot in self.in_use() {
            for frontend in &snapshot.frontends {
                assert_eq!(frontend.places.used(), 0);
                assert!(!frontend.paused.any(), "somebody still waits to accept");
            }
            for backend in &snapshot.backends {
                let mut servers = backend.servers.iter();
                assert!(servers.all(|server| server.places.used() == 0));
                let mut servers = backend.servers.iter();
                assert!(servers.all(|server| !server.waiting.any()));
                assert!(!backend.queue.waiting.any(), "somebody still waits");
                for waiting in &backend.queue.sessions_waiting {
                    assert_eq!(waiting.0.get(), 0);
                }
            }
        }
        match self.remembered.take() {
            Some(remembered) => {
                for (index, worker) in workers.iter().enumerate() {
                    check_counters(worker, index, &remembered);
                }
            }
            None => assert_eq!(self.in_use().len(), 1, "an old configuration is kept"),
        }
        self.reloads() as u64
    }

    /// How many reloads there were so far.
    pub fn reloads(&self) -> usize {
        self.snapshots.len() - 1
    }
}

/// What is counted twice must agree.
fn check_counters(worker: &WorkerCounters, index: usize, snapshots: &[Arc<Snapshot>]) {
    let mut frontends: Vec<_> = (snapshots.iter())
        .flat_map(|snapshot| &snapshot.frontends)
        .collect();
    frontends.sort_by_key(|frontend| Arc::as_ptr(frontend));
    frontends.dedup_by_key(|frontend| Arc::as_ptr(frontend));
    let of_frontends = |count: fn(&FrontendCounters) -> &Counter| -> u64 {
        let frontends = frontends.iter();
        frontends
            .map(|frontend| count(&frontend.counters[index].0).get())
            .sum()
    };
    let mut servers: Vec<_> = (snapshots.iter())
        .flat_map(|snapshot| &snapshot.backends)
        .flat_map(|backend| &backend.servers)
        .collect();
    servers.sort_by_key(|server| server.id);
    servers.dedup_by_key(|server| server.id);
    let of_servers = |count: fn(&ServerCounters) -> &Counter| -> u64 {
        let servers = servers.iter();
        servers
            .map(|server| count(&server.counters[index].0).get())
            .sum()
    };
    let (from_clients, from_servers) = (
        worker.bytes_from_clients.get(),
        worker.bytes_from_servers.get(),
    );
    assert_eq!(
        [worker.sessions_started.get(), from_clients, from_servers,],
        [
            of_frontends(|frontend| &frontend.sessions_started),
            of_frontends(|frontend| &frontend.bytes_from_clients),
            of_frontends(|frontend| &frontend.bytes_from_servers),
        ]
    );
    let failures = worker.connect_failures.get();
    assert_eq!(
        [from_clients, from_servers, failures, worker.retries.get()],
        [
            of_servers(|server| &server.bytes_from_clients),
            of_servers(|server| &server.bytes_from_server),
            of_servers(|server| &server.connect_failures),
            of_servers(|server| &server.retries),
        ]
    );
    assert!(of_servers(|server| &server.sessions_started) >= failures);
}
