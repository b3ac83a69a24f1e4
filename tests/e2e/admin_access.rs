//! Who may do what at the admin listener, and what is refused.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::clients::connect;
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{Way, ask, get, order, stats};
use crate::setup::Setup;
use crate::wait::eventually;

const SERVER: &str = "/api/v1/servers/app/web1";

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// One server that nobody asks for, and further lines for `[admin]`.
fn setup(admin: &[&str]) -> Setup {
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let setup = Setup::new().server("web1", nowhere).server("web2", nowhere);
    admin
        .iter()
        .fold(setup, |setup, line| setup.admin_with(line))
}

const LISTEN: &str = "listen = \"127.0.0.1:0\"";

fn line(key: &str, path: &Path) -> String {
    format!("{key} = \"{}\"", path.display())
}

/// A file with this content that only its owner can read.
fn token_file(folder: &ScratchDirectory, content: &str) -> PathBuf {
    let path = folder.path().join("token");
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

fn admin_state(stats: &Value) -> &str {
    let state = &stats["backends"][0]["servers"][0]["admin_state"];
    state.as_str().expect("a word")
}

#[test]
fn over_the_socket_everything_is_allowed() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let mut ringway = setup(&[&line("socket", &socket)]).start();
    ringway.says(&format!("admin listens on {}", socket.display()));

    let mode = fs::metadata(&socket)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let way = Way::from(socket.as_path());
    assert_eq!(ask(way.clone(), "GET /readyz", &[], "").status, 200);
    let change = json!({ "state": "drain", "reason": "kernel update" });
    let server = order(way.clone(), SERVER, &change);
    assert_eq!(server["admin_state"], "drain");
    let operator = &server["operator"];
    let uid = rustix::process::getuid().as_raw();
    let who = format!("uid {uid}, pid {}", std::process::id());
    assert_eq!(
        (&operator["who"], &operator["reason"]),
        (&json!(who), &json!("kernel update"))
    );
    assert_eq!(
        admin_state(&ask(way, "GET /api/v1/stats", &[], "").json()),
        "drain"
    );

    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert!(!socket.exists(), "it goes with the process");
}

#[test]
fn without_a_token_tcp_only_reads() {
    let ringway = setup(&[LISTEN]).start();
    let admin = ringway.admin();

    for headers in [&[JSON][..], &[JSON, ("Authorization", "Bearer x")]] {
        let answer = ask(
            admin,
            &format!("POST {SERVER}"),
            headers,
            r#"{"state": "drain"}"#,
        );
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.error().contains("token_file"), "{answer:?}");
    }
    let answer = ask(admin, "DELETE /api/v1/sessions/0-0-0", &[], "");
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(admin_state(&stats(admin)), "ready");
}

#[test]
fn with_the_token_tcp_acts() {
    let folder = ScratchDirectory::new();
    let token = token_file(&folder, "  s3cret-word\n");
    let ringway = setup(&[LISTEN, &line("token_file", &token)]).start();
    let admin = ringway.admin();
    let drain = |headers: &[(&str, &str)]| {
        ask(
            admin,
            &format!("POST {SERVER}"),
            headers,
            r#"{"state": "drain"}"#,
        )
    };

    for wrong in ["Bearer wrong", "Bearer", "Basic s3cret-word", "s3cret-word"] {
        let answer = drain(&[JSON, ("Authorization", wrong)]);
        assert_eq!(answer.status, 401, "{wrong}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.error().contains("wrong token"), "{answer:?}");
    }
    let answer = drain(&[JSON]);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.error().contains("a token is needed"), "{answer:?}");
    assert_eq!(
        admin_state(&stats(admin)),
        "ready",
        "loopback reads without it"
    );

    let right = ("Authorization", "Bearer s3cret-word");
    let answer = drain(&[JSON, right]);
    assert_eq!(
        (answer.status, &answer.json()["admin_state"]),
        (200, &json!("drain"))
    );
    let who = answer.json()["operator"]["who"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(who.starts_with("127.0.0.1:"), "{who}");
}

#[test]
fn names_and_pages_of_strangers_are_refused() {
    let folder = ScratchDirectory::new();
    let token = token_file(&folder, "s3cret");
    let ringway = setup(&[LISTEN, &line("token_file", &token)]).start();
    let admin = ringway.admin();
    let right = ("Authorization", "Bearer s3cret");
    let host = admin.to_string();
    let post = format!("POST {SERVER}");
    let body = r#"{"state": "maint"}"#;

    for name in [
        "evil.example",
        "evil.example:8404",
        "localhost.evil.example",
    ] {
        let answer = ask(admin, "GET /api/v1/stats", &[("Host", name)], "");
        assert_eq!(answer.status, 421, "{name}: {answer:?}");
        let answer = ask(admin, &post, &[("Host", name), JSON], body);
        assert_eq!(answer.status, 421, "{name}: {answer:?}");
        assert!(answer.error().contains("IP address"), "{answer:?}");
        // Whoever has the token is no stranger's page.
        let known = [("Host", name), right, JSON];
        let answer = ask(admin, &post, &known, r#"{"state": "ready"}"#);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        // What probes ask tells nothing that matters.
        assert_eq!(
            ask(admin, "GET /healthz", &[("Host", name)], "").status,
            200
        );
    }
    for name in [
        "localhost",
        &format!("localhost:{}", admin.port()),
        "127.0.0.1",
        "[::1]",
    ] {
        assert_eq!(
            ask(admin, "GET /api/v1/stats", &[("Host", name)], "").status,
            200,
            "{name}"
        );
    }
    for (header, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = ask(admin, &post, &[right, JSON, (header, value)], body);
        assert_eq!(answer.status, 403, "{value}: {answer:?}");
        assert!(answer.error().contains("other origins"), "{answer:?}");
    }
    assert_eq!(admin_state(&stats(admin)), "ready");
    let origin = format!("http://{host}");
    let own = [
        right,
        JSON,
        ("Origin", origin.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    assert_eq!(ask(admin, &post, &own, body).status, 200);
    assert_eq!(admin_state(&stats(admin)), "maint");
}

#[test]
fn what_is_asked_for_must_be_right() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let ringway = setup(&[LISTEN, &line("socket", &socket)]).start();
    let way = Way::from(socket.as_path());
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        ask(way.clone(), &format!("POST {path}"), headers, body)
    };

    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let answer = post(SERVER, &[("Content-Type", kind)], r#"{"state": "drain"}"#);
        assert_eq!(answer.status, 415, "{answer:?}");
        assert!(answer.error().contains("application/json"), "{answer:?}");
    }
    assert_eq!(post(SERVER, &[], r#"{"state": "drain"}"#).status, 415);
    let long = "x".repeat(300);
    for (body, why) in [
        ("{", "EOF"),
        ("nonsense", "expected"),
        (
            r#"{"state": "off"}"#,
            "expected one of `ready`, `drain`, `maint`",
        ),
        (r#"{"stat": "drain"}"#, "unknown field `stat`"),
        (r#"{"weight": 257}"#, "0 to 256"),
        (r#"{"weight": -1}"#, "invalid value"),
        (r#"{"weight": 1.5}"#, "invalid type"),
        (r#"{"state": "drain", "reason": "a\nb"}"#, "one line"),
        (
            &format!(r#"{{"state": "drain", "reason": "{long}"}}"#),
            "at most 256",
        ),
        ("{}", "nothing is asked for"),
        (" ", "nothing is asked for"),
    ] {
        let answer = post(SERVER, &[JSON], body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.error().contains(why), "{body}: {answer:?}");
    }
    for (len, status) in [(64 * 1024 + 1, 413), (500 * 1024, 413)] {
        let answer = post(SERVER, &[JSON], &" ".repeat(len));
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.error().contains("64 KiB"), "{answer:?}");
    }
    for (path, near) in [
        ("/api/v1/servers/app/wbe1", "did you mean app/web1"),
        ("/api/v1/servers/ap/web2", "did you mean app/web2"),
        ("/api/v1/servers/zz/qqqq", "there is no server zz/qqqq"),
    ] {
        let answer = post(path, &[JSON], r#"{"state": "drain"}"#);
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.error().contains(near), "{answer:?}");
    }
    for path in [
        "/api/v1/sessions?limit=x",
        "/api/v1/sessions?who=me",
        "/api/v1/events?since=x",
    ] {
        let answer = ask(way.clone(), &format!("GET {path}"), &[], "");
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        answer.error();
    }
    assert_eq!(admin_state(&stats(ringway.admin())), "ready");
}

#[test]
fn no_method_that_reads_changes_anything() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let _ringway = setup(&[&line("socket", &socket)]).start();
    let way = Way::from(socket.as_path());

    for method in ["GET", "HEAD", "PUT", "PATCH", "OPTIONS"] {
        let request = format!("{method} {SERVER}");
        let answer = ask(way.clone(), &request, &[JSON], r#"{"state": "maint"}"#);
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        assert_eq!(answer.header("allow"), Some("POST,DELETE"));
    }
    for path in ["/api/v1/sessions", "/api/v1/events", "/api/v1/stats"] {
        let answer = ask(way.clone(), &format!("POST {path}"), &[JSON], "{}");
        assert_eq!(answer.status, 405, "{path}: {answer:?}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
    let all = ask(way, "GET /api/v1/stats", &[], "").json();
    assert_eq!(admin_state(&all), "ready");
}

#[test]
fn every_answer_tells_browsers_to_be_careful() {
    let ringway = setup(&[LISTEN]).start();
    let admin = ringway.admin();

    for (request, status) in [
        ("GET /healthz", 200),
        ("GET /readyz", 200),
        ("GET /api/v1/stats", 200),
        ("GET /api/v1/sessions", 200),
        ("GET /api/v1/events?follow=false", 200),
        ("GET /nothing", 404),
        ("POST /healthz", 405),
        ("POST /api/v1/servers/app/web1", 403),
    ] {
        let answer = ask(admin, request, &[], "");
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// Starts what must be refused, and returns what it said.
fn refused(setup: &Setup) -> String {
    let mut ringway: Ringway = setup.launch().spawn();
    let code = ringway.exit_code();
    let errors = ringway.errors();
    assert_eq!(code, Some(1), "{errors}");
    let lines: Vec<&str> = errors
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(lines.len(), 1, "{errors}");
    lines[0].to_owned()
}

#[test]
fn a_token_that_is_none_is_refused_at_the_start() {
    let folder = ScratchDirectory::new();
    let path = token_file(&folder, "");
    let setup = setup(&[LISTEN, &line("token_file", &path)]);

    assert!(refused(&setup).contains("is empty"));
    fs::write(&path, "s3cret").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(refused(&setup).contains("chmod 600"));
    fs::remove_file(&path).expect("it was there");
    assert!(refused(&setup).contains("can't be read"));
}

#[test]
fn a_socket_that_was_left_is_replaced_and_a_living_one_is_not() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let setup = setup(&[&line("socket", &socket)]);
    let mut killed = setup.start();
    killed.signal(Signal::KILL);
    eventually("it is dead", || !killed.runs());
    killed.forget();
    assert!(socket.exists(), "nobody removed it");
    assert!(UnixStream::connect(&socket).is_err());

    let ringway = setup.start();
    assert_eq!(ask(socket.as_path(), "GET /healthz", &[], "").status, 200);
    let error = refused(&setup);
    assert!(error.contains("another process listens there"), "{error}");
    assert_eq!(
        ask(socket.as_path(), "GET /healthz", &[], "").status,
        200,
        "it is untouched"
    );
    drop(ringway);

    let file = folder.path().join("precious");
    fs::write(&file, "data").expect("a file");
    let error = refused(&self::setup(&[&line("socket", &file)]));
    assert!(error.contains("not a socket"), "{error}");
    let error = refused(&self::setup(&[&line(
        "socket",
        Path::new("/nowhere/a.sock"),
    )]));
    assert!(error.contains("mkdir -p /nowhere"), "{error}");
}

/// Tells others to stop when it is dropped, in a test that fails too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Connects and says nothing, again and again, with so many connections at once, until told to stop.
fn silent_clients(way: &Way, count: usize, stop: &AtomicBool) {
    let open = || match way {
        Way::Tcp(address) => Socket::from(connect(*address)),
        Way::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
            let address = SockAddr::unix(path).expect("a path");
            socket.connect(&address).expect("it listens");
            socket
        }
    };
    let mut clients: Vec<Socket> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        clients.retain(|client| {
            client.set_nonblocking(true).expect("an option");
            let read = (&*client).read(&mut [0]);
            read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        clients.resize_with(count, open);
    }
}

#[test]
fn silent_clients_that_come_back_keep_nobody_out() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let token = token_file(&folder, "s3cret-word");
    let lines = [
        LISTEN,
        &line("socket", &socket),
        &line("token_file", &token),
    ];
    let ringway = setup(&lines).start();
    let tcp = Way::from(ringway.admin());
    let authorized = ("Authorization", "Bearer s3cret-word");
    for (way, count) in [
        (tcp.clone(), 80),
        (tcp, 200),
        (Way::from(socket.as_path()), 80),
    ] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| silent_clients(&way, count, &stop));
            let _stop = Stop(&stop);
            for state in ["drain", "ready", "drain", "ready"] {
                let begin = Instant::now();
                let change = json!({ "state": state }).to_string();
                let request = format!("POST {SERVER}");
                let answer = ask(way.clone(), &request, &[JSON, authorized], &change);
                assert_eq!(answer.json()["admin_state"], state);
                assert_eq!(ask(way.clone(), "GET /readyz", &[], "").status, 200);
                // Silent clients are closed after 5 s by themselves.
                assert!(
                    begin.elapsed() < Duration::from_secs(4),
                    "{:?}",
                    begin.elapsed()
                );
            }
        });
    }
}

#[test]
fn probes_are_answered_beside_clients_that_take_all_the_time_they_may() {
    let folder = ScratchDirectory::new();
    let token = token_file(&folder, "s3cret-word");
    let ringway = setup(&[LISTEN, &line("token_file", &token)]).start();
    let admin = ringway.admin();
    let begin = Instant::now();
    // Whole heads, and bodies that do not come.
    let slow: Vec<_> = (0..72)
        .map(|_| {
            let mut client = connect(admin);
            let head = format!(
                "POST {SERVER} HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer s3cret-word\r\nContent-Length: 9\r\n\r\n"
            );
            client.write_all(head.as_bytes()).expect("it is taken");
            client
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(get(admin, "/healthz").status, 200);
        assert_eq!(get(admin, "/readyz").status, 200);
    }
    // They are closed after 10 s by themselves.
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
    drop(slow);
}

#[test]
fn a_socket_of_another_program_is_left_alone() {
    let folder = ScratchDirectory::new();
    let path = folder.path().join("other.sock");
    let _other = UnixListener::bind(&path).expect("a socket");

    let error = refused(&setup(&[&line("socket", &path)]));

    assert!(error.contains("another process listens there"), "{error}");
    assert!(path.exists());
}
