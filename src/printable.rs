//! Text from outside, made fit for a terminal: no byte of it may be a command to one.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Shows control characters as `\u{1b}`, except for the end of a line and the tab.
///
/// Control characters are those of Unicode's category Cc: C0, DEL and C1.
pub struct Printable<T>(pub T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_command = |c: char| c.is_control() && c != '\n' && c != '\t';
        let mut rest = text;
        while let Some(at) = rest.find(is_command) {
            let (before, from) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut characters = from.chars();
            if let Some(command) = characters.next() {
                write!(self.0, "{}", command.escape_unicode())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Bytes for a field between quotes: all outside 0x21 to 0x7E, and the quote, become `%XX`.
pub fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' => text.push_str("%22"),
            0x21..=0x7e => text.push(char::from(*byte)),
            _ => {
                // Memory takes everything.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// A JSON text in which the control characters that JSON allows, DEL and C1, are escaped as well: they
/// can only be inside strings.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_do_nothing() {
        let text = "ä\t\u{1b}[2J\r\u{7f}\u{9b}31m\u{0}\nend";
        assert_eq!(
            Printable(text).to_string(),
            "ä\t\\u{1b}[2J\\u{d}\\u{7f}\\u{9b}31m\\u{0}\nend"
        );
        assert_eq!(Printable("plain").to_string(), "plain");
    }

    #[test]
    fn every_byte_is_visible_ascii() {
        let all: Vec<u8> = (0..=255).collect();
        let encoded = percent_encoded(&all);
        assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!encoded.contains('"'));
        assert_eq!(
            percent_encoded(b"/a%20\xc2\x9b \x7f\xff\""),
            "/a%20%C2%9B%20%7F%FF%22"
        );
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "a": "\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{a0}ä\n" });
        let text = value.to_string();
        let escaped = json(&text);
        assert!(!escaped.contains(char::is_control), "{escaped}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&escaped).unwrap(),
            value
        );
        assert_eq!(json("{\"a\":1}"), "{\"a\":1}");
    }
}
