//! What a worker does when a session ends that others have waited for, and when those give up.
//!
//! `cargo bench --bench waking`; `cargo test --bench waking` runs each case once. `tests/waking.rs`
//! sees to it that neither grows with what it has nothing to do with.

// Tests look at more of it.
#[allow(dead_code)]
#[path = "still.rs"]
mod still;

use divan::Bencher;
use divan::counter::ItemsCount;
use std::time::Duration;
use still::Scene;

fn main() {
    divan::main();
}

/// A session ends, one that waits takes its place, and another comes and waits, while at each of
/// so many backends two sessions wait.
#[divan::bench(args = [1, 100, 1_000])]
fn end_of_a_session(bencher: Bencher<'_, '_>, backends: u16) {
    let mut scene = Scene::new(1, backends, "", 1);
    for backend in 0..usize::from(backends) {
        for _ in 0..3 {
            scene.arrive(0, backend);
        }
    }
    scene.settle();
    let mut next = 0;
    bencher.bench_local(move || {
        let backend = next % usize::from(backends);
        next += 1;
        scene.end(0, backend);
        scene.arrive(0, backend);
        scene.settle();
    });
}

/// The same where a frontend takes two sessions only, so that one connection is accepted and kept
/// until it may become a session.
#[divan::bench(args = [1, 100, 1_000])]
fn end_of_a_session_at_a_limit(bencher: Bencher<'_, '_>, frontends: u16) {
    let mut scene = Scene::new(1, frontends, "max_sessions = 1", 1);
    for frontend in 0..usize::from(frontends) {
        scene.arrive(0, frontend);
    }
    scene.settle();
    let mut next = 0;
    bencher.bench_local(move || {
        let frontend = next % usize::from(frontends);
        next += 1;
        scene.end(0, frontend);
        scene.settle();
        scene.arrive(0, frontend);
        scene.settle();
    });
}

/// So many sessions wait for one server and give up in the same moment; the items are the sessions.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_size = 1, sample_count = 5)]
fn all_time_out(bencher: Bencher<'_, '_>, sessions: u32) {
    bencher
        .counter(ItemsCount::new(sessions))
        .with_inputs(|| {
            let mut scene = Scene::new(1, 1, "", 1);
            for _ in 0..=sessions {
                scene.arrive(0, 0);
            }
            scene.settle();
            scene
        })
        .bench_local_values(|mut scene| {
            scene.pass(Duration::from_secs(11));
            scene.settle();
            assert_eq!(scene.workers[0].sessions_open(), 1);
            scene
        });
}
