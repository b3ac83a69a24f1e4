//! `ringway upgrade`: this process starts its program again, as it is on the disk now, and that takes over.
//!
//! The new process is started by this one because only so it is in the same control group and sandbox of
//! systemd, as the same user. It is no child of this process but of the service manager, which
//! hears of its end: a shell starts it and ends at once. It says itself that it is the main process
//! of the unit (`MAINPID`, sd_notify(3)) before this one may end.
//!
//! The rest is [`takeover`](super::takeover).

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::privileges::{self, User};

/// Starts the program in the background and prints its process id. Its standard output is what the shell gets
/// as standard input, because the shell's own is the pipe that is read here.
const START: &str = "\"$0\" \"$@\" >&0 </dev/null & echo $!";

/// The option of `ringway run` that takes over.
const TAKEOVER: &str = "--takeover";

/// How often it is looked whether the new process still runs.
const PERIOD: Duration = Duration::from_millis(50);

/// How this process was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// That of this process, from its command line `words`. `own` is the file of the program, which is taken if
    /// the first word has no slash: then it was searched for.
    pub fn new(words: impl IntoIterator<Item = OsString>, own: PathBuf) -> Self {
        let mut words = words.into_iter();
        let first = words.next().map(PathBuf::from).unwrap_or_default();
        let named = first.components().count() > 1;
        let is_takeover = |word: &OsString| {
            let word = word.to_string_lossy();
            word == TAKEOVER || word.starts_with("--takeover=")
        };
        Program {
            path: if named { first } else { own },
            arguments: words.filter(|word| !is_takeover(word)).collect(),
        }
    }

    /// The command that starts it as one that takes over by this admin socket.
    fn command(&self, socket: &Path) -> Command {
        let mut takeover = OsString::from(TAKEOVER);
        takeover.push("=");
        takeover.push(socket);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START]).arg(&self.path);
        command.args(&self.arguments).arg(takeover);
        // Sockets of systemd come from this process, under the names that they have here.
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        command
    }
}

/// Starts the program anew. Clones are the same.
#[derive(Clone)]
pub struct Upgrader {
    program: Option<Program>,
    /// The admin socket, by which the new process takes over.
    socket: Option<PathBuf>,
    user: Option<User>,
    /// Held while a new process starts.
    under_way: Arc<tokio::sync::Mutex<()>>,
}

/// A process that was started to take over.
pub struct Successor {
    /// Its process id.
    pub pid: u32,
    /// Readable once it has ended (pidfd_open(2)).
    process: Result<OwnedFd, Errno>,
    _under_way: tokio::sync::OwnedMutexGuard<()>,
}

impl Upgrader {
    /// `program`: how this process was started, if it can be started again; as `user`.
    pub fn new(program: Option<Program>, socket: Option<PathBuf>, user: Option<User>) -> Self {
        Upgrader {
            program,
            socket,
            user,
            under_way: Arc::default(),
        }
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// A sentence that says why that is not possible, and what to do.
    pub async fn start(&self) -> Result<Successor, String> {
        let by_hand = "start the new version with `ringway run --takeover`";
        let Some(program) = &self.program else {
            return Err("this process was started without a configuration file".to_owned());
        };
        let Some(socket) = &self.socket else {
            return Err(
                "there is no admin socket to take over by: set `socket` in [admin]".to_owned(),
            );
        };
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Err(format!(
                "no service manager that would follow a new process has started this one: {by_hand}"
            ));
        }
        let under_way = Arc::clone(&self.under_way).try_lock_owned();
        let under_way = under_way.map_err(|_| "a new process is starting already".to_owned())?;
        let (command, user) = (program.command(socket), self.user);
        let started = tokio::task::spawn_blocking(move || start(command, user)).await;
        let started = started.unwrap_or_else(|error| Err(io::Error::other(error)));
        let pid =
            started.map_err(|error| format!("the program can't be started: {error}; {by_hand}"))?;
        log::info!("process {} is to take over", pid.as_raw_nonzero());
        Ok(Successor {
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
            process: pidfd_open(pid, PidfdFlags::empty()),
            _under_way: under_way,
        })
    }
}

impl Successor {
    /// Waits until it has ended; without end if that cannot be seen.
    pub async fn ended(&self) {
        let process = match &self.process {
            Ok(process) => process,
            // Whoever has gone already is not found.
            Err(Errno::SRCH) => return,
            Err(_) => return std::future::pending().await,
        };
        let at_once = Timespec::default();
        let runs = || {
            let mut polled = [PollFd::new(process, PollFlags::IN)];
            poll(&mut polled, Some(&at_once)) == Ok(0)
        };
        // Looked at again and again: to let tokio watch a descriptor is unsafe.
        while runs() {
            tokio::time::sleep(PERIOD).await;
        }
    }
}

/// Runs the shell on a thread of its own, from which the program gets the right to bind ports below 1024.
fn start(mut command: Command, user: Option<User>) -> io::Result<Pid> {
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    command.stdin(output).stdout(Stdio::piped());
    let (sender, started) = channel();
    let thread = privileges::spawn(user, "upgrade", move || {
        let mut run = || {
            privileges::keep_when_executing()?;
            // The new process inherits standard error, too.
            command.stderr(Stdio::inherit()).output()
        };
        let _ = sender.send(run());
    })?;
    let started = started.recv();
    let _ = thread.join();
    let printed = started.unwrap_or_else(|error| Err(io::Error::other(error)))?;
    let pid = str::from_utf8(&printed.stdout).ok();
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("/bin/sh does not say which process it is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(words: &[&str]) -> Program {
        let words = words.iter().map(OsString::from);
        Program::new(words, "/usr/bin/ringway".into())
    }

    #[test]
    fn it_is_started_as_it_was_and_takes_over() {
        let words = ["/opt/ringway", "run", "--takeover=/old", "-c", "x.toml"];
        let first = program(&words);
        let command = first.command(Path::new("/run/a.sock"));
        let arguments: Vec<_> = command.get_args().skip(2).collect();
        let expected = [
            "/opt/ringway",
            "run",
            "-c",
            "x.toml",
            "--takeover=/run/a.sock",
        ];
        assert_eq!(arguments, expected);
        let bare = program(&["/opt/ringway", "run", "--takeover", "-c", "x.toml"]);
        assert_eq!(bare, first);
    }

    #[test]
    fn a_program_that_was_searched_for_is_its_file() {
        assert_eq!(
            program(&["ringway", "run"]).path,
            Path::new("/usr/bin/ringway")
        );
        assert_eq!(program(&["./ringway", "run"]).path, Path::new("./ringway"));
    }

    #[tokio::test]
    async fn what_cannot_be_started_again_says_why() {
        let refused = |program, socket| async move {
            let upgrader = Upgrader::new(program, socket, None);
            upgrader.start().await.err().expect("it is refused")
        };
        let some = || Some(program(&["ringway", "run"]));
        assert!(refused(None, None).await.contains("configuration file"));
        assert!(refused(some(), None).await.contains("`socket` in [admin]"));
        let alone = refused(some(), Some("/run/a.sock".into())).await;
        assert!(alone.contains("`ringway run --takeover`"), "{alone}");
    }
}
