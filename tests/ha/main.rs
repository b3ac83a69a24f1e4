//! More than one machine, in network namespaces on one: the files of scripts/ha with Debian's keepalived and BIRD.
//!
//! Each part runs in namespaces of its own (network, mounts, processes) that end with it, however it ends; the host
//! keeps nothing. It prints what it has measured. `RINGWAY_HA_MOVES=20` makes it the long form, of which the numbers
//! in README are: so many planned stops, and what is only measured.
//!
//! It needs root, Debian's `keepalived`, `bird2` and `iproute2`, which scripts/test.sh installs. Where it cannot run,
//! it says why, and the parts count as ignored.

mod ecmp;
mod keepalived;
mod network;
mod node;
mod servers;
mod sessions;
mod steady;
mod wait;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use network::Folder;

/// Names the folder for files to the run in the namespaces.
const INSIDE: &str = "RINGWAY_HA_FOLDER";

type Part = (&'static str, fn(&Folder));

const PARTS: &[Part] = &[
    (
        "keepalived::the_address_follows_readiness",
        keepalived::the_address_follows_readiness,
    ),
    (
        "ecmp::only_flows_of_a_lost_node_move",
        ecmp::only_flows_of_a_lost_node_move,
    ),
];

/// What is only measured, in the long form.
const LONG_PARTS: &[Part] = &[(
    "ecmp::without_resilient_groups",
    ecmp::without_resilient_groups,
)];

/// How many planned stops there are; `None`: few, and nothing that is only measured.
fn moves() -> Option<usize> {
    let moves = std::env::var("RINGWAY_HA_MOVES").ok()?;
    Some(moves.parse().expect("RINGWAY_HA_MOVES is a number"))
}

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let chosen = |part: &&Part| filter.as_ref().is_none_or(|filter| part.0.contains(filter));
    let more = if moves().is_some() { LONG_PARTS } else { &[] };
    let parts: Vec<&Part> = PARTS.iter().chain(more).filter(chosen).collect();
    if parts.is_empty() || std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Some(folder) = std::env::var_os(INSIDE) {
        let folder = Folder::existing(PathBuf::from(folder));
        network::prepare();
        parts[0].1(&folder);
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", parts.len());
    let (start, missing) = (Instant::now(), missing());
    let (mut failed, mut ignored) = (0, 0);
    for (name, _) in &parts {
        if let Some(why) = &missing {
            println!("test {name} ... ignored, {why}");
            ignored += 1;
            continue;
        }
        let begin = Instant::now();
        let passed = run_inside(name);
        let (word, took) = (
            if passed { "ok" } else { "FAILED" },
            begin.elapsed().as_secs_f32(),
        );
        println!("test {name} ... {word} ({took:.1} s)");
        failed += usize::from(!passed);
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {ignored} ignored; finished in {:.1}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        parts.len() - failed - ignored,
        start.elapsed().as_secs_f32()
    );
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(101),
    }
}

/// What this host lacks, if anything.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces need root".to_owned());
    }
    for (program, package) in [
        ("keepalived", "keepalived"),
        ("bird", "bird2"),
        ("ip", "iproute2"),
    ] {
        let mut search = Command::new("sh");
        search.args(["-c", &format!("command -v {program}")]);
        let output = network::with_path(&mut search).output();
        let found = output.is_ok_and(|output| output.status.success());
        if !found {
            return Some(format!("there is no {program}: install {package}"));
        }
    }
    let output = namespaces(Command::new("setpriv")).arg("true").output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("setpriv: {error}")),
    }
}

/// With this process ends unshare(1), and with that all that runs in the namespaces.
fn namespaces(mut setpriv: Command) -> Command {
    setpriv.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
    ]);
    setpriv.args(["--kill-child=KILL", "--mount-proc"]);
    setpriv
}

/// Runs this program once more for one part, in namespaces that end with it, and says whether it passed.
fn run_inside(part: &str) -> bool {
    let folder = Folder::new();
    let this = std::env::current_exe().expect("a program");
    let status = namespaces(Command::new("setpriv"))
        .arg(this)
        .arg(part)
        .env(INSIDE, folder.path())
        .status()
        .expect("setpriv(1) is installed");
    if !status.success() {
        folder.print_logs();
    }
    status.success()
}
