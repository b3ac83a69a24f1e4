//! Cache lines that workers share, counted for one connection: `src/worker` and what it is built of as they are, on
//! atomics and locks that note which line they touch.
//!
//! A line is shared if connections at one worker write it and those at another one touch it; what each worker writes
//! alone stays in the cache of its core. Reference counts ([`std::sync::Arc`]) and channels are not noted; whether a
//! session holds a reference to something is seen while it is open. A program of its own and not a set of tests,
//! because the tests inside of those files count nothing. What follows from the numbers is in
//! `bench-results/README.md`, section "What connections share".
#![allow(dead_code, unused_imports, missing_docs)]

/// What `benches/waking/still.rs` uses is this program's own.
extern crate self as ringway;

/// In the place of those of the standard library, which they call.
#[path = "cache_lines/atomics.rs"]
mod atomics;

#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/io/mod.rs"]
mod io;
#[path = "../src/logic/mod.rs"]
mod logic;
#[path = "../src/shared.rs"]
mod shared;
#[path = "../src/snapshot/mod.rs"]
mod snapshot;
#[path = "../src/sync/mod.rs"]
mod sync;
#[path = "../src/topics/mod.rs"]
mod topics;
#[path = "../src/worker/mod.rs"]
mod worker;

#[path = "../benches/waking/still.rs"]
mod still;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use atomics::{Access, Lines, noted};
use still::Scene;
use worker::HandOvers;

/// What one connection touches, from its accept to its end, of the memory that workers share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Touched {
    /// Lines that it writes and that connections at the other worker touch too, by the file that writes them.
    written: BTreeMap<&'static str, usize>,
    /// Orders that write them: the line may have gone to another core between two.
    writes: usize,
    /// Lines that it only reads and that connections at the other worker write.
    read: BTreeMap<&'static str, usize>,
    /// Lines that its worker alone touches, and writes.
    own: usize,
    /// Shared objects to which it holds a reference while it is open: each has one more shared line, its count.
    references: usize,
}

impl Touched {
    /// What one worker touched, beside what another one did.
    fn of(one: &Lines, other: &Lines) -> Self {
        let mut touched = Touched::default();
        for (line, access) in one {
            let kind = access.kind;
            match (access.writes, other.get(line).map(|other| other.writes)) {
                (0, None | Some(0)) => {}
                (0, Some(_)) => *touched.read.entry(kind).or_default() += 1,
                (_, None) => touched.own += 1,
                (writes, Some(_)) => {
                    *touched.written.entry(kind).or_default() += 1;
                    touched.writes += writes;
                }
            }
        }
        touched
    }
}

/// What is configured, and what a connection touches then.
struct Case {
    name: &'static str,
    balance: &'static str,
    servers: u16,
    /// More of each server.
    server: &'static str,
    /// More of the frontend.
    frontend: &'static str,
    expected: Touched,
}

impl Case {
    fn text(&self) -> String {
        let server = |number| {
            let more = self.server;
            format!("{{ name = \"s{number}\", address = \"127.0.0.2:{number}\"{more} }}")
        };
        let servers: Vec<String> = (1..=self.servers).map(server).collect();
        format!(
            "[global]\nmax_sessions = 1000000\naccess_log = \"off\"\n\
             [backend.b]\nbalance = \"{}\"\nservers = [{}]\n\
             [frontend.f]\nlisten = [\"127.0.0.1:1\"]\nbackend = \"b\"\n{}\n",
            self.balance,
            servers.join(", "),
            self.frontend
        )
    }
}

/// The slots of the process, of the frontend and of the server, each on a line of its own, are taken and given back.
const SLOTS: (&str, usize) = ("session_limit", 3);

/// These lines, written so often, and of those of other servers so many read.
fn touched(written: &[(&'static str, usize)], writes: usize, others_read: usize) -> Touched {
    let read = (others_read > 0).then_some(("session_limit", others_read));
    Touched {
        written: written.iter().copied().collect(),
        writes,
        read: read.into_iter().collect(),
        own: 8,
        references: 1,
    }
}

fn cases() -> Vec<Case> {
    let plain = |name, servers, balance, expected| Case {
        name,
        balance,
        servers,
        server: "",
        frontend: "",
        expected,
    };
    let turns = [("backend", 1), SLOTS];
    vec![
        plain("one server", 1, "round_robin", touched(&[SLOTS], 6, 0)),
        plain("round_robin", 8, "round_robin", touched(&turns, 8, 0)),
        // It compares the sessions of all servers.
        plain("least_conn", 8, "least_conn", touched(&[SLOTS], 6, 7)),
        // It compares those of two.
        plain("random", 8, "random", touched(&[SLOTS], 6, 1)),
        plain("source_hash", 8, "source_hash", touched(&[SLOTS], 6, 0)),
        plain("first", 8, "first", touched(&[SLOTS], 6, 0)),
        Case {
            frontend: "max_sessions = 1000",
            ..plain("limit of the frontend", 1, "first", touched(&[SLOTS], 6, 0))
        },
        // It looks which servers have a free slot.
        Case {
            server: ", max_sessions = 1000",
            ..plain("limits of servers", 8, "round_robin", touched(&turns, 8, 7))
        },
        // The client has the same address at both workers. Its part of the table is locked twice.
        Case {
            frontend: "[frontend.f.per_client]\nmax_sessions = 100\nrate = \"1000/s\"",
            ..plain(
                "limits of each client",
                1,
                "first",
                touched(&[("client_table", 1), SLOTS], 10, 0),
            )
        },
    ]
}

/// A scene, and what each worker has touched.
struct Counting {
    scene: Scene,
    touched: [Lines; 2],
}

impl Counting {
    /// Two workers with this configuration. Nobody has come yet.
    fn new(case: &Case) -> Self {
        Counting {
            scene: Scene::of(&case.text(), HandOvers::new(2)),
            touched: [Lines::new(), Lines::new()],
        }
    }

    /// Turns until nothing happens any more, of those workers for which something has happened.
    fn settle(&mut self) {
        let workers = self.scene.workers.iter_mut();
        for (worker, touched) in workers.zip(&mut self.touched) {
            while !worker.engine().is_idle() {
                for (line, access) in noted(|| worker.turn()) {
                    let first = Access {
                        writes: 0,
                        ..access
                    };
                    touched.entry(line).or_insert(first).writes += access.writes;
                }
            }
        }
    }

    /// A client comes to a worker. Returns its number.
    fn arrive(&mut self, worker: usize) -> u32 {
        let client = self.scene.arrive(worker, 0);
        self.settle();
        client
    }

    /// A client sends something to the worker that has its session, which then ends.
    fn end(&mut self, worker: usize, client: u32) {
        self.scene.workers[worker].engine().bring(client, 100);
        self.settle();
        let engine = self.scene.workers[worker].engine();
        let port = engine.connected()[0];
        engine.end(port);
        self.settle();
    }

    /// Some connections at a worker. What happens but once has happened then.
    fn connect_often(&mut self, worker: usize) {
        for _ in 0..40 {
            let client = self.arrive(worker);
            self.end(worker, client);
        }
    }

    /// References to each of the objects of a connection.
    fn references(&self) -> [usize; 5] {
        let snapshot = &self.scene.snapshot;
        let backend = &snapshot.backends[0];
        let members = backend.members();
        let servers = members.servers().iter();
        [
            servers.map(|it| Arc::strong_count(&it.server)).sum(),
            Arc::strong_count(&snapshot.frontends[0]),
            Arc::strong_count(backend),
            Arc::strong_count(snapshot),
            Arc::strong_count(&self.scene.shared),
        ]
    }

    /// The number of those to which there are more than before.
    fn held(&self, before: [usize; 5]) -> usize {
        let pairs = self.references().into_iter().zip(before);
        pairs.filter(|(now, before)| now > before).count()
    }
}

/// What a connection touches that stays at the worker which has accepted it.
fn stays(case: &Case) -> Touched {
    let mut counting = Counting::new(case);
    counting.connect_often(0);
    counting.connect_often(1);
    counting.touched = [Lines::new(), Lines::new()];
    counting.connect_often(1);
    let before = counting.references();
    let client = counting.arrive(0);
    let references = counting.held(before);
    counting.end(0, client);
    let [one, other] = &counting.touched;
    Touched {
        references,
        ..Touched::of(one, other)
    }
}

/// What a connection touches at the worker that has accepted it, and at the one that begins its session.
fn is_handed_over() -> [Touched; 2] {
    let mut counting = Counting::new(&cases()[0]);
    // The first worker has a session, and hands over the next one.
    let first = counting.arrive(0);
    let hands_over = |counting: &mut Counting| {
        let client = counting.arrive(0);
        let begun = counting.scene.workers[1].sessions_open();
        assert_eq!(begun, 1, "it was not handed over");
        counting.end(1, client);
    };
    hands_over(&mut counting);
    counting.touched = [Lines::new(), Lines::new()];
    counting.end(0, first);
    counting.arrive(0);
    hands_over(&mut counting);
    let all = std::mem::take(&mut counting.touched);
    hands_over(&mut counting);
    let [one, other] = &counting.touched;
    [Touched::of(one, &all[1]), Touched::of(other, &all[0])]
}

fn main() {
    let mut wrong = Vec::new();
    let mut check = |name: &str, found: Touched, expected: Touched| {
        println!("{name}: {found:?}");
        if found != expected {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    };
    for case in cases() {
        check(case.name, stays(&case), case.expected);
    }
    let [accepts, begins] = is_handed_over();
    // The slots of the process and of the frontend are taken here, and given back there with that of the server.
    let accepts_expected = Touched {
        written: [("loads", 1), ("session_limit", 2)].into(),
        writes: 5,
        own: 1,
        ..Touched::default()
    };
    let begins_expected = Touched {
        written: [("loads", 1), SLOTS].into(),
        writes: 8,
        own: 7,
        ..Touched::default()
    };
    check("hands over", accepts, accepts_expected);
    check("takes over", begins, begins_expected);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
