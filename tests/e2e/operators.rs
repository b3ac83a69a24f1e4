//! What operators do with several servers at once, what they are told of problems, and what completes their
//! command lines.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::clients::{Ending, connect, connect_named, ending, round_trip};
use crate::harness::{Finished, Launch, Ringway, ScratchDirectory};
use crate::http::stats;
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// A process with the backends `app`, of `web1` to `web3`, and `db`, of `primary`, which is down.
struct Fixture {
    ringway: Ringway,
    folder: ScratchDirectory,
    _server: Server,
    _refusing: RefusingPort,
}

impl Fixture {
    fn start() -> Self {
        let folder = ScratchDirectory::new();
        let (server, refusing) = (Server::echo(), RefusingPort::new());
        let socket = folder.path().join("admin.sock").display().to_string();
        let mut setup = Setup::new()
            .workers(1)
            .admin()
            .admin_with(&format!("socket = \"{socket}\""));
        for name in ["web1", "web2", "web3"] {
            setup = setup.server(name, server.address());
        }
        let other = format!(
            "[frontend.db]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"db\"\n[backend.db]\n\
             servers = [{{ name = \"primary\", address = \"{}\" }}]\n[backend.db.health_check]\n\
             interval = \"50ms\"\ntimeout = \"50ms\"\n",
            refusing.address()
        );
        let text = setup.text() + &other;
        fs::write(folder.path().join("ringway.toml"), &text).expect("a file");
        let ringway = Launch::config(&text).start();
        eventually("the check has failed", || {
            stats(ringway.admin())["backends"][1]["servers"][0]["status"] == "DOWN"
        });
        Fixture {
            ringway,
            folder,
            _server: server,
            _refusing: refusing,
        }
    }

    fn config(&self) -> String {
        let file = self.folder.path().join("ringway.toml");
        file.display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        Ringway::command(&[arguments, &["-c", &self.config()]].concat())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).done()
    }

    /// Runs a command that must be refused in one sentence.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        self.run(arguments).one_error()
    }

    /// The administrative states of the servers of `app`.
    fn states(&self) -> Vec<String> {
        let stats = stats(self.ringway.admin());
        let servers = stats["backends"][0]["servers"].as_array().expect("a list");
        let state = |server: &Value| server["admin_state"].as_str().expect("a word").to_owned();
        servers.iter().map(state).collect()
    }
}

#[test]
fn problems_are_listed_alone() {
    let fixture = Fixture::start();
    fixture.done(&["drain", "app/web2", "--reason", "kernel update"]);

    let text = fixture.done(&["status", "--problems"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ringway "), "{text}");
    assert!(lines[3].starts_with("backend db         DOWN "), "{text}");
    assert!(
        lines[3].ends_with("its only server can't be used"),
        "{text}"
    );
    assert!(lines[4].starts_with("server db/primary "), "{text}");
    assert!(
        lines[4].contains("DOWN ") && lines[4].contains("L4CON"),
        "{text}"
    );
    assert!(lines[5].starts_with("server app/web2 "), "{text}");
    assert!(lines[5].contains("kernel update (uid "), "{text}");
    assert_eq!(lines[7..], ["servers up: 2 of 4"], "{text}");
    let json: Value =
        serde_json::from_str(&fixture.done(&["status", "--problems", "--json"])).expect("JSON");
    assert_eq!(json[1]["name"], "db/primary");
    assert_eq!(
        [&json[1]["severity"], &json[2]["severity"]],
        ["error", "notice"]
    );

    fixture.done(&["ready", "app/web2"]);
    let text = fixture.done(&["status", "--problems", "--backend", "app"]);
    assert!(
        text.ends_with("\n\nno problem; servers up: 3 of 3\n"),
        "{text}"
    );
    let text = fixture.done(&["status", "--backend", "app"]);
    assert!(
        text.contains("\nweb ") && text.contains("\napp/web3 "),
        "{text}"
    );
    assert!(!text.contains("db"), "{text}");
    let why = fixture.fails(&["status", "--backend", "ap"]);
    assert_eq!(why, "there is no backend ap: did you mean app?");
}

#[test]
fn a_reload_that_is_refused_is_a_problem_until_one_succeeds() {
    let fixture = Fixture::start();
    let text = fs::read_to_string(fixture.config()).expect("a file");
    fixture.ringway.reload(&text.replace("web2", "web 2"));
    let problems = fixture.done(&["status", "--problems"]);
    assert!(
        problems.contains("process            RELOAD REFUSED"),
        "{problems}"
    );
    fixture.ringway.reload(&text);
    let problems = fixture.done(&["status", "--problems"]);
    assert!(!problems.contains("RELOAD"), "{problems}");
}

#[test]
fn several_servers_and_whole_backends_are_set() {
    let fixture = Fixture::start();

    let text = fixture.done(&["drain", "app/web1", "app/web3", "app/web1"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.starts_with("app/web1 is drain, no check"), "{text}");
    assert_eq!(fixture.states(), ["drain", "ready", "drain"]);
    fixture.done(&["ready", "app/web1", "app/web3"]);
    assert_eq!(fixture.states(), ["ready"; 3]);

    // Nothing is done if a name is wrong.
    let why = fixture.fails(&["maint", "app/web1", "app/web9"]);
    assert!(
        why.starts_with("there is no server app/web9: did you mean app/web1"),
        "{why}"
    );
    let why = fixture.fails(&["maint", "app/web1", "--backend", "dbb"]);
    assert_eq!(why, "there is no backend dbb: did you mean db?");
    assert_eq!(fixture.states(), ["ready"; 3]);

    let text = fixture.done(&["maint", "--backend", "app", "--backend", "db"]);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert_eq!(fixture.states(), ["maint"; 3]);
    fixture.done(&["ready", "--backend", "app"]);
    assert_eq!(fixture.states(), ["ready"; 3]);
    for wrong in [
        &["drain"][..],
        &["ready"],
        &["drain", "app"],
        &["drain", "--backend", "a/b"],
        &["status", "--backend", ""],
    ] {
        assert_eq!(fixture.run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_drain_of_several_waits_for_all_of_them() {
    let fixture = Fixture::start();
    let clients = [(); 3].map(|()| connect(fixture.ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    let finished = fixture.run(&["drain", "--backend", "app", "--wait", "--timeout", "300ms"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.errors.starts_with(
            "error: sessions that are still open after 300ms: 3, of app/web1, app/web2, app/web3;"
        ),
        "{finished:?}"
    );
    let text = fixture.done(&["drain", "--backend", "app", "--wait", "--close-sessions"]);
    for server in ["app/web1", "app/web2", "app/web3"] {
        assert!(
            text.contains(&format!("{server}: sessions closed: 1\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("{server} has no session left\n")),
            "{text}"
        );
    }
}

#[test]
fn all_sessions_of_a_client_are_killed() {
    let fixture = Fixture::start();
    let clients = [(); 3].map(|()| connect(fixture.ringway.address()));
    for client in &clients {
        round_trip(client, b"hello");
    }

    let text = fixture.done(&["kill", "--client", "127.0.0.1"]);
    assert_eq!(text, "127.0.0.1: sessions closed: 3\n");
    for client in &clients {
        assert_eq!(ending(client), Ending::Reset);
    }
    let line = fixture
        .ringway
        .says("3 sessions of client 127.0.0.1 closed");
    assert!(line.contains("operator (uid "), "{line}");
    let why = fixture.fails(&["kill", "--client", "127.0.0.1"]);
    assert!(why.starts_with("no session of 127.0.0.1 is open"), "{why}");
    for wrong in [
        &["kill", "--client", "nonsense"][..],
        &["kill", "--client", "::1", "--server", "app/web1"],
        &["kill", "--client", "::1", "0-1-2"],
    ] {
        assert_eq!(fixture.run(wrong).code, Some(2), "{wrong:?}");
    }
    // A name that is not there is no empty list.
    for (arguments, why) in [
        (
            &["sessions", "app/wbe1"][..],
            "there is no server app/wbe1: did you mean app/web1",
        ),
        (
            &["sessions", "--backend", "ap"],
            "there is no backend ap: did you mean app?",
        ),
        (
            &["sessions", "--frontend", "webb"],
            "there is no frontend webb: did you mean web?",
        ),
    ] {
        let error = fixture.fails(arguments);
        assert!(error.starts_with(why), "{error}");
    }
    assert_eq!(
        fixture.done(&["sessions", "app/web1"]),
        "no open session matches\n"
    );
}

/// The names that complete a line.
fn candidates(line: &str) -> Vec<String> {
    let finished = Ringway::command(&["completions", "--candidates", line]);
    let outcome = (finished.code, finished.errors.as_str());
    assert_eq!(outcome, (Some(0), ""), "{finished:?}");
    finished.output.lines().map(str::to_owned).collect()
}

#[test]
fn lines_are_completed_with_names_of_the_running_process() {
    let fixture = Fixture::start();
    let config = fixture.config();
    let complete = |line: &str| candidates(&line.replace("FILE", &config));

    let all = ["app/web1", "app/web2", "app/web3", "db/primary"];
    assert_eq!(complete("ringway drain -c FILE "), all);
    assert_eq!(complete("ringway drain -c FILE app/web1 app/"), all[1..3]);
    assert_eq!(complete("ringway maint -c FILE --backend "), ["app", "db"]);
    assert_eq!(complete("ringway sessions -c FILE --frontend w"), ["web"]);
    assert_eq!(complete("ringway kill -c FILE --server db"), ["db/primary"]);
    assert_eq!(complete("ringway add -c FILE "), ["app/", "db/"]);
    let admin = format!("ringway ready --admin=http://{} d", fixture.ringway.admin());
    assert_eq!(complete(&admin), ["db/primary"]);
    // Nobody is bothered by errors while typing.
    for line in [
        "ringway drain --admin http://127.0.0.1:9 ",
        "ringway run ",
        "ringway",
        "",
    ] {
        assert_eq!(candidates(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn bash_completes_names_with_colons() {
    let folder = ScratchDirectory::new();
    let socket = folder.path().join("admin.sock");
    let text = format!(
        "[admin]\nsocket = \"{}\"\n[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
         [backend.app.discover]\ndns = \"localhost:8080\"\nfamily = \"ipv4\"\n",
        socket.display()
    );
    let _ringway = Launch::config(&text).start();
    let binary = env!("CARGO_BIN_EXE_ringway");
    let script = Ringway::command(&["completions", "bash"]).output;
    let file = folder.path().join("completions");
    fs::write(&file, script).expect("a file");
    let completed = |line: &str, words: &[&str]| {
        let line = line.replace("SOCKET", &socket.display().to_string());
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let command = format!(
            ". '{}'; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=('{binary}' {}); \
             COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _ringway_names '{binary}' \"${{COMP_WORDS[COMP_CWORD]}}\" \
             \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            quoted.join(" ")
        );
        let output = Command::new("bash").args(["-c", &command]).output();
        let output = output.expect("bash is installed");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(errors, "", "{command}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let drain = "ringway drain --admin SOCKET app/";
    assert_eq!(
        completed(drain, &["drain", "--admin", "x", "app/"]),
        ["app/127.0.0.1:8080"]
    );
    // Bash sees three words here, and replaces the last.
    assert_eq!(
        completed(
            &format!("{drain}127.0.0.1:8"),
            &["drain", "--admin", "x", "app/127.0.0.1", ":", "8"]
        ),
        ["8080"]
    );
    let options = completed("ringway drain --w", &["drain", "--w"]);
    assert_eq!(options, ["--wait"]);
}

#[test]
fn the_status_says_whether_the_others_could_carry_the_busiest_server() {
    let server = Server::named("x");
    let ringway = Setup::new()
        .workers(1)
        .admin()
        .backend("balance = \"first\"")
        .server_with("big", server.address(), "weight = 2")
        .server_with("small", server.address(), "max_sessions = 2")
        .start();
    let clients: Vec<_> = (0..3).map(|_| connect_named(ringway.address())).collect();
    let admin = format!("http://{}", ringway.admin());
    let status = || Ringway::command(&["status", "--admin", &admin]).done();
    let line = |text: &str| {
        text.lines()
            .last()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(
        line(&status()).as_deref(),
        Some("app big 3 100 % 1 other carries 100 %, but max_sessions allows only 2 more")
    );
    drop(clients);
    eventually("it would do", || {
        line(&status()).is_some_and(|line| {
            line == "app big 0 67 % 1 other carries 100 %; max_sessions allows 2 more"
        })
    });
}
