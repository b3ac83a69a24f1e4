//! Why the process does not start, or has to end.

use std::fmt;

use crate::io::{SetupError, probe};

/// Why the balancer could not start, or had to end. Its text is one sentence with cause and cure.
#[derive(Debug)]
pub enum StartError {
    /// A listener could not be had.
    Listen {
        /// As the configuration names it.
        what: String,
        /// What the kernel said, and what to do.
        why: String,
    },
    /// The admin listener is not configured as it could be.
    Admin(String),
    /// The state file can't be one.
    StateFile(String),
    /// There is nothing to take over.
    Takeover(String),
    /// The kernel refuses io_uring, or lacks something for it.
    IoUring(SetupError),
    /// The kernel lacks something for epoll.
    Epoll(SetupError),
    /// Something else of the system failed.
    System(&'static str, std::io::Error),
    /// A worker or the health thread ended by a fault of ours.
    WorkerFailed,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { what, why } => write!(f, "cannot listen on {what}: {why}"),
            StartError::Admin(why) | StartError::StateFile(why) => f.write_str(why),
            StartError::Takeover(why) => write!(f, "cannot take over: {why}"),
            StartError::IoUring(error) if probe::is_refusal(error) => {
                let refusal = probe::explain(error);
                write!(
                    f,
                    "{refusal}; or run on epoll: `engine = \"auto\"` in [global]"
                )
            }
            StartError::IoUring(error) => probe::explain(error).fmt(f),
            StartError::Epoll(SetupError { step, error }) => write!(
                f,
                "cannot set up epoll ({step}: {error}): raise the limit of open files \
                 (LimitNOFILE=, `ulimit -n`) or of memory, or use fewer workers"
            ),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
            StartError::WorkerFailed => {
                f.write_str("a thread ended by an internal error; the lines above tell more")
            }
        }
    }
}

impl std::error::Error for StartError {}
