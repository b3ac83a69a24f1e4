//! What holds for the sessions of a frontend and a backend: timeouts, retries, the kernel's end of connections.

use std::time::Duration;

use super::defaults;
use super::keepalive::Keepalive;

/// What holds for sessions of a frontend and a backend: a value of the backend wins over one of the frontend,
/// which wins over `[defaults]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// When the kernel asks silent peers whether they are there; `None`: never.
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay without an acknowledgement (`TCP_USER_TIMEOUT`); `None`: as long as the
    /// kernel tries.
    pub user_timeout: Option<Duration>,
    /// Further connect attempts after the first, 0..=100.
    pub retries: u32,
}

/// Timeouts of a session. All are positive and at most 100 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One connect attempt.
    pub connect: Duration,
    /// No byte in either direction.
    pub idle: Duration,
    /// One direction ended, the other idle.
    pub half_closed: Duration,
    /// HTTP mode: the whole head of the first request.
    pub request: Duration,
    /// HTTP mode: no byte in either direction, after the answer 101; when not written: the same as `idle`.
    pub tunnel: Duration,
    /// A session's age, from which on it is closed when it is idle; `None`: it may get as old as it likes.
    pub max_age: Option<Duration>,
    /// Waiting in the queue of a full server; when not written: the same as `connect`.
    pub queue: Duration,
}

impl Default for SessionRules {
    /// What holds when nothing is written.
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            keepalive: None,
            user_timeout: None,
            retries: defaults::RETRIES,
        }
    }
}

impl Default for Timeouts {
    /// What holds when no timeout is written.
    fn default() -> Self {
        Self {
            connect: defaults::CONNECT_TIMEOUT,
            idle: defaults::IDLE_TIMEOUT,
            half_closed: defaults::HALF_CLOSED_TIMEOUT,
            request: defaults::REQUEST_TIMEOUT,
            queue: defaults::CONNECT_TIMEOUT,
            tunnel: defaults::IDLE_TIMEOUT,
            max_age: None,
        }
    }
}
