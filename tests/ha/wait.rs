//! Waiting for a condition, and pauses: the only place of this test that lets time pass by itself.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(20);

/// Returns once the condition holds, and fails when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(PERIOD);
    }
}

/// Lets this time pass: between the requests of a load, or while it is observed. No test waits for something in this way.
pub fn pause(time: Duration) {
    thread::sleep(time);
}
