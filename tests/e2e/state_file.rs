//! What operators ordered outlives the process, however that ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::clients::connect_named;
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::{ask, get, order, stats};
use crate::servers::Server;
use crate::setup::Setup;
use crate::wait::eventually;

struct Files(ScratchDirectory);

impl Files {
    fn new() -> Self {
        Files(ScratchDirectory::new())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn setup(&self) -> Setup {
        Setup::new()
            .global(&format!(
                "state_file = \"{}\"",
                self.path("state.json").display()
            ))
            .admin()
            .admin_with(&format!(
                "socket = \"{}\"",
                self.path("admin.sock").display()
            ))
    }

    #[track_caller]
    fn set(&self, server: &str, change: &Value) -> Value {
        let path = format!("/api/v1/servers/app/{server}");
        order(self.path("admin.sock").as_path(), &path, change)
    }
}

/// Ends it without a chance to save anything.
fn kill(mut ringway: Ringway) {
    ringway.signal(Signal::KILL);
    eventually("it is dead", || !ringway.runs());
    ringway.forget();
}

/// Administrative state, weight and reason of each server.
#[track_caller]
fn states(ringway: &Ringway) -> Value {
    let stats = stats(ringway.admin());
    let servers = stats["backends"][0]["servers"].as_array().expect("a list");
    let states = servers.iter().map(|server| {
        json!([
            server["admin_state"],
            server["weight"],
            server["operator"]["reason"]
        ])
    });
    states.collect()
}

#[test]
fn killed_and_started_again_it_still_drains() {
    let files = Files::new();
    let [a, b, c] = ["a", "b", "c"].map(Server::named);
    let setup = files
        .setup()
        .server("a", a.address())
        .server("b", b.address())
        .server("c", c.address());
    let ringway = setup.start();
    files.set("a", &json!({ "state": "drain", "reason": "kernel update" }));
    files.set("b", &json!({ "weight": 7, "reason": "it is larger" }));
    files.set("c", &json!({ "state": "maint" }));
    files.set("c", &json!({ "state": "ready" }));
    let before = states(&ringway);
    let operator = stats(ringway.admin())["backends"][0]["servers"][0]["operator"].clone();
    // At once: what was confirmed is on disk.
    kill(ringway);

    let ringway = setup.start();

    assert_eq!(
        states(&ringway),
        json!([
            ["drain", 1, "kernel update"],
            ["ready", 7, "it is larger"],
            ["ready", 1, null]
        ])
    );
    assert_eq!(states(&ringway)[0], before[0]);
    let again = &stats(ringway.admin())["backends"][0]["servers"][0]["operator"];
    assert_eq!(*again, operator, "who and when are those of the order");
    ringway.says("server app/a is drain: operator (uid ");
    for _ in 0..16 {
        assert_ne!(connect_named(ringway.address()).1, "a");
    }
    files.set("a", &json!({ "state": "ready" }));
    files.set("b", &json!({ "weight": 1 }));
    kill(ringway);

    let ringway = setup.start();
    assert_eq!(
        states(&ringway),
        json!([["ready", 1, null], ["ready", 1, null], ["ready", 1, null]])
    );
    let text = fs::read_to_string(files.path("state.json")).expect("a file");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(file, json!({ "version": 1, "servers": [] }));
}

#[test]
fn a_line_that_was_changed_wins() {
    let files = Files::new();
    let server = Server::named("a");
    let with = |keys: [&str; 2]| {
        files
            .setup()
            .server_with("a", server.address(), keys[0])
            .server_with("b", server.address(), keys[1])
    };
    let ringway = with(["weight = 2", "weight = 2"]).start();
    for name in ["a", "b"] {
        files.set(name, &json!({ "state": "drain", "weight": 9 }));
    }
    kill(ringway);

    let ringway = with(["weight = 2", "weight = 3"]).start();

    let states = states(&ringway);
    assert_eq!(states[0], json!(["drain", 9, ""]));
    assert_eq!(json!([states[1][0], states[1][1]]), json!(["ready", 3]));
    let reason = states[1][2].as_str().expect("a reason");
    assert!(reason.starts_with("its line has changed"), "{reason}");
    ringway.says("server app/b is as its line says");
}

#[test]
fn a_broken_file_is_a_warning() {
    let files = Files::new();
    let server = Server::named("a");
    let setup = files.setup().server("a", server.address());
    let path = files.path("state.json");
    for (content, why) in [
        (&b"{"[..], "EOF"),
        (b"", "EOF"),
        (b"\xff\xfe\0", "expected value"),
        (b"{\"version\": 2, \"servers\": []}", "it has the form 2"),
        (
            b"{\"version\": 1, \"servers\": [{\"backend\": \"app\"}]}",
            "missing field",
        ),
    ] {
        fs::write(&path, content).expect("a file");
        let ringway = setup.start();

        let line = ringway.says("is not used: ");
        assert!(line.contains("WARN") && line.contains(why), "{line}");
        let events = get(ringway.admin(), "/api/v1/events?follow=false").json();
        assert_eq!(events["events"][0]["kind"], "warning");
        assert_eq!(states(&ringway)[0][0], "ready");
        // And it is whole again with the next order.
        assert_eq!(
            files.set("a", &json!({ "state": "drain" }))["warning"],
            Value::Null
        );
        kill(ringway);
        let ringway = setup.start();
        assert_eq!(states(&ringway)[0][0], "drain");
        kill(ringway);
        fs::remove_file(&path).expect("a file");
    }
}

#[test]
fn without_a_file_or_entries_that_fit_it_starts_as_usual() {
    let files = Files::new();
    let server = Server::named("a");
    let gone = json!({
        "backend": "app", "server": "gone", "state": "drain", "weight": null, "who": "x",
        "time": "2026-01-01T00:00:00.000Z", "reason": "",
        "line": { "address": "127.0.0.1:9", "weight": 1, "max_sessions": null, "backup": false },
    });
    let text = json!({ "version": 1, "servers": [gone] }).to_string();
    for content in [None, Some(text)] {
        if let Some(content) = content {
            fs::write(files.path("state.json"), content).expect("a file");
        }
        let ringway = files.setup().server("a", server.address()).start();
        assert_eq!(states(&ringway), json!([["ready", 1, null]]));
        let errors = ringway.errors_so_far();
        let mut warnings = errors.lines().filter(|line| line.contains("WARN"));
        assert!(
            warnings.all(|line| line.contains("running as root")),
            "{errors}"
        );
    }
}

/// A place where nothing can be written, as on a full disk.
fn unwritable(files: &Files) -> PathBuf {
    let folder = files.path("folder");
    fs::create_dir(&folder).expect("a folder");
    folder.join("missing").join("state.json")
}

#[test]
fn what_cannot_be_saved_holds_all_the_same_and_is_said() {
    let files = Files::new();
    let server = Server::named("a");
    let path = unwritable(&files);
    let setup = Setup::new()
        .global(&format!("state_file = \"{}\"", path.display()))
        .admin()
        .admin_with(&format!(
            "socket = \"{}\"",
            files.path("admin.sock").display()
        ))
        .server("a", server.address());
    let ringway = setup.start();

    let answer = files.set("a", &json!({ "state": "drain" }));

    assert_eq!(answer["admin_state"], "drain");
    let warning = answer["warning"].as_str().expect("a sentence");
    assert!(warning.contains("can't be written"), "{warning}");
    ringway.says("can't be written");
    let events = ask(
        files.path("admin.sock").as_path(),
        "GET /api/v1/events?follow=false",
        &[],
        "",
    );
    let events = events.json()["events"].clone();
    let kinds: Vec<&Value> = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| &event["kind"])
        .collect();
    assert_eq!(json!(kinds), json!(["admin", "backend", "warning"]));
    assert_eq!(states(&ringway)[0][0], "drain");
}

#[test]
fn the_file_is_whole_at_every_moment_and_leaves_nothing_beside_it() {
    let files = Files::new();
    let server = Server::named("a");
    let ringway = files.setup().server("a", server.address()).start();
    let path = files.path("state.json");
    for round in 0..50_u32 {
        let weight = 2 + round % 3;
        files.set("a", &json!({ "weight": weight }));
        let text = fs::read_to_string(&path).expect("a file");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(file["servers"][0]["weight"], weight);
    }
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let beside = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path.parent().expect("a folder")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    let mut names = beside(&path);
    names.sort();
    assert_eq!(names, ["admin.sock", "state.json"]);
    drop(ringway);
}

#[test]
fn only_a_regular_file_can_be_one() {
    let files = Files::new();
    let state = files.path("state.json");
    let elsewhere = files.path("elsewhere");
    let setup = files.setup().server("a", ([127, 0, 0, 1], 1).into());
    let refused = |what: &str| {
        let mut ringway = setup.launch().spawn();
        assert_eq!(ringway.exit_code(), Some(1));
        let errors = ringway.errors();
        let sentence = format!("state_file {} is {what}: name a regular", state.display());
        assert!(errors.contains(&sentence), "{errors}");
        let mut check = setup.launch().command("check").spawn();
        assert_eq!(check.exit_code(), Some(0), "it opens none");
    };

    rustix::fs::mkfifoat(rustix::fs::CWD, &state, 0o600.into()).expect("a FIFO");
    refused("a FIFO");
    fs::remove_file(&state).expect("it is there");
    std::os::unix::fs::symlink(&elsewhere, &state).expect("a link");
    refused("a symbolic link");
    fs::write(&elsewhere, "precious").expect("a file");
    refused("a symbolic link");
    assert_eq!(fs::read_to_string(&elsewhere).expect("a file"), "precious");
    fs::remove_file(&state).expect("it is there");
    fs::create_dir(&state).expect("a folder");
    refused("a directory");
    fs::remove_dir(&state).expect("it is there");
    std::os::unix::fs::symlink("/dev/null", &state).expect("a link");
    refused("a symbolic link");
}

#[test]
fn what_somebody_has_put_in_its_way_is_neither_followed_nor_adopted() {
    let files = Files::new();
    let server = Server::named("a");
    let (state, precious) = (files.path("state.json"), files.path("precious"));
    fs::write(&precious, "precious").expect("a file");
    let ringway = files.setup().server("a", server.address()).start();
    let pid = ringway.pid().as_raw_nonzero();
    let beside = files.path(&format!("state.json.{pid}"));

    std::os::unix::fs::symlink(&precious, &beside).expect("a link");
    files.set("a", &json!({ "state": "drain" }));
    assert_eq!(fs::read_to_string(&precious).expect("a file"), "precious");
    let written = || fs::symlink_metadata(&state).expect("a file");
    assert!(written().is_file());

    // A file that everybody may write does not become the state file.
    fs::write(&beside, "").expect("a file");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o666)).expect("a file of ours");
    files.set("a", &json!({ "state": "maint" }));
    assert_eq!(written().permissions().mode() & 0o777, 0o600);

    // One that has come since is replaced, not written to.
    fs::remove_file(&state).expect("it is there");
    std::os::unix::fs::symlink(&precious, &state).expect("a link");
    files.set("a", &json!({ "state": "drain" }));
    assert!(written().is_file());
    assert_eq!(fs::read_to_string(&precious).expect("a file"), "precious");
}
