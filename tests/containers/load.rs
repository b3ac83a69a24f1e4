//! A steady load: a few clients that ask again and again, each time by a new connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::get;
use super::wait::eventually;

/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// Between two requests of a client: others need the CPU, too.
const PAUSE: Duration = Duration::from_millis(10);

pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Failure>>>,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failure {
    pub at: Instant,
    pub why: String,
}

impl Load {
    pub fn start(address: SocketAddr) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let why = match get(address, "/", None) {
                        Ok(answer) if answer.status == 200 => {
                            done.fetch_add(1, Ordering::SeqCst);
                            None
                        }
                        Ok(answer) => Some(format!("{answer:?}")),
                        Err(error) => Some(error.to_string()),
                    };
                    failures.extend(why.map(|why| Failure {
                        at: Instant::now(),
                        why,
                    }));
                    thread::sleep(PAUSE);
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

    /// Requests that succeeded so far.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits for so many more requests.
    #[track_caller]
    pub fn goes_on(&self, count: usize) {
        let before = self.done();
        eventually("requests are answered", || self.done() >= before + count);
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
        assert!(
            failures.is_empty(),
            "{} failed: {:?}",
            failures.len(),
            &failures[..1]
        );
    }
}
