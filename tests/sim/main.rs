//! Simulation: real workers on a fake kernel, thousands of seeded runs.
//!
//! Every run draws a configuration, clients, servers and the weather from its seed, lets
//! everything end, and checks what must hold whatever happened: bytes out are bytes in, every
//! descriptor is closed once, every buffer comes back, nothing is in flight for a session that is
//! gone, no bound is exceeded, everything ends in time. A failure names its seed:
//! `RINGWAY_SIM_SEED=N cargo test --test sim` runs it alone, `RINGWAY_SIM_RUNS=N` runs more.

mod kernel;
mod random;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Sender, unbounded};
use kernel::{Ended, Kernel, Weather, World};
use random::Random;
use ringway::config::{self, Config};
use ringway::shared::{Counter, Shared, WorkerCounters};
use ringway::snapshot::{Registry, ServerCounters, Snapshot};
use ringway::worker::{Command, LogMessage, LogSink, Setup, Worker};

/// Runs by default: a few seconds in a debug build.
const RUNS: u64 = 3_000;

/// Turns of all workers after which a run hangs.
const TURNS_MAX: u64 = 30_000;

/// Turns that sessions may take to end after the last client came, and after the abort.
const TURNS_TO_END: u64 = 10_000;

/// Turns after which everybody has left who waited when the last server went down.
const TURNS_TO_LEAVE: u64 = 100;

/// What a run found, to see that the runs together reach what they are for.
#[derive(Debug, Default)]
struct Coverage {
    sessions: u64,
    complete: u64,
    spliced: u64,
    faults: u64,
    codes: HashMap<String, u64>,
}

struct Run {
    world: Rc<RefCell<World>>,
    snapshot: Arc<Snapshot>,
    shared: Arc<Shared>,
    workers: Vec<Worker<Kernel>>,
    orders: Vec<Sender<Command>>,
    log: crossbeam_channel::Receiver<LogMessage>,
    clients_left: u64,
    aborted: bool,
    /// Sessions of a server that went down may have been cut.
    cut: bool,
    /// Percent of turns in which a server goes down or comes back.
    flips: u64,
    /// Turns since all servers are down and the workers were told so.
    turns_down: u64,
}

fn configuration(random: &mut Random) -> Config {
    let algorithms = [
        "round_robin",
        "least_conn",
        "random",
        "source_hash",
        "first",
    ];
    let algorithm = algorithms[random.below(5) as usize];
    let mut text = format!(
        "[global]\nmax_sessions = {}\n\
         [defaults]\nconnect_timeout = \"500ms\"\nidle_timeout = \"2s\"\n\
         half_closed_timeout = \"1s\"\nqueue_timeout = \"{}ms\"\nretries = {}\n\
         [frontend.f]\nlisten = [\"127.0.0.1:1\"]\nbackend = \"b\"\n",
        random.up_to(20),
        1 + random.below(2_000),
        random.below(4),
    );
    if random.chance(30) {
        text += &format!("max_sessions = {}\n", random.up_to(5));
    }
    if random.chance(30) {
        // Somebody looks, so that the bytes of open sessions are counted.
        text += "[admin]\nlisten = \"127.0.0.1:0\"\n";
    }
    text += &format!("[backend.b]\nbalance = \"{algorithm}\"\nservers = [\n");
    for server in 1..=random.up_to(4) {
        text += &format!("{{ name = \"s{server}\", address = \"127.0.0.1:{server}\"");
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
    text += "]\n";
    match config::parse("sim.toml", &text, &config::system_resolver) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
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
        let config = configuration(&mut random);
        let weather = weather(&mut random);
        let clients_left = random.up_to(30);
        let worker_count = 1 + random.below(2) as usize;
        let flips = if random.chance(30) {
            random.up_to(20)
        } else {
            0
        };
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
        let snapshot = Registry::new(worker_count).snapshot(config);
        let (sender, log) = unbounded();
        let mut workers = Vec::new();
        let mut orders = Vec::new();
        for (index, mut engine) in kernels.drain(..).enumerate() {
            let (order, commands) = unbounded();
            orders.push(order);
            let listener = engine.listener();
            workers.push(Worker::new(Setup {
                index,
                engine,
                snapshot: Arc::clone(&snapshot),
                shared: Arc::clone(&shared),
                listeners: vec![(0, listener)],
                commands,
                log: LogSink::new(sender.clone()),
                clock_zero,
                seed: seed + index as u64,
            }));
        }
        Run {
            world,
            snapshot,
            shared,
            workers,
            orders,
            log,
            clients_left,
            aborted: false,
            cut: false,
            flips,
            turns_down: 0,
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
        self.order(Command::Stop);
        if self.world.borrow_mut().random.chance(50) {
            for _ in 0..self.draw(20) {
                self.turn();
            }
            self.aborted = true;
            self.order(Command::Abort);
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
        text += &format!("{:?}\n", self.snapshot.config);
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

    fn order(&self, command: Command) {
        for (index, order) in self.orders.iter().enumerate() {
            order.send(command.clone()).expect("the worker is there");
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
        let open = self.sessions_open();
        let frontend_max = self.snapshot.config.frontends[0].sessions_max;
        for max in [self.snapshot.config.global.sessions_max, frontend_max]
            .into_iter()
            .flatten()
        {
            assert!(open <= max as usize, "{open} sessions, at most {max}");
        }
    }

    /// What the health thread does when a server goes down, comes back or changes its weight.
    fn flip(&mut self) {
        let servers = &self.snapshot.config.backends[0].servers;
        let index = self.draw(servers.len() as u64) as usize;
        let liveness = &self.snapshot.backends[0].servers[index].liveness;
        let usable = self.draw(100) < 50;
        let weight = u32::from(servers[index].weight) * self.draw(4) as u32;
        liveness.publish(usable, weight);
        if !usable && self.draw(100) < 30 {
            self.cut = true;
            let server = Arc::clone(self.snapshot.server(0, index));
            self.order(Command::CutSessions(server));
        }
        for worker in 0..self.workers.len() {
            self.shared.wake(worker);
        }
        self.turns_down = 0;
    }

    /// With no server left, those who wait for a place are sent away and not kept.
    fn check_nobody_waits_for_nothing(&mut self) {
        let backend = &self.snapshot.backends[0];
        if backend.has_usable() {
            self.turns_down = 0;
        } else {
            self.turns_down += 1;
            let waits = self.turns_down > TURNS_TO_LEAVE && backend.queue.waiting.any();
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
        assert_eq!(self.snapshot.frontends[0].places.used(), 0);
        let backend = &self.snapshot.backends[0];
        assert!(
            backend
                .servers
                .iter()
                .all(|server| server.places.used() == 0)
        );
        assert!(!backend.queue.waiting.any(), "somebody still waits");
        for worker in 0..self.workers.len() {
            check_counters(&self.shared.workers[worker].0, &self.snapshot, worker);
        }
        let world = self.world.borrow();
        for server in &self.snapshot.config.backends[0].servers {
            let open_max = world.open_max_by_address.get(&server.address);
            let max = server.sessions_max.unwrap_or(u32::MAX);
            assert!(open_max.is_none_or(|open| *open <= max), "{}", server.name);
        }
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
        for message in self.log.try_iter() {
            if let LogMessage::Sessions(_, records) = message {
                for record in records {
                    let code = record.summary.outcome.code().map(char::from);
                    *coverage.codes.entry(String::from_iter(code)).or_default() += 1;
                }
            }
        }
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

/// What is counted twice must agree.
fn check_counters(worker: &WorkerCounters, snapshot: &Snapshot, index: usize) {
    assert_eq!(worker.stale_completions.get(), 0);
    assert_eq!(worker.sessions_started.get(), worker.sessions_ended.get());
    let [frontend] = &*snapshot.frontends else {
        panic!("one frontend")
    };
    let frontend = &frontend.counters[index].0;
    let of_worker = [
        worker.sessions_started.get(),
        worker.bytes_from_clients.get(),
        worker.bytes_from_servers.get(),
    ];
    let of_frontend = [
        frontend.sessions_started.get(),
        frontend.bytes_from_clients.get(),
        frontend.bytes_from_servers.get(),
    ];
    assert_eq!(of_worker, of_frontend);
    let [backend] = &*snapshot.backends else {
        panic!("one backend")
    };
    assert_eq!(backend.queue.sessions_waiting[index].0.get(), 0);
    let sum = |count: fn(&ServerCounters) -> &Counter| -> u64 {
        let servers = backend.servers.iter();
        servers
            .map(|server| count(&server.counters[index].0).get())
            .sum()
    };
    let of_servers = [
        sum(|server| &server.bytes_from_clients),
        sum(|server| &server.bytes_from_server),
        sum(|server| &server.connect_failures),
        sum(|server| &server.retries),
    ];
    let of_worker = [
        worker.bytes_from_clients.get(),
        worker.bytes_from_servers.get(),
        worker.connect_failures.get(),
        worker.retries.get(),
    ];
    assert_eq!(of_worker, of_servers);
    assert!(sum(|server| &server.sessions_started) >= sum(|server| &server.connect_failures));
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
    for code in [
        "--", "CD", "SD", "SC", "sC", "sQ", "RC", "cD", "KD", "KQ", "DD",
    ] {
        assert!(coverage.codes.contains_key(code), "{code}: {coverage:?}");
    }
}
