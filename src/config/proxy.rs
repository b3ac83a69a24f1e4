//! The PROXY protocol: who may send heads to a frontend, and which ones servers of a backend get.
//!
//! The keys `accept_proxy` and `send_proxy`; their readers are in `read`.

use std::fmt;
use std::time::Duration;

use toml::Spanned;

use super::choice::word;
use super::error::Diagnostics;
use super::field::Field;
use super::network::trusted;
use super::problem::{Problem, Span, subsection};
use crate::logic::network::Network;

/// The specification asks for 3 s at least, which one lost packet may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Section `[frontend.NAME.accept_proxy]`: who may send a PROXY head, and what becomes of those who do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptProxy {
    /// Peers that may send one; at least one network. What others send is data.
    pub from: Vec<Network>,
    /// Whether a peer of `from` without a head is refused.
    pub required: bool,
    /// From accept to the end of the head.
    pub timeout: Duration,
}

impl AcceptProxy {
    /// What holds when only `from` is written.
    pub(super) fn from(from: Vec<Network>) -> Self {
        AcceptProxy {
            from,
            required: true,
            timeout: TIMEOUT,
        }
    }
}

/// The PROXY head that servers get before the bytes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendProxy {
    /// None.
    Off,
    /// One of version 1.
    V1,
    /// One of version 2.
    V2,
}

impl SendProxy {
    /// The names in the configuration.
    pub const NAMES: &[(&str, SendProxy)] = &[
        ("off", SendProxy::Off),
        ("v1", SendProxy::V1),
        ("v2", SendProxy::V2),
    ];
}

impl fmt::Display for SendProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(SendProxy::NAMES, *self))
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawAcceptProxy {
    /// Where the section begins.
    pub span: Span,
    pub from: Field<Vec<Spanned<Network>>>,
    pub required: Field<bool>,
    pub timeout: Field<Duration>,
}

/// How messages call the section; `frontend` is how they call the one that it belongs to.
pub(super) fn location(frontend: &str) -> String {
    subsection(frontend, "accept_proxy")
}

/// Fills in the defaults; `None` without `from`.
pub(super) fn validate_accept_proxy(
    out: &mut Diagnostics,
    raw: &RawAcceptProxy,
    frontend: &str,
) -> Option<AcceptProxy> {
    if matches!(raw.from, Field::Absent) {
        let title = format!("missing key `from` in {}", location(frontend));
        let cure = "add from = [\"10.0.0.7\"], the hosts that send PROXY heads";
        out.error(raw.span.clone(), Problem::new(title, cure));
    }
    let default = AcceptProxy::from(trusted(out, "from", raw.from.get()?));
    Some(AcceptProxy {
        required: *raw.required.get().unwrap_or(&default.required),
        timeout: *raw.timeout.get().unwrap_or(&default.timeout),
        ..default
    })
}
