//! In control groups, as in a container: fewer CPUs and less memory than the host has.

use std::fs;
use std::path::PathBuf;
use std::process;

use crate::clients::{connect, round_trip};
use crate::harness::engine;
use crate::servers::Server;
use crate::setup::Setup;

const MEMORY_BYTES: u64 = 256 << 20;

/// Control groups of a test, removed when dropped: one where version 2 has both controllers, or one of
/// each where version 1 has them.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// With one CPU and [`MEMORY_BYTES`]; none: this is not root, or may not make any.
    fn new(name: &str) -> Option<Self> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let name = format!("ringway-test-{}-{name}", process::id());
        let settings: &[(&str, &[(&str, &str)])] = if root.join("cgroup.controllers").exists() {
            &[(
                "",
                &[("memory.max", "268435456"), ("cpu.max", "100000 100000")],
            )]
        } else {
            &[
                ("memory", &[("memory.limit_in_bytes", "268435456")]),
                (
                    "cpu",
                    &[
                        ("cpu.cfs_period_us", "100000"),
                        ("cpu.cfs_quota_us", "100000"),
                    ],
                ),
            ]
        };
        let mut groups = Groups(Vec::new());
        for (controller, files) in settings {
            let group = root.join(controller).join(&name);
            fs::create_dir(&group).ok()?;
            groups.0.push(group.clone());
            for (file, value) in *files {
                fs::write(group.join(file), value).ok()?;
            }
        }
        Some(groups)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            // The process in it has been waited for by now.
            let _ = fs::remove_dir(group);
        }
    }
}

#[test]
fn workers_are_pinned_where_that_is_wanted() {
    let server = Server::echo();
    let cpus_with = |pin: &str| {
        let setup = Setup::new().global(pin).server("a", server.address());
        let ringway = setup.start();
        let cpus = ringway.cpus_of("worker-");
        (cpus, ringway.cpus_of("ringway"))
    };
    let (pinned, _) = cpus_with("pin = true");
    for cpus in &pinned {
        assert!(cpus.parse::<usize>().is_ok(), "more than one: {cpus}");
    }
    let (free, process) = cpus_with("pin = false");
    assert!(free.iter().all(|cpus| process.contains(cpus)), "{free:?}");
}

#[test]
fn the_bounds_of_control_groups_are_kept() {
    let Some(groups) = Groups::new("bounds") else {
        eprintln!("no control group can be made here, so there is nothing to see");
        return;
    };
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get());
    let server = Server::echo();
    let text = Setup::new().server("a", server.address()).text();
    let text = text.replace("workers = 2", "workers = \"auto\"");
    let ringway = crate::harness::Launch::config(&text)
        .groups(&groups.0)
        .start();

    ringway.says(&format!("1 workers on {}", engine()));
    ringway.says(&format!(
        "buffers take at most {} MiB, an eighth of the {} MiB that /sys/fs/cgroup/",
        MEMORY_BYTES >> 23,
        MEMORY_BYTES >> 20
    ));
    if cpus > 1 {
        ringway.says("the CPU quota of the control group allows 1 of ");
        assert_eq!(ringway.cpus_of("worker-"), ringway.cpus_of("ringway"));
    }
    round_trip(&connect(ringway.address()), b"served");
    drop(ringway);
}
