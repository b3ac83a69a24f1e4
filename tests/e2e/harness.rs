//! The process under test: started, watched through `/proc`, and ended with the test whatever happens.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::log_lines::{Access, Lines};
use crate::wait::eventually;

/// A way to start the process.
pub struct Launch {
    arguments: Vec<String>,
    configuration: String,
    directory: ScratchDirectory,
    shell: Vec<String>,
    listener: Option<TcpListener>,
    /// System calls that fail, with their errno.
    refused: Vec<(i64, i32)>,
    /// Its file or its arguments choose the engine, whatever `RINGWAY_ENGINE` says.
    has_own_engine: bool,
}

impl Launch {
    /// `ringway run` with this configuration in a file.
    pub fn config(configuration: &str) -> Self {
        let directory = ScratchDirectory::new();
        let file = directory.path().join("ringway.toml");
        fs::write(&file, configuration).expect("the scratch directory takes files");
        Self {
            arguments: vec!["run".into(), "-c".into(), file.display().to_string()],
            configuration: configuration.into(),
            directory,
            shell: Vec::new(),
            listener: None,
            refused: Vec::new(),
            has_own_engine: false,
        }
    }

    /// Another command than `run` with the same file.
    pub fn command(mut self, command: &str) -> Self {
        self.arguments[0] = command.into();
        self
    }

    /// Any arguments, and no configuration.
    pub fn arguments(arguments: &[&str]) -> Self {
        let mut launch = Self::config("");
        launch.arguments = arguments.iter().map(ToString::to_string).collect();
        launch
    }

    /// One more argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With this variable in its environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.shell.push(format!("export {name}='{value}'"));
        self
    }

    /// At most this many open files.
    pub fn open_files_max(mut self, count: usize) -> Self {
        self.shell.push(format!("ulimit -n {count}"));
        self
    }

    /// The engine that its file or its arguments choose, not that of `RINGWAY_ENGINE`.
    pub fn own_engine(mut self) -> Self {
        self.has_own_engine = true;
        self
    }

    /// Below a seccomp filter, under which these system calls fail with this errno.
    pub fn refusing(mut self, calls: &[i64], errno: i32) -> Self {
        self.refused.extend(calls.iter().map(|call| (*call, errno)));
        self
    }

    /// In these control groups from its first moment on.
    pub fn groups(mut self, directories: &[PathBuf]) -> Self {
        for directory in directories {
            let procs = directory.join("cgroup.procs");
            self.shell.push(format!("echo $$ >'{}'", procs.display()));
        }
        self
    }

    /// Its standard output is a pipe that nobody reads.
    pub fn output_unread(mut self) -> Self {
        let pipe = self.directory.path().join("unread").display().to_string();
        self.shell
            .push(format!("mkfifo '{pipe}'; exec 1<>'{pipe}'"));
        self
    }

    /// Started by this command, which becomes the process.
    pub fn through(mut self, command: &str) -> Self {
        self.shell
            .push(format!("set -- \"$0\" \"$@\"; exec {command} \"$@\""));
        self
    }

    /// Its standard error is this file, a FIFO or a terminal, and not read by [`Ringway`].
    pub fn errors_to(mut self, file: &Path) -> Self {
        self.shell.push(format!("exec 2<>'{}'", file.display()));
        self
    }

    /// Hands a listener down as descriptor 3, with variables set as in `NAME=value`.
    pub fn inherit(mut self, listener: TcpListener, variables: &str) -> Self {
        self.listener = Some(listener);
        self.shell.push("exec 3<&0 0</dev/null".into());
        self.shell.push(format!("export {variables}"));
        self
    }

    /// Starts the process and returns at once.
    pub fn spawn(mut self) -> Ringway {
        raise_file_limit();
        let binary = env!("CARGO_BIN_EXE_ringway");
        let serves = ["run", "tcp", "http", "demo"].contains(&self.arguments[0].as_str());
        if let Some(engine) = wanted_engine()
            && serves
            && !self.has_own_engine
        {
            self.arguments.insert(1, format!("--engine={engine}"));
        }
        let mut command = Command::new(binary);
        if !self.shell.is_empty() {
            // The shell becomes the process, with the same id.
            let script = format!("{}; exec \"$0\" \"$@\"", self.shell.join("; "));
            command = Command::new("/bin/sh");
            command.arg("-c").arg(script).arg(binary);
        }
        command.args(&self.arguments);
        // The inherited listener travels as standard input: the one descriptor that no other test's child can get.
        command.stdin(
            self.listener
                .map_or_else(Stdio::null, |listener| OwnedFd::from(listener).into()),
        );
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1");
        let refused = &self.refused;
        // A thread of its own, since a filter stays with its thread and with all that it starts.
        let child = thread::scope(|scope| {
            let spawn = || {
                refuse(refused);
                command.spawn()
            };
            scope.spawn(spawn).join().expect("it does not panic")
        });
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Ringway {
            stdout: Lines::gather(child.stdout.take().expect("a pipe")),
            stderr: Lines::gather(child.stderr.take().expect("a pipe")),
            shown: format!("{command:?}\n{}", self.configuration),
            directory: self.directory,
            status: None,
            killed: false,
            child,
        }
    }

    /// Starts the process and waits until it is ready.
    pub fn start(self) -> Ringway {
        let ringway = self.spawn();
        ringway.stderr.wait_for("that it is ready", |lines| {
            lines
                .iter()
                .any(|line| line.contains("ringway is ready"))
                .then_some(())
        });
        ringway
    }
}

/// The engine that all processes of this run use, if it is chosen by `RINGWAY_ENGINE`.
fn wanted_engine() -> Option<String> {
    std::env::var("RINGWAY_ENGINE").ok()
}

/// The name of the engine that a process uses unless its test chooses another one.
pub fn engine() -> String {
    wanted_engine().unwrap_or_else(|| "io_uring".to_owned())
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub code: Option<i32>,
    /// What it printed to standard output.
    pub output: String,
    /// What it printed to standard error.
    pub errors: String,
}

impl Finished {
    /// What it printed, after it did what it should.
    #[track_caller]
    pub fn done(self) -> String {
        let outcome = (self.code, self.errors.as_str());
        assert_eq!(outcome, (Some(0), ""), "{self:?}");
        self.output
    }

    /// The one sentence that it failed with.
    #[track_caller]
    pub fn one_error(&self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        let lines: Vec<&str> = self.errors.lines().collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        let error = lines[0].strip_prefix("error: ");
        error.expect("an error").to_owned()
    }
}

/// The process under test; it is killed when dropped, and shown when the test fails.
pub struct Ringway {
    child: Child,
    status: Option<ExitStatus>,
    stdout: Lines,
    stderr: Lines,
    shown: String,
    /// The test killed it.
    killed: bool,
    directory: ScratchDirectory,
}

impl Ringway {
    /// Where the frontend `web` listens.
    pub fn address(&self) -> SocketAddr {
        self.address_of("web")
    }

    /// Where a frontend with one address listens.
    pub fn address_of(&self, frontend: &str) -> SocketAddr {
        self.addresses(&format!("frontend {frontend} "))[0]
    }

    /// All addresses where a frontend listens, or all frontends together for an empty beginning.
    pub fn addresses(&self, frontend: &str) -> Vec<SocketAddr> {
        let before = "listens on ";
        let address = |line: &String| -> Option<SocketAddr> {
            let (name, address) = line.split_once(before)?;
            let address = address
                .split_whitespace()
                .next()
                .filter(|_| name.contains(frontend))?;
            address.parse().ok()
        };
        self.stderr
            .wait_for(&format!("{frontend}{before}"), |lines| {
                let addresses: Vec<_> = lines.iter().filter_map(address).collect();
                (!addresses.is_empty()).then_some(addresses)
            })
    }

    /// Where the admin listener listens.
    pub fn admin(&self) -> SocketAddr {
        let address = |line: &String| -> Option<SocketAddr> {
            let (_, url) = line.split_once("admin listens on http://")?;
            url.parse().ok()
        };
        self.stderr
            .wait_for("the admin listener", |lines| lines.iter().find_map(address))
    }

    /// What one command of the program prints and how it ends; it is not to run for long.
    pub fn command(arguments: &[&str]) -> Finished {
        let output = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(arguments)
            .stdin(Stdio::null())
            .env_remove("RUST_LOG")
            .output()
            .expect("the program starts");
        Finished {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).expect("text"),
            errors: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A file or directory of the process in `/proc`.
    fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.child.id()).into()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).map_or(0, Iterator::count)
    }

    /// How many of them are ends of kernel pipes.
    pub fn pipes(&self) -> usize {
        let descriptors = fs::read_dir(self.proc("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets
            .filter(|target| target.to_string_lossy().starts_with("pipe:"))
            .count()
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> usize {
        self.status_bytes("VmRSS:")
    }

    /// Its address space in bytes.
    pub fn address_space(&self) -> usize {
        self.status_bytes("VmSize:")
    }

    fn status_bytes(&self, name: &str) -> usize {
        let status = fs::read_to_string(self.proc("status")).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes =
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kilobytes.expect("a number of kB") * 1024
    }

    /// A file of each of its threads; threads that end meanwhile are passed over.
    pub fn of_threads(&self, file: &str) -> Vec<String> {
        let tasks = fs::read_dir(self.proc("task"))
            .into_iter()
            .flatten()
            .flatten();
        tasks
            .filter_map(|task| fs::read_to_string(task.path().join(file)).ok())
            .collect()
    }

    /// How often its threads with names that begin so were put on a processor so far.
    pub fn scheduled(&self, name: &str) -> u64 {
        let statuses = self.of_threads("status");
        let ours = statuses.iter().filter(|status| {
            let of = status
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("Name:"));
            of.is_some_and(|of| of.trim().starts_with(name))
        });
        let switches = ours.flat_map(|status| {
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            lines.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        });
        switches.sum()
    }

    /// The CPUs on which its threads with names that begin so may run, as the kernel writes them.
    pub fn cpus_of(&self, name: &str) -> Vec<String> {
        let line = |status: &str, key: &str| -> Option<String> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim().to_owned())
        };
        let statuses = self.of_threads("status");
        let ours = statuses.iter().filter(|status| {
            let of = line(status, "Name:");
            of.is_some_and(|of| of.starts_with(name))
        });
        ours.filter_map(|status| line(status, "Cpus_allowed_list:"))
            .collect()
    }

    /// The CPU time that it has taken so far, in user and kernel mode, ended threads included.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("the process runs");
        // Behind the name, which may contain anything, `utime` and `stime` are fields 12 and 13.
        let fields = stat.rsplit_once(')').expect("a name in brackets").1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks
            .map(|count| count.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_secs(ticks) / rustix::param::clock_ticks_per_second() as u32
    }

    /// Fails if a thread of it is one that the kernel made for operations of io_uring that can block.
    pub fn has_no_kernel_workers(&self) {
        let names = self.of_threads("comm");
        let found = names.iter().find(|name| name.starts_with("iou-wrk"));
        assert!(found.is_none(), "threads: {names:?}");
    }

    /// Replaces its configuration file, in one step as far as readers can see.
    pub fn configure(&self, configuration: &str) {
        let new = self.directory.path().join("new.toml");
        fs::write(&new, configuration).expect("the scratch directory takes files");
        let file = self.directory.path().join("ringway.toml");
        fs::rename(new, file).expect("a file can be renamed");
    }

    /// Where its configuration file is.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Removes its configuration file.
    pub fn unconfigure(&self) {
        let file = self.directory.path().join("ringway.toml");
        fs::remove_file(file).expect("it is there");
    }

    /// Replaces its configuration file and has it reload; returns the line that says how that went.
    #[track_caller]
    pub fn reload(&self, configuration: &str) -> String {
        let results = |lines: &[String]| -> Vec<String> {
            let lines = lines.iter();
            let results = lines.filter(|line| line.contains("reloaded"));
            results.cloned().collect()
        };
        let so_far: Vec<String> = (self.stderr.so_far().lines().map(str::to_owned)).collect();
        let before = results(&so_far).len();
        self.configure(configuration);
        self.signal(Signal::HUP);
        self.stderr.wait_for("how the reload went", |lines| {
            results(lines).into_iter().nth(before)
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the process runs");
    }

    /// Whether it runs still.
    pub fn runs(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours");
        }
        self.status.is_none()
    }

    /// Waits until it has ended by itself, and returns its exit code.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        eventually("the process ends", || !self.runs());
        self.status.expect("it has ended").code()
    }

    /// All that it printed to standard error; it must have ended.
    pub fn errors(&self) -> String {
        self.stderr.all()
    }

    /// All that it printed to standard output; it must have ended.
    pub fn output(&self) -> String {
        self.stdout.all()
    }

    /// What it has printed to standard error so far.
    pub fn errors_so_far(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits for a message that contains the words, and returns its line.
    #[track_caller]
    pub fn says(&self, words: &str) -> String {
        self.stderr.wait_for(words, |lines| {
            lines.iter().find(|line| line.contains(words)).cloned()
        })
    }

    /// Waits for something in the lines of standard output.
    #[track_caller]
    pub fn printed<T>(&self, what: &str, make: impl FnMut(&[String]) -> Option<T>) -> T {
        self.stdout.wait_for(what, make)
    }

    /// Waits until the access log has this many lines, and returns them.
    #[track_caller]
    pub fn sessions_ended(&self, count: usize) -> Vec<Access> {
        self.printed(&format!("{count} lines of access log"), |lines| {
            let lines: Vec<_> = lines
                .iter()
                .filter_map(|line| Access::parse(line))
                .collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// Waits for the line of the one session so far.
    #[track_caller]
    pub fn session_ended(&self) -> Access {
        self.sessions_ended(1).remove(0)
    }
}

impl Ringway {
    /// It has ended as the test wanted it to, by a signal: that is no fault.
    pub fn forget(mut self) {
        assert!(!self.runs(), "it still runs");
        self.killed = true;
    }
}

impl Drop for Ringway {
    fn drop(&mut self) {
        let ended = !self.runs();
        let ended_badly =
            ended && !self.killed && self.status.is_none_or(|status| status.code().is_none());
        let names = self.of_threads("comm");
        let _ = self.child.kill();
        let status = self.child.wait();
        let panicked = self.stderr.so_far().contains("panicked at");
        let kernel_workers = names.iter().any(|name| name.starts_with("iou-wrk"));
        let wrong = panicked || kernel_workers || ended_badly;
        if wrong || thread::panicking() {
            eprintln!(
                "---- {}---- standard error\n{}\n---- standard output\n{}\n---- threads {names:?}, {}{status:?}",
                self.shown,
                self.stderr.so_far(),
                self.stdout.so_far(),
                if ended {
                    "ended by itself: "
                } else {
                    "killed at the end of the test: "
                },
            );
        }
        assert!(
            thread::panicking() || !wrong,
            "the process panicked, was killed or had threads of io_uring's"
        );
    }
}

/// Makes these system calls of this thread, and of all that it starts, fail.
fn refuse(calls: &[(i64, i32)]) {
    for (call, errno) in calls {
        let filter = SeccompFilter::new(
            [(*call, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(*errno as u32),
            std::env::consts::ARCH.try_into().expect("a known one"),
        );
        let program: BpfProgram = filter.expect("valid").try_into().expect("small");
        seccompiler::apply_filter(&program).expect("a filter that forbids more is allowed");
    }
}

/// A directory of one test, removed at its end.
pub struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    /// A new directory that nobody else has.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("ringway-e2e-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for temporary files");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Allows this process, and those that it starts, as many files as the system does.
fn raise_file_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        rustix::process::setrlimit(Resource::Nofile, raised)
            .expect("up to the hard limit is allowed");
    });
}
