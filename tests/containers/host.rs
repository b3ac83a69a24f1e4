//! What an engine could change of the host, and must not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where engines put their files unless they are told otherwise.
const FOLDERS: &[&str] = &[
    "/etc/docker",
    "/run/containerd",
    "/run/docker",
    "/run/docker.sock",
    "/var/lib/docker",
];

/// The host outside of the namespaces.
#[derive(Debug, PartialEq, Eq)]
pub struct HostState {
    /// What `nft list ruleset` and `iptables-save` print, without counts.
    rules: String,
    interfaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    groups: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
}

impl HostState {
    pub fn now() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a file");
        let interfaces = fs::read_dir("/sys/class/net").expect("a folder");
        let files = FOLDERS.iter().map(PathBuf::from);
        HostState {
            rules: rules(),
            interfaces: interfaces
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect(),
            mounts: mounts.lines().map(str::to_owned).collect(),
            groups: super::engine::groups(),
            files: files.filter(|path| path.exists()).collect(),
        }
    }

    /// Removes the control groups of the engine whose folder this is, and fails if anything else is left of it.
    #[track_caller]
    pub fn is_as_before(&self, folder: &Path) {
        super::engine::remove_groups();
        let now = HostState::now();
        let left = |set: &BTreeSet<String>, before: &BTreeSet<String>| -> Vec<String> {
            let ours = |line: &&String| line.contains(&*folder.to_string_lossy());
            set.difference(before).filter(ours).cloned().collect()
        };
        assert_eq!(
            now.rules, self.rules,
            "the netfilter of the host has changed"
        );
        assert_eq!(left(&now.mounts, &self.mounts), Vec::<String>::new());
        assert_eq!(now.groups, self.groups);
        assert_eq!(now.files, self.files);
        for name in now.interfaces.difference(&self.interfaces) {
            assert!(
                !name.starts_with("docker") && !name.starts_with("veth"),
                "{name} is left"
            );
        }
    }
}

/// The rules of netfilter in this namespace.
fn rules() -> String {
    let printed = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let all = printed("nft", &["--stateless", "list", "ruleset"]) + &printed("iptables-save", &[]);
    // Comments have the time.
    let lines = all.lines().filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}
