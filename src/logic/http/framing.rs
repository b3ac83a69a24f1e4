//! What the fields of a message say of where it ends, and whether two readers could differ over it.
//!
//! After RFC 9112, sections 6.1 to 6.3. A server that ends a request elsewhere than the proxy before
//! us takes bytes of the one client for a request of another, so what leaves a choice is refused. In
//! answers it is only a hint whether more is to come.

use super::field;

/// What a chunked body ends with, if it has no trailer.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is known from the lines of Content-Length and Transfer-Encoding so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    length: Option<u64>,
    chunked: bool,
    faulty: bool,
}

impl Framing {
    /// Takes a line of Content-Length: one number, the same in all lines. A list of equal numbers would
    /// have to be replaced by one of them (RFC 9112, section 6.3), and readers differ over it.
    pub fn content_length(&mut self, value: &[u8]) {
        match length(field::trim(value)) {
            Some(length) if *self.length.get_or_insert(length) == length => {}
            Some(_) | None => self.faulty = true,
        }
    }

    /// Takes a line of Transfer-Encoding, which must be the only one and say `chunked`: no other
    /// coding is in use, and readers differ over what those mean together.
    pub fn transfer_encoding(&mut self, value: &[u8]) {
        let is_chunked = field::trim(value).eq_ignore_ascii_case(b"chunked");
        self.faulty |= self.chunked || !is_chunked;
        self.chunked |= is_chunked;
    }

    /// Takes what some readers make one of the two fields of, and others do not.
    pub fn lookalike(&mut self) {
        self.faulty = true;
    }

    /// Whether `body`, which is all that came behind a head with these fields, is the whole body.
    /// Without a length, only the end of the connection ends it, so it is never known to be whole.
    pub fn is_whole(self, body: &[u8]) -> bool {
        match (self.length, self.chunked) {
            (Some(length), false) => !self.faulty && body.len() as u64 >= length,
            (_, true) => body.ends_with(LAST_CHUNK),
            (None, false) => false,
        }
    }

    /// Whether the end of the request is where everybody sees it. In HTTP/1.0 there is no chunked
    /// coding, so those who know it and those who do not would differ.
    pub fn is_sound(self, is_http_1_0: bool) -> bool {
        let conflicts = self.chunked && (self.length.is_some() || is_http_1_0);
        !self.faulty && !conflicts
    }
}

/// The number that is written in these digits; none for anything else, or above 63 bits.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        let number = number.checked_mul(10)?.checked_add(digit)?;
        (number <= i64::MAX as u64).then_some(number)
    })
}

/// Whether an option of Connection is the name of a field that says where the request ends: readers
/// that drop the named fields would see another end than those that do not.
pub(super) fn is_framing_field(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"content-length")
        || option.eq_ignore_ascii_case(b"transfer-encoding")
}
