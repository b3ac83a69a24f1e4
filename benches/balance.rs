//! What one choice of a server costs, by algorithm and number of servers.
//!
//! `cargo bench --bench balance`; `cargo test --bench balance` runs each case once.

use divan::{Bencher, black_box};
use ringway::logic::balance::{Algorithm, Balancer, Servers};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

fn main() {
    divan::main();
}

const COUNTS: [usize; 3] = [10, 100, 1_000];
const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::RoundRobin,
    Algorithm::LeastConn,
    Algorithm::Random,
    Algorithm::SourceHash,
    Algorithm::First,
];

/// Servers whose state is read as the workers read it: from atomics.
struct Table {
    servers: Vec<Server>,
}

struct Server {
    usable: AtomicU32,
    weight: AtomicU32,
    sessions: AtomicU32,
    sessions_max: u32,
}

impl Table {
    fn new(count: usize, weight: impl Fn(usize) -> u32) -> Self {
        let server = |index| Server {
            usable: 1.into(),
            weight: weight(index).into(),
            sessions: (index as u32 * 31 % 17).into(),
            sessions_max: 1_000,
        };
        Self {
            servers: (0..count).map(server).collect(),
        }
    }
}

impl Servers for Table {
    fn len(&self) -> usize {
        self.servers.len()
    }
    fn usable(&self, index: usize) -> bool {
        self.servers[index].usable.load(Ordering::Relaxed) != 0
    }
    fn weight(&self, index: usize) -> u32 {
        self.servers[index].weight.load(Ordering::Relaxed)
    }
    fn is_backup(&self, _: usize) -> bool {
        false
    }
    fn sessions(&self, index: usize) -> u32 {
        self.servers[index].sessions.load(Ordering::Relaxed)
    }
    fn has_room(&self, index: usize) -> bool {
        self.sessions(index) < self.servers[index].sessions_max
    }
}

fn run(bencher: Bencher<'_, '_>, algorithm: Algorithm, table: &Table) {
    let names: Vec<String> = (0..table.len())
        .map(|index| format!("web{index}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut balancer = Balancer::new(algorithm, &names, 1);
    let mut client = 0_u32;
    bencher.bench_local(move || {
        client = client.wrapping_add(1);
        let client = IpAddr::V4(Ipv4Addr::from_bits(client));
        balancer.choose(black_box(client), table, black_box(&[]))
    });
}

#[divan::bench(args = ALGORITHMS, consts = COUNTS)]
fn equal_weights<const COUNT: usize>(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    run(bencher, algorithm, &Table::new(COUNT, |_| 1));
}

#[divan::bench(args = ALGORITHMS, consts = COUNTS)]
fn mixed_weights<const COUNT: usize>(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let table = Table::new(COUNT, |index| index as u32 * 37 % 256 + 1);
    run(bencher, algorithm, &table);
}
