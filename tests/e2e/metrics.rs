//! Numbers for programs: Prometheus, collectors that know HAProxy, and streams of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::{connect, connect_narrow, round_trip};
use crate::harness::{Ringway, ScratchDirectory, engine};
use crate::http::{Answer, ask, get, line, stats};
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::{all_through, eventually};

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// Two servers, of which the second refuses, after some traffic.
fn busy(setup: Setup, server: &Server, refusing: &RefusingPort) -> Ringway {
    let ringway = setup
        .admin()
        .frontend("max_sessions = 1000")
        .backend("balance = \"first\"")
        .server("gone", refusing.address())
        .server_with("a", server.address(), "weight = 7, max_sessions = 50")
        .start();
    for _ in 0..20 {
        round_trip(&connect(ringway.address()), &[1; 100]);
    }
    ringway.sessions_ended(20);
    ringway
}

/// The samples of `/metrics`: name with labels, and value.
#[track_caller]
fn metrics(admin: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(admin, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    samples.collect()
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = busy(Setup::new(), &server, &refusing);
    let answer = get(ringway.admin(), "/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4")
    );

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    let mut input = promtool.stdin.take().expect("a pipe");
    input.write_all(answer.body.as_bytes()).expect("it reads");
    drop(input);

    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn metrics_and_statistics_tell_the_same() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = busy(Setup::new(), &server, &refusing);
    let admin = ringway.admin();
    let metrics = metrics(admin);
    let all = stats(admin);

    let labels = |index: usize| {
        let name = all["backends"][0]["servers"][index]["name"].as_str();
        format!("backend=\"app\",server=\"{}\"", name.expect("a name"))
    };
    let mut compared = 0;
    let mut same = |name: &str, labels: &str, path: &str| {
        let name = match labels {
            "" => format!("ringway_{name}"),
            labels => format!("ringway_{name}{{{labels}}}"),
        };
        let value = all.pointer(path).and_then(Value::as_f64);
        assert_eq!(metrics.get(&name).copied(), value, "{name} and {path}");
        compared += 1;
    };
    for (name, path) in [
        ("sessions_open", "/process/sessions/current"),
        ("sessions_open_max", "/process/sessions/max"),
        ("sessions_limit", "/process/sessions/limit"),
        ("sessions_total", "/process/sessions/total"),
        ("config_version", "/process/reload/version"),
        ("messages_dropped_total", "/process/messages_dropped"),
    ] {
        same(name, "", path);
    }
    for worker in 0..2 {
        for (name, from, path) in [
            ("sessions_open", "", "sessions/current"),
            ("sessions_total", "", "sessions/total"),
            ("bytes_total", ",from=\"client\"", "bytes_from_clients"),
            ("bytes_total", ",from=\"server\"", "bytes_from_servers"),
            ("connect_failures_total", "", "connect_failures"),
            ("retries_total", "", "retries"),
            ("shortages_total", "", "shortages"),
            ("log_lines_dropped_total", "", "log_lines_dropped"),
            ("buffer_misses_total", "", "buffer_misses"),
            ("stale_completions_total", "", "stale_completions"),
        ] {
            let labels = format!("worker=\"{worker}\"{from}");
            same(
                &format!("worker_{name}"),
                &labels,
                &format!("/workers/{worker}/{path}"),
            );
        }
    }
    for (name, from, path) in [
        ("sessions_open", "", "sessions/current"),
        ("sessions_open_max", "", "sessions/max"),
        ("sessions_limit", "", "sessions/limit"),
        ("sessions_total", "", "sessions/total"),
        ("bytes_total", ",from=\"client\"", "bytes_from_clients"),
        ("bytes_total", ",from=\"server\"", "bytes_from_servers"),
        ("refused_total", ",reason=\"denied\"", "refused/denied"),
        ("answers_total", ",status=\"503\"", "answers/503"),
        ("opaque_answers_total", "", "opaque_answers"),
        ("proxied_requests_total", "", "proxied_requests"),
        (
            "proxy_heads_refused_total",
            ",cause=\"wrong\"",
            "proxy_heads_wrong",
        ),
        (
            "proxy_heads_refused_total",
            ",cause=\"late\"",
            "proxy_heads_late",
        ),
        ("hellos_refused_total", ",cause=\"wrong\"", "hellos_wrong"),
        ("hellos_refused_total", ",cause=\"late\"", "hellos_late"),
        ("hellos_refused_total", ",cause=\"unrouted\"", "unrouted"),
    ] {
        let labels = format!("frontend=\"web\",backend=\"app\"{from}");
        same(
            &format!("frontend_{name}"),
            &labels,
            &format!("/frontends/0/{path}"),
        );
    }
    same(
        "backend_sessions_waiting",
        "backend=\"app\"",
        "/backends/0/sessions_waiting",
    );
    same(
        "backend_servers_usable",
        "backend=\"app\"",
        "/backends/0/active",
    );
    same(
        "backend_sessions_total",
        "backend=\"app\"",
        "/backends/0/sessions/total",
    );
    same(
        "backend_downs_total",
        "backend=\"app\"",
        "/backends/0/downs",
    );
    for server in 0..2 {
        for (name, label, path) in [
            ("weight", "", "weight"),
            ("sessions_open", "", "sessions/current"),
            ("sessions_open_max", "", "sessions/max"),
            ("sessions_limit", "", "sessions/limit"),
            ("sessions_total", "", "sessions/total"),
            ("bytes_total", ",from=\"client\"", "bytes_from_client"),
            ("bytes_total", ",from=\"server\"", "bytes_from_server"),
            ("connect_failures_total", "", "connect_failures"),
            ("retries_total", "", "retries"),
            ("reconnects_total", "", "reconnects"),
            ("redispatches_total", "", "redispatches"),
            ("checks_failed_while_up_total", "", "checks/failed_while_up"),
            ("checks_total", ",result=\"passed\"", "checks/passed"),
            ("checks_total", ",result=\"failed\"", "checks/failed"),
            ("downs_total", "", "checks/downs"),
        ] {
            let labels = format!("{}{label}", labels(server));
            same(
                &format!("server_{name}"),
                &labels,
                &format!("/backends/0/servers/{server}/{path}"),
            );
        }
    }
    assert_eq!(compared, 6 + 20 + 15 + 4 + 30);
    assert_eq!(
        metrics["ringway_server_sessions_total{backend=\"app\",server=\"a\"}"],
        20.0
    );
    assert_eq!(
        metrics["ringway_server_connect_failures_total{backend=\"app\",server=\"gone\"}"],
        20.0
    );
    // All were sent on from there, and none was tried there again.
    for (name, server, count) in [
        ("redispatches", "gone", 20.0),
        ("redispatches", "a", 0.0),
        ("retries", "a", 20.0),
        ("reconnects", "a", 0.0),
    ] {
        let name = format!("ringway_server_{name}_total{{backend=\"app\",server=\"{server}\"}}");
        assert_eq!(metrics[&name], count, "{name}");
    }
    let version = format!(
        "ringway_build_info{{engine=\"{}\",version=\"{}\"}}",
        engine(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(metrics[&version], 1.0);
    assert!(!metrics.keys().any(|name| name.contains("last_reload")));
}

#[test]
fn states_are_told_by_ones() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let ringway = Setup::new()
        .admin()
        .admin_with(&format!("socket = \"{}\"", socket.display()))
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"")
        .server("a", server.address())
        .server("gone", refusing.address())
        .start();
    let drain = serde_json::json!({ "state": "drain" });
    crate::http::order(socket.as_path(), "/api/v1/servers/app/a", &drain);
    let of = |kind: &str, server: &str, states: [&str; 3]| {
        let metrics = metrics(ringway.admin());
        states.map(|state| {
            metrics[&format!(
                "ringway_server_{kind}{{backend=\"app\",server=\"{server}\",state=\"{state}\"}}"
            )]
        })
    };

    eventually("both are found", || {
        let states = ["up", "down", "no check"];
        let found = [of("state", "a", states), of("state", "gone", states)];
        found == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    });
    let states = ["ready", "drain", "maint"];
    assert_eq!(of("admin_state", "a", states), [0.0, 1.0, 0.0]);
    assert_eq!(of("admin_state", "gone", states), [1.0, 0.0, 0.0]);
    assert_eq!(
        metrics(ringway.admin())["ringway_backend_servers_usable{backend=\"app\"}"],
        0.0
    );
}

#[test]
fn reloads_are_told() {
    let server = Server::echo();
    let setup = Setup::new().admin().server("a", server.address());
    let ringway = setup.start();
    let text = setup.text();

    ringway.reload(&text);
    let after = metrics(ringway.admin());
    assert_eq!(after["ringway_config_version"], 2.0);
    assert_eq!(after["ringway_config_last_reload_successful"], 1.0);
    let at = after["ringway_config_last_reload_timestamp_seconds"];
    assert!(at >= after["ringway_start_time_seconds"]);

    ringway.reload("nonsense");
    let after = metrics(ringway.admin());
    assert_eq!(after["ringway_config_version"], 2.0);
    assert_eq!(after["ringway_config_last_reload_successful"], 0.0);
    assert!(after["ringway_config_last_reload_timestamp_seconds"] > at);
}

#[test]
fn histograms_count_each_connected_session_once() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let ringway = busy(Setup::new().defaults("retries = 1"), &server, &refusing);
    // One that ends before it is connected to anything.
    let admin = ringway.admin();
    let metrics = metrics(admin);

    for (kind, longest) in [
        ("queue", "134.217728"),
        ("connect", "33.554432"),
        ("session", "34359.738368"),
    ] {
        let name = |part: &str, server: &str, le: &str| {
            format!(
                "ringway_server_{kind}_seconds_{part}{{backend=\"app\",server=\"{server}\"{le}}}"
            )
        };
        assert_eq!(metrics[&name("count", "a", "")], 20.0);
        assert_eq!(metrics[&name("count", "gone", "")], 0.0);
        assert_eq!(metrics[&name("bucket", "a", ",le=\"+Inf\"")], 20.0);
        assert_eq!(
            metrics[&name("bucket", "a", &format!(",le=\"{longest}\""))],
            20.0
        );
        let buckets = metrics
            .iter()
            .filter(|(key, _)| key.starts_with(&name("bucket", "a", "").replace('}', "")));
        let mut buckets: Vec<(f64, f64)> = buckets
            .map(|(key, count)| {
                let (_, bound) = key.split_once("le=\"").expect("a bound");
                let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf");
                (bound.parse().expect("a number"), *count)
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.len() >= 20, "{buckets:?}");
        assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
        for pair in buckets.windows(2) {
            assert!(
                pair[1].0.is_infinite() || (pair[1].0 / pair[0].0 - 2.0).abs() < 1e-9,
                "{pair:?}"
            );
        }
    }
    let sum = metrics["ringway_server_session_seconds_sum{backend=\"app\",server=\"a\"}"];
    assert!(sum > 0.0 && sum < 60.0, "{sum}");
}

#[test]
fn quantiles_and_rates_follow_within_seconds() {
    let server = Server::echo();
    let ringway = Setup::new().admin().server("a", server.address()).start();
    let admin = ringway.admin();
    let of = |path: &str| {
        stats(admin)["backends"][0]["servers"][0]
            .pointer(path)
            .and_then(Value::as_f64)
    };
    assert_eq!(of("/connect_time/p50_us"), None);
    assert_eq!(of("/sessions/rate"), Some(0.0));
    for _ in 0..100 {
        round_trip(&connect(ringway.address()), b"short");
    }

    eventually("they are told", || of("/session_time/p99_us").is_some());
    let [p50, p90, p99] = ["p50", "p90", "p99"].map(|name| of(&format!("/session_time/{name}_us")));
    assert!(
        p50 > Some(31.0) && p50 <= p90 && p90 <= p99,
        "{p50:?} {p90:?} {p99:?}"
    );
    assert!(of("/connect_time/p50_us") <= p50);
    assert!(of("/sessions/rate_max") > Some(0.0));
    eventually("the rate falls again", || of("/sessions/rate") == Some(0.0));
    assert!(of("/sessions/rate_max") > Some(0.0));
    assert!(of("/session_time/p50_us").is_some(), "for some minutes");
}

/// A running HAProxy, and where it answers.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What HAProxy says to `show stat`, with a frontend, a server that it checks, and a backup.
fn haproxy_says(folder: &Path) -> String {
    let (socket, config) = (folder.join("stats"), folder.join("haproxy.cfg"));
    let text = format!(
        "global\n stats socket {}\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n \
         timeout server 1s\nfrontend web\n bind unix@{}\n default_backend app\nbackend app\n \
         server a 127.0.0.1:9 check\n server b 127.0.0.1:9 backup\n",
        socket.display(),
        folder.join("web").display(),
    );
    std::fs::write(&config, text).expect("the scratch directory takes files");
    let haproxy = Command::new("haproxy")
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .arg("-db")
        .arg("-f")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy is installed");
    let _haproxy = Haproxy(haproxy);
    let mut answer = String::new();
    eventually("haproxy answers", || {
        let Ok(mut stream) = UnixStream::connect(&socket) else {
            return false;
        };
        answer.clear();
        let asked = stream.write_all(b"show stat\n");
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("BACKEND")
    });
    answer
}

/// Rows by name, each with its fields by name.
fn table(csv: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut lines = csv.lines().filter(|line| !line.is_empty());
    let head = lines
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .expect("a head");
    let names: Vec<&str> = head.trim_end_matches(',').split(',').collect();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), names.len() + 1, "{line}");
        let fields = names
            .iter()
            .zip(fields)
            .map(|(name, field)| ((*name).to_owned(), field.to_owned()));
        let fields: BTreeMap<String, String> = fields.collect();
        (format!("{}/{}", fields["pxname"], fields["svname"]), fields)
    };
    lines.map(row).collect()
}

#[test]
fn the_csv_has_the_head_and_the_rows_of_haproxy() {
    let folder = ScratchDirectory::new();
    let theirs = haproxy_says(folder.path());
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let setup = Setup::new()
        .admin_with("page = \"/haproxy_stats\"")
        .health_check("interval = \"50ms\"\ntimeout = \"50ms\"");
    let ringway = busy(setup, &server, &refusing);
    let admin = ringway.admin();
    eventually("the checks are done", || {
        let csv = table(&get(admin, "/stats.csv").body);
        let failed = &stats(admin)["backends"][0]["servers"][0]["checks"]["failed"];
        csv["app/gone"]["status"] == "DOWN"
            && csv["app/a"]["status"] == "UP"
            && failed.as_u64() > Some(2)
    });

    let answers = [
        "/stats.csv",
        "/stats;csv",
        "/haproxy_stats;csv",
        "/haproxy_stats;csv;norefresh",
    ]
    .map(|path| get(admin, path));
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 404]);
    let heads = answers[..3].iter().map(|answer| answer.body.lines().next());
    // Behind the dash HAProxy has what depends on how it was built.
    let (expected, _) = theirs.split_once("-,").expect("a dash");
    for head in heads {
        assert_eq!(head, Some(expected));
    }

    let csv = table(&answers[0].body);
    let names: Vec<&str> = csv.keys().map(String::as_str).collect();
    assert_eq!(names, ["app/BACKEND", "app/a", "app/gone", "web/FRONTEND"]);
    let order: Vec<&str> = answers[0]
        .body
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).expect("a name"))
        .collect();
    assert_eq!(order, ["FRONTEND", "gone", "a", "BACKEND"]);
    let of = |row: &str, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| csv[row][*name].clone()).collect()
    };
    assert_eq!(
        of(
            "web/FRONTEND",
            &[
                "scur", "slim", "stot", "bin", "bout", "status", "mode", "type", "conn_tot"
            ]
        ),
        ["0", "1000", "20", "2000", "2000", "OPEN", "tcp", "0", "20"]
    );
    assert_eq!(
        of(
            "app/a",
            &[
                "scur",
                "slim",
                "stot",
                "bin",
                "econ",
                "status",
                "weight",
                "act",
                "bck",
                "type",
                "check_status"
            ]
        ),
        [
            "0", "50", "20", "2000", "0", "UP", "7", "1", "0", "2", "L4OK"
        ]
    );
    assert_eq!(
        of(
            "app/gone",
            &[
                "status",
                "check_status",
                "chkfail",
                "chkdown",
                "slim",
                "qcur",
                "wretr"
            ]
        ),
        // The first failed check took it down, and those after it do not count.
        ["DOWN", "L4CON", "1", "1", "", "", "0"]
    );
    assert!(csv["app/gone"]["last_chk"].contains("connection refused"));
    assert_eq!(
        of(
            "app/BACKEND",
            &[
                "qcur", "scur", "bin", "status", "weight", "act", "bck", "type", "algo", "chkdown"
            ]
        ),
        ["0", "0", "2000", "UP", "7", "1", "0", "1", "first", "0"]
    );
    // What HAProxy leaves empty in a row is empty in ours, too.
    let lines = theirs.lines().filter(|line| !line.is_empty());
    let known = lines.map(|line| line.split(",-,").next().expect("a piece").to_owned() + ",\n");
    let theirs = table(&known.collect::<String>());
    for row in ["web/FRONTEND", "app/a", "app/BACKEND"] {
        for (name, field) in &csv[row] {
            let more = ["slim", "check_code", "lastchg"].contains(&name.as_str());
            let as_theirs = field.is_empty() || !theirs[row][name].is_empty();
            assert!(as_theirs || more, "{row} {name}: {field}");
        }
    }
}

#[test]
fn operators_are_seen_in_the_csv() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let server = Server::echo();
    let ringway = Setup::new()
        .admin()
        .admin_with(&format!("socket = \"{}\"", socket.display()))
        .server("a", server.address())
        .start();
    let status = |row: &str| table(&get(ringway.admin(), "/stats.csv").body)[row]["status"].clone();
    assert_eq!(
        (status("app/a"), status("app/BACKEND")),
        ("no check".into(), "UP".into())
    );
    for (state, word) in [
        ("drain", "DRAIN"),
        ("maint", "MAINT"),
        ("ready", "no check"),
    ] {
        let order = serde_json::json!({ "state": state });
        crate::http::order(socket.as_path(), "/api/v1/servers/app/a", &order);
        assert_eq!(status("app/a"), word);
        let expected = if state == "ready" { "UP" } else { "DOWN" };
        assert_eq!(status("app/BACKEND"), expected);
    }
    let open = connect(ringway.address());
    round_trip(&open, b"open");
    ringway.signal(Signal::TERM);
    eventually("it stops", || status("web/FRONTEND") == "STOP");
}

/// A stream of statistics that was accepted.
struct Stream(TcpStream);

impl Stream {
    #[track_caller]
    fn open(mut stream: TcpStream) -> Self {
        let request = "GET /api/v1/stats/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it is taken");
        let head = Answer::read_head(&stream).expect("a head");
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Stream(stream)
    }

    /// The next document.
    #[track_caller]
    fn next(&mut self) -> Value {
        loop {
            let line = line(&mut self.0).expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

#[test]
fn a_stream_tells_the_statistics_every_second_and_all_tell_the_same() {
    let server = Server::echo();
    let ringway = Setup::new().admin().server("a", server.address()).start();
    let mut streams: Vec<Stream> = (0..10)
        .map(|_| Stream::open(connect(ringway.admin())))
        .collect();
    let now = |told: &Value| told["process"]["now"].as_str().expect("a time").to_owned();
    // Those that came after a document begin with the next.
    let first: Vec<String> = streams
        .iter_mut()
        .map(|stream| now(&stream.next()))
        .collect();
    let newest = first.iter().max().expect("ten").clone();
    for (stream, first) in streams.iter_mut().zip(first) {
        assert!(first == newest || now(&stream.next()) == newest);
    }
    let mut last = newest;
    for round in 0..3 {
        round_trip(&connect(ringway.address()), b"short");
        ringway.sessions_ended(round + 1);
        let told: Vec<Value> = streams.iter_mut().map(Stream::next).collect();
        assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
        assert!(now(&told[0]) > last, "{told:#?}");
        last = now(&told[0]);
    }
    let mut stream = streams.remove(0);
    eventually("it tells the last session", || {
        let told = stream.next();
        let names = |value: &Value| -> Vec<String> {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect()
        };
        assert_eq!(names(&told), names(&stats(ringway.admin())));
        told["process"]["sessions"]["total"] == 3
    });
    let idle = ringway.descriptors();
    drop((streams, stream));
    eventually("their places are free", || {
        ringway.descriptors() <= idle - 10
    });
}

#[test]
fn a_stream_that_is_not_read_is_cut_and_delays_nobody() {
    let mut setup = Setup::new().admin();
    for number in 0..500 {
        setup = setup.server(&format!("s{number}"), nowhere());
    }
    let ringway = setup.start();
    let before = ringway.descriptors();
    let slow = Stream::open(connect_narrow(ringway.admin()));
    let mut quick = Stream::open(connect(ringway.admin()));

    eventually("the slow one is cut", || {
        quick.next();
        ringway.descriptors() == before + 1
    });
    quick.next();
    drop(slow);
}

#[test]
fn streams_leave_room_for_others() {
    let ringway = Setup::new().admin().server("a", nowhere()).start();
    let streams: Vec<Stream> = (0..24)
        .map(|_| Stream::open(connect(ringway.admin())))
        .collect();

    let refused = ask(ringway.admin(), "GET /api/v1/stats/stream", &[], "");

    assert_eq!(refused.status, 503);
    assert!(refused.error().contains("too many"), "{refused:?}");
    assert_eq!(get(ringway.admin(), "/metrics").status, 200);
    drop(streams);
}

#[test]
fn workers_know_nothing_of_who_looks() {
    let server = Server::echo();
    let ringway = Setup::new().admin().server("a", server.address()).start();
    let admin = ringway.admin();
    connect_to_end_of(&ringway);
    let mut streams: Vec<Stream> = (0..10).map(|_| Stream::open(connect(admin))).collect();
    let slow = Stream::open(connect_narrow(admin));
    let mut quiet = || {
        let before = ringway.scheduled("worker-");
        for path in [
            "/metrics",
            "/stats.csv",
            "/",
            "/api/v1/stats",
            "/api/v1/events?follow=false",
        ] {
            for _ in 0..20 {
                assert_eq!(get(admin, path).status, 200);
            }
        }
        for stream in &mut streams {
            stream.next();
            stream.next();
        }
        ringway.scheduled("worker-") == before
    };
    // The walk over the sessions that were may still be under way.
    eventually("no worker is put on a processor", &mut quiet);
    assert!(quiet() || quiet(), "they are again and again");
    assert!(ringway.scheduled("worker-") > 0);
    drop(slow);
    all_through("and it goes on", Duration::from_millis(100), || true);
    connect_to_end_of(&ringway);
}

/// Some traffic.
fn connect_to_end_of(ringway: &Ringway) {
    let client = connect(ringway.address());
    round_trip(&client, b"traffic");
    client.shutdown(Shutdown::Write).expect("it is open");
    crate::clients::ending(&client);
}

/// Names of metrics in a query.
fn names(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("ringway_"));
    words.map(str::to_owned).collect()
}

/// All queries of a dashboard: fields `expr` and the definitions of its variables.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        found.push(text.to_owned())
                    }
                    _ => queries(field, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let setup = Setup::new();
    let ringway = busy(setup, &server, &refusing);
    ringway.reload("nonsense");
    let told = metrics(ringway.admin());
    let series = |name: &str| -> Vec<&String> {
        let ours = told
            .keys()
            .filter(|key| key.split('{').next() == Some(name));
        ours.collect()
    };
    let dashboard = include_str!("../../scripts/grafana/ringway.json");
    let dashboard: Value = serde_json::from_str(dashboard).expect("JSON");
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 20, "{found:#?}");
    for query in &found {
        let names = names(query);
        // The variable of the data source is no query of ours.
        assert!(!names.is_empty() || query == "prometheus", "{query}");
        for name in names {
            assert!(!series(&name).is_empty(), "{name} of {query}");
        }
        // Labels that it chooses or sums by are there.
        for group in query.split(" by (").skip(1) {
            let labels = group
                .split(')')
                .next()
                .expect("labels")
                .split(',')
                .map(str::trim);
            for label in labels {
                let known = ["instance", "job"].contains(&label);
                let name = &self::names(query)[0];
                assert!(
                    known || series(name)[0].contains(&format!("{label}=\"")),
                    "{label} of {query}"
                );
            }
        }
    }
}
