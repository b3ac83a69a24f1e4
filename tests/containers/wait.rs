//! Waiting for a condition, and pauses: the only place of this test that lets time pass by itself.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// Returns what there is, once it is there; `None`: not within this time.
pub fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        thread::sleep(PERIOD);
    }
}

/// Returns what there is, once it is there, and fails when that takes too long.
#[track_caller]
pub fn available<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, look) {
        Some(found) => found,
        None => panic!("not within {DEADLINE:?}: {what}"),
    }
}

/// Returns once the condition holds, and fails when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    available(what, || condition().then_some(()));
}

/// Lets this time pass: between the requests of a load, or in a server that is slow. No test waits for something in this way.
pub fn pause(time: Duration) {
    thread::sleep(time);
}
