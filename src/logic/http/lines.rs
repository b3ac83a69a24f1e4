//! The lines of a head: where each begins and ends, also when only a part has come so far.
//!
//! A line ends with CR LF or a bare LF. Requests are read strictly: a NUL, or a CR that no LF
//! follows, breaks the head. In responses both are ordinary bytes.

use memchr::{memchr, memchr3, memrchr};
use std::ops::Range;

/// The new lines of a head end as its first line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// CR LF.
    CrLf,
    /// A bare LF.
    Lf,
}

impl Ending {
    /// The bytes of it.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// Offsets of a line: its text, and where the next line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub start: usize,
    pub text_end: usize,
    pub end: usize,
}

impl Line {
    /// The line without its ending.
    pub fn text<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start..self.text_end]
    }

    /// Whether there is nothing but the ending: the end of a head.
    pub fn is_empty(&self) -> bool {
        self.start == self.text_end
    }

    /// How it ends.
    pub fn ending(&self) -> Ending {
        match self.end - self.text_end {
            1 => Ending::Lf,
            _ => Ending::CrLf,
        }
    }
}

/// What comes next in the bytes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A whole line.
    Line(Line),
    /// A NUL, or a CR without LF.
    Broken,
    /// A line whose end has not come. There is none before this offset.
    Unfinished(usize),
}

/// Goes through the lines of `bytes`, beginning at the offset `first`.
#[derive(Clone, Debug)]
pub(super) struct Lines<'b> {
    bytes: &'b [u8],
    first: usize,
    /// Where the line begins in which `at` is; looked for when its end is found.
    start: Option<usize>,
    at: usize,
}

impl<'b> Lines<'b> {
    /// From the beginning of the first line.
    pub fn new(bytes: &'b [u8], first: usize) -> Self {
        Self {
            bytes,
            first,
            start: Some(first),
            at: first,
        }
    }

    /// From somewhere in a line: no line ends between its beginning and `searched`.
    pub fn resume(bytes: &'b [u8], first: usize, searched: usize) -> Self {
        Self {
            bytes,
            first,
            start: None,
            at: searched,
        }
    }

    /// The next line of a request.
    #[inline]
    pub fn next_strict(&mut self) -> Next {
        let Some(found) = memchr3(b'\n', b'\r', 0, &self.bytes[self.at..]) else {
            return Next::Unfinished(self.bytes.len());
        };
        let text_end = self.at + found;
        let end = match &self.bytes[text_end..] {
            [b'\n', ..] => text_end + 1,
            [b'\r', b'\n', ..] => text_end + 2,
            [b'\r'] => return Next::Unfinished(text_end),
            _ => return Next::Broken,
        };
        Next::Line(self.line(text_end, end))
    }

    /// The next line of a response; it is never broken.
    #[inline]
    pub fn next_lenient(&mut self) -> Option<Line> {
        let newline = self.at + memchr(b'\n', &self.bytes[self.at..])?;
        let mut line = self.line(newline, newline + 1);
        if self.bytes[line.start..newline].ends_with(b"\r") {
            line.text_end -= 1;
        }
        Some(line)
    }

    #[inline]
    fn line(&mut self, text_end: usize, end: usize) -> Line {
        let start = match self.start {
            Some(start) => start,
            None => {
                let before = &self.bytes[self.first..text_end];
                memrchr(b'\n', before).map_or(self.first, |newline| self.first + newline + 1)
            }
        };
        self.start = Some(end);
        self.at = end;
        Line {
            start,
            text_end,
            end,
        }
    }
}

/// From the beginning of the first to the end of the last of some lines, others between included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// Makes it reach over this line too, which lies behind it.
    pub fn extend(&mut self, line: &Line) {
        if self.end == 0 {
            self.start = line.start;
        }
        self.end = line.end;
    }

    /// From the first to the last line of this and another one.
    pub fn and(self, other: Self) -> Self {
        let Range { start, end } = self.with(other, 0);
        Span { start, end }
    }

    /// The offsets of this and another one, or `default` when both are empty.
    pub fn with(self, other: Self, default: usize) -> Range<usize> {
        match (self.end, other.end) {
            (0, 0) => default..default,
            (0, end) => other.start..end,
            (end, 0) => self.start..end,
            (one, two) => self.start.min(other.start)..one.max(two),
        }
    }
}
