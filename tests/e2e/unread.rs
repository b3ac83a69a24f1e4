//! A standard error that nobody reads: a pipe that is full, or a terminal stopped by Ctrl-S. Nothing
//! waits for its reader, and what is missing is counted.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, OFlags, mkfifoat};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::clients::connect_named;
use crate::harness::{Ringway, ScratchDirectory};
use crate::http::ask;
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// A pipe that is full.
struct FullPipe {
    path: PathBuf,
    /// An end to read from, which keeps the pipe and what is in it.
    end: File,
}

impl FullPipe {
    fn new(folder: &Path) -> Self {
        let path = folder.join("full");
        mkfifoat(CWD, &path, 0o600.into()).expect("a FIFO");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        let opened = options
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path);
        let mut end = opened.expect("both ends");
        let full = loop {
            if let Err(error) = end.write(b"filling\n") {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        rustix::io::ioctl_fionbio(&end, false).expect("an end that waits");
        FullPipe { path, end }
    }

    /// Lines that come when somebody reads.
    fn lines(self) -> impl Iterator<Item = String> {
        let lines = BufReader::new(self.end).lines();
        let lines = lines.map(|line| line.expect("text"));
        lines.filter(|line| line != "filling")
    }
}

/// A terminal that somebody has stopped by Ctrl-S: its other end, and its path.
fn stopped_terminal() -> (File, PathBuf) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal of ours");
    unlockpt(&terminal).expect("a terminal of ours");
    let path = ptsname(&terminal, Vec::new()).expect("a name");
    let mut terminal = File::from(terminal);
    terminal.write_all(b"\x13").expect("a key");
    (terminal, path.into_string().expect("text").into())
}

/// A process with a server that goes and comes, asked by its admin socket since it says nothing.
struct Subject {
    folder: ScratchDirectory,
    port: RefusingPort,
}

impl Subject {
    fn new() -> Self {
        Subject {
            folder: ScratchDirectory::new(),
            port: RefusingPort::new(),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn setup(&self) -> Setup {
        Setup::new()
            .admin_with(&format!("socket = \"{}\"", self.socket().display()))
            .health_check(r#"interval = "20ms""#)
            .health_check(r#"timeout = "20ms""#)
            .server("a", self.port.address())
    }

    /// Starts it with this standard error, and waits until it serves.
    fn start(&self, errors: &Path) -> Ringway {
        let launch = self.setup().launch().errors_to(errors);
        let ringway = launch.variable("RUST_LOG", "debug").spawn();
        eventually("it serves", || UnixStream::connect(self.socket()).is_ok());
        ringway
    }

    fn stats(&self) -> Value {
        ask(self.socket().as_path(), "GET /api/v1/stats", &[], "").json()
    }

    fn dropped(&self) -> u64 {
        let stats = self.stats();
        stats["process"]["messages_dropped"]
            .as_u64()
            .expect("a number")
    }

    fn becomes(&self, state: &str) {
        eventually(state, || {
            self.stats()["backends"][0]["servers"][0]["state"] == state
        });
    }

    fn command(&self, arguments: &[&str]) {
        let socket = self.socket().display().to_string();
        let finished = Ringway::command(&[arguments, &["--admin", &socket]].concat());
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    }

    /// Orders, signals, reloads, checks and sessions go on.
    fn goes_on(&self, ringway: &Ringway) {
        self.command(&["drain", "app/a"]);
        self.command(&["ready", "app/a"]);
        self.command(&["reload"]);
        let before = self.stats()["process"]["reload"]["version"].clone();
        ringway.signal(Signal::HUP);
        eventually("it has reloaded", || {
            self.stats()["process"]["reload"]["version"] != before
        });
        for _ in 0..3 {
            self.becomes("down");
            let server = Server::named_at(self.port.address(), "a");
            self.becomes("up");
            let web = &self.stats()["frontends"][0]["listen"][0];
            let web = web.as_str().expect("text").parse().expect("an address");
            assert_eq!(connect_named(web).1, "a");
            drop(server);
        }
    }

    /// It ends when it is asked to, although it can't say so.
    fn ends(&self, ringway: &mut Ringway) {
        let start = Instant::now();
        ringway.signal(Signal::TERM);
        assert_eq!(ringway.exit_code(), Some(0));
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?}",
            start.elapsed()
        );
        assert!(!self.socket().exists(), "it has ended in order");
    }
}

#[test]
fn nobody_waits_for_the_reader_of_a_pipe() {
    let subject = Subject::new();
    let pipe = FullPipe::new(subject.folder.path());
    let mut ringway = subject.start(&pipe.path);

    subject.goes_on(&ringway);
    subject.ends(&mut ringway);
}

#[test]
fn nobody_waits_for_a_terminal_that_is_stopped() {
    let subject = Subject::new();
    let (_terminal, path) = stopped_terminal();
    let mut ringway = subject.start(&path);

    subject.goes_on(&ringway);
    subject.ends(&mut ringway);
}

#[test]
fn a_second_signal_ends_it_all_the_same() {
    let subject = Subject::new();
    let pipe = FullPipe::new(subject.folder.path());
    let server = Server::named_at(subject.port.address(), "a");
    let mut ringway = subject.start(&pipe.path);
    subject.becomes("up");
    let web = &subject.stats()["frontends"][0]["listen"][0];
    let web = web.as_str().expect("text").parse().expect("an address");
    let (_client, _) = connect_named(web);

    let start = Instant::now();
    ringway.signal(Signal::TERM);
    eventually("it stops", || {
        subject.stats()["process"]["stopping"] == true
    });
    ringway.signal(Signal::TERM);
    assert_eq!(ringway.exit_code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    drop(server);
}

#[test]
fn what_is_dropped_is_counted_and_told_of_when_somebody_reads() {
    let subject = Subject::new();
    let pipe = FullPipe::new(subject.folder.path());
    let ringway = subject.start(&pipe.path);
    assert_eq!(subject.dropped(), 0);

    // Each reload is refused with a long report.
    ringway.configure(&"nonsense of some length, which a report shows\n".repeat(1_000));
    let json = [("Content-Type", "application/json")];
    eventually("lines are dropped", || {
        let socket = subject.socket();
        let answer = ask(socket.as_path(), "POST /api/v1/reload", &json, "{}");
        assert_eq!(answer.status, 422);
        subject.dropped() > 0
    });
    let metrics = ask(subject.socket().as_path(), "GET /metrics", &[], "");
    let metric = metrics
        .body
        .lines()
        .find_map(|line| line.strip_prefix("ringway_messages_dropped_total "));
    assert!(
        metric.and_then(|value| value.parse::<f64>().ok()) >= Some(1.0),
        "{metric:?}"
    );

    let dropped = subject.dropped();
    let mut lines = pipe.lines();
    let first = lines.next().expect("a line");
    assert!(
        first.contains("max_sessions"),
        "what came first is there: {first}"
    );
    let told = lines.find(|line| line.contains("lines dropped here"));
    let told = told.expect("a line");
    assert!(
        told.contains(&format!("standard error: {dropped}")),
        "{told}"
    );
    ringway.configure(&subject.setup().text());
    subject.command(&["reload"]);
    lines
        .find(|line| line.contains("reloaded: version 2"))
        .expect("a line");
    assert_eq!(subject.dropped(), dropped, "nothing more");
}
