//! The first configuration of README works as it is written: word for word, on its own ports.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::ScratchDirectory;
use crate::namespace::in_namespace;

/// A shell and all that it started; killed when dropped.
struct Group(Child);

impl Group {
    fn start(folder: &Path, script: &str) -> Self {
        let mut command = shell(folder, script);
        command.process_group(0).stdout(Stdio::null());
        Group(command.spawn().expect("a shell"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.0);
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A shell that finds the program under its name.
fn shell(folder: &Path, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_ringway"));
    let programs = program.parent().expect("a folder").display();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-e", "-c", &format!("PATH={programs}:$PATH\n{script}")])
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// What a script prints, which must succeed.
#[track_caller]
fn printed(folder: &Path, script: &str) -> String {
    let output = shell(folder, script).output().expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    out
}

/// Waits until there is an answer to a request, and not 503.
#[track_caller]
fn wait_for(folder: &Path, address: &str) {
    let url = format!("http://127.0.0.1:{address}");
    let retry = "--retry 30 --retry-delay 1 --retry-connrefused";
    printed(folder, &format!("curl -sSf -o answer {retry} {url}"));
}

#[test]
fn the_first_configuration_works() {
    in_namespace("readme::the_first_configuration_works", || {
        let readme = include_str!("../../README.md");
        let (_, section) = readme
            .split_once("\n## A first configuration\n")
            .expect("the section");
        let (section, _) = section.split_once("\n## ").expect("its end");
        let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).collect();
        let [servers, configuration, start, commands] = blocks[..] else {
            panic!("{blocks:?}")
        };
        let [servers, start, commands] =
            [servers, start, commands].map(|block| block.strip_prefix("sh\n").expect("sh"));
        let configuration = configuration.strip_prefix("toml\n").expect("toml");
        let directory = ScratchDirectory::new();
        let folder = directory.path();

        let _servers = Group::start(folder, servers);
        fs::write(folder.join("ringway.toml"), configuration).expect("a file");
        for port in 8001..=8003 {
            wait_for(folder, &format!("{port}/index.html"));
        }
        let _ringway = Group::start(folder, start);
        wait_for(folder, "9000/readyz");
        wait_for(folder, "9000/haproxy_stats");
        let page = fs::read_to_string(folder.join("answer")).expect("a page");
        let printed: Vec<String> = commands.lines().map(|line| printed(folder, line)).collect();

        let [first, kept, again, csv, status, drained, ready, reloaded] = &printed[..] else {
            panic!("{printed:?}")
        };
        assert!(first.starts_with("web"), "{printed:?}");
        assert!(kept.starts_with("web") && kept == again, "{printed:?}");
        assert!(csv.starts_with("# pxname,svname,"), "{csv}");
        assert!(page.contains("<h1>Ringway</h1>"), "another page");
        assert!(status.contains("web3"), "{status}");
        assert!(
            drained.ends_with("app/web1 has no session left\n"),
            "{drained}"
        );
        assert!(ready.contains("app/web1 is up"), "{ready}");
        assert!(!reloaded.is_empty(), "{printed:?}");
    });
}
