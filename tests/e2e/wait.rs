//! Waiting for a condition, and pauses: the only place of these tests that lets time pass by itself.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(2);

/// For how long a value must stay as it is to count as settled.
const SETTLED: Duration = Duration::from_millis(400);

/// Returns once the condition holds, and fails the test when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(PERIOD);
    }
}

/// Returns the value that does not change any more, and fails the test when it never stops changing.
#[track_caller]
pub fn settled<T: PartialEq>(what: &str, mut value: impl FnMut() -> T) -> T {
    let mut last = value();
    let mut since = Instant::now();
    eventually(what, || {
        let now = value();
        if now != last {
            last = now;
            since = Instant::now();
        }
        since.elapsed() >= SETTLED
    });
    last
}

/// Watches that a condition holds all through the given time.
#[track_caller]
pub fn all_through(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    eventually(what, || {
        assert!(condition(), "no longer after {:?}: {what}", start.elapsed());
        start.elapsed() >= time
    });
}

/// Lets this time pass: between the requests of a load. No test waits for something in this way.
pub fn pause(time: Duration) {
    thread::sleep(time);
}
