//! Which engine all workers use: what is configured, as far as the kernel allows it.

use std::fmt;

use super::error::StartError;
use crate::config::EngineChoice;
use crate::io::{Features, SetupError, probe};

/// The engine of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Completions: io_uring.
    IoUring,
    /// Readiness: epoll.
    Epoll,
}

impl EngineKind {
    /// Its name in the configuration and in statistics.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::IoUring => "io_uring",
            EngineKind::Epoll => "epoll",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The engine that is used on this host, and a warning if it is not the one that is wanted.
///
/// # Errors
///
/// io_uring is wanted and refused, or something is short: that never changes the engine.
pub fn choose(wanted: EngineChoice) -> Result<(EngineKind, Option<String>), StartError> {
    decide(wanted, probe::too_old(), probe::try_ring)
}

fn decide(
    wanted: EngineChoice,
    too_old: Option<probe::Refusal>,
    try_ring: impl FnOnce() -> Result<Features, SetupError>,
) -> Result<(EngineKind, Option<String>), StartError> {
    let refusal = match wanted {
        EngineChoice::Epoll => return Ok((EngineKind::Epoll, None)),
        // A worker says how that fails.
        EngineChoice::IoUring => return Ok((EngineKind::IoUring, None)),
        EngineChoice::Auto => match (too_old, try_ring()) {
            (Some(refusal), _) => refusal,
            (None, Ok(_)) => return Ok((EngineKind::IoUring, None)),
            (None, Err(error)) if probe::is_refusal(&error) => probe::explain(&error),
            (None, Err(error)) => return Err(StartError::IoUring(error)),
        },
    };
    let warning = format!("running on epoll: {refusal}; or set `engine = \"epoll\"` in [global]");
    Ok((EngineKind::Epoll, Some(warning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old() -> probe::Refusal {
        probe::Refusal {
            call: "Linux 5.15.0".to_owned(),
            cause: "it is too old".to_owned(),
            cure: "use a new one".to_owned(),
        }
    }

    fn fails(errno: i32) -> Result<Features, SetupError> {
        Err(SetupError {
            step: "io_uring_setup",
            error: std::io::Error::from_raw_os_error(errno),
        })
    }

    #[test]
    fn a_refusal_leads_to_epoll_with_cause_and_cure() {
        for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL] {
            let (engine, warning) = decide(EngineChoice::Auto, None, || fails(errno)).unwrap();
            assert_eq!(engine, EngineKind::Epoll);
            let error = std::io::Error::from_raw_os_error(errno).to_string();
            assert!(warning.unwrap().contains(&error));
        }
        let decided = decide(EngineChoice::Auto, Some(old()), || Ok(Features::default()));
        let (engine, warning) = decided.unwrap();
        assert_eq!(engine, EngineKind::Epoll);
        assert_eq!(
            warning.unwrap(),
            "running on epoll: io_uring is refused on this host (Linux 5.15.0): it is too old; \
             use a new one; or set `engine = \"epoll\"` in [global]"
        );
    }

    #[test]
    fn a_shortage_changes_nothing() {
        for errno in [libc::ENOMEM, libc::EMFILE, libc::ENFILE] {
            let decided = decide(EngineChoice::Auto, None, || fails(errno));
            assert!(
                matches!(decided, Err(StartError::IoUring(_))),
                "{decided:?}"
            );
        }
    }

    #[test]
    fn what_is_wanted_is_not_tried_before() {
        let tried = || panic!("tried");
        for (wanted, engine) in [
            (EngineChoice::IoUring, EngineKind::IoUring),
            (EngineChoice::Epoll, EngineKind::Epoll),
        ] {
            let decided = decide(wanted, Some(old()), tried).unwrap();
            assert_eq!(decided, (engine, None));
            assert_eq!(wanted.to_string(), engine.name());
        }
        let allowed = decide(EngineChoice::Auto, None, || Ok(Features::default()));
        assert_eq!(allowed.unwrap(), (EngineKind::IoUring, None));
    }
}
