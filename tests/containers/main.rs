//! The image, Compose and Swarm, on a real Docker engine.
//!
//! The engine is one of its own: it runs in namespaces that end with this test, and the host keeps neither a rule
//! of its netfilter nor a mount, a control group or a file of it, which is looked at in the end. Nothing is pulled:
//! the images are the program, linked statically, and Debian's busybox.
//!
//! It needs root, Debian's `docker.io`, `docker-compose` and `busybox-static`, which scripts/test.sh installs. Where
//! no engine can run, it says why, and the tests count as ignored.

mod client;
mod compose;
mod engine;
mod host;
mod image;
mod limits;
#[path = "../support/load.rs"]
mod load;
mod program;
mod servers;
mod stack;
mod wait;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use engine::Engine;
use host::HostState;

/// Names the folder of the engine to the run in the namespaces.
const INSIDE: &str = "RINGWAY_CONTAINERS_FOLDER";

/// A part of the test, which needs nothing of the others.
type Part = (&'static str, fn(&Engine));

const PARTS: &[Part] = &[
    (
        "image::starts_by_itself_and_is_healthy",
        image::starts_by_itself_and_is_healthy,
    ),
    (
        "image::takes_a_file_that_is_mounted",
        image::takes_a_file_that_is_mounted,
    ),
    (
        "image::a_stop_under_load_loses_no_request",
        image::a_stop_under_load_loses_no_request,
    ),
    (
        "image::io_uring_is_used_where_the_profile_allows_it",
        image::io_uring_is_used_where_the_profile_allows_it,
    ),
    (
        "limits::slow_readers_do_not_exhaust_a_small_container",
        limits::slow_readers_do_not_exhaust_a_small_container,
    ),
    (
        "compose::the_file_works_as_it_is",
        compose::the_file_works_as_it_is,
    ),
    (
        "stack::the_file_works_as_it_is",
        stack::the_file_works_as_it_is,
    ),
];

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let chosen = |part: &&Part| filter.as_ref().is_none_or(|filter| part.0.contains(filter));
    let parts: Vec<&Part> = PARTS.iter().filter(chosen).collect();
    if parts.is_empty() || std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    match std::env::var_os(INSIDE) {
        Some(folder) => run(&parts, Path::new(&folder)),
        None => match engine::missing() {
            Some(why) => {
                skip(&parts, &why);
                ExitCode::SUCCESS
            }
            None => start_inside(),
        },
    }
}

/// Says why no part can run.
fn skip(parts: &[&Part], why: &str) {
    println!("\nrunning {} tests", parts.len());
    for (name, _) in parts {
        println!("test {name} ... ignored, {why}");
    }
    println!(
        "\ntest result: ok. 0 passed; 0 failed; {} ignored\n",
        parts.len()
    );
}

/// Runs this program once more, in namespaces that end with it, and looks at what is left of it.
fn start_inside() -> ExitCode {
    let program = program::build();
    let before = HostState::now();
    let folder = Folder::new();
    let this = std::env::current_exe().expect("a program");
    // With this process ends unshare(1), and with that all that runs in the namespaces.
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
        ])
        .args(["--kill-child=KILL", "--mount-proc"])
        .arg(this)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, &folder.0)
        .env(program::VARIABLE, program)
        .status()
        .expect("setpriv(1) is installed");
    before.is_as_before(&folder.0);
    drop(folder);
    match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(101),
    }
}

/// Runs the parts in turn, and prints what becomes of them as other tests do.
fn run(parts: &[&Part], folder: &Path) -> ExitCode {
    let engine = match Engine::start(folder) {
        Ok(engine) => engine,
        Err(why) => {
            skip(parts, &why);
            return ExitCode::SUCCESS;
        }
    };
    println!("\nrunning {} tests", parts.len());
    let start = Instant::now();
    let mut failed = 0;
    for (name, test) in parts {
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| test(&engine)));
        let took = begin.elapsed().as_secs_f32();
        match result {
            Ok(()) => println!("test {name} ... ok ({took:.1} s)"),
            Err(cause) => {
                failed += 1;
                println!("test {name} ... FAILED ({took:.1} s): {}", message(&cause));
                println!("{}", engine.report());
            }
        }
        engine.clear();
    }
    let passed = parts.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; finished in {:.1}s\n",
        start.elapsed().as_secs_f32()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

fn message(cause: &Box<dyn Any + Send>) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref().copied())
        .unwrap_or("a panic")
}

/// The folder of the engine, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("ringway-containers-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.0);
        removed.unwrap_or_else(|error| panic!("{} stays: {error}", self.0.display()));
    }
}
