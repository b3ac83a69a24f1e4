//! The head of the first request of a connection.

use std::net::IpAddr;

use super::cookie::{self, Remains};
use super::field::{self, CONNECTION_CLOSE, Field, Persistence};
use super::framing::{self, Framing};
use super::lines::{Ending, Line, Lines, Next, Span};
use super::refusal::Refusal;
use super::request_line::{self, OPENING_LEN};
use super::target;

/// What the beginning of a connection's bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestScan<'b> {
    /// Nothing yet: more bytes are needed.
    Partial,
    /// A request whose head is complete.
    Whole(RequestHead<'b>),
    /// Nothing that we pass on.
    Refused(Refusal),
}

/// The address of a client, for the line `X-Forwarded-For` of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The address.
    pub client: IpAddr,
    /// What came in such lines is kept before it; else it is replaced.
    pub append: bool,
}

/// A whole head of a request, and what we want to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<'b> {
    /// From the first byte, blank lines before the request included, through the empty line.
    pub head: &'b [u8],
    /// A token of at most 32 bytes.
    pub method: &'b [u8],
    /// As it came, without white space and control characters; not empty.
    pub target: &'b [u8],
    /// The value of the sticky cookie, if there is one; the first wins. It may be empty, and quotes
    /// are part of it.
    pub cookie: Option<&'b [u8]>,
    /// Whether a proxy passed it on, as Via, Forwarded or X-Forwarded-For say: later requests of
    /// the connection may be those of other users.
    pub through_proxy: bool,
    /// Whether the connection may become something else: CONNECT, or both `Upgrade` and
    /// `Connection: upgrade`.
    pub upgrade: bool,
    /// The name of the sticky cookie, as it stands in the head.
    cookie_name: Option<&'b [u8]>,
    cookie_lines: Span,
    connection_lines: Span,
    forwarded_lines: Span,
    persistence: Persistence,
    /// Where the empty line begins.
    fields_end: usize,
    ending: Ending,
}

/// Scans what has come of a request so far, for the sticky cookie of this name.
///
/// `bytes` begins with the first byte of the connection. `searched` is 0 at first and kept by the
/// caller between calls for the same request: how far the end of the head was looked for. A head
/// may have at most `head_max` bytes, target and blank lines included. The refusal comes with the
/// first bytes that make it certain, but for what is inside of a line: that is looked at when the
/// line is complete, except for the first 64 bytes of the request.
pub fn scan_request<'b>(
    bytes: &'b [u8],
    searched: &mut u32,
    head_max: u32,
    cookie: Option<&str>,
) -> RequestScan<'b> {
    let head_max = head_max as usize;
    let window = &bytes[..bytes.len().min(head_max)];
    let first = match request_line::blank_lines_len(window) {
        Ok(len) => len,
        Err(refusal) => return RequestScan::Refused(refusal),
    };
    let name = cookie.map(str::as_bytes);
    let before = *searched as usize;
    let walk = if before <= first {
        walk(window, Lines::new(window, first), first, name)
    } else {
        let rest = Lines::resume(window, first, before.min(window.len()));
        match walk(window, rest, first, name) {
            // The lines before were only checked, not kept.
            SessionScan::Whole(..) => walk(window, Lines::new(window, first), first, name),
            other => other,
        }
    };
    let is_opening = before < first + OPENING_LEN;
    match walk {
        SessionScan::Whole(facts, empty) => facts.finish(window, &empty),
        SessionScan::Refused(refusal) => RequestScan::Refused(refusal),
        SessionScan::Unfinished(at) => {
            // Always below 4 GiB, since `head_max` is.
            *searched = at as u32;
            let opening = &window[first..];
            match request_line::refuse_opening(opening).filter(|_| is_opening) {
                Some(refusal) => RequestScan::Refused(refusal),
                None if window.len() == head_max => RequestScan::Refused(Refusal::TooLong),
                None => RequestScan::Partial,
            }
        }
    }
}

enum SessionScan<'b> {
    /// The line is the empty one.
    Whole(Facts<'b>, Line),
    Refused(Refusal),
    Unfinished(usize),
}

/// Goes through the lines that are left; `first` is where the first line of the request begins.
fn walk<'b>(
    window: &'b [u8],
    mut lines: Lines<'b>,
    first: usize,
    cookie: Option<&[u8]>,
) -> SessionScan<'b> {
    let mut facts = Facts::default();
    loop {
        let line = match lines.next_strict() {
            Next::Line(line) => line,
            Next::Broken => return SessionScan::Refused(refusal_of(&window[first..])),
            Next::Unfinished(at) => return SessionScan::Unfinished(at),
        };
        let text = line.text(window);
        if line.start == first {
            let Some(request_line) = request_line::split(text) else {
                return SessionScan::Refused(refusal_of(&window[first..]));
            };
            (facts.method, facts.target) = (request_line.method, request_line.target);
            facts.is_http_1_0 = request_line.is_http_1_0;
            facts.ending = Some(line.ending());
        } else if line.is_empty() {
            return SessionScan::Whole(facts, line);
        } else if let Some((name, value)) = field::split(text) {
            facts.field(Field::of(name), value, &line, cookie);
        } else {
            return SessionScan::Refused(Refusal::Malformed);
        }
    }
}

/// Why a request is refused whose lines can't be taken.
fn refusal_of(request: &[u8]) -> Refusal {
    request_line::refuse_opening(request).unwrap_or(Refusal::Malformed)
}

/// What is known from the lines of a head so far.
#[derive(Default)]
struct Facts<'b> {
    method: &'b [u8],
    target: &'b [u8],
    is_http_1_0: bool,
    ending: Option<Ending>,
    /// Of the first Host, without the white space around it.
    host: Option<&'b [u8]>,
    several_hosts: bool,
    framing: Framing,
    /// Name and value.
    cookie: Option<(&'b [u8], &'b [u8])>,
    cookie_lines: Span,
    connection_lines: Span,
    forwarded_lines: Span,
    persistence: Persistence,
    through_proxy: bool,
    /// There is an Upgrade field.
    offers_upgrade: bool,
    /// Connection names it.
    wants_upgrade: bool,
}

impl<'b> Facts<'b> {
    #[inline]
    fn field(&mut self, field: Field, value: &'b [u8], line: &Line, cookie: Option<&[u8]>) {
        match field {
            Field::Cookie => {
                if self.cookie.is_none() {
                    self.cookie = cookie.and_then(|name| cookie::find(value, name));
                }
                if self.cookie.is_some() {
                    self.cookie_lines.extend(line);
                }
            }
            Field::Connection | Field::KeepAlive | Field::ProxyConnection => {
                self.connection_lines.extend(line);
                self.persistence = self.persistence.and(field, value);
                if field == Field::Connection {
                    field::list(value).for_each(|option| self.connection_option(option));
                }
            }
            Field::Upgrade => self.offers_upgrade = true,
            Field::Via | Field::Forwarded => self.through_proxy = true,
            Field::XForwardedFor => {
                self.through_proxy = true;
                self.forwarded_lines.extend(line);
            }
            Field::ForwardedLookalike => self.forwarded_lines.extend(line),
            Field::Host => match self.host {
                None => self.host = Some(field::trim(value)),
                Some(_) => self.several_hosts = true,
            },
            Field::ContentLength => self.framing.content_length(value),
            Field::TransferEncoding => self.framing.transfer_encoding(value),
            Field::FramingLookalike => self.framing.lookalike(),
            Field::CacheControl | Field::Expires | Field::SetCookie | Field::Other => {}
        }
    }

    fn connection_option(&mut self, option: &[u8]) {
        self.wants_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        if framing::is_framing_field(option) {
            self.framing.lookalike();
        }
    }

    fn finish(self, window: &'b [u8], empty: &Line) -> RequestScan<'b> {
        let is_sound = self.framing.is_sound(self.is_http_1_0)
            && !self.several_hosts
            && target::is_sound(self.method, self.target, self.host);
        if !is_sound {
            return RequestScan::Refused(Refusal::Malformed);
        }
        let asks_upgrade = self.offers_upgrade && self.wants_upgrade;
        RequestScan::Whole(RequestHead {
            head: &window[..empty.end],
            method: self.method,
            target: self.target,
            cookie: self.cookie.map(|(_, value)| value),
            through_proxy: self.through_proxy,
            upgrade: asks_upgrade || self.method == b"CONNECT",
            cookie_name: self.cookie.map(|(name, _)| name),
            cookie_lines: self.cookie_lines,
            connection_lines: self.connection_lines,
            forwarded_lines: self.forwarded_lines,
            persistence: self.persistence,
            fields_end: empty.start,
            ending: self.ending.unwrap_or(Ending::CrLf),
        })
    }
}

impl RequestHead<'_> {
    /// Writes the head as the server shall get it into `out`, which is cleared first: without the
    /// sticky cookie, wherever it occurs; a Cookie line in which nothing is left goes too.
    ///
    /// With `close` the lines of Connection, Keep-Alive and Proxy-Connection give way to one
    /// `Connection: close` at the end; not so if the request asks for an upgrade, or has
    /// `Connection: close` and none of the others already. Returns whether anything differs from
    /// `head`; if not, `out` is left empty.
    pub fn rewrite(&self, close: bool, out: &mut Vec<u8>) -> bool {
        self.rewrite_for(close, None, out)
    }

    /// The same; with `forwarded` the lines of X-Forwarded-For give way to one that has the client's address.
    /// Names that CGI takes for that one are removed as well.
    pub fn rewrite_for(
        &self,
        close: bool,
        forwarded: Option<&Forwarded>,
        out: &mut Vec<u8>,
    ) -> bool {
        out.clear();
        let close = close && !self.upgrade && self.persistence != Persistence::Closes;
        if !close && self.cookie_name.is_none() && forwarded.is_none() {
            return false;
        }
        let mut lines = Span::default();
        if close {
            lines = self.connection_lines;
        }
        if forwarded.is_some() {
            lines = lines.and(self.forwarded_lines);
        }
        let edited = self.cookie_lines.with(lines, self.fields_end);
        out.reserve(self.head.len() + CONNECTION_CLOSE.len() + 2);
        out.extend_from_slice(&self.head[..edited.start]);
        let mut lines = Lines::new(&self.head[..edited.end], edited.start);
        while let Next::Line(line) = lines.next_strict() {
            let text = line.text(self.head);
            let (name, value) = field::split(text).unwrap_or((text, b""));
            match (Field::of(name), self.cookie_name) {
                (Field::Cookie, Some(cookie)) => {
                    let before = out.len();
                    out.extend_from_slice(&text[..name.len() + 1]);
                    match cookie::cut(value, cookie, out) {
                        Remains::Whole | Remains::Rest => {
                            out.extend_from_slice(&self.head[line.text_end..line.end]);
                        }
                        Remains::Nothing => out.truncate(before),
                    }
                }
                (field, _) if close && field.keeps_connection() => {}
                (Field::XForwardedFor | Field::ForwardedLookalike, _) if forwarded.is_some() => {}
                _ => out.extend_from_slice(&self.head[line.start..line.end]),
            }
        }
        out.extend_from_slice(&self.head[edited.end..self.fields_end]);
        if let Some(forwarded) = forwarded {
            self.write_forwarded(forwarded, out);
        }
        if close {
            out.extend_from_slice(CONNECTION_CLOSE);
            out.extend_from_slice(self.ending.bytes());
        }
        out.extend_from_slice(&self.head[self.fields_end..]);
        true
    }

    fn write_forwarded(&self, forwarded: &Forwarded, out: &mut Vec<u8>) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let kept = self.forwarded_lines.with(Span::default(), self.fields_end);
        let mut lines = Lines::new(&self.head[..kept.end], kept.start);
        while let Next::Line(line) = lines.next_strict() {
            let (name, value) = field::split(line.text(self.head)).unwrap_or((b"", b""));
            let value = field::trim(value);
            if forwarded.append && Field::of(name) == Field::XForwardedFor && !value.is_empty() {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(forwarded.client.to_string().as_bytes());
        out.extend_from_slice(self.ending.bytes());
    }
}
