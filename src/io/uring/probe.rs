//! Why this host refuses io_uring: cause and cure.

use std::fmt;

use super::{Features, Uring};
use crate::io::host;
use crate::io::setup::{ResourceLimits, SetupError};
use crate::io::waker::Waker;

/// The oldest kernel whose io_uring has all that is needed.
pub const KERNEL_MIN: (u32, u32) = (6, 1);

/// Makes an engine as a worker would, on this thread. Returns the features that it uses.
///
/// # Errors
///
/// The step that failed and what the kernel said.
pub fn try_ring() -> Result<Features, SetupError> {
    let limits = ResourceLimits {
        buffer_bytes_max: 0,
        pipes_max: 0,
    };
    let waker = Waker::new().map_err(SetupError::new("eventfd"))?;
    Ok(Uring::new(Features::default(), &limits, waker)?.features())
}

/// Why this host refuses io_uring, and what to do about it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The call that was refused, and the kernel's words for it.
    pub call: String,
    /// What it means.
    pub cause: String,
    /// What to do.
    pub cure: String,
}

/// In one sentence.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { call, cause, cure } = self;
        write!(
            f,
            "io_uring is refused on this host ({call}): {cause}; {cure}"
        )
    }
}

/// What the refusal means and what to do about it.
pub fn explain(error: &SetupError) -> Refusal {
    Facts::read().explain(error)
}

/// Whether the kernel has no io_uring that serves, or does not allow it. A shortage is no refusal.
pub fn is_refusal(error: &SetupError) -> bool {
    let refusals = [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL];
    (error.error.raw_os_error()).is_some_and(|errno| refusals.contains(&errno))
}

/// Why the running kernel is too old, if it is.
pub fn too_old() -> Option<Refusal> {
    let facts = Facts::read();
    (facts.kernel < KERNEL_MIN).then(|| {
        let (cause, cure) = facts.too_old();
        let call = format!("Linux {}", facts.release);
        Refusal { call, cause, cure }
    })
}

struct Facts {
    /// `/proc/sys/kernel/io_uring_disabled`, where the kernel has it (6.6).
    io_uring_disabled: Option<String>,
    /// A seccomp filter is active on this process.
    seccomp: bool,
    kernel: (u32, u32),
    release: String,
    memlock: u64,
}

impl Facts {
    /// Those of this host.
    fn read() -> Self {
        Facts {
            io_uring_disabled: host::kernel_setting("/proc/sys/kernel/io_uring_disabled"),
            seccomp: status_field("Seccomp").is_some_and(|mode| mode != "0"),
            kernel: host::kernel_version(),
            release: host::kernel_release(),
            memlock: host::memlock_limit(),
        }
    }

    /// Cause and cure for an old kernel.
    fn too_old(&self) -> (String, String) {
        (
            format!("Linux {} lacks what is needed of io_uring", self.release),
            format!("use Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1),
        )
    }

    fn explain(&self, setup: &SetupError) -> Refusal {
        let disabled = self.io_uring_disabled.as_deref();
        let (cause, cure) = match setup.error.raw_os_error() {
            Some(libc::EPERM) if matches!(disabled, Some("1" | "2")) => (
                format!(
                    "the kernel setting kernel.io_uring_disabled is {}",
                    disabled.unwrap_or_default()
                ),
                "run `sysctl -w kernel.io_uring_disabled=0` (and put it into /etc/sysctl.d), or \
                 with 1, run as a member of kernel.io_uring_group"
                    .to_string(),
            ),
            Some(libc::EPERM | libc::EACCES) if self.seccomp => (
                "a seccomp filter of the container or service forbids io_uring".to_string(),
                "allow io_uring_setup, io_uring_enter and io_uring_register in its profile \
                 (Docker: --security-opt seccomp=PROFILE.json)"
                    .to_string(),
            ),
            Some(libc::EPERM | libc::EACCES) => (
                "a security module forbids io_uring".to_string(),
                "look for a denial of io_uring in the audit log and allow it".to_string(),
            ),
            Some(libc::ENOSYS) if self.kernel >= KERNEL_MIN && self.seccomp => (
                "a seccomp filter of the container pretends that the kernel has no io_uring"
                    .to_string(),
                "allow io_uring_setup, io_uring_enter and io_uring_register in its profile \
                 (Podman: --security-opt seccomp=PROFILE.json)"
                    .to_string(),
            ),
            Some(libc::ENOSYS) if self.kernel >= KERNEL_MIN => (
                "this kernel was built without io_uring".to_string(),
                "use a kernel with CONFIG_IO_URING=y".to_string(),
            ),
            Some(libc::ENOSYS | libc::EINVAL) => self.too_old(),
            Some(libc::ENOMEM) => (
                format!(
                    "the limit of locked memory ({} KiB) or of the container's memory is too low",
                    self.memlock / 1024
                ),
                "raise it: LimitMEMLOCK=infinity in the unit, `ulimit -l unlimited` in a shell, \
                 `ulimits: memlock: -1` in Compose; or use fewer workers"
                    .to_string(),
            ),
            Some(libc::EMFILE | libc::ENFILE) => (
                "no descriptor is left for a ring".to_string(),
                "raise the limit of open files (LimitNOFILE=, `ulimit -n`)".to_string(),
            ),
            _ => (
                "the kernel gave an unusual answer".to_string(),
                "run `ringway doctor` and look at the kernel's log".to_string(),
            ),
        };
        Refusal {
            call: format!("{}: {}", setup.step, setup.error),
            cause,
            cure,
        }
    }
}

fn status_field(name: &str) -> Option<String> {
    let status = host::kernel_setting("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    Some(line.split(':').nth(1)?.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(errno: i32, disabled: Option<&str>, seccomp: bool, kernel: (u32, u32)) -> Refusal {
        let facts = Facts {
            io_uring_disabled: disabled.map(str::to_string),
            seccomp,
            kernel,
            release: format!("{}.{}.0", kernel.0, kernel.1),
            memlock: 8 << 20,
        };
        facts.explain(&SetupError {
            step: "io_uring_setup",
            error: std::io::Error::from_raw_os_error(errno),
        })
    }

    #[test]
    fn each_refusal_names_its_cure() {
        let cases = [
            (
                libc::EPERM,
                Some("2"),
                true,
                (6, 8),
                "sysctl -w kernel.io_uring_disabled=0",
            ),
            (libc::EPERM, Some("0"), true, (6, 8), "seccomp=PROFILE.json"),
            (libc::EPERM, None, false, (6, 1), "audit log"),
            (libc::EACCES, None, true, (6, 8), "seccomp=PROFILE.json"),
            (libc::ENOSYS, None, true, (6, 8), "Podman"),
            (libc::ENOSYS, None, false, (6, 8), "CONFIG_IO_URING"),
            (libc::ENOSYS, None, false, (5, 4), "Linux 6.1 or newer"),
            (libc::EINVAL, None, false, (5, 15), "Linux 6.1 or newer"),
            (libc::ENOMEM, None, false, (6, 8), "LimitMEMLOCK"),
            (libc::EMFILE, None, false, (6, 8), "LimitNOFILE"),
        ];
        for (errno, disabled, seccomp, kernel, cure) in cases {
            let refusal = refusal(errno, disabled, seccomp, kernel);
            assert!(refusal.cure.contains(cure), "errno {errno}: {refusal}");
            assert!(!refusal.to_string().contains('\n'), "{refusal}");
        }
    }

    #[test]
    fn only_what_the_kernel_forbids_or_lacks_is_a_refusal() {
        let is_refusal = |errno| {
            is_refusal(&SetupError {
                step: "io_uring_setup",
                error: std::io::Error::from_raw_os_error(errno),
            })
        };
        for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL] {
            assert!(is_refusal(errno), "{errno}");
        }
        for errno in [libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::EAGAIN] {
            assert!(!is_refusal(errno), "{errno}");
        }
    }

    #[test]
    fn this_host_makes_a_ring() {
        let features = try_ring().unwrap_or_else(|error| panic!("{}", explain(&error)));
        // The best of them only a trial shows, as for a worker.
        let bounded = host::kernel_version() >= (6, 17);
        assert_eq!(features == Features::Linux6_17, bounded, "{features:?}");
    }
}
