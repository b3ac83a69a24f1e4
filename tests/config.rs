//! The configuration as operators meet it: every fixture, and what no input may do.
//!
//! `valid/*.toml` must be accepted, and be the same after `--print-effective`. `invalid/*.toml`
//! must give exactly the text of the neighbouring `.expected`; run with `UPDATE_EXPECTED=1` to
//! write it anew, and read the difference before keeping it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringway::config::{
    self, AccessLog, Admin, Algorithm, CheckKind, Discover, DiscoverQuery, EjectionRules,
    ExpectBody, Family, Group, HealthCheck, HttpMode, Identity, Inspect, Listen, Literal, Loaded,
    Mode, OnDown, OnEmpty, Pin, Report, SameSite, SessionRules, Sticky, Timeouts,
};

#[path = "config/properties.rs"]
mod properties;
#[path = "config/schema.rs"]
mod schema;

/// How many fixtures there are: one that is lost is noticed.
const VALID_COUNT: usize = 37;
const INVALID_COUNT: usize = 114;

/// Stands in for name service.
fn resolver(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let six = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 6], port));
    let v4 = |last| SocketAddr::from(([192, 0, 2, last], port));
    match host {
        "localhost" => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
        "db.example" => Ok(vec![v4(10)]),
        "six.example" => Ok(vec![six]),
        "both.example" => Ok(vec![six, v4(11)]),
        "pool.example" => Ok(vec![six, v4(11), v4(12)]),
        _ => Err(io::Error::other("name or service not known")),
    }
}

/// The files in a folder of fixtures that end in `.EXTENSION`, relative to the package.
fn files(folder: &str, extension: &str) -> BTreeSet<PathBuf> {
    let folder = Path::new("tests/config").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

/// Reads a fixture without asking name service; what is not text must go the way of files.
fn parse_file(path: &Path) -> Result<Loaded, Report> {
    match String::from_utf8(fs::read(path).unwrap()) {
        Ok(text) => config::check_text(
            path.file_name().unwrap().to_str().unwrap(),
            &text,
            &resolver,
        ),
        Err(_) => config::load(path, &config::system_resolver),
    }
}

fn valid(name: &str) -> Loaded {
    let path = Path::new("tests/config/valid")
        .join(name)
        .with_extension("toml");
    parse_file(&path).unwrap_or_else(|report| panic!("{}:\n{report}", path.display()))
}

#[test]
fn valid_files_are_accepted_and_printed_so_that_they_are_read_as_equal() {
    let paths = files("valid", "toml");
    assert_eq!(paths.len(), VALID_COUNT);
    for path in paths {
        let name = path.display();
        let loaded = parse_file(&path).unwrap_or_else(|report| panic!("{name}:\n{report}"));
        let printed = config::effective(&loaded);
        let again = config::parse("printed", &printed, &resolver)
            .unwrap_or_else(|report| panic!("{name}:\n{printed}\n{report}"));
        assert_eq!(again.config, loaded.config, "{name}:\n{printed}");
        // What was printed has every value, so that nothing is left to come from elsewhere.
        for line in config::effective(&again).lines() {
            let settled = !line.contains("# default") || line.starts_with("# ");
            assert!(settled && !line.contains("# from"), "{name}: {line}");
        }
    }
}

#[test]
fn invalid_files_give_exactly_the_expected_text() {
    let paths = files("invalid", "toml");
    assert_eq!(paths.len(), INVALID_COUNT);
    let mut wrong = String::new();
    for path in &paths {
        let report = match parse_file(path) {
            Ok(_) => panic!("{} was accepted", path.display()),
            Err(report) => format!("{report}\n"),
        };
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &report).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if report != expected {
            wrong += &format!(
                "{}: expected\n{expected}\nbut got\n{report}\n",
                path.display()
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_expected_text_is_orphaned() {
    let sources = files("invalid", "toml");
    for path in files("invalid", "expected") {
        assert!(
            sources.contains(&path.with_extension("toml")),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_maximal_file_means_what_it_says() {
    let config = valid("maximal").config;
    assert_eq!(config.global.workers, Some(4));
    assert_eq!(config.global.pin, Pin::Off);
    assert_eq!(config.global.sessions_max, Some(50_000));
    assert_eq!(config.global.shutdown_grace.as_secs(), 5);
    assert_eq!(config.global.access_log, AccessLog::Json);
    let state_file = Some("/var/lib/ringway/state.json".into());
    assert_eq!(config.global.state_file, state_file);
    let identity = Identity {
        user: "root".to_owned(),
        group: Some("12345".to_owned()),
        uid: 0,
        gid: 12_345,
    };
    assert_eq!(config.global.identity, Some(identity));
    let expected = Admin {
        listen: Some("127.0.0.1:8404".parse().unwrap()),
        socket: Some("/run/ringway/admin.sock".into()),
        haproxy_socket: Some("/run/ringway/haproxy.sock".into()),
        socket_group: Some(Group {
            name: "4711".to_owned(),
            gid: 4711,
        }),
        token_file: Some("/etc/ringway/token".into()),
        read_only: false,
        page: Some("/haproxy_stats".to_owned()),
    };
    assert_eq!(config.admin, Some(expected));
    let [frontend] = &config.frontends[..] else {
        panic!("{config:?}")
    };
    assert_eq!(frontend.sessions_max, Some(20_000));
    assert_eq!(
        frontend.listen[2..],
        [Listen::Descriptor(3), Listen::Systemd("web.socket".into())]
    );
    assert_eq!(frontend.session.timeouts.connect.as_millis(), 500);
    assert_eq!(frontend.session.timeouts.idle.as_secs(), 9_000);
    assert_eq!(frontend.session.timeouts.half_closed.as_secs(), 60);
    assert_eq!(frontend.session.timeouts.request.as_secs(), 7);
    assert_eq!(frontend.session.timeouts.queue.as_secs(), 1);
    assert_eq!(frontend.session.retries, 1);
    let mode = HttpMode {
        head_max: 32_768,
        inspect: Inspect::Close,
    };
    assert_eq!(frontend.mode, Mode::Http(mode));
    let [backend] = &config.backends[..] else {
        panic!("{config:?}")
    };
    assert_eq!(backend.balance, Algorithm::LeastConn);
    let weights: Vec<_> = backend
        .servers
        .iter()
        .map(|s| (s.weight, s.sessions_max))
        .collect();
    assert_eq!(weights, [(1, None), (2, Some(500)), (1, None)]);
    assert!(backend.servers[2].backup);
    assert_eq!(backend.slow_start.map(|time| time.as_secs()), Some(30));
    assert_eq!(backend.on_down, OnDown::Close);
    let check = backend.health_check.as_ref().unwrap();
    let millis = [
        check.interval,
        check.fast_interval,
        check.down_interval,
        check.timeout,
    ]
    .map(|time| time.as_millis());
    assert_eq!(millis, [2_000, 500, 5_000, 1_000]);
    assert_eq!((check.fall, check.rise, check.port), (4, 1, Some(9000)));
    let CheckKind::Http(http) = &check.kind else {
        panic!("{check:?}")
    };
    assert_eq!(
        (http.method.as_str(), http.path.as_str()),
        ("POST", "/health?deep=1")
    );
    let headers = [
        ("X-Forwarded-Proto", "https"),
        ("User-Agent", "check, of ringway"),
    ];
    assert_eq!(
        http.headers,
        headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let Some(ExpectBody::Matches(regex)) = &http.expect_body else {
        panic!("{http:?}")
    };
    assert_eq!(regex.as_str(), r#""status"\s*:\s*"UP""#);
    let tls = check.tls.as_ref().expect("TLS");
    assert_eq!(tls.sni.as_ref().unwrap().to_str(), "app.example");
    let roots = tls.verify.as_ref().expect("it is verified");
    assert_eq!(
        roots.file.as_deref(),
        Some(Path::new("tests/config/ca.pem"))
    );
    assert_eq!(roots.certificates.len(), 1);
    let rules = EjectionRules {
        failures: 3,
        within: Duration::from_secs(60),
        pause: Duration::from_secs(300),
    };
    assert_eq!(backend.passive, Some(rules));
    assert_eq!(http.host.as_deref(), Some("app.example"));
    assert_eq!(http.expect_status.to_string(), "200-299,301");
    let sticky = Sticky {
        cookie: "SRV".to_owned(),
        http_only: false,
        secure: true,
        same_site: SameSite::None,
        path: "/shop".to_owned(),
        domain: Some("app.example".to_owned()),
        max_age: Some(Duration::from_secs(8 * 3600)),
    };
    assert_eq!(backend.sticky.as_ref(), Some(&sticky));
    assert_eq!(backend.servers[1].cookie, "s2");
    let discover = Discover {
        query: DiscoverQuery::Addresses {
            name: "tasks.web".to_owned(),
            port: 8080,
        },
        interval: Duration::from_secs(2),
        timeout: Duration::from_millis(500),
        resolvers: vec!["127.0.0.11:53".parse().unwrap()],
        family: Family::Ipv4,
        servers_max: 60,
        on_empty: OnEmpty::Drop,
        weight: Some(2),
        sessions_max: Some(500),
        backup: true,
    };
    assert_eq!(backend.discover.as_ref(), Some(&discover));
}

#[test]
fn a_file_without_a_frontend_is_valid_beside_an_admin_listener_and_gives_a_warning() {
    let loaded = valid("no_frontend");
    assert!(loaded.config.frontends.is_empty());
    let warnings = loaded.warnings.to_string();
    assert!(warnings.starts_with("warning: no frontend"), "{warnings}");
}

#[test]
fn http_mode_and_stickiness_have_the_documented_defaults() {
    let config = valid("sticky").config;
    let modes: Vec<_> = config.frontends.iter().map(|f| f.mode).collect();
    let mode = |head_max| {
        let inspect = Inspect::First;
        Mode::Http(HttpMode { head_max, inspect })
    };
    assert_eq!(modes, [mode(16 << 10), mode(64 << 10), mode(1 << 10)]);
    assert_eq!(config.frontends[0].session.timeouts.request.as_secs(), 10);
    let [least, most, none] = &config.backends[..] else {
        panic!("{config:?}")
    };
    assert_eq!(none.sticky, None);
    let set_cookie = |sticky: &Option<Sticky>| sticky.as_ref().map(|s| s.set_cookie("v"));
    let least = set_cookie(&least.sticky);
    assert_eq!(
        least.as_deref(),
        Some("x=v; Path=/; HttpOnly; SameSite=Lax")
    );
    let most = set_cookie(&most.sticky).unwrap();
    let attributes = "=v; Path=/; HttpOnly; Max-Age=34560000; Secure";
    assert_eq!(most.strip_prefix("__Host-").unwrap().len(), 57 + 46);
    assert!(most.ends_with(attributes), "{most}");
}

#[test]
fn a_server_without_a_cookie_has_the_hash_of_its_name() {
    let cookies = |fixture, backend: usize| -> Vec<String> {
        let config = valid(fixture).config;
        let servers = config.backends[backend].servers.iter();
        servers.map(|server| server.cookie.clone()).collect()
    };
    let maximal = cookies("maximal", 0);
    assert_eq!(maximal, ["EsEIyPpXo6G", "s2", "M30qLAADqE_"]);
    // The same whether anybody sets it or not, and in any backend.
    assert_eq!(cookies("admin", 0), ["EsEIyPpXo6G"]);
    assert_eq!(cookies("sticky", 0)[0], cookies("sticky", 2)[0]);
}

#[test]
fn the_example_of_the_documentation_is_valid_without_a_warning() {
    let loaded = valid("design_example");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let sticky = loaded.config.backends[0].sticky.as_ref().unwrap();
    assert_eq!(
        sticky.set_cookie("s1"),
        "SRV=s1; Path=/; HttpOnly; SameSite=Lax; Max-Age=28800"
    );
    let admin = loaded.config.admin.unwrap();
    assert_eq!(admin.page.as_deref(), Some("/haproxy_stats"));
}

#[test]
fn a_health_check_has_the_documented_defaults() {
    let config = valid("health_checks").config;
    let checks: Vec<_> = config.backends.iter().map(|b| &b.health_check).collect();
    let [
        Some(empty),
        Some(http),
        Some(partly),
        Some(_),
        Some(_),
        None,
    ] = &checks[..]
    else {
        panic!("{checks:?}")
    };
    let times = |check: &HealthCheck| {
        [
            check.interval,
            check.fast_interval,
            check.down_interval,
            check.timeout,
        ]
        .map(|time| time.as_millis())
    };
    assert_eq!(empty.kind, CheckKind::Tcp);
    assert_eq!(times(empty), [2_000, 2_000, 2_000, 1_000]);
    assert_eq!((empty.fall, empty.rise, empty.port), (3, 2, None));
    let CheckKind::Http(request) = &http.kind else {
        panic!("{http:?}")
    };
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/")
    );
    assert_eq!(request.host, None);
    assert_eq!(request.expect_status.to_string(), "200-399");
    assert_eq!(times(partly), [100, 50, 100, 100]);
    assert!(http.tls.is_none() && request.headers.is_empty() && request.expect_body.is_none());

    let backend = |name: &str| {
        let mut backends = config.backends.iter();
        backends
            .find(|backend| backend.name == name)
            .expect("a backend")
    };
    let round = |name: &str| {
        let check = backend(name).health_check.as_ref().expect("a check");
        assert_eq!(check.kind.as_str(), "tcp");
        let CheckKind::Exchange(round) = &check.kind else {
            panic!("{check:?}")
        };
        let tls = check.tls.clone().expect("TLS");
        let bytes = |literal: &Literal| literal.bytes().to_vec();
        (
            round.send.as_ref().map(bytes),
            round.expect.as_ref().map(bytes),
            tls,
        )
    };
    let (send, expect, tls) = round("redis");
    let expected = (Some(&b"PING\r\n"[..]), Some(&b"+PONG"[..]));
    assert_eq!((send.as_deref(), expect.as_deref()), expected);
    assert!(tls.sni.is_none() && tls.verify.is_some());
    let (send, expect, tls) = round("greeting");
    assert_eq!(
        (send.as_deref(), expect.as_deref()),
        (None, Some(&b"220 \0"[..]))
    );
    assert!(tls.sni.is_none() && tls.verify.is_none());
    let passive = backend("redis").passive.expect("defaults");
    assert_eq!((passive.failures, passive.pause.as_secs()), (5, 10));
    assert_eq!(
        backend("greeting").passive.map(|passive| passive.failures),
        Some(1)
    );
    assert_eq!(backend("none").passive, None);
}

#[test]
fn what_is_not_written_has_the_documented_default() {
    let config = valid("minimal").config;
    assert_eq!(config.global.workers, None);
    assert_eq!(config.global.sessions_max, None);
    assert_eq!(config.global.shutdown_timeout.as_secs(), 30);
    assert_eq!(config.global.access_log, AccessLog::Text);
    assert_eq!(config.global.shutdown_grace.as_secs(), 0);
    assert_eq!(config.global.state_file, None);
    assert_eq!(config.global.identity, None);
    assert_eq!(config.admin, None);
    let frontend = &config.frontends[0];
    assert_eq!(frontend.mode, Mode::Tcp);
    assert_eq!(frontend.session.timeouts.request.as_secs(), 10);
    assert_eq!(frontend.session.timeouts.connect.as_secs(), 5);
    assert_eq!(frontend.session.timeouts.idle.as_secs(), 300);
    assert_eq!(frontend.session.timeouts.half_closed.as_secs(), 30);
    assert_eq!(frontend.session.timeouts.queue.as_secs(), 5);
    assert_eq!(
        (
            frontend.session.retries,
            frontend.backlog,
            frontend.sessions_max
        ),
        (3, 4096, None)
    );
    let backend = &config.backends[0];
    assert_eq!(backend.balance, Algorithm::RoundRobin);
    assert_eq!(backend.sticky, None);
    assert_eq!(
        (backend.servers[0].weight, backend.servers[0].backup),
        (1, false)
    );
}

#[test]
fn a_backend_wins_over_a_frontend_which_wins_over_defaults() {
    let config = valid("precedence").config;
    let seconds: Vec<_> = config
        .frontends
        .iter()
        .map(|f| {
            (
                f.session.timeouts.connect.as_secs(),
                f.session.timeouts.idle.as_secs(),
                f.session.retries,
            )
        })
        .collect();
    assert_eq!(seconds, [(1, 60, 1), (2, 60, 2), (3, 120, 3)]);

    let config = valid("queue_follows_connect").config;
    let queue: Vec<_> = config
        .frontends
        .iter()
        .map(|f| f.session.timeouts.queue.as_secs())
        .collect();
    assert_eq!(queue, [9, 1]);
    assert_eq!(
        valid("queue_default").config.frontends[0]
            .session
            .timeouts
            .queue
            .as_millis(),
        1_500
    );
}

#[test]
fn the_order_of_the_file_is_kept() {
    let config = valid("file_order").config;
    let frontends: Vec<_> = config
        .frontends
        .iter()
        .map(|f| (f.name.as_str(), f.backend))
        .collect();
    assert_eq!(frontends, [("y", Some(1)), ("b", Some(0))]);
    let backends: Vec<_> = config.backends.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(backends, ["z", "a"]);
    let servers: Vec<_> = config.backends[0]
        .servers
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(servers, ["z", "a"]);
}

#[test]
fn a_backend_without_a_frontend_is_a_warning() {
    let loaded = valid("unused_backend");
    assert_eq!(
        (loaded.warnings.errors(), loaded.warnings.warnings()),
        (0, 1)
    );
    let expected = "\
warning: no frontend uses [backend.spare]
 --> unused_backend.toml:8:1
  |
8 | [backend.spare]
  | ^^^^^^^^^^^^^^^ name it in a frontend, or remove it

1 warning";
    assert_eq!(loaded.warnings.to_string(), expected);
    assert!(valid("minimal").warnings.is_empty());
}

#[test]
fn names_of_servers_are_kept_and_only_a_check_resolves_them() {
    let text = r#"[frontend.f]
listen = ["127.0.0.1:0"]
backend = "b"
[backend.b]
servers = [
  { name = "1", address = "both.example:80" },
  { name = "2", address = "pool.example:80" },
  { name = "3", address = "gone.invalid:80" },
]"#;
    let loaded = config::parse("x", text, &resolver).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let servers = &loaded.config.backends[0].servers;
    let written: Vec<_> = servers.iter().map(|s| s.address.to_string()).collect();
    let expected = ["both.example:80", "pool.example:80", "gone.invalid:80"];
    assert_eq!(written, expected);
    assert!(servers.iter().all(|server| server.address.ip().is_none()));

    let report = config::check_text("x", text, &resolver).unwrap_err();
    let report = report.to_string();
    let title = "error: cannot resolve `gone.invalid`\n --> x:8:27\n";
    assert!(report.contains(title), "{report}");
    let title = "warning: `pool.example` has 3 addresses\n --> x:7:27\n";
    assert!(report.contains(title), "{report}");
    assert!(!report.contains("both.example"), "{report}");
}

#[test]
fn a_cookie_that_nobody_sets_is_a_warning() {
    let expected = "\
warning: this `cookie` has no effect: [backend.app] is not sticky
 --> cookie_without_sticky.toml:8:57
  |
8 |   { name = \"web1\", address = \"10.0.0.11:8080\", cookie = \"s1\" },
  |                                                         ^^^^ add a section [backend.app.sticky], or remove it

1 warning";
    let loaded = valid("cookie_without_sticky");
    assert_eq!(loaded.warnings.to_string(), expected);
    assert_eq!(loaded.config.backends[0].servers[0].cookie, "s1");
}

#[test]
fn the_printed_configuration_says_where_values_come_from() {
    let expected = r#"[global]
workers = "auto"                      # default
engine = "auto"                       # default
pin = "auto"                          # default
# max_sessions                        # default: derived from the limit of open files
max_clients = 1000000                 # default
shutdown_timeout = "30s"              # default
shutdown_grace = "0s"                 # default
access_log = "text"                   # default
# state_file                          # default: none, administrative states are forgotten
# user                                # default: none, whoever starts the process
# group                               # default: none, those of whoever starts the process

[frontend.tcp]
listen = ["127.0.0.1:8080", "127.0.0.1:0"]  # resolved from localhost:8080
mode = "tcp"                          # default
backend = "servers"
# max_sessions                        # default: only the limit of [global]
# allow                               # default: everybody
# deny                                # default: nobody
log_empty = true                      # default
backlog = 4096                        # default
connect_timeout = "5s"                # default
idle_timeout = "5m"                   # default
half_closed_timeout = "30s"           # default
request_timeout = "10s"               # default
queue_timeout = "5s"                  # default
tunnel_timeout = "5m"                 # default
max_age = "off"                       # default
user_timeout = "off"                  # default
keepalive = "off"                     # default
retries = 3                           # default
# per_client                          # default: none, clients have no limits of their own
# accept_proxy                        # default: none, the peer is the client

[backend.servers]
balance = "round_robin"               # default
# slow_start                          # default: off
on_down = "keep"                      # default
send_proxy = "off"                    # default
# source                              # default: the kernel chooses
# health_check                        # default: none, servers count as up
# passive                             # default: never, no server is left out
# sticky                              # default: off
# discover                            # default: none, there are only the servers below

[[backend.servers.servers]]
name = "db"
address = "db.example:5432"
weight = 1                            # default
# max_sessions                        # default: unlimited
backup = false                        # default

[[backend.servers.servers]]
name = "six"
address = "six.example:5432"
weight = 1                            # default
# max_sessions                        # default: unlimited
backup = false                        # default
"#;
    assert_eq!(config::effective(&valid("host_names")), expected);
    let printed = config::effective(&valid("admin"));
    let admin = printed
        .split("\n\n")
        .find(|part| part.contains("[admin]"))
        .unwrap();
    let expected = r#"[admin]
listen = "127.0.0.1:8404"             # resolved from localhost:8404
# socket                              # default: none
# haproxy_socket                      # default: none
# socket_group                        # default: none
# token_file                          # default: none
read_only = false                     # default
# page                                # default: none"#;
    assert_eq!(admin, expected);
    let printed = config::effective(&valid("sticky"));
    let parts = |name: &str| -> Vec<&str> {
        let header = format!("[{name}]");
        let parts = printed.split("\n\n");
        parts.filter(|part| part.starts_with(&header)).collect()
    };
    let frontend = parts("frontend.b")[0];
    let expected = r#"[frontend.b]
listen = ["127.0.0.1:1002"]
mode = "http"
head_max = "64KiB"
inspect = "first"                     # default
forwarded_for = false                 # default
# trust                               # default: none
backend = "most""#;
    assert!(frontend.starts_with(expected), "{frontend}");
    let expected = r#"[backend.least.sticky]
cookie = "x"
http_only = true                      # default
secure = false                        # default
same_site = "Lax"                     # default
path = "/"                            # default
domain = ""                           # default
# max_age                             # default: until the browser is closed"#;
    assert_eq!(parts("backend.least.sticky"), [expected]);
    let server = parts("[backend.least.servers]")[0];
    let expected = "cookie = \"JonXj9FSTDR\"                # default";
    assert!(server.ends_with(expected), "{server}");
    // Only where somebody wrote it or sets it: elsewhere it would be warned of.
    let elsewhere = parts("[backend.none.servers]")[0];
    assert!(!elsewhere.contains("cookie"), "{elsewhere}");
    let printed = config::effective(&valid("precedence"));
    let frontend = printed
        .split("\n\n")
        .find(|part| part.contains("[frontend.c]"))
        .unwrap();
    let expected = r#"[frontend.c]
listen = ["127.0.0.1:1003"]
mode = "tcp"                          # default
backend = "own"
# max_sessions                        # default: only the limit of [global]
# allow                               # default: everybody
# deny                                # default: nobody
log_empty = true                      # default
backlog = 4096                        # default
connect_timeout = "3s"                # from [backend.own]
idle_timeout = "2m"
half_closed_timeout = "10s"           # from [defaults]
request_timeout = "10s"               # default
queue_timeout = "3s"                  # default
tunnel_timeout = "2m"                 # default
max_age = "off"                       # default
user_timeout = "off"                  # default
keepalive = "off"                     # default
retries = 3                           # from [backend.own]
# per_client                          # default: none, clients have no limits of their own
# accept_proxy                        # default: none, the peer is the client"#;
    assert_eq!(frontend, expected);
}

/// A backend with so many servers, and a frontend to use it.
fn file_with_servers(count: usize) -> String {
    let mut text = "[frontend.web]\nlisten = [\"127.0.0.1:80\"]\nbackend = \"app\"\n".to_owned();
    text += "[backend.app]\nservers = [\n";
    for index in 0..count {
        text += &format!("{{ name = \"s{index}\", address = \"127.0.0.1:9000\" }},\n");
    }
    text + "]\n"
}

#[test]
fn a_backend_has_at_most_65535_servers() {
    let loaded = config::parse("most", &file_with_servers(65_535), &resolver).unwrap();
    assert_eq!(loaded.config.backends[0].servers.len(), 65_535);
    let report = config::parse("more", &file_with_servers(65_536), &resolver).unwrap_err();
    let expected = "\
error: 65536 servers in [backend.app]
 --> more:5:11
  |
5 | servers = [
  |           ^ a backend may have at most 65535

1 error";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn a_file_of_garbage_does_not_fill_the_screen() {
    let report = config::parse("garbage", &"nonsense\n".repeat(2_000), &resolver).unwrap_err();
    assert_eq!(report.errors(), 2_000);
    let text = report.to_string();
    assert!(text.lines().count() < 3_100);
    assert!(
        text.ends_with("\n\nonly the first 500 are shown\n\n2000 errors"),
        "{text}"
    );
}

#[test]
fn a_route_has_the_timeouts_of_its_backend_then_those_of_its_frontend() {
    let config = valid("tls").config;
    let tls = &config.frontends[0];
    let named: Vec<String> = tls.routes.iter().map(ToString::to_string).collect();
    let expected = [
        "shop.example.com alpn=h2",
        "shop.example.com",
        "alpn=acme-tls/1",
    ];
    assert_eq!(named, expected);
    let seconds = |rules: &SessionRules| {
        let Timeouts {
            connect,
            idle,
            queue,
            tunnel,
            ..
        } = rules.timeouts;
        [connect, idle, queue, tunnel].map(|time| time.as_secs())
    };
    // Of web: an hour; the queue is waited in for the connect timeout.
    assert_eq!(seconds(&tls.session), [1, 3600, 1, 3600]);
    assert_eq!(seconds(&tls.routes[0].session), [5, 420, 9, 420]);
    assert_eq!(seconds(&tls.routes[1].session), [5, 420, 5, 7200]);
    let retries = tls.routes.iter().map(|route| route.session.retries);
    assert_eq!(retries.collect::<Vec<_>>(), [2, 0, 2]);
    let [narrow, plain] = [&config.frontends[1], &config.frontends[2]];
    assert_eq!((narrow.backend, plain.backend), (None, Some(0)));
    assert_eq!(narrow.backends().collect::<Vec<_>>(), [1, 0]);
    assert!(plain.routes.is_empty());
}
