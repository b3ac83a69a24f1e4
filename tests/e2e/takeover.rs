//! Taking over: a new process gets the listeners of the one that runs, and nobody who connects
//! meanwhile notices.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::clients::{connect, connect_named, read_line, round_trip};
use crate::harness::{Launch, Ringway, ScratchDirectory};
use crate::http::{ask, get, order, stats};
use crate::servers::{LOOPBACK, Server};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

/// An admin socket in a folder of its own, by which one process after the other is asked.
struct Admin(ScratchDirectory);

impl Admin {
    fn new() -> Self {
        Admin(ScratchDirectory::new())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("admin.sock")
    }

    fn setup(&self) -> Setup {
        let line = format!("socket = \"{}\"", self.socket().display());
        Setup::new().admin().admin_with(&line)
    }

    /// The process that answers at the socket.
    fn pid(&self) -> u64 {
        let stats = ask(self.socket().as_path(), "GET /api/v1/stats", &[], "").json();
        stats["process"]["pid"].as_u64().expect("a number")
    }
}

/// Connects again and again until told to stop; it always must work.
fn hammer(address: SocketAddr, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        assert_eq!(connect_named(address).1, "a");
        count += 1;
    }
    count
}

/// A process that takes over from the one that runs with the same configuration.
fn successor(setup: &Setup) -> Ringway {
    setup.launch().argument("--takeover").start()
}

#[test]
fn no_connection_fails_while_one_process_follows_another() {
    let server = Server::named("a");
    let admin = Admin::new();
    let setup = |workers| admin.setup().workers(workers).server("a", server.address());
    let mut ringway = setup(2).start();
    let web = ringway.address();
    let stop = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| hammer(web, &stop))).collect();
        // Fewer workers than sockets, and more.
        for workers in [2, 1, 3, 2, 1] {
            all_through("time passes", Duration::from_millis(200), || true);
            let next = successor(&setup(workers));
            assert_eq!(next.address(), web);
            assert_eq!(ringway.exit_code(), Some(0));
            ringway.says("another process has taken over");
            let pid = next.pid().as_raw_nonzero().get();
            assert_eq!(admin.pid(), u64::try_from(pid).expect("positive"));
            assert_eq!(get(next.admin(), "/readyz").status, 200);
            ringway = next;
        }
        all_through("time passes", Duration::from_millis(200), || true);
        stop.store(true, Ordering::SeqCst);
        let counts = clients
            .into_iter()
            .map(|client| client.join().expect("no failure"));
        assert!(counts.sum::<usize>() > 200);
    });
    ringway.has_no_kernel_workers();
}

#[test]
fn open_sessions_are_finished_by_the_process_that_has_them() {
    let server = Server::echo();
    let admin = Admin::new();
    let setup = admin.setup().server("a", server.address());
    let mut old = setup.start();
    let web = old.address();
    let client = connect(web);
    round_trip(&client, b"before");

    let new = successor(&setup);
    old.says("finishing open sessions");
    round_trip(&client, b"after");
    for _ in 0..10 {
        round_trip(&connect(web), b"others");
    }
    eventually("they were the new one's", || {
        stats(new.admin())["process"]["sessions"]["total"] == 10
    });
    assert!(old.runs());
    drop(client);
    assert_eq!(old.exit_code(), Some(0));
    assert!(admin.socket().exists(), "it is that of the new one");
}

#[test]
fn a_process_that_does_not_get_as_far_takes_nothing_over() {
    let server = Server::named("a");
    let admin = Admin::new();
    let setup = admin.setup().server("a", server.address());
    let mut ringway = setup.start();
    let taken = std::net::TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let taken = taken.local_addr().expect("an address");
    let other = format!(
        "{}\n[frontend.x]\nlisten = [\"{taken}\"]\nbackend = \"app\"\n",
        setup.text()
    );

    for _ in 0..3 {
        let launch = Launch::config(&other).argument("--takeover");
        let mut failed = launch.spawn();
        assert_eq!(failed.exit_code(), Some(1));
        let why = failed.errors();
        assert!(why.contains("another program listens there"), "{why}");
    }
    ringway.says("the other process did not take over");
    assert!(ringway.runs());
    assert_eq!(connect_named(ringway.address()).1, "a");
    let line = ringway.reload(&setup.text());
    assert!(line.contains("is in use"), "{line}");
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn without_a_process_to_take_over_from_there_is_a_sentence() {
    let server = Server::named("a");
    let admin = Admin::new();
    let setup = admin.setup().server("a", server.address());
    let without = Setup::new().server("a", server.address());
    for (launch, why) in [
        (setup.launch().argument("--takeover"), "nobody listens at"),
        (
            without.launch().argument("--takeover=/nowhere/admin.sock"),
            "start without `--takeover`",
        ),
        (
            without.launch().argument("--takeover"),
            "set `socket` in [admin]",
        ),
    ] {
        let mut ringway = launch.spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        assert!(ringway.errors().contains(why), "{}", ringway.errors());
    }
}

#[test]
fn nobody_is_handed_anything_over_tcp_or_by_mistake() {
    let server = Server::named("a");
    let admin = Admin::new();
    let ringway = admin.setup().server("a", server.address()).start();
    let request = "POST /api/v1/takeover";
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "ringway-takeover/1")];
    let answer = ask(ringway.admin(), request, &upgrade, "");
    assert_eq!(answer.status, 403, "{answer:?}");
    let answer = ask(admin.socket().as_path(), request, &[], "");
    assert_eq!(answer.status, 426, "{answer:?}");
    assert_eq!(connect_named(ringway.address()).1, "a");
}

/// A setup whose first health checks take the whole second that they may: its server is silent.
fn slow_to_start(admin: &Admin, silent: &std::net::TcpListener) -> Setup {
    let address = silent.local_addr().expect("an address");
    admin
        .setup()
        .server("a", address)
        .health_check("type = \"http\"")
        .health_check("path = \"/\"")
        .health_check("timeout = \"2s\"")
}

#[test]
fn an_order_that_was_confirmed_holds_in_the_process_that_takes_over() {
    let silent = std::net::TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let admin = Admin::new();
    let setup = slow_to_start(&admin, &silent);
    let path = "/api/v1/servers/app/a";
    let json = [("Content-Type", "application/json")];
    let set = |change: &str| {
        let socket = admin.socket();
        ask(socket.as_path(), &format!("POST {path}"), &json, change)
    };
    let server = |ringway: &Ringway| stats(ringway.admin())["backends"][0]["servers"][0].clone();
    let mut old = setup.start();
    assert_eq!(set("{\"weight\": 7}").status, 200);

    let new = setup.launch().argument("--takeover").spawn();
    old.says("another process takes over the listeners");
    let refused = set("{\"state\": \"drain\"}");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.error().contains("is taking over"), "{refused:?}");
    let mut third = setup.launch().argument("--takeover").spawn();
    assert_eq!(third.exit_code(), Some(1));
    let why = third.errors();
    assert!(
        why.contains("another process is taking over from this one"),
        "{why}"
    );
    assert_eq!(old.exit_code(), Some(0));
    new.says("ringway is ready");

    // Without a state file.
    assert_eq!(server(&new)["weight"], 7);
    assert_eq!(server(&new)["admin_state"], "ready");
    assert_eq!(set("{\"state\": \"drain\"}").status, 200);
    assert_eq!(server(&new)["admin_state"], "drain");
}

#[test]
fn orders_are_taken_again_after_a_takeover_that_failed() {
    let silent = std::net::TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let admin = Admin::new();
    let setup = slow_to_start(&admin, &silent);
    let ringway = setup.start();
    let mut failed = setup.launch().argument("--takeover").spawn();
    ringway.says("another process takes over the listeners");
    failed.signal(Signal::KILL);
    eventually("it is dead", || !failed.runs());
    failed.forget();
    ringway.says("the other process did not take over");
    let change = serde_json::json!({ "state": "drain" });
    let server = order(admin.socket().as_path(), "/api/v1/servers/app/a", &change);
    assert_eq!(server["admin_state"], "drain");
}

#[test]
fn who_waits_for_the_old_process_is_served_by_the_new_one() {
    let server = Server::named("a");
    let echo = Server::echo();
    let admin = Admin::new();
    let setup = |server: &Server| {
        let setup = admin.setup().workers(1).global("max_sessions = 1");
        setup.server("a", server.address())
    };
    let mut old = setup(&echo).start();
    let web = old.address();
    let open = connect(web);
    round_trip(&open, b"the only one");
    let waiting: Vec<_> = (0..20).map(|_| connect(web)).collect();

    // It has room for one after the other, so that most still wait when the old one is told to stop.
    let new = successor(&setup(&server));
    old.says("another process has taken over");
    let count = waiting.len();
    for client in waiting {
        assert_eq!(read_line(&client), "a");
    }
    round_trip(&open, b"goes on");
    assert!(old.runs());
    let total = &stats(new.admin())["process"]["sessions"]["total"];
    assert_eq!(*total, count);
    drop(open);
    assert_eq!(old.exit_code(), Some(0));
}
