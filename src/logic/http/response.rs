//! The heads of the answers to the first request.

use super::caching::Caching;
use super::cookie;
use super::field::{self, CONNECTION_CLOSE, Field, Persistence};
use super::framing::Framing;
use super::lines::{Ending, Line, Lines, Span};
use memchr::memchr;
use std::iter;
use std::ops::Range;

/// What the beginning of a server's bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseScan<'b> {
    /// Nothing yet: more bytes are needed.
    Partial,
    /// A whole interim head, of a status from 100 to 199 other than 101: so many bytes are passed
    /// on as they are, and the next head begins behind them, with a `searched` of 0.
    Interim {
        /// At most `head_max`.
        len: u32,
    },
    /// A final answer whose head is complete.
    Whole(ResponseHead<'b>),
    /// Not HTTP/1, or no end within `head_max`: everything passes as it is.
    Opaque,
}

/// A whole head of a final answer, or of 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<'b> {
    /// From the first byte through the empty line.
    pub head: &'b [u8],
    /// 101, or 200 to 999.
    pub status: u16,
    facts: Facts,
    /// Where the empty line begins.
    fields_end: usize,
    ending: Ending,
}

/// What is changed in the head of an answer.
#[derive(Clone, Copy, Debug)]
pub struct ResponseEdit<'e> {
    /// The name of the sticky cookie: a Set-Cookie of this name from the server is removed.
    pub cookie: Option<&'e str>,
    /// What follows `Set-Cookie: ` in a line of ours.
    pub set_cookie: Option<&'e str>,
    /// Adds `Connection: close`.
    pub close: bool,
    /// The method of the request: what could be cached depends on it.
    pub method: &'e [u8],
}

/// What rewriting the head of an answer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Whether anything differs.
    pub changed: bool,
    /// Whether the server had set a cookie of our name.
    pub removed_cookie: bool,
}

/// Bytes of the lines that are added, but for the value of Set-Cookie, and a few more.
const ADDED_LEN: usize = 64;

/// Scans what has come of the answers to the first request.
///
/// `bytes` begins with the first byte of a head. `searched` is 0 at first and kept by the caller
/// between calls for the same head: how far its end was looked for. A head may have at most
/// `head_max` bytes.
pub fn scan_response<'b>(bytes: &'b [u8], searched: &mut u32, head_max: u32) -> ResponseScan<'b> {
    let head_max = head_max as usize;
    let window = &bytes[..bytes.len().min(head_max)];
    let unfinished = || {
        if window.len() == head_max {
            ResponseScan::Opaque
        } else {
            ResponseScan::Partial
        }
    };
    let status = match status(window) {
        StatusLine::Partial => return unfinished(),
        StatusLine::Opaque => return ResponseScan::Opaque,
        StatusLine::Status(status) => status,
    };
    let before = (*searched as usize).min(window.len());
    let mut found = walk(window, Lines::resume(window, 0, before));
    if found.is_some() && before > 0 {
        // The lines before were passed over, not kept.
        found = walk(window, Lines::new(window, 0));
    }
    match found {
        None => {
            // Always below 4 GiB, since `head_max` is.
            *searched = window.len() as u32;
            unfinished()
        }
        Some(head) if status < 200 && status != 101 => ResponseScan::Interim {
            len: head.head.len() as u32,
        },
        Some(head) => ResponseScan::Whole(ResponseHead { status, ..head }),
    }
}

/// What the bytes begin with.
enum StatusLine {
    Partial,
    Opaque,
    Status(u16),
}

/// Reads no further than the byte behind the status.
fn status(bytes: &[u8]) -> StatusLine {
    const PATTERN: &[u8; 12] = b"HTTP/1.0 000";
    let fits = PATTERN
        .iter()
        .zip(bytes)
        .all(|(pattern, byte)| match pattern {
            b'0' => byte.is_ascii_digit(),
            _ => byte == pattern,
        });
    if !fits {
        return StatusLine::Opaque;
    }
    match bytes.get(9..).unwrap_or_default() {
        [] | [_] | [_, _] | [_, _, _] => StatusLine::Partial,
        [hundreds @ b'1'..=b'9', tens, ones, b' ' | b'\r' | b'\n', ..] => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            StatusLine::Status(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
        }
        _ => StatusLine::Opaque,
    }
}

/// Goes through the lines that are left, until the empty one.
fn walk<'b>(window: &'b [u8], mut lines: Lines<'b>) -> Option<ResponseHead<'b>> {
    let mut facts = Facts::default();
    let mut field = Field::Other;
    // The first line of this field, and whether there is a CR within its lines.
    let (mut first, mut bare_cr) = (Line::default(), false);
    let mut ending = None;
    loop {
        let line = lines.next_lenient()?;
        let text = line.text(window);
        let ending = *ending.get_or_insert(line.ending());
        if line.start == 0 {
            continue;
        }
        if line.is_empty() {
            return Some(ResponseHead {
                head: &window[..line.end],
                status: 0,
                facts,
                fields_end: line.start,
                ending,
            });
        }
        let value = if is_folded(text) {
            text
        } else {
            let value;
            (field, value) = split(text);
            (first, bare_cr) = (line, false);
            value
        };
        facts.field(field, value, &line);
        bare_cr |= memchr(b'\r', text).is_some();
        if bare_cr {
            facts.set_cookie_lines.extend(&first);
            facts.set_cookie_lines.extend(&line);
        }
    }
}

/// Whether the line goes on with the field of the line before it.
fn is_folded(text: &[u8]) -> bool {
    text.first().copied().is_some_and(field::is_space)
}

/// The field of a line, and its value. White space before the colon is passed over, since clients
/// may; a line without a colon is no field.
fn split(text: &[u8]) -> (Field, &[u8]) {
    match memchr(b':', text) {
        Some(colon) => {
            let name = field::trim_end(&text[..colon]);
            (Field::of(name), &text[colon + 1..])
        }
        None => (Field::Other, text),
    }
}

/// Whether a field, with the lines in which it goes on, sets the cookie of this name.
///
/// Some browsers take a bare CR for the end of a line. What they find behind it counts too.
fn sets_cookie(text: &[u8], name: &[u8]) -> bool {
    let behind_cr = text.split(|&byte| byte == b'\r').skip(1);
    iter::once(text).chain(behind_cr).any(|text| {
        let (field, value) = split(text);
        field == Field::SetCookie && cookie::sets(value, name)
    })
}

/// What is known from the lines of a head so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    /// Those of Set-Cookie, and those in which a browser may find one.
    set_cookie_lines: Span,
    framing: Framing,
    connection_lines: Span,
    persistence: Persistence,
    caching: Caching,
}

impl Facts {
    /// Takes a line, or one more line, of a field.
    fn field(&mut self, field: Field, value: &[u8], line: &Line) {
        match field {
            Field::SetCookie => self.set_cookie_lines.extend(line),
            Field::Connection | Field::KeepAlive | Field::ProxyConnection => {
                self.connection_lines.extend(line);
                self.persistence = self.persistence.and(field, value);
            }
            Field::CacheControl | Field::Expires => self.caching.field(field, value),
            Field::ContentLength => self.framing.content_length(value),
            Field::TransferEncoding => self.framing.transfer_encoding(value),
            Field::Cookie
            | Field::Forwarded
            | Field::ForwardedLookalike
            | Field::FramingLookalike
            | Field::Host
            | Field::Upgrade
            | Field::Via
            | Field::XForwardedFor
            | Field::Other => {}
        }
    }
}

impl ResponseHead<'_> {
    /// Writes the head as the client shall get it into `out`, which is cleared first.
    ///
    /// Lines of Set-Cookie for the sticky cookie go; those of Connection, Keep-Alive and
    /// Proxy-Connection give way to `Connection: close` if that is wanted, except in answers that
    /// end HTTP on the connection, and in those that have it already. Lines of ours come last. If
    /// nothing differs from `head`, `out` is left empty.
    ///
    /// Beside our Set-Cookie there is `Cache-Control: private` if a shared cache might keep the
    /// answer otherwise.
    pub fn rewrite(&self, edit: &ResponseEdit<'_>, out: &mut Vec<u8>) -> Rewritten {
        out.clear();
        let close = edit.close
            && !self.is_tunnel(edit.method)
            && self.facts.persistence != Persistence::Closes;
        let lines = |wanted: bool, lines: Span| if wanted { lines } else { Span::default() };
        let set_cookie_lines = lines(edit.cookie.is_some(), self.facts.set_cookie_lines);
        let connection_lines = lines(close, self.facts.connection_lines);
        let edited = set_cookie_lines.with(connection_lines, self.fields_end);
        let adds = close || edit.set_cookie.is_some();
        if edited.is_empty() && !adds {
            return Rewritten::default();
        }
        out.reserve(self.head.len() + edit.set_cookie.map_or(0, str::len) + ADDED_LEN);
        out.extend_from_slice(&self.head[..edited.start]);
        let removed_cookie = self.copy_kept(edited.clone(), edit.cookie, close, out);
        if !removed_cookie && !adds {
            out.clear();
            return Rewritten::default();
        }
        out.extend_from_slice(&self.head[edited.end..self.fields_end]);
        let mut add = |line: [&[u8]; 2]| {
            line.into_iter()
                .chain([self.ending.bytes()])
                .for_each(|part| out.extend_from_slice(part));
        };
        if let Some(set_cookie) = edit.set_cookie {
            add([b"Set-Cookie: ", set_cookie.as_bytes()]);
            if self.facts.caching.may_be_shared(self.status, edit.method) {
                add([b"Cache-Control: ", b"private"]);
            }
        }
        if close {
            add([CONNECTION_CLOSE, b""]);
        }
        out.extend_from_slice(&self.head[self.fields_end..]);
        Rewritten {
            changed: true,
            removed_cookie,
        }
    }

    /// Copies those of the lines in `edited` that stay; whether a Set-Cookie did not.
    fn copy_kept(
        &self,
        edited: Range<usize>,
        cookie: Option<&str>,
        close: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut removed_cookie = false;
        let mut kept = true;
        let mut lines = Lines::new(&self.head[..edited.end], edited.start);
        while let Some(line) = lines.next_lenient() {
            let text = line.text(self.head);
            if !is_folded(text) {
                let whole = &self.head[line.start..self.field_end(lines.clone(), &line)];
                let ours = cookie.is_some_and(|cookie| sets_cookie(whole, cookie.as_bytes()));
                removed_cookie |= ours;
                let replaced = close && split(text).0.keeps_connection();
                kept = !ours && !replaced;
            }
            if kept {
                out.extend_from_slice(&self.head[line.start..line.end]);
            }
        }
        removed_cookie
    }

    /// Where the text of a field ends whose first line is `line`; `behind` are the lines after it.
    fn field_end(&self, behind: Lines<'_>, line: &Line) -> usize {
        let mut end = line.text_end;
        let mut behind = behind;
        while let Some(line) = behind.next_lenient()
            && is_folded(line.text(self.head))
        {
            end = line.text_end;
        }
        end
    }

    /// Whether nothing more is to come: `body` is all that came behind the head. It may be said of
    /// an answer that is not whole, and never of one to CONNECT: no more than a hint.
    pub fn is_whole(&self, method: &[u8], body: &[u8]) -> bool {
        let has_no_body = method == b"HEAD" || matches!(self.status, 204 | 304);
        !self.is_tunnel(method) && (has_no_body || self.facts.framing.is_whole(body))
    }

    /// Whether what follows is no longer HTTP.
    fn is_tunnel(&self, method: &[u8]) -> bool {
        self.status == 101 || (method == b"CONNECT" && self.status < 300)
    }
}
