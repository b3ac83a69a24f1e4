//! Model checking of the memory that threads share: `src/sync` and `src/shared.rs` as they are, on atomics of loom,
//! which tries every interleaving and every value that the memory model lets a load return.
//!
//! A program of its own and not a set of tests, because the tests inside of that file are no
//! models. `scripts/model.sh` tries more interleavings than `cargo test` does.

/// In the place of those of the standard library.
mod atomics {
    // No model takes a lock.
    pub use std::sync::Mutex;

    pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}

#[path = "../src/logic/time.rs"]
#[allow(dead_code, unused_imports)]
mod time;

#[path = "../src/logic/network.rs"]
#[allow(dead_code, unused_imports)]
mod network;

#[path = "../src/logic/client_limits.rs"]
#[allow(dead_code, unused_imports)]
mod client_limits;

mod logic {
    pub(crate) use crate::{client_limits, time};
}

#[path = "../src/sync/mod.rs"]
#[allow(dead_code, unused_imports)]
mod sync;

#[path = "../src/shared.rs"]
#[allow(dead_code, unused_imports)]
mod shared;

/// As much of it as is touched by what is modelled.
mod snapshot {
    use std::sync::Arc;

    use crate::sync::{Failures, ServerAvailability, SessionLimit, WaitRegistry};

    #[derive(Debug)]
    pub struct QueueShared {
        pub waiting: WaitRegistry,
    }

    #[derive(Debug)]
    pub struct ServerShared {
        pub id: u64,
        pub session_limit: SessionLimit,
        pub availability: ServerAvailability,
        pub waiting: WaitRegistry,
        pub queue: Arc<QueueShared>,
        pub connect_failures: Failures,
        pub answer_failures: Failures,
    }

    #[derive(Debug)]
    pub struct FrontendShared {
        pub paused: WaitRegistry,
    }
}

use std::sync::Arc;

use loom::thread;
use shared::{Freed, Shared};
use snapshot::{QueueShared, ServerShared};
use sync::{Counter, Published, SessionLimit, WaitRegistry};
use time::Instant;

/// Some workers and one server.
struct Scene {
    shared: Shared,
    server: Arc<ServerShared>,
}

impl Scene {
    /// With so many places on the server, all of them taken.
    fn new(workers: usize, places: u32) -> Arc<Self> {
        let wakers = (0..workers).map(|_| -> Box<dyn Fn() + Send + Sync> { Box::new(|| {}) });
        let queue = Arc::new(QueueShared {
            waiting: WaitRegistry::new(workers),
        });
        let server = ServerShared {
            id: 1,
            session_limit: SessionLimit::new(Some(places)),
            availability: sync::ServerAvailability::new(1),
            waiting: WaitRegistry::new(workers),
            queue,
            connect_failures: sync::Failures::default(),
            answer_failures: sync::Failures::default(),
        };
        for _ in 0..places {
            assert!(server.session_limit.try_acquire());
        }
        Arc::new(Scene {
            shared: Shared::new(1, wakers.collect()),
            server: Arc::new(server),
        })
    }

    fn waiting(&self) -> &WaitRegistry {
        &self.server.queue.waiting
    }

    fn tell(&self, worker: usize) {
        let _ = self
            .shared
            .notify(worker, Freed::Server(Arc::clone(&self.server)));
    }

    /// What a worker does at the end of a session.
    fn end_session(&self) {
        self.server.session_limit.release();
        if let Some(worker) = self.waiting().longest_waiting() {
            self.tell(worker);
        }
    }

    /// What a worker does with a session that found no place. Returns whether it has one now.
    fn wait(&self, worker: usize) -> bool {
        self.waiting().publish(worker, Some(at(worker)));
        let takes = self.server.session_limit.free() > 0 && self.server.session_limit.try_acquire();
        if takes {
            self.waiting().publish(worker, None);
        }
        takes
    }

    /// What a worker with nobody waiting does with what it was told of.
    fn pass_on(&self, worker: usize) {
        while self.shared.next_freed(worker).is_some() {
            if let Some(next) = self.waiting().next_after(worker) {
                self.tell(next);
            }
        }
    }

    /// A worker is told of something, and finds a place.
    fn is_served(&self, worker: usize) -> bool {
        self.shared.next_freed(worker).is_some() && self.server.session_limit.try_acquire()
    }
}

fn at(nanos: usize) -> Instant {
    Instant::from_nanos(nanos as u64)
}

/// Either the session that begins to wait sees the place that is given back, or its worker is told.
fn a_place_that_is_given_back_is_seen() {
    let scene = Scene::new(1, 1);
    let other = Arc::clone(&scene);
    let ends = thread::spawn(move || other.end_session());
    let has_server_slot = scene.wait(0);
    ends.join().unwrap();
    assert!(has_server_slot || scene.is_served(0), "it waits for ever");
}

/// The same of two workers: one of them gets the place, and the other may be told in vain.
fn one_of_two_that_begin_to_wait_gets_the_place() {
    let scene = Scene::new(2, 1);
    let others = [Arc::clone(&scene), Arc::clone(&scene)];
    let [ending, waiting] = others;
    let ends = thread::spawn(move || ending.end_session());
    let second = thread::spawn(move || waiting.wait(1));
    let has_server_slot = scene.wait(0);
    let second_has_place = second.join().unwrap();
    ends.join().unwrap();
    assert!(!(has_server_slot && second_has_place), "there is one place");
    let has_none = !has_server_slot && !second_has_place;
    assert!(!has_none || scene.is_served(0) || scene.is_served(1));
}

/// Two places that are given back while a worker takes note of one: it is told once or twice, and
/// finds both.
fn two_places_are_found_by_whoever_is_told() {
    let scene = Scene::new(1, 2);
    scene.waiting().publish(0, Some(at(0)));
    let ends = [Arc::clone(&scene), Arc::clone(&scene)]
        .map(|scene| thread::spawn(move || scene.end_session()));
    let serve = || {
        let mut served = 0;
        while scene.shared.next_freed(0).is_some() {
            while scene.server.session_limit.try_acquire() {
                served += 1;
            }
        }
        served
    };
    let mut served = serve();
    for end in ends {
        end.join().unwrap();
    }
    served += serve();
    assert_eq!(served, 2);
}

/// A session gives up while its worker is told of a place, which then goes to the next.
fn a_place_for_one_who_gives_up_is_passed_on() {
    let scene = Scene::new(2, 1);
    scene.waiting().publish(0, Some(at(0)));
    scene.waiting().publish(1, Some(at(1)));
    let other = Arc::clone(&scene);
    let ends = thread::spawn(move || other.end_session());
    scene.waiting().publish(0, None);
    scene.pass_on(0);
    ends.join().unwrap();
    scene.pass_on(0);
    assert!(scene.is_served(1), "it waits for ever");
}

/// A server comes back while a session begins to wait for it.
fn a_server_that_comes_back_is_seen() {
    let scene = Scene::new(1, 1);
    scene.server.session_limit.release();
    scene.server.availability.publish(false, 1);
    let other = Arc::clone(&scene);
    let back = thread::spawn(move || {
        other.server.availability.publish(true, 1);
        other.shared.notify_waiters(&other.server);
    });
    scene.waiting().publish(0, Some(at(0)));
    let sees = scene.server.availability.is_usable();
    back.join().unwrap();
    assert!(sees || scene.is_served(0), "it waits for ever");
}

/// A backend gets other servers while a session begins to wait for any of them.
fn another_set_of_servers_is_seen() {
    let scene = Scene::new(1, 1);
    let servers = Arc::new(Published::new(std::sync::Arc::new(0)));
    let (other, changed) = (Arc::clone(&scene), Arc::clone(&servers));
    let changes = thread::spawn(move || {
        changed.publish(std::sync::Arc::new(1));
        other.shared.notify_queue(&other.server.queue);
    });
    scene.waiting().publish(0, Some(at(0)));
    let sees = servers.version() == 1;
    changes.join().unwrap();
    assert!(
        sees || scene.shared.next_freed(0).is_some(),
        "it waits for ever"
    );
}

/// A server is removed while a session takes a slot of it: the session gives it back, or the server is not
/// forgotten.
fn a_server_with_a_session_is_not_forgotten() {
    let scene = Scene::new(1, 1);
    scene.server.session_limit.release();
    let other = Arc::clone(&scene);
    let removes = thread::spawn(move || {
        other.server.availability.set_leaving(true);
        other.server.session_limit.used() == 0
    });
    let server = &scene.server;
    assert!(server.session_limit.try_acquire());
    // Both are SeqCst, which loom takes for no more than acquire and release.
    atomics::fence(atomics::Ordering::SeqCst);
    let is_leaving = server.availability.is_leaving();
    if is_leaving {
        server.session_limit.release();
    }
    let is_forgotten = removes.join().unwrap();
    assert!(is_leaving || !is_forgotten, "it has a session");
}

/// A server is removed while its health changes: neither is lost.
fn a_server_that_is_removed_keeps_its_health() {
    let availability = Arc::new(sync::ServerAvailability::new(1));
    let other = Arc::clone(&availability);
    let removes = thread::spawn(move || other.set_leaving(true));
    availability.publish(true, 7);
    removes.join().unwrap();
    assert!(availability.is_leaving() && !availability.is_usable());
    assert_eq!(availability.published(), (true, 7));
}

/// A bound holds, and the most that were taken at once is right.
fn a_bound_is_never_exceeded() {
    let session_limit = Arc::new(SessionLimit::new(Some(1)));
    let others = [Arc::clone(&session_limit), Arc::clone(&session_limit)].map(|session_limit| {
        thread::spawn(move || {
            if session_limit.try_acquire() {
                assert_eq!(session_limit.used(), 1);
                session_limit.release();
            }
        })
    });
    for other in others {
        other.join().unwrap();
    }
    assert_eq!((session_limit.used(), session_limit.peak()), (0, 1));
}

/// A count that is read while it is written never goes back.
fn a_count_never_goes_back() {
    let count = Arc::new(Counter::default());
    let written = Arc::clone(&count);
    let writer = thread::spawn(move || {
        written.add(1);
        written.add(2);
    });
    let reads = [count.get(), count.get()];
    assert!(reads.is_sorted() && [0, 1, 3].contains(&reads[1]));
    writer.join().unwrap();
    assert_eq!(count.get(), 3);
}

const MODELS: [(&str, fn()); 10] = [
    (
        "a place that is given back is seen",
        a_place_that_is_given_back_is_seen,
    ),
    (
        "one of two that begin to wait gets the place",
        one_of_two_that_begin_to_wait_gets_the_place,
    ),
    (
        "two places are found by whoever is told",
        two_places_are_found_by_whoever_is_told,
    ),
    (
        "a place for one who gives up is passed on",
        a_place_for_one_who_gives_up_is_passed_on,
    ),
    (
        "a server that comes back is seen",
        a_server_that_comes_back_is_seen,
    ),
    (
        "another set of servers is seen",
        another_set_of_servers_is_seen,
    ),
    (
        "a server with a session is not forgotten",
        a_server_with_a_session_is_not_forgotten,
    ),
    (
        "a server that is removed keeps its health",
        a_server_that_is_removed_keeps_its_health,
    ),
    ("a bound is never exceeded", a_bound_is_never_exceeded),
    ("a count never goes back", a_count_never_goes_back),
];

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for (name, model) in MODELS {
        if filter.as_ref().is_some_and(|part| !name.contains(part)) {
            continue;
        }
        println!("model: {name}");
        let mut builder = loom::model::Builder::new();
        // More take minutes. `LOOM_MAX_PREEMPTIONS` says otherwise.
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
        builder.check(model);
    }
}
