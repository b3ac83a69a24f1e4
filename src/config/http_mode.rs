//! What a frontend relays: bytes, or HTTP whose first request it reads.
//!
//! The keys `mode`, `head_max`, `inspect`, `forwarded_for` and `trust` belong together, so their reader, their checks and
//! their part of the configuration are here; `read` and `validate` call them.

use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;

use super::choice::word;
use super::error::Diagnostics;
use super::field::Field;
use super::network::trusted;
use super::problem::{Problem, Span};
use crate::logic::network::Network;

/// Below the smallest, heads of today's browsers do not fit; above the largest, not even servers
/// take them.
pub(super) const HEAD_SIZES: RangeInclusive<u64> = 1 << 10..=64 << 10;

/// What a frontend relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes, whatever they mean.
    Tcp,
    /// HTTP/1: the first request of a connection is read, and its answer; then bytes.
    Http(HttpMode),
}

impl fmt::Display for Mode {
    /// Its name in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Tcp => "tcp",
            Mode::Http(_) => "http",
        })
    }
}

/// How HTTP is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpMode {
    /// Largest head of a request or an answer that is looked at, in bytes, 1 KiB..=64 KiB.
    pub head_max: u32,
    /// How many requests of a connection are meant to be seen.
    pub inspect: Inspect,
}

impl Default for HttpMode {
    /// What holds when only the mode is written.
    fn default() -> Self {
        Self {
            head_max: 16 << 10,
            inspect: Inspect::First,
        }
    }
}

/// How servers are told the client's address: by a line `X-Forwarded-For` in the request, which replaces
/// those that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedFor {
    /// Clients whose own lines are kept; the address is appended to them.
    pub trust: Vec<Network>,
}

/// What becomes of a connection after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspect {
    /// It goes on as a tunnel: only the first request is read.
    First,
    /// It ends, so that the first request is the only one.
    Close,
}

impl Inspect {
    /// The names in the configuration.
    pub const NAMES: &[(&str, Inspect)] = &[("first", Inspect::First), ("close", Inspect::Close)];
}

impl fmt::Display for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(Inspect::NAMES, *self))
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawMode {
    pub kind: Field<RawKind>,
    pub head_max: Field<u32>,
    pub inspect: Field<Inspect>,
    pub forwarded_for: Field<bool>,
    pub trust: Field<Vec<Spanned<Network>>>,
}

/// Value of `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawKind {
    Tcp,
    Http,
}

impl RawKind {
    /// The names in the configuration.
    pub const NAMES: &[(&str, RawKind)] = &[("tcp", RawKind::Tcp), ("http", RawKind::Http)];
}

impl RawMode {
    /// Whether the frontend is in TCP mode, written or by default.
    pub fn is_tcp(&self) -> bool {
        match &self.kind {
            Field::Written(kind) => *kind.get_ref() == RawKind::Tcp,
            Field::Absent => true,
            // Reported, and it may well have meant the other.
            Field::Invalid => false,
        }
    }
}

/// Checks what concerns more than one value, and fills in the defaults.
pub(super) fn validate_mode(out: &mut Diagnostics, raw: &RawMode) -> Mode {
    if raw.is_tcp() {
        let written: [(&str, Option<Span>); 4] = [
            ("head_max", raw.head_max.written().map(Spanned::span)),
            ("inspect", raw.inspect.written().map(Spanned::span)),
            (
                "forwarded_for",
                raw.forwarded_for.written().map(Spanned::span),
            ),
            ("trust", raw.trust.written().map(Spanned::span)),
        ];
        for (key, span) in written {
            let Some(span) = span else { continue };
            let title = format!("`{key}` has no meaning for a frontend of mode \"tcp\"");
            let cure = "write mode = \"http\", or remove it";
            out.error(span, Problem::new(title, cure));
        }
        return Mode::Tcp;
    }
    let default = HttpMode::default();
    Mode::Http(HttpMode {
        head_max: *raw.head_max.get().unwrap_or(&default.head_max),
        inspect: *raw.inspect.get().unwrap_or(&default.inspect),
    })
}

/// Checks that every request of a connection is read where servers are told the client's address; `None`: they
/// are not. What is wrong in TCP mode, [`validate_mode`] has reported.
pub(super) fn validate_forwarded_for(out: &mut Diagnostics, raw: &RawMode) -> Option<ForwardedFor> {
    if raw.is_tcp() {
        return None;
    }
    let wanted = raw.forwarded_for.written();
    let wanted = wanted.filter(|wanted| *wanted.get_ref());
    if let (None, Some(trust)) = (wanted, raw.trust.written()) {
        let title = "`trust` has no meaning without `forwarded_for`";
        let cure = "write forwarded_for = true, or remove it";
        out.error(trust.span(), Problem::new(title, cure));
    }
    let wanted = wanted?;
    let inspect = match &raw.inspect {
        Field::Absent => Some(HttpMode::default().inspect),
        written => written.get().copied(),
    };
    if inspect == Some(Inspect::First) {
        let title = "`forwarded_for` with inspect = \"first\": only the first request of a connection is \
                     read, so later ones would have what their client wrote";
        out.error(
            wanted.span(),
            Problem::new(title, "write inspect = \"close\""),
        );
    }
    let trust = raw.trust.get().map_or(&[][..], Vec::as_slice);
    Some(ForwardedFor {
        trust: trusted(out, "trust", trust),
    })
}
