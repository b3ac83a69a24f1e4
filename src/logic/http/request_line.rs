//! The first line of a request, whole or as much of it as has come.

use super::field::token_len;
use super::refusal::Refusal;

/// Bytes at the beginning of a request that are looked at before their line is complete. What is
/// not HTTP/1 shows here; a constant, so that a line that comes byte by byte costs linear time.
pub(super) const OPENING_LEN: usize = 64;

/// Longest method; the longest that is registered has 17 bytes.
const METHOD_LEN_MAX: usize = 32;

/// Blank lines before a request that are accepted, for clients that send one too many after a body.
const BLANK_LINES_MAX: usize = 8;

/// The first two bytes of a TLS handshake: its record type, and the major version.
const TLS: [u8; 2] = [0x16, 0x03];

const VERSION: &[u8] = b"HTTP/1.";

/// How the preface of HTTP/2 begins.
const HTTP2: &[u8] = b"PRI * HTTP/2";

/// How many bytes of whole blank lines there are at the beginning.
pub(super) fn blank_lines_len(bytes: &[u8]) -> Result<usize, Refusal> {
    let mut len = 0;
    for _ in 0..=BLANK_LINES_MAX {
        len += match &bytes[len..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return Ok(len),
        };
    }
    Err(Refusal::Malformed)
}

/// The parts of a whole first line.
pub(super) struct RequestLine<'b> {
    pub method: &'b [u8],
    pub target: &'b [u8],
    pub is_http_1_0: bool,
}

/// The parts of a whole first line; one or more spaces are between them (RFC 9112, section 3).
#[inline]
pub(super) fn split(line: &[u8]) -> Option<RequestLine<'_>> {
    let (method, rest) = line.split_at(token_len(line));
    let [b' ', rest @ ..] = rest else {
        return None;
    };
    let (rest, [version @ .., minor]) = rest.split_last_chunk::<8>()?;
    let [target @ .., b' '] = rest else {
        return None;
    };
    let mut target = without_spaces(target);
    while let [rest @ .., b' '] = target {
        target = rest;
    }
    let is_version = version == VERSION && minor.is_ascii_digit();
    let is_method = (1..=METHOD_LEN_MAX).contains(&method.len());
    // All bytes are looked at, without a branch for each: most targets are in order.
    let is_target = !target.is_empty()
        && target
            .iter()
            .fold(true, |all, &byte| all & is_target_byte(byte));
    (is_version && is_method && is_target).then_some(RequestLine {
        method,
        target,
        is_http_1_0: *minor == b'0',
    })
}

/// Whether the byte may be in a target. No white space, of which servers might make the end of it;
/// what is above 127 is not legal, but common and plain.
#[inline]
fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// Why this beginning of a first line can't become a request; none if it can, or might.
///
/// Looks at no more than [`OPENING_LEN`] bytes, and refuses nothing that [`split`] takes.
pub(super) fn refuse_opening(bytes: &[u8]) -> Option<Refusal> {
    let bytes = &bytes[..bytes.len().min(OPENING_LEN)];
    if bytes == &TLS[..1] || bytes == b"\r" {
        return None;
    }
    if bytes.starts_with(&TLS) {
        return Some(Refusal::Tls);
    }
    let (method, rest) = bytes.split_at(token_len(bytes));
    if method.len() > METHOD_LEN_MAX {
        return Some(Refusal::Malformed);
    }
    let rest = match rest {
        [] => return None,
        [b' ', rest @ ..] if !method.is_empty() => without_spaces(rest),
        _ => return Some(Refusal::Malformed),
    };
    let target_end = rest.iter().position(|&byte| !is_target_byte(byte))?;
    let (target, rest) = rest.split_at(target_end);
    let [b' ', version @ ..] = rest else {
        return Some(Refusal::Malformed);
    };
    if target.is_empty() {
        return Some(Refusal::Malformed);
    }
    refuse_version(without_spaces(version)).map(|refusal| match refusal {
        Refusal::Http2 if !bytes.starts_with(HTTP2) => Refusal::Malformed,
        other => other,
    })
}

/// Without the spaces at the beginning.
fn without_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The same for what begins with the version; any HTTP/2 is called so.
fn refuse_version(bytes: &[u8]) -> Option<Refusal> {
    let len = bytes.len().min(VERSION.len());
    if bytes[..len] != VERSION[..len] {
        let is_http2 = bytes.starts_with(b"HTTP/2");
        return Some(if is_http2 {
            Refusal::Http2
        } else {
            Refusal::Malformed
        });
    }
    match &bytes[len..] {
        [] | [b'0'..=b'9'] | [b'0'..=b'9', b'\n' | b'\r', ..] => None,
        _ => Some(Refusal::Malformed),
    }
}
