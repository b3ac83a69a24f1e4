//! The image alone: how it starts, stops, and what it needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{get, ok};
use super::engine::{Engine, NODE};
use super::wait::{available, eventually, pause};

/// What Docker waits between SIGTERM and SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A web server on the node: each answer takes this time.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(time: Duration) -> Self {
        let listener = TcpListener::bind((NODE, 0)).expect("an address");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    if stream.read(&mut [0; 4096]).is_ok_and(|len| len > 0) {
                        count.fetch_add(1, Ordering::SeqCst);
                        pause(time);
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    }
                });
            }
        });
        Self { address, requests }
    }
}

/// Starts a container `lb` of the image with these arguments, and waits until the program is ready; returns where it
/// serves port 80.
#[track_caller]
pub fn run(engine: &Engine, options: &[&str], arguments: &[&str]) -> SocketAddr {
    let start = ["run", "--detach", "--name", "lb"];
    engine.docker(&[&start, options, &["ringway"], arguments].concat());
    eventually("it is ready", || {
        engine.logs("lb").contains("ringway is ready")
    });
    let ip = engine.docker(&[
        "inspect",
        "--format",
        "{{.NetworkSettings.IPAddress}}",
        "lb",
    ]);
    SocketAddr::new(ip.parse().expect("an address"), 80)
}

pub fn starts_by_itself_and_is_healthy(engine: &Engine) {
    let server = Server::start(Duration::ZERO);
    // Without an admin listener that others reach.
    let address = run(
        engine,
        &[],
        &["tcp", "--listen", "0.0.0.0:80", &server.address.to_string()],
    );
    assert_eq!(ok(address, "/", None).body, "ok");
    let pid = engine.docker(&["inspect", "--format", "{{.State.Pid}}", "lb"]);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(
        status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
        "{status}"
    );
    assert_eq!(
        engine.docker(&["exec", "lb", "ringway", "healthcheck"]),
        "ok"
    );
    let shown = engine.docker(&["exec", "lb", "ringway", "status"]);
    assert!(shown.contains("servers/s1"), "{shown}");
    let health = || engine.docker(&["inspect", "--format", "{{.State.Health.Status}}", "lb"]);
    eventually("it is healthy", || health() == "healthy");
}

pub fn takes_a_file_that_is_mounted(engine: &Engine) {
    let server = Server::start(Duration::ZERO);
    let text = |weight: u16| {
        format!(
            "[frontend.web]\nlisten = [\"0.0.0.0:80\"]\nbackend = \"app\"\n[backend.app]\n\
             servers = [{{ name = \"web1\", address = \"{}\", weight = {weight} }}]\n",
            server.address
        )
    };
    let file = engine.file("ringway.toml", &text(1));
    let mount = format!("{}:/etc/ringway/ringway.toml:ro", file.display());
    let address = run(engine, &["--volume", &mount], &[]);
    ok(address, "/", None);
    engine.file("ringway.toml", &text(7));
    engine.docker(&["exec", "lb", "ringway", "reload"]);
    let shown = engine.docker(&["exec", "lb", "ringway", "status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(json["backends"][0]["servers"][0]["weight"], 7, "{shown}");
    // Its own file is valid, too, and warns only of a service that is not there.
    let checked = engine.docker(&["run", "--rm", "ringway", "check"]);
    assert_eq!(checked, "/etc/ringway/ringway.toml is valid");
}

pub fn a_stop_under_load_loses_no_request(engine: &Engine) {
    const REQUESTS: usize = 50;
    let server = Server::start(Duration::from_secs(4));
    let servers = server.address.to_string();
    let address = run(engine, &[], &["http", "--listen", "0.0.0.0:80", &servers]);
    let clients: Vec<_> = (0..REQUESTS)
        .map(|_| thread::spawn(move || get(address, "/", None)))
        .collect();
    eventually("all are under way", || {
        server.requests.load(Ordering::SeqCst) == REQUESTS
    });
    let start = Instant::now();
    engine.docker(&["stop", "lb"]);
    let took = start.elapsed();
    for client in clients {
        let answer = client.join().expect("no panic").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    }
    let code = engine.docker(&["inspect", "--format", "{{.State.ExitCode}}", "lb"]);
    assert!(
        code == "0" && took < STOP_TIMEOUT,
        "exit code {code} after {took:?}"
    );
    assert!(
        engine.logs("lb").contains("at most 8s"),
        "the time to finish is another"
    );
}

pub fn io_uring_is_used_where_the_profile_allows_it(engine: &Engine) {
    let ours = std::fs::read_to_string("scripts/docker/seccomp.json").expect("a file");
    let mut profile: serde_json::Value = serde_json::from_str(&ours).expect("JSON");
    let rules = profile["syscalls"].as_array_mut().expect("a list");
    // Without our rule it is the default profile of Docker 25 and newer.
    let rule = rules.pop().expect("a rule");
    let calls = ["io_uring_enter", "io_uring_register", "io_uring_setup"];
    assert_eq!(rule["names"], serde_json::json!(calls));
    assert!(
        !profile.to_string().contains("io_uring"),
        "one rule has them all"
    );
    let denying = engine.file("denying.json", &profile.to_string());
    let denying = format!("seccomp={}", denying.display());

    let server = Server::start(Duration::ZERO);
    for (options, used) in [
        // That of Debian 12's engine, version 20.10, allows it.
        (&[] as &[&str], "io_uring"),
        (
            &["--security-opt", "seccomp=scripts/docker/seccomp.json"],
            "io_uring",
        ),
        (&["--security-opt", &denying], "epoll"),
    ] {
        let address = run(
            engine,
            options,
            &[
                "http",
                "--listen",
                "0.0.0.0:80",
                &server.address.to_string(),
            ],
        );
        assert_eq!(ok(address, "/", None).body, "ok");
        let said = available("it says what it uses", || {
            let logs = engine.logs("lb");
            logs.contains("ringway is ready").then_some(logs)
        });
        let words = format!("workers on {used}");
        assert!(said.contains(&words), "{options:?}: {said}");
        let cure = "Docker: --security-opt seccomp=";
        assert_eq!(said.contains(cure), used == "epoll", "{options:?}: {said}");
        engine.clear();
    }
}
