//! Waiting for a condition: the only place of this test that lets time pass by itself.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// Returns what there is, once it is there, and fails when that takes too long.
#[track_caller]
pub fn available<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(PERIOD);
    }
}

/// Returns once the condition holds, and fails when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    available(what, || condition().then_some(()));
}
