//! The control plane of a run: makes snapshots, opens listeners, remembers what must hold whatever
//! is reloaded.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use ringway::config::{Config, Listen, Mode};
use ringway::shared::{Counter, WorkerCounters};
use ringway::snapshot::{FrontendCounters, Registry, ServerCounters, Snapshot};
use ringway::worker::Listening;

use crate::kernel::Listener;

/// The second address of servers that have two.
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

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
                let address = server.address.ip().expect("no host name");
                let bound = self.server_bounds.entry(address);
                raise(bound.or_insert(Some(0)), server.sessions_max);
                if address.port() % 2 == 0 {
                    // As if a name had two addresses.
                    let all = vec![address, second_address(address)];
                    shared.addresses.resolved(all);
                }
                shared.availability.publish(true, server.weight.into());
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
                let used = shared.session_limit.used();
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
                assert_eq!(frontend.session_limit.used(), 0);
                assert!(!frontend.paused.any(), "somebody still waits to accept");
            }
            for backend in &snapshot.backends {
                let mut servers = backend.servers.iter();
                assert!(servers.all(|server| server.session_limit.used() == 0));
                let mut servers = backend.servers.iter();
                assert!(servers.all(|server| !server.waiting.any()));
                assert!(!backend.queue.waiting.any(), "somebody still waits");
                for waiting in &backend.queue.sessions_waiting {
                    assert_eq!(waiting.get(), 0);
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
            .map(|frontend| count(&frontend.counters[index]).get())
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
            .map(|server| count(&server.counters[index]).get())
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
        [from_servers, failures, worker.retries.get()],
        [
            of_servers(|server| &server.bytes_from_server),
            of_servers(|server| &server.connect_failures),
            of_servers(|server| &server.retries),
        ]
    );
    let for_servers = of_servers(|server| &server.bytes_from_clients);
    let mut frontends = snapshots.iter().flat_map(|s| &s.config.frontends);
    if frontends.all(|frontend| frontend.mode == Mode::Tcp) {
        assert_eq!(from_clients, for_servers);
    } else {
        // Some clients never get as far as a server.
        assert!(from_clients >= for_servers);
    }
    assert!(of_servers(|server| &server.sessions_started) >= failures);
}

/// Another address of the server that has this one.
fn second_address(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(SECOND.into());
    address
}

/// The address in the configuration of the server that has this one.
pub fn first_address(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(Ipv4Addr::LOCALHOST.into());
    address
}
