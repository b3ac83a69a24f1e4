//! What this host gives a process: CPUs, descriptors, memory.

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use super::cgroup;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPUs that this process may run on, in ascending order; never empty.
pub fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(None).ok();
    let cpus: Vec<usize> = set
        .iter()
        .flat_map(|set| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)))
        .collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// How many CPUs of the host are online, whether this process may use them or not; 0: unknown.
pub fn cpus_online() -> usize {
    let ranges = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    cpus_in(ranges.trim())
}

/// How many CPUs a list such as `0-3,8` has.
fn cpus_in(ranges: &str) -> usize {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    ranges.split(',').filter_map(count).sum()
}

/// Threads that can run at once: one for each of [`cpus`], or fewer by the CPU quota of a control
/// group.
pub fn parallelism() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Pins the calling thread to one CPU.
///
/// # Errors
///
/// What the kernel says; the thread then runs unpinned.
pub fn pin_thread(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the soft limit of open files to the hard one; returns the limit that holds then.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(hard),
        maximum: limit.maximum,
    };
    if limit.current != Some(hard) && setrlimit(Resource::Nofile, raised).is_err() {
        return limit.current.unwrap_or(u64::MAX);
    }
    hard
}

/// Soft and hard limit of open files.
pub fn file_limits() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    )
}

/// Limit of locked memory in bytes, against which rings of unprivileged users count.
pub fn memlock_limit() -> u64 {
    getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX)
}

/// Memory that this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// That of the host, or less.
    pub bytes: u64,
    /// The file of the control group that allows no more; none: the host has no more.
    pub bounded_by: Option<PathBuf>,
}

/// Memory that this process may use: that of this host, or less by a control group.
pub fn memory() -> Memory {
    let info = rustix::system::sysinfo();
    let bytes = u64::from(info.mem_unit).saturating_mul(info.totalram);
    match cgroup::memory_max() {
        Some((bound, file)) if bound < bytes => Memory {
            bytes: bound,
            bounded_by: Some(file),
        },
        Some(_) | None => Memory {
            bytes,
            bounded_by: None,
        },
    }
}

/// Release of the running kernel, for example `6.18.44`.
pub fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Major and minor number of the running kernel.
pub fn kernel_version() -> (u32, u32) {
    let release = kernel_release();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// A file below `/proc` or `/sys`, trimmed.
pub fn kernel_setting(path: &str) -> Option<String> {
    std::fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_cpus_are_counted() {
        for (ranges, count) in [
            ("0", 1),
            ("0-3", 4),
            ("0-3,8,10-11", 7),
            ("", 0),
            ("x,1-0", 0),
        ] {
            assert_eq!(cpus_in(ranges), count, "{ranges}");
        }
        assert!(
            cpus_online() >= cpus().len(),
            "those of this process are among them"
        );
    }
}
