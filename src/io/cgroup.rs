//! What the control groups of this process allow it: the bound of its memory.
//!
//! Both versions of the hierarchy are read, each from the group of the process up to the root that it
//! can see, since the least bound of them holds. A container mostly sees its own group as the root,
//! while `/proc/self/cgroup` may still name it as the host does: groups that are not there are passed
//! over. (CPU quotas are read by [`std::thread::available_parallelism`].)

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The least bound of memory over the groups of this process, in bytes, and the file that has it.
pub fn memory_max() -> Option<(u64, PathBuf)> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    memory_max_in(Path::new(ROOT), &membership)
}

/// The same below `root`, for a process whose `/proc/self/cgroup` has this content: lines of
/// `ID:CONTROLLERS:PATH`, without controllers for version 2 (cgroups(7)).
fn memory_max_in(root: &Path, membership: &str) -> Option<(u64, PathBuf)> {
    let bounds = membership.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let path = Path::new(path.strip_prefix('/')?);
        if controllers.is_empty() {
            // Beside version 1 it is mounted one level below.
            let roots = [root.to_owned(), root.join("unified")];
            let bounds = roots
                .iter()
                .filter_map(|root| least(root, path, "memory.max"));
            bounds.min()
        } else if controllers.split(',').any(|name| name == "memory") {
            least(&root.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    bounds.min()
}

/// The least number in this file over the group at `path` and its parents, and where it is. A file
/// that says `max` has none.
fn least(root: &Path, path: &Path, file: &str) -> Option<(u64, PathBuf)> {
    let bounds = path.ancestors().filter_map(|group| {
        let file = root.join(group).join(file);
        let bound = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        Some((bound, file))
    });
    bounds.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hierarchy in a folder of its own: paths of files and what is in them.
    struct Hierarchy(PathBuf);

    impl Hierarchy {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let id = std::process::id();
            let root = std::env::temp_dir().join(format!("ringway-cgroup-{id}-{name}"));
            for (file, content) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            Hierarchy(root)
        }

        fn memory_max(&self, membership: &str) -> Option<(u64, String)> {
            let (bound, file) = memory_max_in(&self.0, membership)?;
            let file = file.strip_prefix(&self.0).unwrap();
            Some((bound, file.display().to_string()))
        }
    }

    impl Drop for Hierarchy {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_least_bound_of_all_groups_above_holds() {
        let files = [
            ("memory.max", "max\n"),
            ("pod/memory.max", "268435456\n"),
            ("pod/a/memory.max", "max\n"),
            ("pod/b/memory.max", "1073741824\n"),
            ("pod/c/memory.max", "1048576\n"),
            ("other/memory.max", "7\n"),
        ];
        let all = Hierarchy::new("v2", &files);
        let of_pod = Some((268_435_456, "pod/memory.max".to_owned()));
        assert_eq!(all.memory_max("0::/pod/a\n"), of_pod);
        assert_eq!(all.memory_max("0::/pod/b\n"), of_pod);
        assert_eq!(
            all.memory_max("0::/pod/c\n"),
            Some((1_048_576, "pod/c/memory.max".to_owned()))
        );
        assert_eq!(all.memory_max("0::/\n"), None);
    }

    #[test]
    fn a_container_sees_its_group_as_the_root() {
        let all = Hierarchy::new("container", &[("memory.max", "1000\n")]);
        let bound = Some((1000, "memory.max".to_owned()));
        assert_eq!(all.memory_max("0::/\n"), bound);
        assert_eq!(all.memory_max("0::/docker/1234/not-there\n"), bound);
    }

    #[test]
    fn version_1_is_read_too() {
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.limit_in_bytes", "5000\n"),
            ("memory/a/b/memory.limit_in_bytes", "6000\n"),
            ("unified/a/memory.max", "5500\n"),
            ("cpu/a/memory.limit_in_bytes", "1\n"),
        ];
        let all = Hierarchy::new("v1", &files);
        let bound = Some((5000, "memory/a/memory.limit_in_bytes".to_owned()));
        let membership = "9:name=systemd:/\n4:hugetlb,memory:/a/b\n2:cpu,cpuacct:/a\n0::/a\n";
        assert_eq!(all.memory_max(membership), bound);
        assert_eq!(
            all.memory_max("0::/a\n"),
            Some((5500, "unified/a/memory.max".to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_read_bounds_nothing() {
        let all = Hierarchy::new("odd", &[("a/memory.max", "many\n")]);
        for membership in ["", "0", "0::", "0::a", "0::/a", "memory:/a", "x:y:z\n\n"] {
            assert_eq!(all.memory_max(membership), None, "{membership:?}");
        }
    }
}
