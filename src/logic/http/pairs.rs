//! Lists of `NAME` or `NAME=VALUE` in which a value may have quoted parts: lines of Cookie and of
//! Cache-Control.
//!
//! Quotes count in values only, and a backslash in them takes the meaning of the next byte away. A
//! quote that is not closed in its line is an ordinary byte, as are all that follow: a stray one
//! must not hide the pairs behind it.

use super::field::trim;
use memchr::{memchr2, memchr3};

/// The separators of a Cookie line: the comma is that of RFC 2965.
pub(super) const COOKIE: [u8; 2] = *b";,";

/// The separator of every other list.
pub(super) const LIST: [u8; 2] = *b",,";

/// One member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair<'v> {
    /// All of it from one separator to the next, white space included.
    pub text: &'v [u8],
    /// The same with the separator before it, if there is one.
    pub with_separator: &'v [u8],
    /// What is before the equals sign, or all, without white space around it.
    pub name: &'v [u8],
    /// What is behind the first equals sign, quotes included and without white space around it.
    pub value: Option<&'v [u8]>,
}

/// The members of a list, empty ones too.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'v> {
    list: &'v [u8],
    separators: [u8; 2],
    /// Where the next one begins; none behind the last.
    next: Option<usize>,
    quotes: Quotes,
}

/// What a quote means in the rest of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Count,
    Ordinary,
}

impl<'v> Pairs<'v> {
    /// The members of the value of a field.
    pub fn of(list: &'v [u8], separators: [u8; 2]) -> Self {
        Self {
            list,
            separators,
            next: Some(0),
            quotes: Quotes::Count,
        }
    }

    /// Where the value ends that begins at `at`: at a separator outside of quotes.
    fn value_end(&mut self, mut at: usize) -> usize {
        let [one, two] = self.separators;
        loop {
            let found = match self.quotes {
                Quotes::Count => memchr3(one, two, b'"', &self.list[at..]),
                Quotes::Ordinary => memchr2(one, two, &self.list[at..]),
            };
            let Some(found) = found else {
                return self.list.len();
            };
            at += found;
            if self.list[at] != b'"' {
                return at;
            }
            match closing_quote(&self.list[at + 1..]) {
                Some(len) => at += 1 + len,
                None => self.quotes = Quotes::Ordinary,
            }
        }
    }
}

/// How many bytes behind an opening quote there are through the closing one.
fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

impl<'v> Iterator for Pairs<'v> {
    type Item = Pair<'v>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'v>> {
        let start = self.next?;
        let [one, two] = self.separators;
        let name_end = memchr3(b'=', one, two, &self.list[start..])
            .map_or(self.list.len(), |found| start + found);
        let (end, value) = if self.list.get(name_end) == Some(&b'=') {
            let end = self.value_end(name_end + 1);
            (end, Some(trim(&self.list[name_end + 1..end])))
        } else {
            (name_end, None)
        };
        self.next = (end < self.list.len()).then_some(end + 1);
        Some(Pair {
            text: &self.list[start..end],
            with_separator: &self.list[start.saturating_sub(1)..end],
            name: trim(&self.list[start..name_end]),
            value,
        })
    }
}
