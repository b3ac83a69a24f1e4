//! Known faults of the kernel that touch what Ringway does, and whether the running kernel has the fix.
//!
//! Versions are those of kernel.org; a distribution may have the fix in a kernel of an older number, so what is
//! said of it is "by its version". A fault is listed if the program uses what it is in, or if it is a way
//! for other programs to take over a host that allows io_uring.

use super::finding::Finding;

/// A version: major, minor, patch.
type Version = (u32, u32, u32);

struct Fault {
    /// Its number, for whoever looks for it.
    id: &'static str,
    /// What happens.
    what: &'static str,
    /// The first kernel that has it.
    since: Version,
    /// The first version of each series that has the fix, as far as they are known, in ascending order; all
    /// series after the last one have it.
    fixed: &'static [Version],
    /// Whether `fixed` has all series, so that others have no fix.
    complete: bool,
    /// What to do without the fix.
    cure: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        id: "CVE-2024-0582",
        what: "a program that may use io_uring can become root (Ringway does not use the part at fault)",
        since: (6, 4, 0),
        fixed: &[(6, 6, 5), (6, 7, 0)],
        complete: true,
        cure: "use Linux 6.6.5 or newer, or forbid io_uring (`sysctl -w kernel.io_uring_disabled=2`): epoll takes its place",
    },
    Fault {
        id: "CVE-2026-23473",
        what: "io_uring can lose the end of a stream; seen with Unix sockets, never with TCP",
        since: (6, 0, 0),
        fixed: &[(6, 18, 44), (7, 1, 0)],
        complete: false,
        cure: "update the kernel; a session that hangs ends after idle_timeout, and `engine = \"epoll\"` does not have the fault",
    },
];

/// What there is to say about the kernel of this release; `migrates`: the setting net.ipv4.tcp_migrate_req.
pub(super) fn findings(release: &str, migrates: Option<&str>) -> Vec<Finding> {
    let version = version(release);
    let mut findings: Vec<Finding> = FAULTS.iter().map(|fault| finding(fault, version)).collect();
    if migrates.is_some_and(|value| value != "0") {
        findings.push(Finding::advice(
            "CVE-2026-46015: with net.ipv4.tcp_migrate_req, clients of a listener that closes can wait for \
             ever; Ringway hands its listeners over and does not need the setting"
                .to_owned(),
            "sysctl -w net.ipv4.tcp_migrate_req=0".to_owned(),
        ));
    }
    findings
}

fn finding(fault: &Fault, version: Version) -> Finding {
    let Fault { id, what, .. } = fault;
    let say = |state: &str| format!("{id}: {what}: {state}");
    if version < fault.since {
        return Finding::good(say("this kernel is older than the fault"));
    }
    let series = |(major, minor, _): Version| (major, minor);
    let of_series = fault
        .fixed
        .iter()
        .find(|fixed| series(**fixed) == series(version));
    let after_all = fault.fixed.last().is_none_or(|last| version >= *last);
    match of_series {
        _ if after_all => Finding::good(say("this kernel has the fix")),
        Some(fixed) if version >= *fixed => Finding::good(say("this kernel has the fix")),
        None if !fault.complete => Finding::advice(
            say("its version does not tell whether this kernel has the fix"),
            fault.cure.to_owned(),
        ),
        None | Some(_) => Finding::advice(
            say("by its version this kernel lacks the fix"),
            fault.cure.to_owned(),
        ),
    }
}

/// The numbers that a release begins with.
fn version(release: &str) -> Version {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_version_says_whether_a_fix_is_there() {
        for (release, expected) in [
            ("6.1.0-18-amd64", [Level::Good, Level::Advice]),
            ("5.15.0", [Level::Good, Level::Good]),
            ("6.5.13", [Level::Advice, Level::Advice]),
            ("6.6.4", [Level::Advice, Level::Advice]),
            ("6.6.5", [Level::Good, Level::Advice]),
            ("6.12.30", [Level::Good, Level::Advice]),
            ("6.18.43", [Level::Good, Level::Advice]),
            ("6.18.44-x", [Level::Good, Level::Good]),
            ("7.0.3", [Level::Good, Level::Advice]),
            ("7.1.0", [Level::Good, Level::Good]),
            ("8.0.0", [Level::Good, Level::Good]),
        ] {
            let levels: Vec<Level> = findings(release, Some("0"))
                .iter()
                .map(|it| it.level)
                .collect();
            assert_eq!(levels, expected, "{release}");
        }
    }

    #[test]
    fn a_version_that_does_not_tell_is_not_called_faulty() {
        let texts = |release: &str| findings(release, None).remove(1).text;
        assert!(texts("6.12.30").contains("does not tell"));
        assert!(texts("6.18.1").contains("lacks the fix"));
    }

    #[test]
    fn the_setting_that_loses_clients_is_told() {
        let all = findings("7.1.0", Some("1"));
        let last = all.last().expect("a finding");
        assert_eq!(last.level, Level::Advice);
        assert!(last.cure.contains("tcp_migrate_req=0"));
        assert_eq!(findings("7.1.0", Some("0")).len() + 1, all.len());
    }
}
