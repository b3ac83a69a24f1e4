//! A steady load: a few clients that ask again and again, each time by a new connection.
//!
//! The test that includes it has a module `wait`, with `eventually` and `pause`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::wait::{eventually, pause};

/// Clients that ask at the same time.
pub const CLIENTS: usize = 4;

pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Failure>>>,
}

/// A request that failed.
pub struct Failure {
    pub at: Instant,
    pub why: String,
}

impl Load {
    /// Clients that make this request, each with this time after one: others need the CPU, too.
    pub fn start(
        between: Duration,
        request: impl Fn() -> io::Result<()> + Clone + Send + 'static,
    ) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let request = request.clone();
            thread::spawn(move || {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match request() {
                        Ok(()) => {
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => failures.push(Failure {
                            at: Instant::now(),
                            why: error.to_string(),
                        }),
                    }
                    pause(between);
                }
                failures
            })
        };
        Load {
            clients: (0..CLIENTS).map(client).collect(),
            stop,
            done,
        }
    }

    /// Waits for so many more requests.
    #[track_caller]
    pub fn goes_on(&self, count: usize) {
        let done = || self.done.load(Ordering::SeqCst);
        let before = done();
        eventually("requests are answered", || done() >= before + count);
    }

    /// Ends it; returns what failed, the earliest first.
    #[track_caller]
    pub fn end(self) -> Vec<Failure> {
        self.goes_on(20);
        self.stop.store(true, Ordering::SeqCst);
        let clients = self.clients.into_iter();
        let mut failures: Vec<Failure> = clients
            .flat_map(|client| client.join().expect("no panic"))
            .collect();
        failures.sort_by_key(|failure| failure.at);
        failures
    }

    /// Ends it; nothing may have failed.
    #[track_caller]
    pub fn ends_without_failure(self) {
        let failures = self.end();
        if let Some(Failure { why, .. }) = failures.first() {
            panic!("{} requests failed, the first: {why}", failures.len());
        }
    }
}
