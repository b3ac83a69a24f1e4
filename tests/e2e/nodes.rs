//! What operators see of several nodes, and do on all of them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Finished, Ringway, ScratchDirectory};
use crate::http::stats;
use crate::servers::{RefusingPort, Server, SilentPort};
use crate::setup::Setup;

/// A file with a token that only its owner can read.
fn token_file(folder: &Path, token: &str) -> PathBuf {
    let path = folder.join(token);
    fs::write(&path, token).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// Nodes with the backend `app` of `web1` and `web2`: two with one token, one with another.
struct Farm {
    nodes: Vec<Ringway>,
    folder: ScratchDirectory,
    _server: Server,
}

impl Farm {
    fn start() -> Self {
        let folder = ScratchDirectory::new();
        let server = Server::echo();
        let node = |token: &str| {
            let file = token_file(folder.path(), token);
            let setup = Setup::new().workers(1).admin();
            let setup = setup.admin_with(&format!("token_file = \"{}\"", file.display()));
            let setup = setup.server("web1", server.address());
            setup.server("web2", server.address()).start()
        };
        Farm {
            nodes: ["farm", "farm", "other"].map(node).into(),
            folder,
            _server: server,
        }
    }

    fn url(&self, index: usize) -> String {
        format!("http://{}", self.nodes[index].admin())
    }

    fn token(&self) -> String {
        self.folder.path().join("farm").display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        Ringway::command(&[arguments, &["--token-file", &self.token()]].concat())
    }

    fn state(&self, index: usize) -> String {
        let stats = stats(self.nodes[index].admin());
        let state = stats["backends"][0]["servers"][0]["admin_state"].as_str();
        state.expect("a word").to_owned()
    }
}

#[test]
fn nodes_are_shown_side_by_side() {
    let farm = Farm::start();
    let urls = [farm.url(0), farm.url(1)];
    let text = farm.run(&["nodes", &urls[0], &urls[1]]).done();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[1].starts_with(&format!("{}  yes    version 1, ", urls[0])),
        "{text}"
    );
    let port = |url: &str| url.trim_start_matches("http://").to_owned();
    let heading: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(
        heading,
        ["SERVER", &port(&urls[0]), &port(&urls[1])],
        "{text}"
    );
    assert!(
        lines[5].starts_with("app/web1  up, sessions 0") || lines[5].contains("no check"),
        "{text}"
    );
    assert_eq!(lines[8], "no difference between 2 nodes", "{text}");

    farm.run(&["drain", "app/web2", "--admin", &urls[1]]).done();
    let text = farm.run(&["nodes", &urls[0], &urls[1]]).done();
    assert!(text.ends_with("\ndifferent: server app/web2\n"), "{text}");
    let json = farm
        .run(&["nodes", &urls[0], &urls[1], "--backend", "app", "--json"])
        .done();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["differences"], serde_json::json!(["server app/web2"]));
    let state = &json["nodes"][1]["backends"][0]["servers"][1]["admin_state"];
    assert_eq!(
        (&json["nodes"][1]["ready"], state),
        (&true.into(), &"drain".into())
    );

    let wrong = farm
        .run(&["nodes", &urls[0], "--backend", "ap"])
        .one_error();
    assert_eq!(wrong, "there is no backend ap: did you mean app?");
}

#[test]
fn differences_are_red_on_a_terminal() {
    let farm = Farm::start();
    farm.run(&["drain", "app/web2", "--admin", &farm.url(1)])
        .done();
    let shown = |variable: &str| {
        let binary = env!("CARGO_BIN_EXE_ringway");
        let command = format!(
            "{variable} '{binary}' nodes {} {}",
            farm.url(0),
            farm.url(1)
        );
        // `script` makes a terminal.
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .output();
        String::from_utf8(output.expect("script is installed").stdout).expect("text")
    };
    let text = shown("");
    let red: Vec<&str> = text.split("\x1b[31m").skip(1).collect();
    assert_eq!(red.len(), 2, "{text}");
    assert!(red[0].starts_with("drain, "), "{text}");
    assert!(
        red[1].starts_with("different: server app/web2\x1b[39m"),
        "{text}"
    );
    assert!(!shown("NO_COLOR=1").contains('\x1b'));
}

/// The one that does not answer takes a few seconds, the others are shown meanwhile.
#[test]
fn nodes_that_fail_are_named_and_the_others_go_on() {
    let farm = Farm::start();
    let (refusing, silent) = (RefusingPort::new(), SilentPort::new());
    let refusing = format!("http://{}", refusing.address());
    let silent = format!("http://{}", silent.address());
    let good = [farm.url(0), farm.url(1)];
    let other = farm.url(2);

    let all = [
        refusing.as_str(),
        &good[0],
        &silent,
        &other,
        "nowhere",
        &good[1],
    ];
    let begin = Instant::now();
    let finished = farm.run(&[&["nodes"], &all[..]].concat());
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.output.matches("  no answer").count(),
        4,
        "{finished:?}"
    );
    assert_eq!(finished.output.matches("  yes").count(), 2, "{finished:?}");
    let errors: Vec<&str> = finished.errors.lines().collect();
    for (line, [node, why]) in errors.iter().zip([
        [refusing.as_str(), "no process listens"],
        [&silent, "did not answer within 5s"],
        [&other, "wrong token"],
        ["nowhere", "the path of a socket or a URL is needed"],
        ["", "4 of 6 nodes gave no answer that can be shown"],
    ]) {
        assert!(
            line.starts_with("error: ") && line.contains(node) && line.contains(why),
            "{line}"
        );
    }
    assert_eq!(errors.len(), 5, "{finished:?}");

    let nodes = [good[0].as_str(), &other, &refusing, &good[1]].join(",");
    let finished = farm.run(&["drain", "app/web1", "--nodes", &nodes, "--wait"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for node in &good {
        let done = format!("{node}: app/web1 is drain, ");
        assert!(finished.output.contains(&done), "{finished:?}");
        assert!(
            finished
                .output
                .contains(&format!("{node}: app/web1 has no session left")),
            "{finished:?}"
        );
    }
    let errors: Vec<&str> = finished.errors.lines().collect();
    assert!(
        errors[0].contains(&other) && errors[0].contains("wrong token"),
        "{errors:?}"
    );
    assert!(errors[1].contains(&refusing), "{errors:?}");
    let last = format!("error: drain failed on 2 of 4 nodes: {other}, {refusing}");
    assert_eq!(errors[2..], [last], "{errors:?}");
    let states = || [0, 1, 2].map(|index| farm.state(index));
    assert_eq!(states(), ["drain", "drain", "ready"]);

    let done = farm
        .run(&["ready", "--backend", "app", "--nodes", &good.join(",")])
        .done();
    assert_eq!(done.lines().count(), 4, "{done}");
    assert_eq!(states(), ["ready"; 3]);
}

#[test]
fn an_answer_has_a_bound_and_advice_is_for_a_list() {
    let endless = Server::start(|mut stream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        // An answer before the request would be none.
        let _ = stream.read(&mut [0; 4096]);
        // Until the other side closes.
        let mut taken = stream.write_all(head);
        while taken.is_ok() {
            taken = stream.write_all(&[b' '; 65_536]);
        }
    });
    let refusing = RefusingPort::new();
    let nodes = [endless.address(), refusing.address()].map(|it| format!("http://{it}"));
    let finished = Ringway::command(&["nodes", &nodes[0], &nodes[1]]);
    let expected = [
        format!(
            "error: {} answers with more than 64 MiB: it is no admin listener of ringway",
            nodes[0]
        ),
        format!(
            "error: no process listens at {}: start it, or leave it out of the list",
            nodes[1]
        ),
    ];
    let errors: Vec<&str> = finished.errors.lines().collect();
    assert_eq!(errors[..2], expected, "{finished:?}");
}
