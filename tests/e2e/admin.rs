//! The admin listener: what it tells must be true, and nobody may keep it from telling it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::clients::{connect, connect_narrow, connect_to_end, ending, round_trip};
use crate::harness::Launch;
use crate::http::{Answer, get, send, stats};
use crate::servers::{LOOPBACK, RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// An address of a server that nobody asks for.
fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// Clients that are served at once.
const CLIENTS_MAX: usize = 72;

#[test]
fn each_path_has_its_answer_and_nothing_else_has_one() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let admin = ringway.admin();

    for path in ["/healthz", "/readyz", "/readyz?why=not"] {
        let answer = get(admin, path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    for path in ["/health", "/page", "/api/v1/stats/", "/api/v2/stats", "//"] {
        let answer = get(admin, path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(answer.body.contains("/api/v1/stats"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    for path in ["/healthz", "/readyz", "/api/v1/stats"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            let answer = send(admin, request.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("allow"), Some("GET,HEAD"));
        }
    }
}

#[test]
fn a_connection_takes_request_after_request() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let mut client = connect(ringway.admin());

    for path in ["/healthz", "/api/v1/stats", "/nothing", "/readyz"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.write_all(request.as_bytes()).expect("it is taken");
        let answer = Answer::read(&client).expect("an answer");
        let expected = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}

/// The number at a path as in `/process/sessions/total`.
#[track_caller]
fn number(stats: &Value, path: &str) -> u64 {
    let number = stats.pointer(path).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("no number {path} in {stats:#}"))
}

/// The sum of a number over a list.
#[track_caller]
fn sum(stats: &Value, list: &str, path: &str) -> u64 {
    let list = stats
        .pointer(list)
        .and_then(Value::as_array)
        .expect("a list");
    list.iter().map(|entry| number(entry, path)).sum()
}

#[test]
fn the_numbers_are_those_of_the_traffic() {
    const SERVERS: &str = "/backends/0/servers";
    let [a, b] = [Server::echo(), Server::echo()];
    let ringway = Setup::new()
        .admin()
        .server("a", a.address())
        .server_with("b", b.address(), "max_sessions = 7")
        .start();
    let (web, admin) = (ringway.address(), ringway.admin());
    let open = connect(web);
    round_trip(&open, &[1; 100]);
    for _ in 0..10 {
        round_trip(&connect(web), &[2; 1000]);
    }
    ringway.sessions_ended(10);

    // The bytes of the open session follow within a second or so.
    eventually("all bytes are counted", || {
        number(&stats(admin), "/frontends/0/bytes_from_clients") == 10_100
    });
    let all = stats(admin);
    let sessions = &all["process"]["sessions"];
    assert_eq!(
        (&sessions["current"], &sessions["total"]),
        (&json!(1), &json!(11))
    );
    assert!((1..=11).contains(&number(sessions, "/max")), "{all:#}");
    assert_eq!(all["frontends"][0]["sessions"]["total"], 11);
    assert_eq!(all["frontends"][0]["sessions"]["current"], 1);
    assert_eq!(all["frontends"][0]["bytes_from_servers"], 10_100);
    assert_eq!(all["frontends"][0]["listen"], json!([web.to_string()]));
    assert_eq!(sum(&all, "/workers", "/sessions/total"), 11);
    assert_eq!(sum(&all, "/workers", "/sessions/current"), 1);
    assert_eq!(sum(&all, "/workers", "/bytes_from_clients"), 10_100);
    assert_eq!(sum(&all, "/workers", "/bytes_from_servers"), 10_100);
    assert_eq!(sum(&all, SERVERS, "/sessions/total"), 11);
    assert_eq!(sum(&all, SERVERS, "/sessions/current"), 1);
    assert_eq!(sum(&all, SERVERS, "/bytes_from_client"), 10_100);
    assert_eq!(sum(&all, SERVERS, "/bytes_from_server"), 10_100);
    assert_eq!(sum(&all, SERVERS, "/connect_failures"), 0);
    assert_eq!(
        all["backends"][0]["servers"][0]["sessions"]["limit"],
        Value::Null
    );
    assert_eq!(all["backends"][0]["servers"][1]["sessions"]["limit"], 7);
    for (server, index) in [(&a, 0), (&b, 1)] {
        let total = number(&all, &format!("{SERVERS}/{index}/sessions/total"));
        assert_eq!(total, server.accepted() as u64);
    }

    // And no byte twice when it ends.
    round_trip(&open, &[3; 50]);
    drop(open);
    ringway.sessions_ended(11);
    eventually("the last session is counted", || {
        number(&stats(admin), "/process/sessions/current") == 0
    });
    assert_eq!(stats(admin)["frontends"][0]["bytes_from_clients"], 10_150);
}

#[test]
fn bulk_of_an_open_session_is_seen_while_it_flows() {
    let server = Server::echo();
    let ringway = Setup::new().admin().server("a", server.address()).start();
    let client = connect(ringway.address());

    for megabytes in 1..=2 {
        for _ in 0..16 {
            round_trip(&client, &[7; 64 * 1024]);
        }
        let path = "/backends/0/servers/0/bytes_from_server";
        eventually("its bytes are counted", || {
            number(&stats(ringway.admin()), path) == megabytes << 20
        });
    }
}

#[test]
fn open_sessions_are_counted_however_many_there_are() {
    const COUNT: usize = 700;
    let server = Server::echo();
    let ringway = Setup::new()
        .workers(1)
        .admin()
        .server("a", server.address())
        .start();
    let clients: Vec<_> = (0..COUNT).map(|_| connect(ringway.address())).collect();
    for bytes in [10, 20] {
        for client in &clients {
            round_trip(client, &[1; 10]);
        }
        eventually("each is counted", || {
            let counted = number(&stats(ringway.admin()), "/workers/0/bytes_from_clients");
            counted == (bytes * COUNT) as u64
        });
    }
    let all = stats(ringway.admin());
    assert_eq!(number(&all, "/workers/0/sessions/current"), COUNT as u64);
    assert!(number(&all, "/process/sessions/max") >= COUNT as u64);
}

#[test]
fn failed_connects_and_retries_count_where_they_happen() {
    let (refusing, server) = (RefusingPort::new(), Server::named("a"));
    let ringway = Setup::new()
        .admin()
        .backend("balance = \"first\"")
        .server("gone", refusing.address())
        .server("a", server.address())
        .start();

    for _ in 0..3 {
        drop(crate::clients::connect_named(ringway.address()));
    }
    ringway.sessions_ended(3);

    let all = stats(ringway.admin());
    let seen = |server: usize| {
        let at = |name: &str| number(&all, &format!("/backends/0/servers/{server}/{name}"));
        [at("sessions/total"), at("connect_failures"), at("retries")]
    };
    assert_eq!((seen(0), seen(1)), ([3, 3, 0], [3, 0, 3]), "{all:#}");
    assert_eq!(sum(&all, "/workers", "/connect_failures"), 3);
    assert_eq!(sum(&all, "/workers", "/retries"), 3);
}

#[test]
fn the_last_failed_connect_counts_too() {
    let refusing = RefusingPort::new();
    let ringway = Setup::new()
        .admin()
        .defaults("retries = 2")
        .server("gone", refusing.address())
        .start();

    connect_to_end(ringway.address());
    ringway.session_ended();

    let all = stats(ringway.admin());
    let server = &all["backends"][0]["servers"][0];
    assert_eq!(
        (&server["connect_failures"], &server["retries"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn who_waits_is_counted() {
    let server = Server::named("a");
    let ringway = Setup::new()
        .admin()
        .server_with("a", server.address(), "max_sessions = 1")
        .start();
    let (first, _) = crate::clients::connect_named(ringway.address());
    let waiting: Vec<_> = (0..3).map(|_| connect(ringway.address())).collect();

    eventually("three wait", || {
        number(&stats(ringway.admin()), "/backends/0/sessions_waiting") == 3
    });
    drop((first, waiting));
    eventually("nobody waits", || {
        let all = stats(ringway.admin());
        let current = number(&all, "/process/sessions/current");
        (number(&all, "/backends/0/sessions_waiting"), current) == (0, 0)
    });
    let all = stats(ringway.admin());
    assert_eq!(all["backends"][0]["servers"][0]["sessions"]["max"], 1);
}

#[test]
fn it_is_not_ready_while_it_stops() {
    let server = Server::echo();
    let mut ringway = Setup::new().admin().server("a", server.address()).start();
    let admin = ringway.admin();
    let client = connect(ringway.address());
    round_trip(&client, b"open");
    assert_eq!(get(admin, "/readyz").status, 200);
    assert_eq!(stats(admin)["process"]["stopping"], false);

    ringway.signal(Signal::TERM);

    eventually("it is not ready", || get(admin, "/readyz").status == 503);
    assert_eq!(get(admin, "/readyz").body, "stopping\n");
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(stats(admin)["process"]["stopping"], true);
    round_trip(&client, b"still open");
    drop(client);
    assert_eq!(ringway.exit_code(), Some(0));
}

#[test]
fn a_backend_without_a_server_for_new_sessions_is_named() {
    let text = Setup::new().admin().server("a", nowhere()).text();
    let text = text
        + "[frontend.other]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"empty\"\n\
           [backend.empty]\nservers = [{ name = \"b\", address = \"127.0.0.1:9\", weight = 0 }]\n";
    let ringway = Launch::config(&text).start();

    let answer = get(ringway.admin(), "/readyz");

    let expected = (503, "backend empty: no usable server\n");
    assert_eq!((answer.status, answer.body.as_str()), expected);
    assert_eq!(get(ringway.admin(), "/healthz").status, 200);
}

#[test]
fn what_the_checks_found_is_told() {
    let (server, refusing) = (Server::named("a"), RefusingPort::new());
    let ringway = Setup::new()
        .admin()
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .server("a", server.address())
        .server("gone", refusing.address())
        .start();
    let admin = ringway.admin();

    eventually("the one is up and the other down", || {
        let all = stats(admin);
        let servers = &all["backends"][0]["servers"];
        (&servers[0]["state"], &servers[1]["state"]) == (&json!("up"), &json!("down"))
    });
    assert_eq!(get(admin, "/readyz").status, 200);
    let all = stats(admin);
    let [up, down] = [0, 1].map(|index| &all["backends"][0]["servers"][index]);
    assert_eq!(up["reason"], "L4OK");
    assert!(
        down["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("L4CON")),
        "{down}"
    );
    assert!(number(up, "/checks/passed") >= 1 && number(down, "/checks/failed") >= 1);
    assert_eq!(up["checks"]["downs"], 0);

    drop(server);
    eventually("it is not ready", || get(admin, "/readyz").status == 503);
    assert_eq!(
        get(admin, "/readyz").body,
        "backend app: no usable server\n"
    );
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(
        stats(admin)["backends"][0]["servers"][0]["checks"]["downs"],
        1
    );
}

#[test]
fn slow_clients_keep_nobody_out_for_long() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let admin = ringway.admin();
    let before = ringway.descriptors();
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(admin)).collect();
    for client in &mut slow {
        // One that was turned away already may refuse.
        let _ = client.write_all(b"GET /healthz HTTP/1.1\r\nX: ");
    }

    // All slots are taken, and no more than these.
    for _ in 0..20 {
        // Each byte is progress, and none of it helps.
        slow.retain_mut(|client| client.write_all(b"x").is_ok());
        let open = ringway.descriptors();
        assert!(open <= before + CLIENTS_MAX + 2, "{open} descriptors");
        assert_eq!(get(admin, "/healthz").status, 200);
    }
    eventually("all slow ones are closed", || {
        slow.retain_mut(|client| client.write_all(b"x").is_ok());
        slow.is_empty()
    });
    assert_eq!(get(admin, "/readyz").status, 200);
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let mut setup = Setup::new().admin();
    for number in 0..300 {
        setup = setup.server(&format!("s{number}"), nowhere());
    }
    let ringway = setup.start();
    let before = ringway.descriptors();
    let mut client = connect_narrow(ringway.admin());
    let request = b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n";

    client
        .write_all(&request.repeat(500))
        .expect("they are taken");

    eventually("it is served", || ringway.descriptors() > before);
    eventually("it is closed", || ringway.descriptors() == before);
    assert_eq!(get(ringway.admin(), "/healthz").status, 200);
}

#[test]
fn garbage_is_refused_and_does_no_harm() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let admin = ringway.admin();

    for garbage in [
        &b"nonsense\r\n\r\n"[..],
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"\0\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let answer = send(admin, garbage);
        let status = answer.map(|answer| answer.status);
        assert_eq!(status, Some(400), "{:?}", String::from_utf8_lossy(garbage));
    }
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let status = send(admin, long.as_bytes()).map(|answer| answer.status);
    assert!(matches!(status, None | Some(431)), "{status:?}");
    // A body is not waited for, and no request is looked for in it.
    let mut body = connect(admin);
    body.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        .expect("it is taken");
    assert_eq!(Answer::read(&body).expect("an answer").status, 200);
    ending(&body);
    let mut preface = connect(admin);
    preface
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .expect("it is taken");
    let mut rest = Vec::new();
    let _ = preface.read_to_end(&mut rest);
    assert_eq!(get(admin, "/healthz").status, 200);
}

/// Values that may be absent.
const OPTIONAL: [&str; 7] = [
    "_us",
    "/discovery",
    "/free",
    "/last",
    "/limit",
    "/operator",
    "/routes",
];

/// Fails unless a value has exactly the shape of an example: the same names, the same types.
#[track_caller]
fn same_shape(value: &Value, example: &Value, at: &str) {
    match (value, example) {
        (Value::Object(value), Value::Object(example)) => {
            let names = |object: &serde_json::Map<String, Value>| -> Vec<String> {
                object.keys().cloned().collect()
            };
            assert_eq!(names(value), names(example), "{at}");
            for (name, value) in value {
                same_shape(value, &example[name], &format!("{at}/{name}"));
            }
        }
        (Value::Array(values), Value::Array(example)) => {
            assert!(!values.is_empty(), "{at} is empty");
            for (index, value) in values.iter().enumerate() {
                same_shape(value, &example[0], &format!("{at}/{index}"));
            }
        }
        (Value::String(text), Value::String(example)) => {
            // Times, addresses and words differ in what they may contain.
            if example == "time" {
                let digits = text.replace(|c: char| c.is_ascii_digit(), "0");
                assert_eq!(digits, "0000-00-00T00:00:00.000Z", "{at}: {text}");
            } else if example == "address" {
                assert!(text.parse::<SocketAddr>().is_ok(), "{at}: {text}");
            } else if let Some(words) = example.strip_prefix("one of ") {
                assert!(words.split(", ").any(|word| word == text), "{at}: {text}");
            }
        }
        (Value::Number(number), Value::Number(example)) => {
            assert!(number.is_u64() || example.is_f64(), "{at}: {number}");
        }
        (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Null, _) | (_, Value::Null) if OPTIONAL.iter().any(|name| at.ends_with(name)) => {}
        _ => panic!("{at}: {value} is not like {example}"),
    }
}

#[test]
fn the_statistics_have_the_shape_that_is_promised() {
    let server = Server::echo();
    let ringway = Setup::new()
        .admin()
        .server("a", server.address())
        .server_with("spare", nowhere(), "backup = true, weight = 3")
        .start();
    round_trip(&connect(ringway.address()), b"some traffic");

    let sessions = json!({
        "current": 0, "max": 0, "limit": 0, "total": 0, "rate": 0.0, "rate_max": 0.0,
    });
    let all_sessions = json!({ "current": 0, "total": 0, "rate": 0.0 });
    let quantiles = json!({ "p50_us": null, "p90_us": null, "p99_us": null });
    let operator = json!({ "who": "", "time": "time", "reason": "" });
    let server = json!({
        "name": "one of a, spare", "address": "address", "addresses": ["address"],
        "status": "one of MAINT, DOWN, DRAIN, UP, no check, LEAVING, EJECTED", "leaving": false,
        "ejected": false, "ejections": 0,
        "state": "one of up, down, no check", "admin_state": "one of ready, drain, maint",
        "reason": "", "since": "time", "weight": 0, "weight_configured": 0,
        "operator": operator, "backup": false,
        "sessions": sessions, "bytes_from_client": 0, "bytes_from_server": 0,
        "connect_failures": 0, "answer_failures": 0, "retries": 0, "reconnects": 0, "redispatches": 0,
        "connect_time": quantiles, "session_time": quantiles,
        "checks": { "passed": 0, "failed": 0, "failed_while_up": 0, "downs": 0, "last": null },
    });
    let example = json!({
        "process": {
            "version": "", "pid": 0, "engine": "one of io_uring, epoll", "started": "time", "uptime_s": 0, "now": "time",
            "stopping": false, "sessions": sessions, "reload": { "version": 0, "last": null },
            "messages_dropped": 0,
        },
        "workers": [{
            "index": 0, "stalled": false, "sessions": { "current": 0, "handed_over": 0, "total": 0 },
            "bytes_from_clients": 0, "bytes_from_servers": 0,
            "connect_failures": 0, "retries": 0, "shortages": 0, "log_lines_dropped": 0,
            "buffer_misses": 0, "stale_completions": 0,
        }],
        "frontends": [{
            "name": "one of web", "mode": "one of tcp, http, tls", "listen": ["address"],
            "backend": "one of app", "status": "one of OPEN, STOP",
            "sessions": sessions, "bytes_from_clients": 0, "bytes_from_servers": 0,
            "refused": { "denied": 0, "not_allowed": 0, "rate": 0, "sessions": 0 },
            "answers": { "400": 0, "408": 0, "431": 0, "502": 0, "503": 0, "504": 0 },
            "opaque_answers": 0, "proxied_requests": 0, "proxy_heads_wrong": 0, "proxy_heads_late": 0,
            "hellos_wrong": 0, "hellos_late": 0, "unrouted": 0, "routes": null,
        }],
        "backends": [{
            "name": "one of app", "balance": "one of round_robin", "status": "one of UP, DOWN",
            "active": 0, "backup": 0, "sessions_waiting": 0, "sessions": all_sessions,
            "bytes_from_clients": 0, "bytes_from_servers": 0, "connect_failures": 0, "answer_failures": 0, "retries": 0,
            "reconnects": 0, "redispatches": 0, "downs": 0, "discovery": null,
            "without_busiest": {
                "server": "", "sessions": 0, "share_percent": 0.0, "others": 0,
                "others_share_percent": 0.0, "free": null, "fits": true,
            },
            "servers": [server],
        }],
    });
    let mut all = stats(ringway.admin());
    let problems = all.as_object_mut().and_then(|all| all.remove("problems"));
    assert_eq!(problems, Some(json!([])));
    same_shape(&all, &example, "");
    assert_eq!(all["process"]["pid"], ringway.pid().as_raw_nonzero().get());
    assert_eq!(all["workers"].as_array().map(Vec::len), Some(2));
    let spare = &all["backends"][0]["servers"][1];
    assert_eq!(
        (&spare["weight"], &spare["backup"]),
        (&json!(3), &json!(true))
    );
}

#[test]
fn curl_gets_the_statistics() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let url = format!("http://{}/api/v1/stats", ringway.admin());

    let output = Command::new("curl").args(["-sSf", &url]).output();

    let output = output.expect("curl is installed");
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(all["process"]["version"], env!("CARGO_PKG_VERSION"));
}

/// Starts with these arguments, which must be refused, and returns what it said.
fn refused(launch: Launch) -> String {
    let mut ringway = launch.spawn();
    let code = ringway.exit_code();
    let errors = ringway.errors();
    assert_eq!(code, Some(1), "{errors}");
    assert!(!errors.contains("ringway is ready"), "{errors}");
    errors
}

#[test]
fn an_address_that_cannot_be_had_is_refused_with_a_sentence() {
    let other = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let taken = other.local_addr().expect("an address").to_string();
    let tcp = |admin: &str| {
        let arguments = [
            "tcp",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            admin,
            "127.0.0.1:9",
        ];
        refused(Launch::arguments(&arguments))
    };

    let errors = tcp(&taken);
    assert!(
        errors.contains(&format!("{taken} (admin): another program")),
        "{errors}"
    );
    let errors = tcp("0.0.0.0:8404");
    assert!(
        errors.contains("beyond loopback and has no token: add token_file = "),
        "{errors}"
    );
    assert!(tcp("8404").contains("--admin 8404"));
}

#[test]
fn the_command_line_puts_it_where_it_wants() {
    let server = nowhere().to_string();
    let arguments = [
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "[::1]:0",
        &server,
    ];
    let ringway = Launch::arguments(&arguments).start();
    let admin = ringway.admin();

    assert!(admin.is_ipv6());
    assert_eq!(stats(admin)["backends"][0]["servers"][0]["name"], "s1");
}

#[test]
fn without_a_section_there_is_none() {
    let ringway = Setup::new().server("a", nowhere()).start();

    let errors = ringway.errors_so_far();

    assert!(!errors.contains("admin listens"), "{errors}");
}
