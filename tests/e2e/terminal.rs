//! Programs in a terminal: what they show, and keys for them.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::wait::eventually;

/// What ends each picture: the rest of the screen is cleared.
const END: &str = "\x1b[J";

/// A terminal of 24 lines in which a program runs.
pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a command of the shell in one.
    pub fn run(command: &str) -> Self {
        let command = format!("stty rows 24 cols 150; {command}");
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

    pub fn output(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The lines of the last whole picture.
    pub fn lines(&self) -> Vec<String> {
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
    pub fn press(&mut self, keys: &str) {
        let pipe = self.keys.as_mut().expect("it is open");
        pipe.write_all(keys.as_bytes()).expect("it runs");
    }

    #[track_caller]
    pub fn shows(&self, what: &str, condition: impl Fn(&[String]) -> bool) {
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
    pub fn ends(mut self) -> Option<i32> {
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
