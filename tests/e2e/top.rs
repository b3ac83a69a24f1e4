//! `ringway top` in a terminal.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::clients::{connect, round_trip};
use crate::harness::ScratchDirectory;
use crate::http::stats;
use crate::servers::{RefusingPort, Server};
use crate::setup::Setup;
use crate::wait::eventually;

/// What ends each picture: the rest of the screen is cleared.
const END: &str = "\x1b[J";

/// A terminal of 24 lines in which it runs.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn start(arguments: &str) -> Self {
        let binary = env!("CARGO_BIN_EXE_ringway");
        let command = format!("stty rows 24 cols 150; '{binary}' top {arguments}");
        // `script` makes a terminal.
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is installed");
        let output = Arc::new(Mutex::new(Vec::new()));
        let mut stdout = child.stdout.take().expect("a pipe");
        let all = Arc::clone(&output);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(&piece[..count]);
            }
        });
        Terminal {
            keys: child.stdin.take(),
            child,
            output,
        }
    }

    fn output(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The lines of the last whole picture.
    fn lines(&self) -> Vec<String> {
        let output = self.output();
        let Some((whole, _)) = output.rsplit_once(END) else {
            return Vec::new();
        };
        let picture = whole.rsplit(END).next().unwrap_or_default();
        // Each line begins with its place, as in `\x1b[3;1H`.
        let lines = picture.split(";1H").skip(2);
        lines.map(plain).collect()
    }

    #[track_caller]
    fn press(&mut self, keys: &str) {
        let pipe = self.keys.as_mut().expect("it is open");
        pipe.write_all(keys.as_bytes()).expect("it runs");
    }

    #[track_caller]
    fn shows(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
        eventually(what, || {
            let lines = self.lines();
            // Shown when the test fails.
            if thread::panicking() {
                eprintln!("{lines:#?}");
            }
            condition(&lines)
        });
    }

    /// Waits until it has ended, and returns its exit code.
    fn ends(mut self) -> Option<i32> {
        let status = self.child.wait().expect("it ends");
        assert!(
            self.output().contains("\x1b[?1049l"),
            "the screen is as it was"
        );
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // With its terminal gone, the program ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without what moves the cursor or colours the text.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut pieces = line.split("\x1b[");
    text += pieces.next().unwrap_or_default();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_ascii_alphabetic());
        text += end.map_or("", |end| &piece[end + 1..]);
    }
    text.trim_end().to_owned()
}

#[test]
fn the_one_of_many_that_is_down_is_on_top_and_any_can_be_drained() {
    let folder = ScratchDirectory::new();
    let (server, refusing) = (Server::echo(), RefusingPort::new());
    let socket = folder.path().join("admin.sock").display().to_string();
    let mut setup = Setup::new()
        .admin()
        .admin_with(&format!("socket = \"{socket}\""))
        .health_check("interval = \"200ms\"\ntimeout = \"200ms\"");
    for index in 1..=200 {
        let address = if index == 150 {
            refusing.address()
        } else {
            server.address()
        };
        setup = setup.server(&format!("web{index}"), address);
    }
    let ringway = setup.start();
    eventually("the check has failed", || {
        stats(ringway.admin())["backends"][0]["servers"][149]["status"] == "DOWN"
    });
    let open = connect(ringway.address());
    round_trip(&open, b"hello");

    let mut top = Terminal::start(&format!("--admin {socket} --interval 100ms"));
    top.shows("the server that is down is the first", |lines| {
        let head = lines.iter().position(|line| line.starts_with("SERVER"));
        head.is_some_and(|head| {
            lines[head + 1].starts_with("app/web150 ") && lines[head + 1].contains("L4CON")
        })
    });
    top.shows("all are counted", |lines| {
        lines.len() == 24 && lines[1].ends_with("servers up: 199 of 200")
    });

    // The filter, and a change after a question.
    top.press("/web20\r");
    top.shows("two match", |lines| {
        lines[23].starts_with("2 of 200 /web20 ")
    });
    top.press("j");
    top.press("d");
    top.shows("it asks", |lines| {
        lines[23].starts_with("drain app/web200? y: yes")
    });
    top.press("n");
    top.shows("nothing is done", |lines| {
        lines[22] == "app/web200 stays as it is"
    });
    let state = || stats(ringway.admin())["backends"][0]["servers"][199]["admin_state"].clone();
    assert_eq!(state(), "ready");
    top.press("d");
    top.shows("it asks again", |lines| {
        lines[23].starts_with("drain app/web200?")
    });
    top.press("y");
    top.shows("it says how it went", |lines| {
        lines[22].starts_with("app/web200 is drain, up, sessions open: ")
    });
    assert_eq!(state(), "drain");
    top.press("/");
    top.shows("the filter is typed", |lines| {
        lines[23].starts_with("filter: web20_")
    });
    top.press("zz");
    top.shows("nothing is found", |lines| {
        lines
            .iter()
            .any(|line| line.starts_with("no server matches `web20zz`"))
    });
    top.press("\x1b");
    top.shows("all are shown", |lines| {
        lines[23].starts_with("200 of 200 |")
    });

    // Rates of each server.
    top.press("sss");
    for _ in 0..20 {
        round_trip(&open, &[1; 1000]);
    }
    top.shows("it is sorted by new sessions", |lines| {
        lines.iter().any(|line| line.contains("NEW/Sv"))
    });
    // What is not there is asked for again; q ends it all the same.
    drop(ringway);
    top.shows("it says that nobody answers", |lines| {
        lines[22].starts_with("no answer, it is asked again: no process listens at ")
    });
    top.press("q");
    assert_eq!(top.ends(), Some(0));
}
