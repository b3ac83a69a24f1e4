//! What a connection costs whose client is looked up: in lists of addresses, and in the table of clients
//! with limits, by one thread and by eight.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use divan::{Bencher, black_box};
use ringway::logic::client_limits::{ClientLimits, RateLimit};
use ringway::logic::network::{Network, Networks};
use ringway::logic::time::Instant;
use ringway::sync::ClientTable;

fn main() {
    divan::main();
}

const CLIENTS: [u32; 2] = [10, 1_000_000];

const NETWORKS: [u32; 2] = [10_000, 1_000_000];

const LIMITS: ClientLimits = ClientLimits {
    sessions_max: Some(1_000_000),
    rate: Some(RateLimit {
        interval: 1,
        burst: 1_000_000,
    }),
    ipv4_prefix: 32,
    ipv6_prefix: 64,
};

/// Numbers without a pattern, all below 2^32.
fn scattered(number: u32) -> u32 {
    number
        .wrapping_mul(2_654_435_761)
        .rotate_left(13)
        .wrapping_mul(2_246_822_519)
}

/// A session that begins and ends.
#[divan::bench(args = CLIENTS, threads = [1, 8])]
fn session(bencher: Bencher, clients: u32) {
    let table = ClientTable::default();
    let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(scattered(number % clients)));
    for number in 0..clients {
        table.release(
            table
                .admit(1, address(number), &LIMITS, Instant::ZERO)
                .expect("a place"),
        );
    }
    static THREADS: AtomicU32 = AtomicU32::new(0);
    // Threads begin at different clients.
    thread_local!(static NEXT: Cell<u32> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) << 20));
    bencher.bench(|| {
        let number = NEXT.replace(NEXT.get().wrapping_add(1));
        let now = Instant::from_nanos(u64::from(number) << 10);
        if let Ok(place) = table.admit(1, black_box(address(number)), &LIMITS, now) {
            table.release(place);
        }
    });
}

/// An address of IPv4, looked up in a list.
#[divan::bench(args = NETWORKS)]
fn list_v4(bencher: Bencher, networks: u32) {
    let network = |number| Network::new(Ipv4Addr::from_bits(scattered(number)).into(), 32);
    let list: Networks = (0..networks).map(network).collect();
    let mut number = 0_u32;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        list.contains(black_box(Ipv4Addr::from_bits(scattered(number)).into()))
    });
}

/// An address of IPv6, looked up in a list.
#[divan::bench(args = NETWORKS)]
fn list_v6(bencher: Bencher, networks: u32) {
    let address = |number| Ipv6Addr::from_bits(u128::from(scattered(number)) << 80).into();
    let network = |number| Network::new(address(number), 48);
    let list: Networks = (0..networks).map(network).collect();
    let mut number = 0_u32;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        list.contains(black_box(address(number)))
    });
}
