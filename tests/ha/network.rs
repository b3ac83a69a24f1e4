//! Namespaces, addresses, processes and files of a part.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Where Debian has the programs that need root.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Finds programs that need root, and the one under test.
pub fn with_path(command: &mut Command) -> &mut Command {
    let program = Path::new(env!("CARGO_BIN_EXE_ringway"));
    let folder = program.parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{folder}:{path}:{PATH}"))
}

/// Makes what runs in these namespaces invisible to others: names of namespaces, process ids, sockets.
pub fn prepare() {
    run("mount --make-rprivate /");
    run("mount -t tmpfs run /run");
    ip("link set lo up");
}

/// Runs a command that must succeed; returns what it printed.
#[track_caller]
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let output = with_path(command.args(words))
        .output()
        .expect("it is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs ip(8), which must succeed.
#[track_caller]
pub fn ip(arguments: &str) -> String {
    run(&format!("ip {arguments}"))
}

/// A network namespace with the interface `eth0`, whose other end is a port of a bridge here or there.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// A new one.
    pub fn new(name: &str) -> Self {
        ip(&format!("netns add {name}"));
        let namespace = Namespace {
            name: name.to_owned(),
        };
        namespace.ip("link set lo up");
        namespace
    }

    /// Connects it to a bridge of another namespace, or of this one, with this address.
    pub fn join(&self, bridge: &str, of: Option<&Namespace>, address: &str) {
        let port = self.port();
        ip(&format!(
            "link add {port} type veth peer name eth0 netns {}",
            self.name
        ));
        if let Some(other) = of {
            ip(&format!("link set {port} netns {}", other.name));
        }
        let option = of.map_or_else(String::new, |other| format!("-n {} ", other.name));
        ip(&format!("{option}link set {port} master {bridge} up"));
        self.ip(&format!("addr add {address} dev eth0"));
        self.ip("link set eth0 up");
    }

    /// The port of the bridge.
    pub fn port(&self) -> String {
        format!("to-{}", self.name)
    }

    /// Runs ip(8) here.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.name))
    }

    /// Runs a program here.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        ip(&format!("netns exec {} {line}", self.name))
    }

    /// Begins a program here; its output goes to a log.
    pub fn start(&self, folder: &Folder, log: &str, line: &str) -> Process {
        let log = folder.path().join(format!("{}-{log}.log", self.name));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a file");
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name])
            .args(line.split_whitespace());
        let errors = file.try_clone().expect("a descriptor");
        let child = with_path(&mut command)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .expect("ip(8) is installed");
        Process { child, log }
    }
}

/// A program that runs; it is killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not been waited for");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a file")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder for files of a part; whoever made it removes it when dropped.
pub struct Folder {
    path: PathBuf,
    own: bool,
}

impl Folder {
    pub fn new() -> Self {
        let name = format!("ringway-ha-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder");
        Self { path, own: true }
    }

    pub fn existing(path: PathBuf) -> Self {
        Self { path, own: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of scripts/ha here in which what is marked there is changed; each change must fit.
    pub fn adapted(&self, file: &str, name: &str, changes: &[(&str, &str)]) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scripts/ha")
            .join(file);
        let mut text = fs::read_to_string(&source).expect("a file of scripts/ha");
        for (old, new) in changes {
            assert!(text.contains(old), "{file} has no {old}");
            text = text.replace(old, new);
        }
        let path = self.path.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// Prints the end of each log.
    pub fn print_logs(&self) {
        const LINES: usize = 40;
        for entry in fs::read_dir(&self.path).expect("a folder").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                println!("---- {}", path.display());
                println!("{}", lines[lines.len().saturating_sub(LINES)..].join("\n"));
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own {
            let removed = fs::remove_dir_all(&self.path);
            removed.unwrap_or_else(|error| panic!("{} stays: {error}", self.path.display()));
        }
    }
}
