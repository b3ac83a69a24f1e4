//! A change of a server's state, and what led to it.

use std::fmt;
use std::time::Duration;

use super::states::{AdminState, OperationalState};

/// What a probe found, or why else a state changed. Its text begins with HAProxy's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no result yet.
    Initial,
    /// The connection stood.
    L4Ok,
    /// It did not stand in time.
    L4Timeout,
    /// It was refused, or there is no way there.
    L4Connect(&'static str),
    /// The handshake of TLS was made.
    L6Ok,
    /// It was not made in time.
    L6Timeout,
    /// It failed, or the certificate was refused.
    L6Response(&'static str),
    /// The status was among the expected ones, and the body as expected.
    L7Ok(u16),
    /// What was to be sent was sent, and what was expected came.
    L7Done,
    /// No status line came in time, or nothing at all.
    L7Timeout,
    /// The status was another.
    L7Status(u16),
    /// The answer was not HTTP, broke off, or has not what is expected.
    L7Response(&'static str),
    /// This host could not probe: it says nothing about the server.
    Socket(&'static str),
    /// The operator.
    Operator,
    /// A configuration that says something else about its checks.
    Configuration,
    /// Its host name could not be resolved.
    Resolve,
    /// Its host name could be resolved at last.
    Resolved,
}

impl Cause {
    /// Whether a probe with this result passed; `None`: it says nothing about the server.
    pub const fn passed(self) -> Option<bool> {
        match self {
            Cause::L4Ok | Cause::L6Ok | Cause::L7Ok(_) | Cause::L7Done => Some(true),
            Cause::L4Timeout
            | Cause::L4Connect(_)
            | Cause::L6Timeout
            | Cause::L6Response(_)
            | Cause::L7Timeout
            | Cause::L7Status(_)
            | Cause::L7Response(_) => Some(false),
            Cause::Initial
            | Cause::Socket(_)
            | Cause::Operator
            | Cause::Configuration
            | Cause::Resolve
            | Cause::Resolved => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Initial => f.write_str("INI"),
            Cause::L4Ok => f.write_str("L4OK"),
            Cause::L4Timeout => f.write_str("L4TOUT"),
            Cause::L4Connect(why) => write!(f, "L4CON {why}"),
            Cause::L6Ok => f.write_str("L6OK"),
            Cause::L6Timeout => f.write_str("L6TOUT"),
            Cause::L6Response(why) => write!(f, "L6RSP {why}"),
            Cause::L7Done => f.write_str("L7OK"),
            Cause::L7Ok(status) => write!(f, "L7OK {status}"),
            Cause::L7Timeout => f.write_str("L7TOUT"),
            Cause::L7Status(status) => write!(f, "L7STS {status}"),
            Cause::L7Response(why) => write!(f, "L7RSP {why}"),
            Cause::Socket(why) => write!(f, "SOCKERR {why}"),
            Cause::Operator => f.write_str("operator"),
            Cause::Configuration => f.write_str("configuration"),
            Cause::Resolve => f.write_str("RESOLVE"),
            Cause::Resolved => f.write_str("resolved"),
        }
    }
}

/// A change of the operational or of the administrative state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The old state and the new one.
    pub transition: Transition,
    /// What led to it.
    pub cause: Cause,
    /// Equal results in a row that led to it; 0 if it was not a probe.
    pub results: u32,
    /// How long the old state had lasted.
    pub lasted: Duration,
}

/// From one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Of the operational state.
    Operational(OperationalState, OperationalState),
    /// Of the administrative state.
    Admin(AdminState, AdminState),
}

impl Transition {
    /// Whether the server went down.
    pub const fn is_down(self) -> bool {
        match self {
            Transition::Operational(_, OperationalState::Down) => true,
            Transition::Operational(_, OperationalState::Unchecked | OperationalState::Up)
            | Transition::Admin(_, _) => false,
        }
    }

    /// The names of both states in logs and statistics.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Transition::Operational(from, to) => (from.as_str(), to.as_str()),
            Transition::Admin(from, to) => (from.as_str(), to.as_str()),
        }
    }
}
