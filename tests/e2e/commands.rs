//! Operators' commands, against a running process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::clients::{Ending, connect, ending, is_silent, round_trip};
use crate::harness::{Finished, Ringway, ScratchDirectory};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

/// A process with two servers and all ways to ask it.
struct Fixture {
    ringway: Ringway,
    folder: ScratchDirectory,
    _servers: [Server; 2],
}

impl Fixture {
    fn start() -> Self {
        let folder = ScratchDirectory::new();
        let servers = [Server::echo(), Server::echo()];
        let token = folder.path().join("token");
        fs::write(&token, "s3cret").expect("a file");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a mode");
        let setup = Setup::new()
            .workers(1)
            .admin()
            .admin_with(&format!(
                "socket = \"{}\"",
                folder.path().join("admin.sock").display()
            ))
            .admin_with(&format!("token_file = \"{}\"", token.display()))
            .server("web1", servers[0].address())
            .server("web2", servers[1].address());
        fs::write(folder.path().join("ringway.toml"), setup.text()).expect("a file");
        Fixture {
            ringway: setup.start(),
            folder,
            _servers: servers,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path("ringway.toml").display().to_string()
    }

    /// Runs a command as an operator on this host does.
    fn run(&self, arguments: &[&str]) -> Finished {
        let config = self.config();
        Ringway::command(&[arguments, &["-c", &config]].concat())
    }

    /// The same, which must do what it should.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).done()
    }

    /// The same, which must fail, with one sentence.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        self.run(arguments).one_error()
    }
}

#[test]
fn status_shows_what_there_is() {
    let fixture = Fixture::start();
    let client = connect(fixture.ringway.address());
    round_trip(&client, b"hello");

    let text = fixture.done(&["status"]);

    let pid = fixture.ringway.pid().as_raw_nonzero();
    assert!(
        text.starts_with(&format!(
            "ringway {}, pid {pid}, up ",
            env!("CARGO_PKG_VERSION")
        )),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("web ")), "{text}");
    let server = lines
        .iter()
        .find(|line| line.starts_with("app/web2 "))
        .expect("a line");
    assert!(server.contains("no check"), "{text}");
    let json: Value = serde_json::from_str(&fixture.done(&["status", "--json"])).expect("JSON");
    assert_eq!(json["process"]["pid"], pid.get());
    assert_eq!(json["process"]["sessions"]["current"], 1);
}

#[test]
fn healthcheck_tells_alive_from_ready() {
    let fixture = Fixture::start();
    assert_eq!(fixture.done(&["healthcheck"]), "ok\n");
    assert_eq!(fixture.done(&["healthcheck", "--ready"]), "ok\n");

    fixture.done(&["maint", "app/web1"]);
    fixture.done(&["maint", "app/web2"]);
    assert_eq!(fixture.done(&["healthcheck"]), "ok\n");
    let why = fixture.fails(&["healthcheck", "--ready"]);
    assert!(why.ends_with("backend app: no usable server"), "{why}");

    let nobody = ["healthcheck", "--admin", "http://127.0.0.1:9"];
    let why = Ringway::command(&nobody).one_error();
    assert!(why.starts_with("no process listens at"), "{why}");
}

#[test]
fn servers_are_set_and_shown() {
    let fixture = Fixture::start();

    let text = fixture.done(&["drain", "app/web1", "--reason", "kernel update"]);
    assert_eq!(
        text,
        "app/web1 is drain, no check, weight 1, sessions open: 0\n"
    );
    let text = fixture.done(&["status"]);
    let line = text
        .lines()
        .find(|line| line.starts_with("app/web1"))
        .expect("a line");
    assert!(
        line.contains("drain, no check") && line.contains("kernel update (uid "),
        "{text}"
    );
    let text = fixture.done(&["maint", "app/web1"]);
    assert_eq!(text, "app/web1 is maint, weight 1, sessions open: 0\n");
    let text = fixture.done(&["ready", "app/web1"]);
    assert_eq!(text, "app/web1 is no check, weight 1, sessions open: 0\n");
    let text = fixture.done(&["weight", "app/web1", "10"]);
    assert_eq!(text, "app/web1 is no check, weight 10, sessions open: 0\n");

    for (arguments, why) in [
        (
            &["drain", "app/wbe1"][..],
            "there is no server app/wbe1: did you mean app/web1 or app/web2?",
        ),
        (&["weight", "zz/qqqq", "1"], "there is no server zz/qqqq"),
        (&["drain", "app/web1", "--reason", "a\nb"], "one line"),
    ] {
        let error = fixture.fails(arguments);
        assert!(error.contains(why), "{error}");
    }
    for wrong in [
        &["drain", "web1"][..],
        &["weight", "app/web1", "257"],
        &["drain"],
        &["kill"],
    ] {
        assert_eq!(fixture.run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn drain_waits_for_the_last_session() {
    let fixture = Fixture::start();
    let clients = [(); 4].map(|()| connect(fixture.ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    let finished = fixture.run(&["drain", "app/web1", "--wait", "--timeout", "1s"]);

    let error = finished.one_error();
    assert!(
        error.starts_with("sessions of app/web1 that are still open after 1s: 2"),
        "{error}"
    );
    assert!(
        finished.output.contains("app/web1: sessions left: 2\n"),
        "{finished:?}"
    );

    let mut waiting = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(["drain", "app/web1", "--wait", "-c", &fixture.config()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(waiting.stdout.take().expect("a pipe")).lines();
    let mut until = |end: &str| {
        let mut lines = lines.by_ref().map(|line| line.expect("a line"));
        lines.find(|line| line == end)
    };
    assert!(until("app/web1: sessions left: 2").is_some());
    drop(clients);
    assert!(until("app/web1 has no session left").is_some());
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
}

#[test]
fn drain_closes_sessions_if_told_to() {
    let fixture = Fixture::start();
    let clients = [(); 4].map(|()| connect(fixture.ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    let text = fixture.done(&["drain", "app/web1", "--close-sessions", "--wait"]);

    assert!(text.starts_with("app/web1: sessions closed: 2\n"), "{text}");
    assert!(text.ends_with("app/web1 has no session left\n"), "{text}");
    let left = clients.iter().filter(|client| is_silent(client)).count();
    assert_eq!(left, 2);
}

#[test]
fn sessions_are_listed_and_killed() {
    let fixture = Fixture::start();
    let clients = [(); 4].map(|()| connect(fixture.ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    let text = fixture.done(&["sessions"]);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(
        text.contains(&clients[0].local_addr().expect("an address").to_string()),
        "{text}"
    );
    assert_eq!(fixture.done(&["sessions", "app/web1"]).lines().count(), 3);
    assert_eq!(
        fixture
            .done(&["sessions", "--client", "127.0.0.9"])
            .lines()
            .count(),
        1
    );
    let text = fixture.done(&["sessions", "--frontend", "web", "--limit", "1"]);
    assert!(
        text.ends_with("1 of 4 sessions; --limit shows more\n"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&fixture.done(&["sessions", "--json"])).expect("JSON");
    let address = clients[2].local_addr().expect("an address").to_string();
    let mut sessions = json["sessions"].as_array().expect("a list").iter();
    let session = sessions
        .find(|session| session["client"] == address)
        .expect("it is listed");
    let id = session["id"].as_str().expect("a name");

    assert_eq!(
        fixture.done(&["kill", id]),
        format!("session {id} closed\n")
    );
    assert_eq!(ending(&clients[2]), Ending::Reset);
    let error = fixture.fails(&["kill", id]);
    assert!(
        error.contains(&format!("there is no session {id}")),
        "{error}"
    );
    let killed: u32 = ["app/web1", "app/web2"]
        .map(|server| {
            let text = fixture.done(&["kill", "--server", server]);
            let count = text
                .trim_end()
                .rsplit(' ')
                .next()
                .and_then(|count| count.parse::<u32>().ok());
            count.expect("a number")
        })
        .iter()
        .sum();
    assert_eq!(killed, 3);
    eventually("all are gone", || {
        fixture.done(&["sessions"]).lines().count() == 1
    });
}

#[test]
fn events_are_printed_and_followed() {
    let fixture = Fixture::start();
    fixture.done(&["drain", "app/web1", "--reason", "kernel update"]);

    let text = fixture.done(&["events", "--no-follow"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(" admin    server app/web1 is drain: operator (uid "),
        "{text}"
    );
    let text = fixture.done(&["events", "--no-follow", "--json"]);
    let event: Value = serde_json::from_str(&text).expect("JSON");
    let id = event["id"].to_string();
    assert_eq!(fixture.done(&["events", "--no-follow", "--since", &id]), "");

    let mut following = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(["events", "-c", &fixture.config()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("is drain"));
    fixture.done(&["ready", "app/web1"]);
    assert!(next().contains("server app/web1 is ready: operator"));
    drop(fixture);
    let finished = following.wait_with_output().expect("it ends");
    let errors = String::from_utf8(finished.stderr).expect("text");
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        errors.starts_with("error: the process has ended"),
        "{errors}"
    );
}

#[test]
fn the_process_is_found_or_a_sentence_says_why_not() {
    let fixture = Fixture::start();
    let socket = fixture.path("admin.sock").display().to_string();
    let url = format!("http://{}", fixture.ringway.admin());
    let token = fixture.path("token").display().to_string();
    let nowhere = fixture.path("nowhere.sock").display().to_string();
    let config = fixture.path("other.toml").display().to_string();
    let run = |arguments: &[&str]| Ringway::command(arguments);

    for admin in [&socket, &url, url.trim_start_matches("http://")] {
        let finished = run(&["status", "--admin", admin, "-c", &config]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    let drain = ["drain", "app/web1", "--admin", &url, "-c", &config];
    let finished = run(&drain);
    assert!(
        finished.one_error().contains("a token is needed"),
        "{finished:?}"
    );
    let finished = run(&[&drain[..], &["--token-file", &token]].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    fs::write(&token, "wrong").expect("a file");
    let finished = run(&[&drain[..], &["--token-file", &token]].concat());
    assert!(finished.one_error().contains("wrong token"), "{finished:?}");

    let web = format!("http://{}", fixture.ringway.address());
    fs::write(&config, "[frontend.web]\n").expect("a file");
    for (arguments, why) in [
        (
            &["status", "--admin", nowhere.as_str()][..],
            "no process listens at",
        ),
        (
            &["status", "--admin", "http://127.0.0.1:1"],
            "no process listens at http://127.0.0.1:1",
        ),
        (
            &["status", "--admin", "nonsense"],
            "the path of a socket or a URL",
        ),
        (
            &["status", "--admin", web.as_str()],
            "broke the connection off",
        ),
        (
            &["status", "-c", config.as_str()],
            "has no `socket` in [admin]",
        ),
        (&["status", "-c", "/nowhere/ringway.toml"], "can't be read"),
        (&["top", "--admin", socket.as_str()], "top needs a terminal"),
    ] {
        let finished = run(arguments);
        let error = finished.one_error();
        assert!(error.contains(why), "{arguments:?}: {error}");
    }
}

#[test]
fn completions_and_pages_know_every_command() {
    let commands = [
        "run",
        "check",
        "tcp",
        "demo",
        "doctor",
        "status",
        "top",
        "drain",
        "ready",
        "maint",
        "weight",
        "sessions",
        "kill",
        "reload",
        "events",
        "completions",
        "man",
        "schema",
        "openapi",
        "help",
    ];
    for shell in ["bash", "zsh", "fish"] {
        let finished = Ringway::command(&["completions", shell]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        for command in commands {
            assert!(finished.output.contains(command), "{shell}: {command}");
        }
    }
    let page = Ringway::command(&["man"]);
    assert!(page.output.contains(".TH ringway 1"), "{page:?}");
    let folder = ScratchDirectory::new();
    let pages = folder.path().join("man1");
    let finished = Ringway::command(&["man", &pages.display().to_string()]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for command in commands {
        let page = fs::read_to_string(pages.join(format!("ringway-{command}.1")));
        assert!(
            page.is_ok_and(|page| page.contains("Examples")),
            "{command}"
        );
    }
}

#[test]
fn top_draws_in_a_terminal_and_ends_with_q() {
    let fixture = Fixture::start();
    // `script` gives it a terminal.
    let binary = env!("CARGO_BIN_EXE_ringway");
    let command = format!(
        "stty rows 24 cols 120; '{binary}' top -c '{}' --interval 100ms",
        fixture.config()
    );
    let mut top = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed");
    let mut out = BufReader::new(top.stdout.take().expect("a pipe"));
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(" sessions/s, in ") {
        let read = out.read_until(b's', &mut shown).expect("it draws");
        assert!(read > 0, "{}", String::from_utf8_lossy(&shown));
    }
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert!(
        text.contains("app/web1") && text.contains("FRONTEND"),
        "{text}"
    );
    std::io::Write::write_all(top.stdin.as_mut().expect("a pipe"), b"q").expect("it is taken");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut out, &mut rest).expect("it ends");
    assert_eq!(top.wait().expect("it ends").code(), Some(0));
    assert!(
        String::from_utf8_lossy(&rest).contains("\x1b[?1049l"),
        "the screen is as it was"
    );
}

#[test]
fn reload_says_how_it_went() {
    let fixture = Fixture::start();
    let configuration = fs::read_to_string(fixture.config()).expect("a file");

    let text = fixture.done(&["reload"]);
    assert_eq!(text, "reloaded: version 2 of the configuration is in use\n");
    fixture
        .ringway
        .configure(&configuration.replace("web2", "web 2"));
    let finished = fixture.run(&["reload"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.errors.contains("web 2") && finished.errors.contains("--> "),
        "{finished:?}"
    );
    fixture
        .ringway
        .configure(&configuration.replace("workers = 1", "workers = 2"));
    let error = fixture.fails(&["reload"]);
    assert!(error.contains("needs a restart"), "{error}");
}
