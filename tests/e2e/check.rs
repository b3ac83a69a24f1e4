//! `ringway check` and `ringway doctor` as people and editors use them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Finished, Launch, Ringway, ScratchDirectory};

const VALID: &str = "[frontend.web]\nlisten = [\"127.0.0.1:0\"]\nbackend = \"app\"\n\
                     [backend.app]\nservers = [{ name = \"a\", address = \"localhost:1\" }]\n";

/// What the program prints for this standard input.
fn fed(arguments: &[&str], input: &str) -> Finished {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Finished {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).expect("text"),
        errors: String::from_utf8(output.stderr).expect("text"),
    }
}

#[test]
fn a_file_is_named_in_three_ways() {
    let directory = ScratchDirectory::new();
    let file = directory.path().join("x.toml");
    std::fs::write(&file, VALID).expect("a file");
    let file = file.display().to_string();
    for arguments in [&["check", &file][..], &["check", "-c", &file]] {
        let checked = Ringway::command(arguments);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let mut lines = checked.output.lines();
        assert_eq!(lines.next(), Some(&*format!("{file} is valid")));
        // What the name stands for now.
        let name = lines.next().unwrap_or_default();
        assert!(
            name.starts_with("localhost is ") && name.contains("127.0.0.1"),
            "{name}"
        );
    }
    for arguments in [&["check", "-"][..], &["check", "-c", "-"]] {
        let checked = fed(arguments, VALID);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert!(
            checked.output.starts_with("standard input is valid\n"),
            "{checked:?}"
        );
    }
    let both = Ringway::command(&["check", &file, "-c", &file]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[test]
fn names_are_looked_up_unless_that_is_not_wanted() {
    let text = VALID.replace("localhost", "no-such-host.invalid");
    let refused = fed(&["check", "-"], &text);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .errors
            .contains("cannot resolve `no-such-host.invalid`"),
        "{refused:?}"
    );
    let kept = fed(&["check", "--no-resolve", "-"], &text);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert_eq!(kept.output, "standard input is valid\n");
}

#[test]
fn editors_get_places() {
    let json = |input: &str| -> (Option<i32>, Value) {
        let checked = fed(&["check", "-", "--format", "json"], input);
        assert_eq!(checked.errors, "");
        (
            checked.code,
            serde_json::from_str(&checked.output).expect("JSON"),
        )
    };
    let (code, valid) = json(VALID);
    assert_eq!(code, Some(0));
    assert_eq!(
        (&valid["valid"], &valid["errors"]),
        (&true.into(), &0.into())
    );
    assert_eq!(valid["names"][0]["name"], "localhost");
    let (code, wrong) = json(&VALID.replace("backend = \"app\"", "# ä\nbackendd = \"app\""));
    assert_eq!(code, Some(1));
    assert_eq!(
        (&wrong["valid"], &wrong["errors"]),
        (&false.into(), &1.into())
    );
    let finding = &wrong["findings"][0];
    assert_eq!(finding["severity"], "error");
    let place = ["line", "column", "end_column"].map(|key| finding[key].as_u64());
    assert_eq!(place, [Some(4), Some(1), Some(9)]);
    assert_eq!(finding["cure"], "did you mean `backend`?");
    // A file that is not there has no places.
    let missing = Ringway::command(&["check", "/nowhere/x.toml", "--format", "json"]);
    let missing: Value = serde_json::from_str(&missing.output).expect("JSON");
    assert_eq!(missing["findings"][0]["line"], Value::Null);
}

#[test]
fn the_doctor_looks_at_a_configuration() {
    let directory = ScratchDirectory::new();
    let file = directory.path().join("x.toml");
    let state = directory.path().join("state.json").display().to_string();
    let text = format!("[global]\nstate_file = \"{state}\"\n{VALID}");
    std::fs::write(&file, &text).expect("a file");
    let file = file.display().to_string();
    let healthy = Ringway::command(&["doctor", "-c", &file]);
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    for words in [
        "is valid\n",
        "frontend web can listen on 127.0.0.1:0",
        "localhost is ",
        "CVE-2026-23473",
        "state_file: this user may make files in ",
    ] {
        assert!(
            healthy.output.contains(words),
            "{words}: {}",
            healthy.output
        );
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (address, taken))
        .expect("an address");
    std::fs::write(&file, text.replace("127.0.0.1:0", &taken.0.to_string())).expect("a file");
    let ill = Ringway::command(&["doctor", "-c", &file]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    let refused = format!("FAILED  frontend web can't listen on {}", taken.0);
    assert!(ill.output.contains(&refused), "{}", ill.output);
    assert!(
        ill.output.contains("another program listens there already"),
        "{}",
        ill.output
    );
    std::fs::write(&file, "[x]\n").expect("a file");
    let invalid = Ringway::command(&["doctor", "-c", &file]);
    assert_eq!(invalid.code, Some(1), "{invalid:?}");
    assert!(
        invalid.output.contains("`ringway check "),
        "{}",
        invalid.output
    );
}

#[test]
fn hardly_any_open_files_are_warned_of() {
    let directory = ScratchDirectory::new();
    let file = directory.path().join("x.toml");
    std::fs::write(&file, VALID).expect("a file");
    let file = file.display().to_string();
    let few = |arguments: &[&str]| Launch::arguments(arguments).open_files_max(64).spawn();
    few(&["run", "-c", &file]).says("max_sessions = 1: of 64 open files hardly any are left");
    let mut doctor = few(&["doctor", "-c", &file]);
    assert_eq!(doctor.exit_code(), Some(0));
    let output = doctor.output();
    let advice = "advice  64 open files are enough for one session at a time";
    assert!(output.contains(advice), "{output}");
}
