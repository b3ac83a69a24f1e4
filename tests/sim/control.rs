//! The control plane of a run: makes snapshots, opens listeners, remembers what must hold whatever
//! is reloaded.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use ringway::config::{Backend, Config, Listen, Mode, Server};
use ringway::shared::WorkerCounters;
use ringway::snapshot::{
    FrontendCounters, Member, MembersChange, Registry, ServerCounters, ServerShared, Snapshot,
    Source,
};
use ringway::sync::{ClientTable, Counter};
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
    /// All servers that there ever were, by their id, if anything is remembered.
    servers: HashMap<u64, Arc<ServerShared>>,
    /// Servers that backends ever had beside those of their configuration, by the name of the backend.
    beside: HashMap<String, Vec<Server>>,
    /// How often the servers of a backend have changed without a reload.
    pub changes: u64,
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
            servers: HashMap::new(),
            beside: HashMap::new(),
            changes: 0,
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
        for shared in &snapshot.backends {
            for member in shared.members().servers() {
                appear(member, &mut self.server_bounds);
            }
            self.remember(shared.members().all());
        }
        self.snapshots.push(Arc::downgrade(&snapshot));
        if let Some(remembered) = &mut self.remembered {
            remembered.push(Arc::clone(&snapshot));
        }
        self.newest = Some(Arc::clone(&snapshot));
        snapshot
    }

    /// The backends of a configuration, with all servers that they ever had beside those of it.
    pub fn backends_of(&self, snapshot: &Snapshot) -> Vec<Backend> {
        let mut backends = snapshot.config.backends.clone();
        for backend in &mut backends {
            let beside = self.beside.get(&backend.name);
            backend
                .servers
                .extend(beside.into_iter().flatten().cloned());
        }
        backends
    }

    fn remember<'a>(&mut self, members: impl Iterator<Item = &'a Member>) {
        if self.remembered.is_some() {
            let servers = members.map(|member| (member.server.id, Arc::clone(&member.server)));
            self.servers.extend(servers);
        }
    }

    /// Makes these servers those of a backend that its configuration does not have, and does what the health
    /// thread does with them. The caller notifies the workers.
    pub fn set_members(&mut self, backend: &str, servers: Vec<Server>) -> Vec<MembersChange> {
        let beside = self.beside.entry(backend.to_owned()).or_default();
        for server in &servers {
            if beside.iter().all(|known| known.name != server.name) {
                beside.push(server.clone());
            }
        }
        let change = self
            .registry
            .set_members(backend, Source::Discovery, servers);
        let change = change.expect("it has the backend");
        let left = self.registry.drop_left();
        let changes: Vec<_> = change.into_iter().chain(left).collect();
        for change in &changes {
            for member in &change.added {
                appear(member, &mut self.server_bounds);
            }
            for member in &change.changed {
                let address = member.config.address.ip().expect("no host name");
                raise(
                    self.server_bounds.entry(address).or_insert(Some(0)),
                    member.config.sessions_max,
                );
            }
            self.remember(change.members.all());
            change.publish();
            self.changes += 1;
        }
        changes
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
                        is_unix: false,
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

    /// No client has more sessions than it may have. A reload may change what one may have that has more.
    pub fn check_clients(&self, clients: &ClientTable) {
        if self.reloads() > 0 {
            return;
        }
        let newest = self.newest();
        let frontends = newest.config.frontends.iter().zip(&newest.frontends);
        let bounds: HashMap<u64, u32> = frontends
            .filter_map(|(frontend, shared)| {
                let bound = frontend.per_client.as_ref()?.sessions_max?;
                Some((shared.id, bound))
            })
            .collect();
        if bounds.is_empty() {
            return;
        }
        clients.for_each(|client| {
            let bound = bounds[&client.frontend];
            assert!(client.sessions <= bound, "{client:?}, not {bound}");
        });
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
                for member in backend.members().all() {
                    assert_eq!(member.server.session_limit.used(), 0);
                    assert!(!member.server.waiting.any(), "somebody still waits");
                }
                assert!(!backend.queue.waiting.any(), "somebody still waits");
                for waiting in &backend.queue.sessions_waiting {
                    assert_eq!(waiting.get(), 0);
                }
            }
        }
        match self.remembered.take() {
            Some(remembered) => {
                for (index, worker) in workers.iter().enumerate() {
                    check_counters(worker, index, &remembered, &self.servers);
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

/// What the health thread does with a server that is new, or new in a configuration.
fn appear(member: &Member, server_bounds: &mut HashMap<SocketAddr, Highest>) {
    let Member { server, config, .. } = member;
    let address = config.address.ip().expect("no host name");
    raise(
        server_bounds.entry(address).or_insert(Some(0)),
        config.sessions_max,
    );
    if address.port() % 2 == 0 {
        // As if a name had two addresses.
        (server.addresses).resolved(&[address, second_address(address)]);
    }
    server.availability.publish(true, config.weight.into());
}

/// What is counted twice must agree.
fn check_counters(
    worker: &WorkerCounters,
    index: usize,
    snapshots: &[Arc<Snapshot>],
    servers: &HashMap<u64, Arc<ServerShared>>,
) {
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
    let of_servers = |count: fn(&ServerCounters) -> &Counter| -> u64 {
        let servers = servers.values();
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
    if frontends.all(|frontend| frontend.mode == Mode::Tcp && frontend.accept_proxy.is_none()) {
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
