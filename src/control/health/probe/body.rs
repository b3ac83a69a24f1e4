//! The body of an answer to a probe: its first 64 KiB, without its transfer coding (RFC 9112, section 6).

use crate::config::ExpectBody;

/// How much of a body is looked at.
pub const BODY_MAX: usize = 64 * 1024;

/// Longest line of a chunked body: a size with its extensions.
const LINE_MAX: usize = 1024;

/// A body as it comes.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
    bytes: Vec<u8>,
    /// How much of `bytes` was searched in vain.
    searched: usize,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With the connection.
    Connection,
    /// Within the line of a chunk's size; the size so far, whether its digits are over, and how many bytes of the
    /// line there were.
    Size { size: u64, over: bool, len: usize },
    /// Within a chunk: so many bytes of it are left.
    Chunk(u64),
    /// After a chunk: the end of its line.
    ChunkEnd,
    /// It has ended.
    Ended,
}

/// The beginning of the line of a chunk's size.
const SIZE: Framing = Framing::Size {
    size: 0,
    over: false,
    len: 0,
};

impl Body {
    /// The body behind a head, of which these are all lines.
    pub fn behind(head: &[u8]) -> Self {
        let mut framing = Framing::Connection;
        for line in head.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if value.to_ascii_lowercase().ends_with(b"chunked") {
                    framing = SIZE;
                    break;
                }
            } else if name.eq_ignore_ascii_case(b"content-length")
                && let Some(length) = str::from_utf8(value).ok().and_then(|v| v.parse().ok())
            {
                framing = Framing::Length(length);
            }
        }
        Body {
            framing,
            bytes: Vec::new(),
            searched: 0,
        }
    }

    /// Takes what has come.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over() {
            match self.framing {
                Framing::Connection => bytes = self.take(bytes, bytes.len()),
                Framing::Length(left) | Framing::Chunk(left) => {
                    let count =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    bytes = self.take(bytes, count);
                    let left = left - count as u64;
                    self.framing = match self.framing {
                        Framing::Length(_) => Framing::Length(left),
                        _ if left == 0 => Framing::ChunkEnd,
                        _ => Framing::Chunk(left),
                    };
                }
                Framing::Size { size, over, len } => {
                    self.framing = size_line(size, over, len, bytes[0]);
                    bytes = &bytes[1..];
                }
                Framing::ChunkEnd => {
                    if bytes[0] == b'\n' {
                        self.framing = SIZE;
                    }
                    bytes = &bytes[1..];
                }
                Framing::Ended => {}
            }
        }
    }

    /// The connection has ended.
    pub fn end(&mut self) {
        self.framing = Framing::Ended;
    }

    /// Whether it is as expected; `None`: more is needed.
    pub fn judge(&mut self, expected: &ExpectBody) -> Option<bool> {
        match expected {
            ExpectBody::Contains(text) => {
                let found = memchr::memmem::find(&self.bytes[self.searched..], text.as_bytes());
                // The text may begin in what was searched.
                self.searched = (self.bytes.len() + 1).saturating_sub(text.len());
                if found.is_some() {
                    Some(true)
                } else {
                    self.is_over().then_some(false)
                }
            }
            // What it says of the end of the body is not known before.
            ExpectBody::Matches(regex) => self
                .is_over()
                .then(|| regex.is_match(&String::from_utf8_lossy(&self.bytes))),
        }
    }

    /// Whether all is there that is looked at.
    fn is_over(&self) -> bool {
        self.bytes.len() >= BODY_MAX || matches!(self.framing, Framing::Ended | Framing::Length(0))
    }

    /// Keeps the first `count` bytes, as far as there is room. Returns what is behind them.
    fn take<'b>(&mut self, bytes: &'b [u8], count: usize) -> &'b [u8] {
        let (taken, rest) = bytes.split_at(count);
        let room = BODY_MAX - self.bytes.len();
        self.bytes
            .extend_from_slice(&taken[..taken.len().min(room)]);
        rest
    }
}

/// What follows a byte of the line of a chunk's size. A line that has none ends the body: no more of it can be
/// read.
fn size_line(size: u64, over: bool, len: usize, byte: u8) -> Framing {
    let next = |size, over| Framing::Size {
        size,
        over,
        len: len + 1,
    };
    let digit = char::from(byte).to_digit(16).filter(|_| !over);
    match (byte, digit) {
        _ if len >= LINE_MAX => Framing::Ended,
        (b'\n', _) if size == 0 => Framing::Ended,
        (b'\n', _) => Framing::Chunk(size),
        (_, Some(digit)) => match size.checked_mul(16) {
            Some(size) => next(size + u64::from(digit), false),
            None => Framing::Ended,
        },
        // An extension, or the end of the line.
        (_, None) => next(size, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(head: &str, pieces: &[&[u8]]) -> Body {
        let mut body = Body::behind(head.as_bytes());
        for piece in pieces {
            body.push(piece);
        }
        body
    }

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn bodies_end_where_their_head_says() {
        let length = "HTTP/1.1 200 OK\r\ncontent-length:  4 \r\n\r\n";
        for (head, sent, bytes, is_over) in [
            (length, &b"abc"[..], &b"abc"[..], false),
            (length, b"abcdef", b"abcd", true),
            ("HTTP/1.1 200 OK\r\n\r\n", b"abcdef", b"abcdef", false),
            (CHUNKED, b"3\r\nabc\r\n", b"abc", false),
            (
                CHUNKED,
                b"3;x=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n",
                b"abc0123456789abcdef",
                true,
            ),
            (CHUNKED, b"3\nabc\n0\nTrailer: x\n\n", b"abc", true),
            (CHUNKED, b"fffffffffffffffff\r\nabc", b"", true),
            (CHUNKED, b"x\r\nabc", b"", true),
        ] {
            let whole = body(head, &[sent]);
            assert_eq!(
                (&whole.bytes[..], whole.is_over()),
                (bytes, is_over),
                "{head}"
            );
            let single: Vec<&[u8]> = sent.chunks(1).collect();
            let single = body(head, &single);
            assert_eq!(
                (&single.bytes[..], single.is_over()),
                (bytes, is_over),
                "{head}"
            );
        }
        let endless = "7".repeat(LINE_MAX + 2);
        let extension = format!("1;{endless}");
        assert!(body(CHUNKED, &[extension.as_bytes()]).is_over());
    }

    #[test]
    fn no_more_than_64_kib_are_kept() {
        let many = vec![b'x'; BODY_MAX + 1];
        let whole = body("HTTP/1.1 200 OK\r\n\r\n", &[&many]);
        assert!(whole.is_over());
        assert_eq!(whole.bytes.len(), BODY_MAX);
    }

    #[test]
    fn a_text_is_found_as_soon_as_it_is_there_and_an_expression_at_the_end() {
        let text = ExpectBody::Contains("\"UP\"".to_owned());
        let regex = ExpectBody::Matches(regex_lite::Regex::new("\"UP\"}$").unwrap());
        let mut body = body(CHUNKED, &[b"f\r\n{\"status\":\"U"]);
        assert_eq!((body.judge(&text), body.judge(&regex)), (None, None));
        body.push(b"P\"}");
        assert_eq!((body.judge(&text), body.judge(&regex)), (Some(true), None));
        body.push(b"\r\n0\r\n\r\n");
        assert_eq!(body.judge(&regex), Some(true));
        let mut other = self::body("HTTP/1.1 200 OK\r\n\r\n", &[b"{\"status\":\"DOWN\"}"]);
        other.end();
        assert_eq!(
            (other.judge(&text), other.judge(&regex)),
            (Some(false), Some(false))
        );
    }

    proptest! {
        #[test]
        fn a_text_is_found_however_it_was_cut(
            before in "[ab]{0,20}",
            text in "[ab]{1,6}",
            sizes in proptest::collection::vec(1usize..5, 1..60),
        ) {
            let mut body = Body::behind(b"HTTP/1.1 200 OK\r\n\r\n");
            let whole = format!("{before}{text}");
            let expected = ExpectBody::Contains(text.clone());
            let mut rest = whole.as_bytes();
            let mut found = None;
            for size in sizes {
                let (piece, left) = rest.split_at(size.min(rest.len()));
                rest = left;
                body.push(piece);
                found = found.or(body.judge(&expected));
            }
            body.push(rest);
            prop_assert_eq!(found.or(body.judge(&expected)), Some(true));
        }
    }
}
