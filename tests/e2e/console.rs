//! Commands whose output nobody takes: a full disk, a pipe whose reader is gone.

use std::fs::{self, File, OpenOptions};
use std::process::{Command, Output, Stdio};

use crate::harness::{Ringway, ScratchDirectory};
use crate::servers::Server;
use crate::setup::Setup;

/// A running process, and files that are valid, not valid, and of HAProxy.
struct Fixture {
    folder: ScratchDirectory,
    ringway: Ringway,
    _server: Server,
}

impl Fixture {
    fn start() -> Self {
        let (folder, server) = (ScratchDirectory::new(), Server::echo());
        let setup = Setup::new().admin().server("web1", server.address());
        fs::write(folder.path().join("valid.toml"), setup.text()).expect("a file");
        fs::write(folder.path().join("wrong.toml"), "[frontend.a]\n").expect("a file");
        fs::write(folder.path().join("haproxy.cfg"), "listen a\n bind :80\n").expect("a file");
        Fixture {
            folder,
            ringway: setup.start(),
            _server: server,
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        let admin = format!("http://{}", self.ringway.admin());
        let words = line.split(' ');
        command
            .args(words.map(|word| word.replace("ADMIN", &admin)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }
}

fn full() -> File {
    let file = OpenOptions::new().write(true).open("/dev/full");
    file.expect("it is there")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Commands that print their result and succeed.
const PRINTING: [&str; 22] = [
    "check valid.toml",
    "check valid.toml --print-effective",
    "check valid.toml --format json",
    "import haproxy.cfg",
    "doctor",
    "help",
    "help run",
    "help check",
    "help retries",
    "help balancing",
    "--help",
    "--version",
    "check --help",
    "completions bash",
    "man",
    "man ringway.toml",
    "schema",
    "openapi",
    "status --admin ADMIN",
    "status --admin ADMIN --json",
    "sessions --admin ADMIN",
    "nodes ADMIN",
];

#[test]
fn output_that_a_full_disk_does_not_take_is_an_error_in_one_sentence() {
    let fixture = Fixture::start();
    for line in PRINTING {
        let output = fixture
            .command(line)
            .stdout(full())
            .output()
            .expect("it runs");
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("error: standard output takes nothing: No space left on device"),
            "{line}: {said}"
        );
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    let fixture = Fixture::start();
    for line in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = fixture
            .command(line)
            .stdout(writer)
            .output()
            .expect("it runs");
        assert!(
            !errors(&output).contains("error"),
            "{line}: {}",
            errors(&output)
        );
        assert_eq!(output.status.code(), Some(0), "{line}");
    }
}

#[test]
fn errors_that_nobody_takes_leave_the_exit_status() {
    let fixture = Fixture::start();
    for (line, status) in [
        ("check valid.toml", 0),
        ("check wrong.toml", 1),
        ("check none.toml", 1),
        ("check wrong.toml --format json", 1),
        ("import haproxy.cfg", 0),
        ("import none.cfg", 1),
        ("help nothing-like-it", 2),
        ("man /dev/null/folder", 1),
        ("status --admin http://127.0.0.1:1", 1),
        ("drain app/none --admin ADMIN", 1),
        ("run -c wrong.toml", 1),
        ("run -c none.toml", 1),
        ("--unknown", 2),
    ] {
        for broken in [false, true] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = fixture.command(line);
            match broken {
                true => command.stderr(writer),
                false => command.stderr(full()),
            };
            let ended = command.stdout(Stdio::null()).status().expect("it runs");
            assert_eq!(ended.code(), Some(status), "{line}");
        }
    }
    // Both.
    for (line, status) in [("check valid.toml", 1), ("doctor", 1), ("help", 1)] {
        let mut command = fixture.command(line);
        let ended = command.stdout(full()).stderr(full()).status();
        assert_eq!(ended.expect("it runs").code(), Some(status), "{line}");
    }
}
