//! Workers share the load: connections that one has accepted go to the least loaded one, and a worker that stands
//! still gets none.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::{connect, ending, round_trip, try_connect_from};
use crate::harness::Ringway;
use crate::http::{get, stats};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::{eventually, pause};

/// A debugger of one thread: it stops it, and lets it go when its input ends.
const DEBUGGER: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
thread = int(sys.argv[1])
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, thread, None, None):
        sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(thread, WALL)
print("stopped", flush=True)
sys.stdin.read()
libc.ptrace(DETACH, thread, None, None)
"#;

/// A thread that a debugger has stopped, until this is dropped.
struct Stopped(Child);

impl Stopped {
    /// Stops the worker of this index.
    fn worker(ringway: &Ringway, index: usize) -> Self {
        let name = format!("worker-{index}\n");
        let tasks = std::fs::read_dir(format!("/proc/{}/task", ringway.pid()));
        let mut tasks = tasks.expect("it runs").flatten();
        let task = tasks.find(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm == name)
        });
        let thread = task.expect("the worker has a thread").file_name();
        let mut debugger = Command::new("python3")
            .args(["-c", DEBUGGER])
            .arg(thread)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let output = debugger.stdout.take().expect("it is a pipe");
        let line = crate::http::line(&mut { output });
        assert_eq!(line.as_deref(), Some("stopped"));
        Stopped(debugger)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Open sessions of each worker.
fn sessions(ringway: &Ringway) -> Vec<u64> {
    numbers(ringway, "current")
}

fn numbers(ringway: &Ringway, what: &str) -> Vec<u64> {
    let stats = stats(ringway.admin());
    let workers = stats["workers"].as_array().expect("a list").iter();
    workers
        .map(|worker| worker["sessions"][what].as_u64().expect("a number"))
        .collect()
}

fn is_stalled(ringway: &Ringway, worker: usize) -> bool {
    stats(ringway.admin())["workers"][worker]["stalled"] == Value::Bool(true)
}

/// This many clients, each with a session of which bytes have gone back and forth.
fn open(ringway: &Ringway, count: usize) -> Vec<TcpStream> {
    let clients: Vec<_> = (0..count).map(|_| connect(ringway.address())).collect();
    for client in &clients {
        round_trip(client, b"hello");
    }
    clients
}

fn before(server: &Server, workers: usize) -> Setup {
    Setup::new()
        .workers(workers)
        .admin()
        .server("a", server.address())
}

#[test]
fn long_sessions_are_spread_over_the_workers() {
    let server = Server::echo();
    for (workers, count, most) in [(8, 32, 5), (4, 8, 3), (2, 40, 22)] {
        for round in 0..3 {
            let ringway = before(&server, workers).start();
            let clients = open(&ringway, count);
            let loads = sessions(&ringway);
            assert_eq!(loads.iter().sum::<u64>(), count as u64);
            assert!(loads.iter().all(|load| *load <= most), "{round}: {loads:?}");
            for client in &clients {
                round_trip(client, b"still here");
            }
        }
    }
}

#[test]
fn sessions_that_one_worker_accepts_are_handed_over_and_counted() {
    let server = Server::echo();
    let folder = crate::harness::ScratchDirectory::new();
    let path = folder.path().join("web.sock");
    // Of a Unix socket the kernel mostly wakes the same worker.
    let ringway = before(&server, 4)
        .listen(&format!("unix:{}", path.display()))
        .start();
    let clients: Vec<_> = (0..40)
        .map(|_| std::os::unix::net::UnixStream::connect(&path).expect("it listens"))
        .collect();
    eventually("all are sessions", || {
        sessions(&ringway).iter().sum::<u64>() == 40
    });
    let loads = sessions(&ringway);
    assert!(
        loads.iter().all(|load| (8..=12).contains(load)),
        "{loads:?}"
    );
    let handed_over: u64 = numbers(&ringway, "handed_over").iter().sum();
    assert!(handed_over > 0, "{loads:?}");
    let metrics = get(ringway.admin(), "/metrics").body;
    assert!(
        metrics.contains("ringway_worker_sessions_handed_over_total{worker=\"3\"} "),
        "{metrics}"
    );
    drop(clients);
}

#[test]
fn a_limit_of_a_client_holds_whichever_worker_has_its_sessions() {
    let server = Server::echo();
    let ringway = before(&server, 4)
        .frontend("per_client = { max_sessions = 10 }")
        .start();
    let clients = open(&ringway, 10);
    // Its reset may come before we look at the connection.
    let one_more = try_connect_from([127, 0, 0, 1].into(), ringway.address());
    if let Ok(client) = one_more {
        ending(&client);
    }
    assert_eq!(sessions(&ringway).iter().sum::<u64>(), 10);
    drop(clients);
    eventually("they have ended", || {
        sessions(&ringway).iter().sum::<u64>() == 0
    });
    open(&ringway, 10);
}

#[test]
fn a_worker_that_stands_still_gets_no_sessions_and_others_take_those_in_its_queue() {
    let server = Server::echo();
    let ringway = before(&server, 4).start();
    let first = open(&ringway, 4);
    let stopped = Stopped::worker(&ringway, 1);
    let had = sessions(&ringway)[1];
    // A quarter of them come to its queue.
    let start = Instant::now();
    let clients = open(&ringway, 40);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(sessions(&ringway)[1], had);
    ringway.says("worker 1 has stood still for 100ms: others take its new connections");
    assert!(is_stalled(&ringway, 1));
    let metrics = get(ringway.admin(), "/metrics").body;
    assert!(
        metrics.contains("ringway_worker_stalled{worker=\"1\"} 1\n"),
        "{metrics}"
    );
    // It is known now, so that nobody waits for it any more.
    let more = open(&ringway, 40);
    assert_eq!(sessions(&ringway)[1], had);
    drop(stopped);
    ringway.says("worker 1 goes on, after it had stood still for ");
    eventually("it is no more", || !is_stalled(&ringway, 1));
    for client in first.iter().chain(&clients).chain(&more) {
        round_trip(client, b"still here");
    }
    // It has the fewest sessions.
    let later = open(&ringway, 20);
    assert!(sessions(&ringway)[1] > had + 10, "{:?}", sessions(&ringway));
    drop(later);
    assert_eq!(
        ringway
            .errors_so_far()
            .matches("stood still for 100ms")
            .count(),
        1
    );
}

#[test]
fn a_client_that_comes_to_a_stopped_worker_alone_is_served_within_a_second() {
    let server = Server::echo();
    let ringway = before(&server, 2).start();
    let _stopped = Stopped::worker(&ringway, 0);
    // Long after it was stopped, and of which nobody knew.
    pause(Duration::from_millis(1_500));
    for _ in 0..8 {
        let start = Instant::now();
        let client = open(&ringway, 1);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        drop(client);
    }
    assert_eq!(sessions(&ringway)[0], 0);
}

#[test]
fn limits_hold_for_what_is_taken_from_a_stopped_worker() {
    let server = Server::echo();
    let ringway = before(&server, 2).frontend("max_sessions = 6").start();
    let stopped = Stopped::worker(&ringway, 0);
    let clients: Vec<_> = (0..16).map(|_| connect(ringway.address())).collect();
    eventually("as many as may be", || sessions(&ringway) == [0, 6]);
    crate::wait::all_through("no more", Duration::from_millis(300), || {
        sessions(&ringway) == [0, 6]
    });
    // Each that ends makes room for the next.
    let mut served = Vec::new();
    let mut waiting = clients;
    while !waiting.is_empty() {
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(answers);
        served.extend(now.into_iter().map(drop));
        waiting = later;
    }
    assert_eq!(served.len(), 16);
    drop(stopped);
}

/// Whether the client is served already.
fn answers(client: &TcpStream) -> bool {
    use std::io::{Read, Write};
    let mut byte = [0];
    let _ = (&*client).write_all(b"x");
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a timeout");
    (&*client).read(&mut byte).is_ok_and(|read| read == 1)
}

#[test]
fn idle_workers_are_not_woken() {
    let server = Server::echo();
    let setup = before(&server, 4).defaults("connect_timeout = \"1s\"");
    let ringway = setup.start();
    let clients = open(&ringway, 8);
    let scheduled = || ringway.scheduled("worker-");
    // Bytes are counted once more a second after the last, and timers of connects expire.
    pause(Duration::from_millis(2_500));
    let before = crate::wait::settled("they sleep", scheduled);
    crate::wait::all_through("they sleep on", Duration::from_secs(2), || {
        scheduled() == before
    });
    drop(clients);
}

#[test]
fn a_process_that_was_stopped_as_a_whole_has_no_worker_that_stands_still() {
    let server = Server::echo();
    let ringway = before(&server, 4).start();
    let first = open(&ringway, 4);
    ringway.signal(rustix::process::Signal::STOP);
    let waiting: Vec<_> = (0..20).map(|_| connect(ringway.address())).collect();
    pause(Duration::from_millis(500));
    ringway.signal(rustix::process::Signal::CONT);
    for client in first.iter().chain(&waiting) {
        round_trip(client, b"hello");
    }
    pause(Duration::from_millis(300));
    let errors = ringway.errors_so_far();
    assert!(!errors.contains("stood still"), "{errors}");
}

/// Also a reload meanwhile changes nothing of that; the configuration is in use by the others.
#[test]
fn a_reload_goes_on_without_a_stopped_worker() {
    let server = Server::echo();
    let setup = before(&server, 3);
    let ringway = setup.start();
    let stopped = Stopped::worker(&ringway, 2);
    let first = open(&ringway, 12);
    let line = ringway.reload(&setup.frontend("max_sessions = 1000").text());
    assert!(line.contains("reloaded: version"), "{line}");
    let start = Instant::now();
    let more = open(&ringway, 12);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(stopped);
    for client in first.iter().chain(&more) {
        round_trip(client, b"still here");
    }
    eventually("its sessions are spread too", || !is_stalled(&ringway, 2));
}
