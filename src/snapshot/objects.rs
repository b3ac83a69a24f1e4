//! The shared objects that are in use, and which stay the same.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use socket2::SockAddr;

use super::counters::{ServerCounters, by_worker};
use super::frontend::{FrontendShared, RouteShared};
use super::server::{QueueShared, ServerShared};
use crate::config::{Address, Route, Server};
use crate::sync::{
    Addresses, Counter, Failures, Last, ServerAvailability, SessionLimit, WaitRegistry,
};

/// What identifies a server: names of its backend and its own, and its address.
type ServerKey = (String, String, Address);

/// What identifies a route: the name of its frontend, and what tells it from the others there.
type RouteKey = (String, String);

/// The shared objects that are in use anywhere in the process. If a configuration drops one and a later
/// one has it again, that is the same object if a session still uses it, so that its limits hold for
/// both.
#[derive(Debug)]
pub struct Objects {
    workers: usize,
    /// Of the newest server.
    server_id: u64,
    /// Of the newest frontend or backend.
    id: u64,
    frontends: HashMap<String, Weak<FrontendShared>>,
    routes: HashMap<RouteKey, Weak<RouteShared>>,
    queues: HashMap<String, Weak<QueueShared>>,
    servers: HashMap<ServerKey, Weak<ServerShared>>,
}

impl Objects {
    /// None yet, for a process with this number of workers.
    pub fn new(workers: usize) -> Self {
        Objects {
            workers,
            server_id: 0,
            id: 0,
            frontends: HashMap::new(),
            routes: HashMap::new(),
            queues: HashMap::new(),
            servers: HashMap::new(),
        }
    }

    /// The frontend of this name.
    pub fn frontend(&mut self, name: &str) -> Arc<FrontendShared> {
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

    /// This route of the frontend of this name.
    pub fn route(&mut self, frontend: &str, route: &Route) -> Arc<RouteShared> {
        let workers = self.workers;
        let key = (frontend.to_owned(), route.to_string());
        find_or_make(&mut self.routes, key, || RouteShared {
            counters: by_worker(workers),
        })
    }

    /// The queue of the backend of this name.
    pub fn queue(&mut self, backend: &str) -> Arc<QueueShared> {
        let workers = self.workers;
        self.id += 1;
        let id = self.id;
        find_or_make(&mut self.queues, backend.to_owned(), || QueueShared {
            id,
            waiting: WaitRegistry::new(workers),
            sessions_waiting: by_worker(workers),
            downs: Counter::default(),
            forgotten: ServerCounters::default(),
        })
    }

    /// The server of this configuration in the backend of this name. The limit of its sessions is in effect.
    pub fn server(
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
            name: server.name.clone(),
            addresses: Addresses::new(known(&server.address).into_iter().collect()),
            session_limit: SessionLimit::new(None),
            availability: ServerAvailability::new(server.weight.into()),
            waiting: WaitRegistry::new(workers),
            queue: Arc::clone(queue),
            connect_failures: Failures::default(),
            connect_fault: Last::default(),
            answer_failures: Failures::default(),
            counters: by_worker(workers),
        });
        self.server_id = self.server_id.max(shared.id);
        shared.session_limit.set_max(server.sessions_max);
        shared
    }

    /// A server of the backend of this name is another one from now on, should it come back.
    pub fn forget(&mut self, backend: &str, server: &Server) {
        let Server { name, address, .. } = server;
        let key = (backend.to_owned(), name.clone(), address.clone());
        self.servers.remove(&key);
    }

    /// Forgets the objects that are used nowhere.
    pub fn forget_unused(&mut self) {
        self.frontends.retain(|_, found| found.strong_count() > 0);
        self.routes.retain(|_, found| found.strong_count() > 0);
        self.queues.retain(|_, found| found.strong_count() > 0);
        self.servers.retain(|_, found| found.strong_count() > 0);
    }

    /// How many servers are known.
    #[cfg(test)]
    pub fn servers_len(&self) -> usize {
        self.servers.len()
    }
}

/// The address of a server that is known without asking anyone.
fn known(address: &Address) -> Option<SockAddr> {
    match address {
        Address::Ip(address) => Some((*address).into()),
        // Its path is short enough, or the configuration would be invalid.
        Address::Unix(path) => SockAddr::unix(path).ok(),
        Address::Host { .. } => None,
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
