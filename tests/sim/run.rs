//! One run: what happens, in which order, and what must hold all the while.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, unbounded};
use ringway::shared::Shared;
use ringway::snapshot::{BackendShared, Member, ServerShared};
use ringway::worker::{
    Adoption, Command, HandOvers, LogBatch, LogSink, SessionCommand, Setup, Worker,
};

use crate::Coverage;
use crate::configuration::{
    Looked, Protocol, Theme, Variety, configuration, more_servers, weather,
};
use crate::control::Control;
use crate::heads::Heads;
use crate::kernel::{Kernel, Listener, Simulated, World};
use crate::passive::Passive;
use crate::random::Random;

/// Turns of all workers after which a run hangs.
const TURNS_MAX: u64 = 30_000;

/// Turns that sessions may take to end after the last client came, and after the abort: while
/// servers come and go, time passes slowly, a quarter of a millisecond with each.
const TURNS_TO_END: u64 = 30_000;

/// Turns after which everybody has left who waited when the last server went down.
const TURNS_TO_LEAVE: u64 = 100;

/// Turns after which whoever waits for what is free has got it, or has not waited in vain.
const TURNS_TO_TAKE: u64 = 100;

/// Clients that are remembered.
const CLIENTS_MAX: usize = 100;

/// Reloads of a run: reading a configuration takes longer than all else in it.
const RELOADS_MAX: usize = 12;

/// A run of some workers, clients and servers.
pub struct Run<E: Simulated> {
    pub world: Rc<RefCell<World>>,
    pub control: Control,
    pub shared: Arc<Shared>,
    pub workers: Vec<Worker<E>>,
    orders: Vec<Sender<Command<Listener>>>,
    pub log: Receiver<LogBatch>,
    clients_left: u64,
    pub aborted: bool,
    /// Sessions of a server that went down may have been cut.
    pub cut: bool,
    /// Percent of turns in which a server goes down or comes back.
    pub flips: u64,
    theme: Theme,
    /// Percent of turns in which another configuration is taken.
    reloads: u64,
    /// Percent of turns in which a backend gets other servers.
    changes: u64,
    pub passive: Passive,
    /// The workers were told to stop.
    stopping: bool,
    /// Turns in which a worker used several configurations.
    pub mixed: u64,
    /// Turns in which a server that was removed had sessions.
    pub leaving: u64,
    /// Open sessions of servers that were removed, by id.
    sessions_leaving: HashMap<u64, u32>,
    /// Turns in which a session waited for the server of its cookie.
    pub named: u64,
    /// Turns for which somebody waits for a backend of this name though all its servers are down.
    turns_in_vain: HashMap<String, u64>,
    /// The same of servers of cookies, by their numbers.
    turns_in_vain_alone: HashMap<u64, u64>,
    /// Turns for which somebody waits for something that is free, by what it is.
    turns_beside: HashMap<String, u64>,
}

impl<E: Simulated> Run<E> {
    /// Draws everything from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut percent = |max: u64| {
            if random.chance(30) {
                random.up_to(max)
            } else {
                0
            }
        };
        let (flips, reloads, changes) = (percent(20), percent(5), percent(10));
        let theme = Theme {
            looked: Looked::from(&mut random),
            protocol: match random.below(100) {
                0..50 => Protocol::Http,
                50..62 => Protocol::Proxied,
                62..74 => Protocol::Tls,
                _ => Protocol::Any,
            },
            variety: if reloads > 0 {
                Variety::Varied
            } else {
                Variety::Single
            },
        };
        let config = configuration(&mut random, theme);
        let weather = weather(&mut random);
        let clients_left = random.up_to(30);
        let worker_count = 1 + random.below(2) as usize;
        let remembers = random.chance(50);
        let clock_zero = 1_000_000_000;
        let mut world = World::new(random, weather);
        if theme.protocol == Protocol::Http {
            let mut heads = Heads::default();
            heads.learn(&config);
            world.heads = Some(heads);
        }
        world.proxied = theme.protocol == Protocol::Proxied;
        world.hellos = theme.protocol == Protocol::Tls;
        let world = Rc::new(RefCell::new(world));
        let mut kernels: Vec<Kernel> = (0..worker_count)
            .map(|_| Kernel::new(Rc::clone(&world)))
            .collect();
        let wakers = kernels
            .iter()
            .map(|kernel| {
                let woken = Arc::clone(&kernel.woken);
                let wake: Box<dyn Fn() + Send + Sync> =
                    Box::new(move || woken.store(true, Ordering::SeqCst));
                wake
            })
            .collect();
        let sessions_max = config.global.sessions_max.unwrap_or(u32::MAX);
        let shared = Arc::new(Shared::new(sessions_max, wakers));
        shared.clients.set_max(CLIENTS_MAX);
        let passive = Passive::new(&shared);
        let mut control = Control::new(worker_count, remembers);
        let snapshot = control.adopt(config);
        let (sender, log) = unbounded();
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "all workers of a run are on one thread"
        )]
        let hand_overs = Arc::new(HandOvers::new(worker_count));
        let mut workers = Vec::new();
        let mut orders = Vec::new();
        let listeners = control.listeners(|worker| kernels[worker].listener());
        for (index, (engine, listeners)) in kernels.into_iter().zip(listeners).enumerate() {
            let (order, commands) = unbounded();
            orders.push(order);
            workers.push(Worker::new(Setup {
                index,
                engine: E::on(engine),
                snapshot: Arc::clone(&snapshot),
                shared: Arc::clone(&shared),
                hand_overs: Arc::clone(&hand_overs),
                listeners,
                commands,
                log: LogSink::new(sender.clone(), Arc::new(|_| {})),
                clock_zero,
                seed: seed + index as u64,
            }));
        }
        Run {
            world,
            control,
            shared,
            workers,
            orders,
            log,
            clients_left,
            aborted: false,
            cut: false,
            flips,
            theme,
            reloads,
            changes,
            passive,
            stopping: false,
            mixed: 0,
            leaving: 0,
            sessions_leaving: HashMap::new(),
            named: 0,
            turns_in_vain: HashMap::new(),
            turns_in_vain_alone: HashMap::new(),
            turns_beside: HashMap::new(),
        }
    }

    /// Lets everything happen; panics when something must not.
    pub fn run(mut self, coverage: &mut Coverage) {
        for worker in &mut self.workers {
            worker.start();
        }
        let mut turns = 0;
        while self.clients_left > 0 || self.sessions_open() > 0 || self.clients_waiting() > 0 {
            self.turn();
            turns += 1;
            assert!(turns < TURNS_MAX, "sessions never end: {}", self.describe());
        }
        // One more herd, which the order to stop finds in the middle of things.
        self.clients_left = self.draw(10);
        for _ in 0..self.draw(30) {
            self.turn();
        }
        self.clients_left = 0;
        for _ in 0..self.draw(3) {
            self.arrive();
        }
        self.order(|| Command::Stop);
        self.stopping = true;
        if self.reloads > 0 && self.draw(100) < 20 {
            // Too late: it is to change nothing.
            self.reload();
        }
        if self.world.borrow_mut().random.chance(50) {
            for _ in 0..self.draw(20) {
                self.turn();
            }
            self.aborted = true;
            self.order(|| Command::Abort);
        }
        let mut turns = 0;
        while !self.workers.iter().all(Worker::is_done) {
            self.turn();
            turns += 1;
            assert!(
                turns < TURNS_TO_END,
                "workers never end: {}",
                self.describe()
            );
        }
        self.check(coverage);
    }

    /// What a run that hangs looks like.
    fn describe(&mut self) -> String {
        let mut text = format!("{:?}\n", self.world.borrow().weather);
        text += &format!("{:?}\n", self.control.newest().config);
        for worker in &mut self.workers {
            text += &worker.engine().fake().describe();
        }
        text
    }

    /// A client comes.
    fn arrive(&self) {
        let world = &mut *self.world.borrow_mut();
        let peer = world.client();
        world.backlog.push_back(peer);
    }

    fn draw(&self, bound: u64) -> u64 {
        self.world.borrow_mut().random.below(bound)
    }

    fn order(&self, command: impl Fn() -> Command<Listener>) {
        for (index, order) in self.orders.iter().enumerate() {
            let sent = order.send(command());
            assert!(sent.is_ok(), "the worker is there");
            self.shared.wake(index);
        }
    }

    /// What the control plane and the health thread do when there is another configuration.
    fn reload(&mut self) {
        let config = {
            let world = &mut *self.world.borrow_mut();
            let config = configuration(&mut world.random, self.theme);
            if let Some(heads) = &mut world.heads {
                heads.learn(&config);
            }
            world.ordered += 1;
            config
        };
        let ordered = self.world.borrow().ordered;
        let sessions_max = config.global.sessions_max;
        self.shared.session_limit.set_max(sessions_max);
        let snapshot = self.control.adopt(config);
        let workers = &mut self.workers;
        let listeners =
            (self.control).listeners(|worker| workers[worker].engine().fake().listener());
        for (index, listeners) in listeners.into_iter().enumerate() {
            let adopted = Arc::clone(&self.workers[index].engine().fake().adopted);
            let sent = self.orders[index].send(Command::Adopt(Box::new(Adoption {
                snapshot: Arc::clone(&snapshot),
                listeners,
                adopted: Box::new(move || adopted.store(ordered, Ordering::SeqCst)),
            })));
            assert!(sent.is_ok(), "the worker is there");
            self.shared.wake(index);
        }
    }

    fn turn(&mut self) {
        let arrives = self.clients_left > 0 && self.world.borrow_mut().random.chance(20);
        if arrives {
            self.clients_left -= 1;
            self.arrive();
        }
        let flips = self.world.borrow_mut().random.chance(self.flips);
        if flips {
            self.flip();
        }
        let reloads = self.world.borrow_mut().random.chance(self.reloads);
        if reloads && !self.stopping && self.control.reloads() < RELOADS_MAX {
            self.reload();
        }
        let changes = self.world.borrow_mut().random.chance(self.changes);
        if changes {
            self.set_members();
        }
        self.leave_out();
        let buffers_only = self.has_no_other_shortage();
        for (worker, counters) in self.workers.iter_mut().zip(&self.shared.workers) {
            if !worker.is_done() {
                let started = || counters.sessions_started.get();
                let (aborting, before) = (worker.is_aborting(), started());
                let shortages = counters.shortages.get();
                let released = worker.engine().fake().buffers_released;
                worker.turn();
                if buffers_only {
                    let ended = counters.shortages.get() - shortages;
                    let released = worker.engine().fake().buffers_released - released;
                    assert!(ended <= released, "a session was ended in vain");
                }
                assert!(
                    !aborting || started() == before,
                    "a session after the abort"
                );
                if worker.is_done() {
                    self.world.borrow_mut().worker_is_done();
                }
            }
        }
        self.check_nobody_waits_for_nothing();
        self.check_nobody_waits_beside_a_place();
        let mixed = self
            .workers
            .iter()
            .any(|worker| worker.snapshots_in_use() > 1);
        self.mixed += u64::from(mixed);
        self.check_leaving();
        self.control.check_bounds(self.shared.session_limit.used());
        self.control.check_clients(&self.shared.clients);
    }

    /// Nothing can be short but buffers.
    fn has_no_other_shortage(&self) -> bool {
        let weather = &self.world.borrow().weather;
        weather.accept_fault == 0 && weather.shortage == 0
    }

    /// What the health thread does with servers with which sessions fail.
    fn leave_out(&mut self) {
        let now = self.world.borrow().now;
        let changed = self.passive.turn(self.control.newest(), now);
        if changed.is_empty() {
            return;
        }
        for server in &changed {
            self.shared.notify_waiters(server);
        }
        self.turns_in_vain.clear();
        self.turns_in_vain_alone.clear();
    }

    /// What the health thread does when a server goes down, comes back or changes its weight.
    fn flip(&mut self) {
        let snapshot = Arc::clone(self.control.newest());
        let backend = self.draw(snapshot.backends.len() as u64) as usize;
        let members = snapshot.backends[backend].members();
        let members: Vec<&Member> = members.all().collect();
        let index = self.draw(members.len() as u64) as usize;
        let Member { server, config, .. } = members[index];
        let usable = self.draw(100) < 50;
        let weight = u32::from(config.weight) * self.draw(4) as u32;
        server.availability.publish(usable, weight);
        if !usable && self.draw(100) < 30 {
            self.cut = true;
            self.order(|| Command::Sessions(SessionCommand::shutdown_sessions_of(server)));
        }
        self.shared.notify_waiters(server);
        self.turns_in_vain.clear();
        self.turns_in_vain_alone.clear();
    }

    /// Servers of a backend come and go.
    fn set_members(&mut self) {
        let snapshot = Arc::clone(self.control.newest());
        let backend = self.draw(snapshot.config.backends.len() as u64) as usize;
        let backend = &snapshot.config.backends[backend].name;
        let servers = {
            let world = &mut *self.world.borrow_mut();
            let servers = more_servers(&mut world.random, backend);
            if let Some(heads) = &mut world.heads {
                heads.learn_servers(&servers);
            }
            servers
        };
        for change in self.control.set_members(backend, servers) {
            let concerned = change.removed.iter().chain(&change.changed);
            for member in concerned.chain(&change.added) {
                if member.server.waiting.any() {
                    self.shared.notify_waiters(&member.server);
                }
            }
            self.shared.notify_queue(&change.backend().queue);
        }
        self.turns_in_vain.clear();
        self.turns_in_vain_alone.clear();
    }

    /// A server that was removed gets no sessions.
    fn check_leaving(&mut self) {
        let before = std::mem::take(&mut self.sessions_leaving);
        for backend in &self.control.newest().backends {
            for Member { server, .. } in backend.members().leaving() {
                let used = server.session_limit.used();
                if let Some(before) = before.get(&server.id) {
                    assert!(used <= *before, "a session for a server that was removed");
                }
                self.sessions_leaving.insert(server.id, used);
            }
        }
        let is_any = self.sessions_leaving.values().any(|used| *used > 0);
        self.leaving += u64::from(is_any);
    }

    /// With no server left, those who wait for a place are sent away and not kept.
    fn check_nobody_waits_for_nothing(&mut self) {
        let snapshots = self.control.in_use();
        let all = || snapshots.iter().flat_map(|snapshot| &snapshot.backends);
        let newest = self.control.newest();
        for (written, backend) in newest.config.backends.iter().zip(&newest.backends) {
            let waits = backend.queue.waiting.any();
            let same = |other: &&Arc<BackendShared>| Arc::ptr_eq(&other.queue, &backend.queue);
            if !waits || all().any(|other| same(&other) && other.has_usable()) {
                self.turns_in_vain.remove(&written.name);
                continue;
            }
            let turns = self.turns_in_vain.entry(written.name.clone()).or_default();
            *turns += 1;
            assert!(*turns <= TURNS_TO_LEAVE, "somebody waits for no server");
        }
        let members: Vec<_> = all().map(|backend| backend.members()).collect();
        let servers = members.iter().flat_map(|members| members.all());
        let servers = servers.map(|member| &*member.server);
        let mut named: Vec<&ServerShared> = servers.filter(|server| server.waiting.any()).collect();
        named.sort_by_key(|server| server.id);
        named.dedup_by_key(|server| server.id);
        self.named += u64::from(!named.is_empty());
        named.retain(|server| !server.availability.is_usable());
        self.turns_in_vain_alone
            .retain(|id, _| named.iter().any(|server| server.id == *id));
        for server in named {
            let turns = self.turns_in_vain_alone.entry(server.id).or_default();
            *turns += 1;
            assert!(*turns <= TURNS_TO_LEAVE, "somebody waits for a down server");
        }
    }

    /// Whoever waits for a place is told when there is one.
    fn check_nobody_waits_beside_a_place(&mut self) {
        let newest = Arc::clone(self.control.newest());
        let ordered = self.world.borrow().ordered;
        let mut workers = self.workers.iter_mut();
        if !workers.all(|worker| worker.engine().fake().adopted.load(Ordering::SeqCst) == ordered) {
            // They are still to look, or will not any more.
            return;
        }
        let mut workers = self.workers.iter();
        let one = workers.all(|worker| worker.snapshots_in_use() == 1);
        let mut beside = Vec::new();
        for (written, frontend) in newest.config.frontends.iter().zip(&newest.frontends) {
            if frontend.paused.any() && frontend.session_limit.free() > 0 {
                beside.push(format!("a free place of {}", written.name));
            }
        }
        if self.shared.paused.any() && self.shared.session_limit.free() > 0 {
            beside.push("a free place of the process".to_string());
        }
        for (written, backend) in newest.config.backends.iter().zip(&newest.backends) {
            let members = backend.members();
            for member in members.servers().iter().filter(|member| !member.backup) {
                let shared = &member.server;
                let name = format!("{}/{}", written.name, shared.name);
                if shared.waiting.any() && shared.is_open() {
                    beside.push(format!("{name}, bound to it"));
                }
                // By an older configuration, the backend may have other servers.
                if one && backend.queue.waiting.any() && shared.is_open_to_any() {
                    beside.push(name);
                }
            }
        }
        self.turns_beside.retain(|what, _| beside.contains(what));
        for what in beside {
            let turns = self.turns_beside.entry(what.clone()).or_default();
            *turns += 1;
            assert!(*turns <= TURNS_TO_TAKE, "somebody waits beside {what}");
        }
    }

    fn sessions_open(&self) -> usize {
        self.workers.iter().map(Worker::sessions_open).sum()
    }

    fn clients_waiting(&self) -> usize {
        self.world.borrow().backlog.len()
    }
}
