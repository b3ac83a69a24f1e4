//! Simulation: real workers on a fake kernel, thousands of seeded runs.
//!
//! Every run draws a configuration, clients, servers and the weather from its seed, lets
//! everything end, and checks what must hold whatever happened: each side got what the other sent,
//! in HTTP mode with its head edited, in TLS mode by its route, in some runs behind a PROXY head, every descriptor is closed once, every buffer comes back,
//! nothing is in flight for a session that is gone, no bound is exceeded, everything ends in time.
//! Some runs take other configurations on the way. All of it happens twice: on a kernel that tells of
//! completions, and below the engine that needs one of readiness. A failure names its seed:
//! `RINGWAY_SIM_SEED=N cargo test --test sim` runs it alone, `RINGWAY_SIM_RUNS=N` runs more, from
//! `RINGWAY_SIM_FIRST=N` on.

mod configuration;
mod control;
mod end;
mod expected;
mod heads;
mod http;
mod kernel;
mod passive;
mod proxy;
mod random;
mod run;
mod stream;
mod tls;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringway::io::Epoll;

use kernel::{Kernel, Simulated};
use run::Run;

/// Runs by default: a few seconds in a debug build.
const RUNS: u64 = 3_000;

/// What a run found, to see that the runs together reach what they are for.
#[derive(Debug, Default)]
struct Coverage {
    sessions: u64,
    complete: u64,
    spliced: u64,
    faults: u64,
    /// Sides that were reset, and what they had sent before was to be delivered.
    broken: u64,
    codes: HashMap<String, u64>,
    reloads: u64,
    /// Changes of the set of servers of a backend.
    changes: u64,
    /// Turns in which a server that was removed had sessions.
    leaving: u64,
    /// Turns in which sessions of several configurations were open.
    mixed: u64,
    /// Turns in which a session waited for the server of its cookie.
    named: u64,
    /// Servers that were left out because sessions with them failed.
    ejected: u64,
    /// Connections of clients that came too often, or had too many.
    refused: u64,
    /// Chunks that were moved to memory of their size.
    shrunk: u64,
    /// Connections that went from one worker to another.
    handed_over: u64,
    http: http::Coverage,
    proxy: proxy::Coverage,
    tls: tls::Coverage,
}

impl Coverage {
    /// The runs reach what they are for.
    fn assert_reached(&self) {
        assert!(self.sessions > RUNS, "{self:?}");
        assert!(self.complete > RUNS / 2, "{self:?}");
        assert!(self.faults > RUNS, "{self:?}");
        assert!(self.broken > RUNS / 10, "{self:?}");
        assert!(self.spliced > 1_000_000, "{self:?}");
        assert!(self.reloads > RUNS / 2, "{self:?}");
        assert!(self.changes > RUNS, "{self:?}");
        assert!(self.leaving > RUNS, "{self:?}");
        assert!(self.mixed > RUNS, "{self:?}");
        assert!(self.named > RUNS, "{self:?}");
        assert!(self.ejected > RUNS / 10, "{self:?}");
        assert!(self.shrunk > RUNS, "{self:?}");
        assert!(self.handed_over > RUNS, "{self:?}");
        assert!(self.refused > RUNS / 10, "{self:?}");
        for code in [
            "--", "CD", "SD", "SC", "sC", "sQ", "RC", "RH", "RQ", "cD", "KD", "KQ", "DD", "CR",
            "cR", "PR", "PP", "PT", "cT", "CT", "KR", "CH", "SH", "sH", "KH", "AD",
        ] {
            assert!(self.codes.contains_key(code), "{code}: {self:?}");
        }
        self.http.assert_reached(RUNS);
        let proxy = &self.proxy;
        for count in [proxy.named, proxy.local, proxy.absent, proxy.sent] {
            assert!(count > RUNS / 30, "{self:?}");
        }
        assert!(proxy.parts > 0, "{self:?}");
        let tls = &self.tls;
        for count in [tls.routed, tls.unmatched, tls.alerted, tls.refused] {
            assert!(count > RUNS / 30, "{self:?}");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_on_a_kernel_of_completions() {
    whatever_happens::<Kernel>();
}

#[test]
fn whatever_happens_on_a_kernel_of_readiness() {
    whatever_happens::<Epoll<Kernel>>();
}

fn whatever_happens<E: Simulated>() {
    let mut coverage = Coverage::default();
    if let Some(seed) = variable("RINGWAY_SIM_SEED") {
        Run::<E>::new(seed).run(&mut coverage);
        return;
    }
    let first = variable("RINGWAY_SIM_FIRST").unwrap_or(0);
    for seed in first..first + variable("RINGWAY_SIM_RUNS").unwrap_or(RUNS) {
        if variable("RINGWAY_SIM_TRACE").is_some() {
            eprintln!("seed {seed}");
        }
        let run = catch_unwind(AssertUnwindSafe(|| {
            Run::<E>::new(seed).run(&mut coverage);
        }));
        assert!(run.is_ok(), "run again alone with RINGWAY_SIM_SEED={seed}");
    }
    println!("{coverage:?}");
    coverage.assert_reached();
}
