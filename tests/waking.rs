//! Whole workers on a kernel in which nothing happens by itself: who is served next, at whose expense, and
//! that it costs the same however much else there is.

#[path = "../benches/waking/still.rs"]
#[allow(dead_code, reason = "tests/cache_lines.rs uses more of it")]
mod still;

use std::time::{Duration, Instant};
use still::Scene;

/// The shortest time that anything takes of several tries, which other programs disturb least.
fn shortest(mut run: impl FnMut()) -> Duration {
    let times = (0..20).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

#[test]
fn a_place_goes_to_who_has_waited_longest_at_any_worker() {
    let mut scene = Scene::new(3, 1, "", 1);
    // The workers of the clients, in the order of their arrival.
    let mut came = Vec::new();
    let mut ended = 0;
    for worker in [0, 1, 0, 2, 2, 0, 1, 1, 2, 0, 0, 0, 2, 1] {
        scene.pass(Duration::from_millis(1));
        scene.arrive(worker, 0);
        came.push(worker);
        if came.len() > 4 {
            // One may come in the moment in which a place is given back, and is behind all others.
            scene.end(came[ended], 0);
            ended += 1;
        }
        scene.settle();
    }
    while ended < came.len() {
        scene.end(came[ended], 0);
        ended += 1;
        scene.settle();
    }
    let expected: Vec<u32> = (1..=came.len() as u32).collect();
    assert_eq!(*scene.served.borrow(), expected);
    let queue = &scene.snapshot.backends[0].queue;
    assert!(!queue.waiting.any(), "nobody waits any more");
}

#[test]
fn of_two_places_the_second_goes_to_who_has_waited_longest_at_another_worker() {
    let mut scene = Scene::new(2, 1, "", 2);
    for worker in [0, 0, 0, 1, 0] {
        scene.pass(Duration::from_millis(1));
        scene.arrive(worker, 0);
        scene.settle();
    }
    // Both are given back before anybody looks.
    scene.end(0, 0);
    scene.end(0, 0);
    scene.settle();
    assert_eq!(*scene.served.borrow(), [1, 2, 3, 4]);
}

#[test]
fn a_place_for_one_who_gives_up_goes_to_the_next_worker() {
    let mut scene = Scene::new(2, 1, "", 1);
    scene.arrive(1, 0);
    scene.settle();
    scene.arrive(0, 0);
    scene.settle();
    scene.pass(Duration::from_secs(5));
    let next = scene.arrive(1, 0);
    scene.settle();
    // The first worker is told of the place, and learns in the same turn that its session gave up.
    scene.end(1, 0);
    for _ in 0..5 {
        scene.workers[1].turn();
    }
    scene.pass(Duration::from_secs(6));
    scene.settle();
    assert_eq!(*scene.served.borrow(), [1, next]);
}

/// A client whose session has a server that does not read. It sends so many bytes, again once there is a
/// buffer for them.
fn stall(scene: &mut Scene, len: u32) -> u32 {
    let client = scene.arrive(0, 0);
    scene.settle();
    if !scene.workers[0].engine().bring(client, len) {
        scene.settle();
        assert!(scene.workers[0].engine().bring(client, len), "it starves");
    }
    scene.settle();
    client
}

#[test]
fn for_a_buffer_only_a_session_is_ended_that_has_kept_one() {
    const BUFFERS: usize = 8;
    const FEW: u32 = 100;
    const MANY: u32 = 40_000;
    let mut scene = Scene::new(1, 1, "", 1_000);
    let engine = scene.workers[0].engine();
    (engine.buffers_max, engine.is_deaf) = (Some(BUFFERS), true);
    let moved: Vec<u32> = (0..20).map(|_| stall(&mut scene, FEW)).collect();
    let keeping: Vec<u32> = (0..BUFFERS).map(|_| stall(&mut scene, MANY)).collect();
    let mut served = Vec::new();
    let open = |scene: &mut Scene, clients: &[u32]| {
        let mut open = clients.to_vec();
        open.retain(|client| scene.workers[0].engine().is_open(*client));
        open
    };

    // Nobody has kept a buffer for long.
    let first = scene.arrive(0, 0);
    scene.settle();
    assert!(!scene.workers[0].engine().bring(first, FEW));
    scene.settle();
    assert_eq!(open(&mut scene, &keeping), keeping);

    scene.pass(Duration::from_millis(200));
    scene.settle();
    assert!(scene.workers[0].engine().bring(first, FEW));
    scene.settle();
    served.push(first);
    assert_eq!(open(&mut scene, &keeping), keeping[1..]);

    // It needs its buffer no more. That is enough for others, by turns.
    served.extend((0..5).map(|_| stall(&mut scene, FEW)));
    assert_eq!(open(&mut scene, &keeping), keeping[1..]);

    // Of those who come at once, the first gets it, and the second that of the longest stalled; then the
    // others get what these need no more.
    let crowd: Vec<u32> = (0..5).map(|_| scene.arrive(0, 0)).collect();
    scene.settle();
    let mut starved = crowd.clone();
    starved.retain(|client| !scene.workers[0].engine().bring(*client, FEW));
    assert_eq!(starved, crowd[1..]);
    for client in starved {
        scene.settle();
        assert!(scene.workers[0].engine().bring(client, FEW), "it starves");
    }
    scene.settle();
    served.extend(crowd);
    assert_eq!(open(&mut scene, &keeping), keeping[2..]);
    assert_eq!(open(&mut scene, &moved), moved);
    assert_eq!(open(&mut scene, &served), served);
    assert_eq!(scene.shared.workers[0].shortages.get(), 2);
}

#[test]
fn the_end_of_a_session_costs_the_same_with_a_thousand_backends() {
    let [few, many] = [10, 1_000].map(|backends| {
        let mut scene = Scene::new(1, backends, "", 1);
        for backend in 0..usize::from(backends) {
            for _ in 0..3 {
                scene.arrive(0, backend);
            }
        }
        scene.settle();
        let mut next = 0;
        shortest(|| {
            for _ in 0..20 {
                let backend = next % usize::from(backends);
                next += 1;
                scene.end(0, backend);
                scene.arrive(0, backend);
                scene.settle();
            }
        })
    });
    // Memory is colder with many; looking at each backend would take hundreds of times as long.
    assert!(many < few * 15, "{few:?}, {many:?}");
}

#[test]
fn a_hundred_times_as_many_sessions_time_out_in_a_hundred_times_the_time() {
    let [few, many] = [500, 50_000].map(|sessions| {
        let mut scene = Scene::new(1, 1, "", 1);
        scene.arrive(0, 0);
        let times = (0..3).map(|_| {
            for _ in 0..sessions {
                scene.arrive(0, 0);
            }
            scene.settle();
            assert_eq!(scene.workers[0].sessions_open(), 1 + sessions);
            scene.pass(Duration::from_secs(11));
            let start = Instant::now();
            scene.settle();
            assert_eq!(scene.workers[0].sessions_open(), 1);
            start.elapsed()
        });
        times.min().unwrap_or_default()
    });
    // Ten times as long for each is a square no more.
    assert!(many < few * 1_000, "{few:?}, {many:?}");
}

#[test]
fn a_thousand_servers_that_are_replaced_hold_a_worker_up_for_less_than_a_millisecond() {
    let mut scene = Scene::new(1, 2, "", 1_000);
    let mut round = 0;
    let times = (0..20).map(|_| {
        round += 1;
        scene.set_servers("b1", (0..1_000).map(|server| format!("{round}-{server}")));
        scene.arrive(0, 0);
        let start = Instant::now();
        scene.settle();
        start.elapsed()
    });
    let shortest = times.min().unwrap_or_default();
    assert!(shortest < Duration::from_millis(1), "{shortest:?}");
    assert_eq!(scene.workers[0].sessions_open(), round);
    let members = scene.snapshot.backends[0].members();
    let newest = members.servers().iter().map(|member| &member.server);
    let used: u32 = newest.map(|server| server.session_limit.used()).sum();
    assert!(used > 0, "none went to a new server");
    assert_eq!(scene.snapshot.backends[1].version(), 0);
}
