//! A Docker engine in the namespaces of this process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::program;
use super::wait::within;

/// The address of the namespace, which is that of the Swarm's only node and of servers of the test.
pub const NODE: &str = "192.0.2.1";

/// How long the engine may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The control group above those of all containers, in each hierarchy.
const GROUP: &str = "ringway-containers";

/// Where Debian has the programs that need root.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// The programs of the image `busybox` that the files of the tutorial use.
const APPLETS: &[&str] = &["httpd", "hostname", "mkdir", "sh"];

/// What this host lacks for an engine, if anything.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("an engine needs root".to_owned());
    }
    for (program, package) in [
        ("dockerd", "docker.io"),
        ("docker", "docker.io"),
        ("docker-compose", "docker-compose"),
        ("busybox", "busybox-static"),
        ("ip", "iproute2"),
    ] {
        if find(program).is_none() {
            return Some(format!("there is no {program}: install {package}"));
        }
    }
    let unshare = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "true",
        ])
        .output();
    match unshare {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = search_path();
    let mut folders = path
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    folders.find(|file| file.exists())
}

fn search_path() -> String {
    format!("{}:{PATH}", std::env::var("PATH").unwrap_or_default())
}

/// The hierarchies of control groups: all of version 1, or the one of version 2.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root];
    }
    let entries = fs::read_dir(&root).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// The groups of the engine and the outermost others.
pub fn groups() -> BTreeSet<PathBuf> {
    let all = hierarchies()
        .into_iter()
        .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let paths = all.map(|entry| entry.path());
    // Other programs make groups, too.
    paths
        .filter(|path| path.is_dir() && (path.ends_with(GROUP) || path.ends_with("docker")))
        .collect()
}

/// Removes the groups of an engine that has ended.
pub fn remove_groups() {
    fn remove(group: &Path) {
        for entry in fs::read_dir(group).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        let _ = fs::remove_dir(group);
    }
    for root in hierarchies() {
        remove(&root.join(GROUP));
    }
}

/// The engine; it ends with the namespaces.
pub struct Engine {
    folder: PathBuf,
    _daemon: Child,
}

impl Engine {
    /// Starts it in this folder, with the images `ringway` and `busybox`.
    ///
    /// # Errors
    ///
    /// Why it does not run.
    pub fn start(folder: &Path) -> Result<Self, String> {
        hide_folders(folder);
        shell("ip link set lo up");
        shell(&format!(
            "ip link add name node type bridge && ip addr add {NODE}/24 dev node && ip link set node up"
        ));
        let log = File::create(folder.join("log")).expect("a file");
        let mut daemon = Command::new("dockerd")
            .env("PATH", search_path())
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .args(["--host", &socket(folder)])
            .args([
                "--storage-driver",
                "overlay2",
                "--cgroup-parent",
                &format!("/{GROUP}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it was there");
        let answers = || {
            let version = command("docker", folder).args(["version"]).output();
            version.is_ok_and(|output| output.status.success())
        };
        let is_up = within(START_TIMEOUT, || match daemon.try_wait() {
            Ok(Some(_)) => Some(false),
            Ok(None) | Err(_) => answers().then_some(true),
        });
        if is_up != Some(true) {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            return Err(format!(
                "dockerd: {}",
                log.lines().last().unwrap_or("no word")
            ));
        }
        let engine = Self {
            folder: folder.to_owned(),
            _daemon: daemon,
        };
        engine.build_images();
        Ok(engine)
    }

    fn build_images(&self) {
        let program = std::env::var_os(program::VARIABLE).expect("the outer run sets it");
        let output = self
            .command("scripts/docker/build.sh")
            .arg("--program")
            .arg(program)
            .output();
        succeed("build.sh", output);
        let root = self.folder.join("busybox");
        let bin = root.join("bin");
        fs::create_dir_all(&bin).expect("a folder");
        fs::copy(find("busybox").expect("it is there"), bin.join("busybox")).expect("a copy");
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).expect("a link");
        }
        let output = self
            .command("sh")
            .args(["-c", "tar -C \"$0\" -c . | docker import - busybox"])
            .arg(root)
            .output();
        succeed("docker import", output);
    }

    /// A program that uses this engine, in the folder of the repository.
    pub fn command(&self, program: &str) -> Command {
        command(program, &self.folder)
    }

    /// What the client of Docker prints; it must succeed.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.command("docker").args(arguments).output();
        succeed(&format!("docker {}", arguments.join(" ")), output)
    }

    /// What Compose prints; it must succeed.
    #[track_caller]
    pub fn compose(&self, arguments: &[&str]) -> String {
        let output = self.command("docker-compose").args(arguments).output();
        succeed(&format!("docker-compose {}", arguments.join(" ")), output)
    }

    /// What a container has said.
    pub fn logs(&self, container: &str) -> String {
        let output = self
            .command("docker")
            .args(["logs", container])
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stderr) + &text(&output.stdout)
    }

    /// A file for a container.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// What may explain a failure.
    pub fn report(&self) -> String {
        let mut report = self.docker(&["ps", "--all"]);
        for container in self
            .docker(&["ps", "--all", "--quiet", "--filter", "ancestor=ringway"])
            .lines()
        {
            let logs = self.logs(container);
            let lines: Vec<&str> = logs.lines().filter(|line| line.contains(']')).collect();
            let begin = lines.len().saturating_sub(60);
            report += &format!("---- {container}\n{}\n", lines[begin..].join("\n"));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let errors: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("level=error"))
            .collect();
        let begin = errors.len().saturating_sub(20);
        report + "---- dockerd\n" + &errors[begin..].join("\n")
    }

    /// Removes all containers.
    pub fn clear(&self) {
        let script =
            "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes";
        let _ = self.command("sh").args(["-c", script]).output();
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", search_path())
        .env("DOCKER_HOST", socket(folder))
        .env("DOCKER_CONFIG", folder.join("client"))
        .env("HOME", folder)
        .stdin(Stdio::null());
    command
}

#[track_caller]
fn succeed(what: &str, output: std::io::Result<std::process::Output>) -> String {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}\n{out}\n{err}");
    out
}

/// What the engine writes to folders that it cannot be told of stays in this namespace.
fn hide_folders(folder: &Path) {
    for name in ["upper", "work"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    let at = folder.display();
    shell(&format!(
        "mount -t overlay -o lowerdir=/etc,upperdir={at}/upper,workdir={at}/work overlay /etc && \
         mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib"
    ));
}

#[track_caller]
fn shell(script: &str) {
    let output = Command::new("sh")
        .env("PATH", search_path())
        .args(["-e", "-c", script])
        .output();
    succeed(script, output);
}
