//! Simulation: real workers on a fake kernel, thousands of seeded runs.
//!
//! Every run draws a configuration, clients, servers and the weather from its seed, lets
//! everything end, and checks what must hold whatever happened: bytes out are bytes in, every
//! descriptor is closed once, every buffer comes back, nothing is in flight for a session that is
//! gone, no bound is exceeded, everything ends in time. A failure names its seed:
//! `RINGWAY_SIM_SEED=N cargo test --test sim` runs it alone, `RINGWAY_SIM_RUNS=N` runs more.

mod control;
mod kernel;
mod random;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use control::{Control, Looked, configuration};
use crossbeam_channel::{Sender, unbounded};
use kernel::{Ended, Kernel, Listener, Weather, World};
use random::Random;
use ringway::shared::{Shared, WorkerCounters};
use ringway::snapshot::BackendShared;
use ringway::worker::{Adoption, Command, Errand, LogMessage, LogSink, Setup, Worker};

/// Runs by default: a few seconds in a debug build.
const RUNS: u64 = 3_000;

/// Turns of all workers after which a run hangs.
const TURNS_MAX: u64 = 30_000;

/// Turns that sessions may take to end after the last client came, and after the abort: while
/// servers come and go, time passes slowly, a quarter of a millisecond with each.
const TURNS_TO_END: u64 = 30_000;

/// Turns after which everybody has left who waited when the last server went down.
const TURNS_TO_LEAVE: u64 = 100;

/// Reloads of a run: reading a configuration takes longer than all else in it.
const RELOADS_MAX: usize = 12;

/// What a run found, to see that the runs together reach what they are for.
#[derive(Debug, Default)]
struct Coverage {
    sessions: u64,
    complete: u64,
    spliced: u64,
    faults: u64,
    codes: HashMap<String, u64>,
    reloads: u64,
    /// Turns in which sessions of several configurations were open.
    mixed: u64,
}

struct Run {
    world: Rc<RefCell<World>>,
    control: Control,
    shared: Arc<Shared>,
    workers: Vec<Worker<Kernel>>,
    orders: Vec<Sender<Command<Listener>>>,
    log: crossbeam_channel::Receiver<LogMessage>,
    clients_left: u64,
    aborted: bool,
    /// Sessions of a server that went down may have been cut.
    cut: bool,
    /// Percent of turns in which a server goes down or comes back.
    flips: u64,
    /// Percent of turns in which another configuration is taken.
    reloads: u64,
    /// The workers were told to stop.
    stopping: bool,
    /// Turns in which a worker used several configurations.
    mixed: u64,
    /// Turns since all servers are down and the workers were told so, by name of the backend.
    turns_down: HashMap<String, u64>,
}

fn weather(random: &mut Random) -> Weather {
    let bulk = random.chance(30);
    let multishot = random.chance(70);
    let mut sometimes = |max: u64| {
        if random.chance(40) {
            random.below(max)
        } else {
            0
        }
    };
    Weather {
        bulk,
        multishot,
        partial: sometimes(100),
        refuse: sometimes(60),
        silent: sometimes(40),
        shortage: sometimes(30),
        no_pipe: sometimes(100),
        accept_fault: sometimes(30),
        buffers_max: match random.below(4) {
            0 => 1,
            1 => 5,
            _ => 1_000,
        },
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut percent = |max: u64| {
            if random.chance(30) {
                random.up_to(max)
            } else {
                0
            }
        };
        let (flips, reloads) = (percent(20), percent(5));
        let looked = Looked::from(&mut random);
        let config = configuration(&mut random, looked, reloads > 0);
        let weather = weather(&mut random);
        let clients_left = random.up_to(30);
        let worker_count = 1 + random.below(2) as usize;
        let remembers = random.chance(50);
        let clock_zero = 1_000_000_000;
        let world = Rc::new(RefCell::new(World::new(random, weather)));
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
        let mut control = Control::new(worker_count, remembers);
        let snapshot = control.adopt(config);
        let (sender, log) = unbounded();
        let mut workers = Vec::new();
        let mut orders = Vec::new();
        let listeners = control.listeners(|worker| kernels[worker].listener());
        for (index, (engine, listeners)) in kernels.into_iter().zip(listeners).enumerate() {
            let (order, commands) = unbounded();
            orders.push(order);
            workers.push(Worker::new(Setup {
                index,
                engine,
                snapshot: Arc::clone(&snapshot),
                shared: Arc::clone(&shared),
                listeners,
                commands,
                log: LogSink::new(sender.clone()),
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
            reloads,
            stopping: false,
            mixed: 0,
            turns_down: HashMap::new(),
        }
    }

    /// Lets everything happen; panics when something must not.
    fn run(mut self, coverage: &mut Coverage) {
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
            text += &worker.engine().describe();
        }
        text
    }

    /// A client comes.
    fn arrive(&self) {
        let world = &mut *self.world.borrow_mut();
        let peer = world.peer();
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
            let random = &mut self.world.borrow_mut().random;
            configuration(random, self.control.looked(), true)
        };
        let sessions_max = config.global.sessions_max;
        self.shared.places.set_max(sessions_max);
        let snapshot = self.control.adopt(config);
        let workers = &mut self.workers;
        let listeners = (self.control).listeners(|worker| workers[worker].engine().listener());
        for (index, listeners) in listeners.into_iter().enumerate() {
            let sent = self.orders[index].send(Command::Adopt(Box::new(Adoption {
                snapshot: Arc::clone(&snapshot),
                listeners,
                adopted: Box::new(|| {}),
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
        for (worker, counters) in self.workers.iter_mut().zip(&self.shared.workers) {
            if !worker.is_done() {
                let started = || counters.0.sessions_started.get();
                let (aborting, before) = (worker.is_aborting(), started());
                worker.turn();
                assert!(
                    !aborting || started() == before,
                    "a session after the abort"
                );
            }
        }
        self.check_nobody_waits_for_nothing();
        let mixed = self
            .workers
            .iter()
            .any(|worker| worker.snapshots_in_use() > 1);
        self.mixed += u64::from(mixed);
        self.control.check_bounds(self.shared.places.used());
    }

    /// What the health thread does when a server goes down, comes back or changes its weight.
    fn flip(&mut self) {
        let snapshot = Arc::clone(self.control.newest());
        let backend = self.draw(snapshot.backends.len() as u64) as usize;
        let written = &snapshot.config.backends[backend].servers;
        let index = self.draw(written.len() as u64) as usize;
        let server = snapshot.server(backend, index);
        let usable = self.draw(100) < 50;
        let weight = u32::from(written[index].weight) * self.draw(4) as u32;
        server.liveness.publish(usable, weight);
        if !usable && self.draw(100) < 30 {
            self.cut = true;
            self.order(|| Command::Sessions(Errand::cut(server)));
        }
        for worker in 0..self.workers.len() {
            self.shared.wake(worker);
        }
        self.turns_down.clear();
    }

    /// With no server left, those who wait for a place are sent away and not kept.
    fn check_nobody_waits_for_nothing(&mut self) {
        let snapshots = self.control.in_use();
        for (index, backend) in self.control.newest().backends.iter().enumerate() {
            let name = &self.control.newest().config.backends[index].name;
            let same = |other: &&BackendShared| Arc::ptr_eq(&other.queue, &backend.queue);
            let mut all = snapshots.iter().flat_map(|snapshot| &snapshot.backends);
            let usable = all.any(|other| same(&other) && other.has_usable());
            let turns = self.turns_down.entry(name.clone()).or_default();
            *turns = if usable { 0 } else { *turns + 1 };
            let waits = *turns > TURNS_TO_LEAVE && backend.queue.waiting.any();
            assert!(!waits, "somebody waits for no server");
        }
    }

    fn sessions_open(&self) -> usize {
        self.workers.iter().map(Worker::sessions_open).sum()
    }

    fn clients_waiting(&self) -> usize {
        self.world.borrow().backlog.len()
    }

    /// What must hold at the end.
    fn check(mut self, coverage: &mut Coverage) {
        for worker in &mut self.workers {
            worker.engine().assert_clean();
        }
        assert_eq!(self.shared.places.used(), 0, "places are left");
        let workers: Vec<&WorkerCounters> = (self.shared.workers.iter())
            .map(|worker| &worker.0)
            .collect();
        for worker in &workers {
            assert_eq!(worker.stale_completions.get(), 0);
            assert_eq!(worker.sessions_started.get(), worker.sessions_ended.get());
        }
        if !self.aborted {
            for worker in &self.workers {
                assert_eq!(worker.snapshots_in_use(), 1, "an old one is kept");
            }
        }
        for message in self.log.try_iter() {
            if let LogMessage::Sessions(_, records) = message {
                for record in records {
                    let code = record.summary.outcome.code().map(char::from);
                    *coverage.codes.entry(String::from_iter(code)).or_default() += 1;
                }
            }
        }
        self.workers.clear();
        coverage.mixed += self.mixed;
        coverage.reloads += self.control.check_end(&workers);
        let world = self.world.borrow();
        self.control.check_servers(&world.open_max_by_address);
        let by_stream: HashMap<u64, &Ended> = world
            .servers
            .iter()
            .map(|server| (server.peer.stream, server))
            .collect();
        for client in &world.clients {
            let server = client
                .arrival
                .stream
                .map(|stream| by_stream[&stream])
                .or_else(|| {
                    let mut servers = world.servers.iter();
                    servers.find(|server| server.arrival.stream == Some(client.peer.stream))
                });
            if let Some(server) = server {
                self.check_pair(client, server, coverage);
            }
        }
        coverage.sessions += world.clients.len() as u64;
        coverage.faults += world.faults;
        coverage.spliced += world.spliced;
    }

    fn check_pair(&self, client: &Ended, server: &Ended, coverage: &mut Coverage) {
        let pair = [(client, server), (server, client)];
        let disturbed = |end: &Ended| end.peer_reset || end.by_reset;
        if disturbed(client) || disturbed(server) {
            // Resets come in pairs, unless it is the peer of this one that was lost.
            assert!(
                client.by_reset == server.by_reset,
                "a reset was not passed on"
            );
        } else {
            for (from, to) in pair {
                assert_eq!(from.read, to.arrival.bytes, "bytes were lost on the way");
            }
        }
        let peaceful = |end: &Ended| end.peer.ends && end.peer.resets_at.is_none();
        if peaceful(client) && peaceful(server) && !self.aborted && !self.cut {
            for (from, to) in pair {
                assert!(from.read_to_the_end, "the end was not waited for");
                assert_eq!(from.peer.to_send, to.arrival.bytes, "bytes are missing");
                assert!(
                    to.arrival.ended && !to.by_reset,
                    "the end was not passed on"
                );
            }
            coverage.complete += 1;
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens() {
    let mut coverage = Coverage::default();
    if let Some(seed) = variable("RINGWAY_SIM_SEED") {
        Run::new(seed).run(&mut coverage);
        return;
    }
    for seed in 0..variable("RINGWAY_SIM_RUNS").unwrap_or(RUNS) {
        if variable("RINGWAY_SIM_TRACE").is_some() {
            eprintln!("seed {seed}");
        }
        let run = catch_unwind(AssertUnwindSafe(|| Run::new(seed).run(&mut coverage)));
        assert!(run.is_ok(), "run again alone with RINGWAY_SIM_SEED={seed}");
    }
    println!("{coverage:?}");
    // The runs reach what they are for.
    assert!(coverage.sessions > RUNS, "{coverage:?}");
    assert!(coverage.complete > RUNS / 2, "{coverage:?}");
    assert!(coverage.faults > RUNS, "{coverage:?}");
    assert!(coverage.spliced > 1_000_000, "{coverage:?}");
    assert!(coverage.reloads > RUNS / 2, "{coverage:?}");
    assert!(coverage.mixed > RUNS, "{coverage:?}");
    for code in [
        "--", "CD", "SD", "SC", "sC", "sQ", "RC", "cD", "KD", "KQ", "DD",
    ] {
        assert!(coverage.codes.contains_key(code), "{code}: {coverage:?}");
    }
}
