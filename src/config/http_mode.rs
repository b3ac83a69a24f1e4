//! HTTP mode of a frontend: `head_max`, `inspect`, `forwarded_for` and `trust`.

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
pub(super) struct RawHttpMode {
    pub head_max: Field<u32>,
    pub inspect: Field<Inspect>,
    pub forwarded_for: Field<bool>,
    pub trust: Field<Vec<Spanned<Network>>>,
}

impl RawHttpMode {
    /// Its keys, with where they are written.
    pub fn written(&self) -> [(&'static str, Option<Span>); 4] {
        [
            ("head_max", self.head_max.written().map(Spanned::span)),
            ("inspect", self.inspect.written().map(Spanned::span)),
            (
                "forwarded_for",
                self.forwarded_for.written().map(Spanned::span),
            ),
            ("trust", self.trust.written().map(Spanned::span)),
        ]
    }

    /// Fills in the defaults.
    pub fn with_defaults(&self) -> HttpMode {
        let default = HttpMode::default();
        HttpMode {
            head_max: *self.head_max.get().unwrap_or(&default.head_max),
            inspect: *self.inspect.get().unwrap_or(&default.inspect),
        }
    }
}

/// Checks that every request of a connection is read where servers are told the client's address; `None`: they
/// are not.
pub(super) fn validate_forwarded_for(
    out: &mut Diagnostics,
    raw: &RawHttpMode,
) -> Option<ForwardedFor> {
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
