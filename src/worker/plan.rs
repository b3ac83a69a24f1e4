//! The snapshots that a worker uses: the newest for new sessions, older ones for as long as a
//! session or a listener that began with them is there.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use slab::Slab;

use super::http::Cookie;
use super::slot::Slot;
use crate::config::{AccessLog, Balance, Frontend, Mode};
use crate::io::Engine;
use crate::logic::balance::{Algorithm, Balancer};
use crate::logic::session::{Policy, Protocol};
use crate::snapshot::{FrontendShared, ServerShared, Snapshot};

/// The index of a plan in a worker's [`Plans`].
pub type PlanIndex = u32;

/// A frontend in one of the plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which plan.
    pub plan: PlanIndex,
    /// Index of the frontend in it.
    pub frontend: u16,
}

/// A snapshot, and what one worker makes of it.
pub struct Plan {
    pub snapshot: Arc<Snapshot>,
    /// By index of the frontend.
    pub policies: Vec<Policy>,
    /// By index of the backend.
    pub balancers: Vec<Balancer>,
    /// Sticky cookies, by index of the backend.
    pub cookies: Vec<Option<Cookie>>,
    /// The client's address is needed, for the log or for hashing, by index of the frontend.
    pub wants_client: Vec<bool>,
    /// Sessions and listeners that name it.
    users: usize,
}

impl Plan {
    fn new(snapshot: Arc<Snapshot>, seed: u64) -> Self {
        let config = &snapshot.config;
        let balancers = config.backends.iter().map(|backend| {
            let servers = backend.servers.iter();
            let names: Vec<&str> = servers.map(|server| server.name.as_str()).collect();
            Balancer::new(algorithm(backend.balance), &names, seed)
        });
        let logged = config.global.access_log != AccessLog::Off;
        let wants_client = config.frontends.iter().map(|frontend| {
            logged || config.backends[frontend.backend].balance == Balance::SourceHash
        });
        Plan {
            policies: config.frontends.iter().map(policy).collect(),
            balancers: balancers.collect(),
            cookies: config.backends.iter().map(Cookie::of).collect(),
            wants_client: wants_client.collect(),
            users: 0,
            snapshot,
        }
    }

    /// Whether ended sessions are logged.
    pub fn is_logged(&self) -> bool {
        self.snapshot.config.global.access_log != AccessLog::Off
    }

    /// Index of the backend of a frontend.
    pub fn backend_of(&self, frontend: u16) -> usize {
        self.snapshot.config.frontends[usize::from(frontend)].backend
    }

    /// The server that a session of this plan has taken, if any.
    pub fn server_of<E: Engine>(&self, entry: &Slot<E>) -> Option<&Arc<ServerShared>> {
        let backend = self.backend_of(entry.place.frontend);
        let server = usize::from(entry.server?);
        Some(self.snapshot.server(backend, server))
    }

    /// What all workers share of a frontend.
    pub fn frontend(&self, frontend: u16) -> &Arc<FrontendShared> {
        &self.snapshot.frontends[usize::from(frontend)]
    }
}

/// All plans in use; at least one.
pub struct Plans {
    table: Slab<Plan>,
    newest: PlanIndex,
    /// One may have lost its last user.
    sweep_due: bool,
    seed: u64,
}

impl Plans {
    /// With a first one. `seed` makes random choices differ.
    pub fn new(snapshot: Arc<Snapshot>, seed: u64) -> Self {
        let mut plans = Plans {
            table: Slab::new(),
            newest: 0,
            sweep_due: false,
            seed,
        };
        plans.adopt(snapshot);
        plans
    }

    /// Takes a snapshot for all that is new.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        // Or every turn of a reloading process would begin with the same server.
        let seed = self.seed.wrapping_add(snapshot.version);
        self.newest = self.table.insert(Plan::new(snapshot, seed)) as PlanIndex;
        self.sweep_due = true;
    }

    /// The index of the plan for all that is new.
    pub fn newest(&self) -> PlanIndex {
        self.newest
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// What all workers share of the frontend at this place.
    pub fn frontend(&self, place: Place) -> &Arc<FrontendShared> {
        self[place.plan].frontend(place.frontend)
    }

    /// The same frontend in the newest plan, if that has it.
    pub fn newest_place(&self, place: Place) -> Option<Place> {
        if place.plan == self.newest {
            return Some(place);
        }
        let newest = &self[self.newest].snapshot;
        let frontend = newest.index_of(self.frontend(place))?;
        Some(Place {
            plan: self.newest,
            frontend: frontend as u16,
        })
    }

    /// A session or a listener names it from now on.
    pub fn acquire(&mut self, plan: PlanIndex) {
        self[plan].users += 1;
    }

    /// It no longer does.
    pub fn release(&mut self, plan: PlanIndex) {
        let users = &mut self[plan].users;
        debug_assert!(*users > 0, "a plan was released that was not acquired");
        *users -= 1;
        self.sweep_due |= *users == 0;
    }

    /// Drops plans that nobody names any more. Not while an event is handled, which may still look
    /// at one.
    pub fn sweep(&mut self) {
        if std::mem::take(&mut self.sweep_due) {
            let newest = self.newest as usize;
            self.table
                .retain(|index, plan| index == newest || plan.users > 0);
        }
    }
}

impl Index<PlanIndex> for Plans {
    type Output = Plan;

    fn index(&self, plan: PlanIndex) -> &Plan {
        &self.table[plan as usize]
    }
}

impl IndexMut<PlanIndex> for Plans {
    fn index_mut(&mut self, plan: PlanIndex) -> &mut Plan {
        &mut self.table[plan as usize]
    }
}

fn policy(frontend: &Frontend) -> Policy {
    Policy {
        protocol: match frontend.mode {
            Mode::Tcp => Protocol::Tcp,
            Mode::Http(_) => Protocol::Http,
        },
        request_timeout: frontend.timeouts.request,
        connect_timeout: frontend.timeouts.connect,
        idle_timeout: frontend.timeouts.idle,
        half_closed_timeout: frontend.timeouts.half_closed,
        queue_timeout: frontend.timeouts.queue,
        retries: frontend.retries,
    }
}

fn algorithm(balance: Balance) -> Algorithm {
    match balance {
        Balance::RoundRobin => Algorithm::RoundRobin,
        Balance::LeastConn => Algorithm::LeastConn,
        Balance::Random => Algorithm::Random,
        Balance::SourceHash => Algorithm::SourceHash,
        Balance::First => Algorithm::First,
    }
}
