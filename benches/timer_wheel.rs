//! What the timers of a worker cost with a thousand and a million sessions.
//!
//! `cargo bench --bench timer_wheel`; `cargo test --bench timer_wheel` runs each case once.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ringway::logic::time::Instant;
use ringway::logic::timer_wheel::TimerWheel;
use std::time::Duration;

fn main() {
    divan::main();
}

const COUNTS: [u32; 2] = [1_000, 1_000_000];

const SECOND: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// A number that looks random, the same in every run.
fn scramble(number: u32) -> u32 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) ^ (mixed >> 13)
}

/// A deadline within `span` after `now`, by number.
fn within(now: Instant, span: Duration, number: u32) -> Instant {
    let millis = (u64::from(scramble(number)) * span.as_millis() as u64) >> 32;
    now + Duration::from_millis(millis)
}

/// A wheel in which each of `count` sessions waits for a deadline within `span`.
fn filled(count: u32, span: Duration) -> TimerWheel {
    let mut wheel = TimerWheel::new(Instant::ZERO);
    for key in 0..count {
        wheel.schedule(key, within(Instant::ZERO, span, key));
    }
    wheel
}

/// A session, picked at random, was active: its timer moves.
#[divan::bench(args = COUNTS)]
fn move_one(bencher: Bencher<'_, '_>, count: u32) {
    let mut wheel = filled(count, IDLE_TIMEOUT);
    let mut number = 0;
    bencher.bench_local(move || {
        number += 1;
        let key = scramble(number) % count;
        wheel.schedule(key, within(Instant::ZERO, IDLE_TIMEOUT, number));
    });
}

/// A session ends and another begins.
#[divan::bench(args = COUNTS)]
fn cancel_and_schedule_one(bencher: Bencher<'_, '_>, count: u32) {
    let mut wheel = filled(count, IDLE_TIMEOUT);
    let mut number = 0;
    bencher.bench_local(move || {
        number += 1;
        let key = scramble(number) % count;
        wheel.cancel(black_box(key));
        wheel.schedule(key, within(Instant::ZERO, IDLE_TIMEOUT, number));
    });
}

/// Finding out how long to sleep.
#[divan::bench(args = COUNTS)]
fn next_wakeup(bencher: Bencher<'_, '_>, count: u32) {
    let wheel = filled(count, IDLE_TIMEOUT);
    bencher.bench_local(|| black_box(&wheel).next_wakeup());
}

/// A turn of the loop in which nothing is due.
#[divan::bench(args = COUNTS)]
fn expire_nothing(bencher: Bencher<'_, '_>, count: u32) {
    let mut wheel = TimerWheel::new(Instant::ZERO);
    for key in 0..count {
        wheel.schedule(key, Instant::ZERO + IDLE_TIMEOUT);
    }
    bencher.bench_local(move || wheel.expire(black_box(Instant::ZERO + SECOND)));
}

/// All timers expire, wakeup by wakeup; the items are the timers.
#[divan::bench(args = COUNTS, sample_size = 1, sample_count = 20)]
fn expire_all(bencher: Bencher<'_, '_>, count: u32) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| filled(count, IDLE_TIMEOUT))
        .bench_local_values(|mut wheel| {
            while let Some(now) = wheel.next_wakeup() {
                while let Some(key) = wheel.expire(now) {
                    black_box(key);
                }
            }
        });
}

/// The longest single call: all timers wait in one slot of level 3, and come down together.
#[divan::bench(args = COUNTS, sample_size = 1, sample_count = 20)]
fn come_down_at_once(bencher: Bencher<'_, '_>, count: u32) {
    // A slot of level 3 begins at every multiple of 64^3 ticks.
    let slot = Instant::ZERO + Duration::from_millis(1 << 18);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let mut wheel = TimerWheel::new(Instant::ZERO);
            // Twice, so that neighbours in the list are strangers in memory, as after a while.
            for number in 0..2 * count {
                let key = if number < count {
                    number
                } else {
                    scramble(number) % count
                };
                wheel.schedule(key, within(slot + SECOND, 200 * SECOND, number));
            }
            wheel
        })
        .bench_local_values(|mut wheel| {
            let expired = wheel.expire(slot);
            (expired, wheel)
        });
}
