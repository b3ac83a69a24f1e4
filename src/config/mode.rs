//! What a frontend relays: bytes, HTTP whose first request it reads, or TLS whose first message it reads.
//!
//! The key `mode`; those that only one mode has are in `http_mode` and `tls_mode`.

use std::fmt;

use toml::Spanned;

use super::error::Diagnostics;
use super::field::Field;
use super::http_mode::{HttpMode, RawHttpMode};
use super::problem::{Problem, Span};
use super::tls_mode::{RawTlsMode, TlsMode};

/// What a frontend relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes, whatever they mean.
    Tcp,
    /// HTTP/1: the first request of a connection is read, and its answer; then bytes.
    Http(HttpMode),
    /// TLS: the ClientHello is read, which chooses the backend; then bytes.
    Tls(TlsMode),
}

impl Mode {
    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Tcp => "tcp",
            Mode::Http(_) => "http",
            Mode::Tls(_) => "tls",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawMode {
    pub kind: Field<RawKind>,
    pub http: RawHttpMode,
    pub tls: RawTlsMode,
}

/// Value of `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawKind {
    Tcp,
    Http,
    Tls,
}

impl RawKind {
    /// The names in the configuration.
    pub const NAMES: &[(&str, RawKind)] = &[
        ("tcp", RawKind::Tcp),
        ("http", RawKind::Http),
        ("tls", RawKind::Tls),
    ];
}

impl RawMode {
    /// The mode of the frontend, written or by default; `None`: what is written is wrong, which was reported.
    pub fn kind(&self) -> Option<RawKind> {
        match &self.kind {
            Field::Written(kind) => Some(*kind.get_ref()),
            Field::Absent => Some(RawKind::Tcp),
            Field::Invalid => None,
        }
    }

    /// Where the mode is written, if it is.
    pub fn span(&self) -> Option<Span> {
        self.kind.written().map(Spanned::span)
    }
}

/// Checks that no key of another mode is written, and fills in the defaults.
pub(super) fn validate_mode(out: &mut Diagnostics, raw: &RawMode) -> Mode {
    let Some(kind) = raw.kind() else {
        return Mode::Tcp;
    };
    let RawMode { http, tls, .. } = raw;
    let mode = match kind {
        RawKind::Tcp => Mode::Tcp,
        RawKind::Http => Mode::Http(http.with_defaults()),
        RawKind::Tls => Mode::Tls(tls.with_defaults()),
    };
    for (owner, keys) in [
        (RawKind::Http, &http.written()[..]),
        (RawKind::Tls, &tls.written()[..]),
    ] {
        if owner == kind {
            continue;
        }
        let needed = match owner {
            RawKind::Tls => "tls",
            RawKind::Tcp | RawKind::Http => "http",
        };
        for (key, span) in keys {
            let Some(span) = span else { continue };
            let title = format!("`{key}` has no meaning for a frontend of mode \"{mode}\"");
            let cure = format!("write mode = \"{needed}\", or remove it");
            out.error(span.clone(), Problem::new(title, cure));
        }
    }
    mode
}
