//! Bytes of `send` and `expect`, as they are written: text in which `\r`, `\n`, `\t`, `\\` and `\xNN` stand
//! for one byte each.

use std::fmt;

use super::super::problem::{Problem, shorten};

/// Characters of a `send` or an `expect`.
pub(in crate::config) const CHARACTERS_MAX: usize = 4096;

/// Bytes that are sent to a server, or that its answer must contain; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(Vec<u8>);

impl Literal {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Literal {
    /// As it is written in a configuration: visible ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0 {
            match byte {
                b'\r' => f.write_str("\\r")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                byte => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

pub(in crate::config) fn parse_literal(text: &str) -> Result<Literal, Problem> {
    let count = text.chars().count();
    if count == 0 || count > CHARACTERS_MAX {
        let title = format!("{count} characters to send or to expect");
        let cure = format!("write 1 to {CHARACTERS_MAX}, such as 'PING\\r\\n'");
        return Err(Problem::new(title, cure));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, len) = escape(after)?;
        bytes.push(byte);
        rest = &after[len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(Literal(bytes))
}

/// The byte that is meant by what follows a backslash, and how long that is.
fn escape(after: &str) -> Result<(u8, usize), Problem> {
    let known = match after.as_bytes() {
        [b'r', ..] => Some((b'\r', 1)),
        [b'n', ..] => Some((b'\n', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [b'\\', ..] => Some((b'\\', 1)),
        [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            u8::from_str_radix(&after[1..3], 16)
                .ok()
                .map(|byte| (byte, 3))
        }
        _ => None,
    };
    known.ok_or_else(|| {
        let written: String = after.chars().take(1).collect();
        let title = format!("unknown escape `\\{}`", shorten(&written));
        let cure =
            "there are \\r, \\n, \\t, \\xNN with two hexadecimal digits, and \\\\ for a backslash";
        Problem::new(title, cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_bytes() {
        for (text, bytes) in [
            ("PING\\r\\n", &b"PING\r\n"[..]),
            ("\\x00\\xfF\\t\\\\x41", b"\x00\xff\t\\x41"),
            ("real\r\n", b"real\r\n"),
            ("é", "é".as_bytes()),
        ] {
            assert_eq!(parse_literal(text).unwrap().bytes(), bytes, "{text}");
        }
        for wrong in ["", "\\", "a\\q", "\\x4", "\\xg0", "\\x+1", "\\xé", "\\R"] {
            assert!(parse_literal(wrong).is_err(), "{wrong}");
        }
        assert!(parse_literal(&"é".repeat(CHARACTERS_MAX)).is_ok());
        assert!(parse_literal(&"x".repeat(CHARACTERS_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            let literal = Literal(bytes);
            let shown = literal.to_string();
            prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(parse_literal(&shown).unwrap(), literal);
        }
    }
}
