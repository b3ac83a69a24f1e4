//! The names of servers that a route serves, as an operator writes them.

use std::fmt;

/// Characters of a name, without a final dot (RFC 1035, 2.3.4).
pub const NAME_LEN_MAX: usize = 253;

/// Characters of one label (RFC 1035, 2.3.4).
const LABEL_LEN_MAX: usize = 63;

/// Begins a pattern of all names below one.
const WILDCARD: &str = "*.";

/// Names that a route serves, in lower case and without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// All that have one label or more before this one: `*.NAME`.
    Below(String),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// There is no name.
    Empty,
    /// It has more than [`NAME_LEN_MAX`] characters, or a label has more than 63.
    TooLong,
    /// A label is empty: two dots in a row, or one at the beginning.
    EmptyLabel,
    /// `*` stands elsewhere than alone before the first dot.
    Wildcard,
    /// It is an address, which is never sent as the name of a server (RFC 6066, 3).
    Address,
    /// A character that is not ASCII: clients send such names as A-labels, `xn--...`.
    NotAscii(char),
    /// A character that no name of a host has.
    Character(char),
}

impl NamePattern {
    /// Reads `NAME` or `*.NAME`.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        let (name, is_wildcard) = match text.strip_prefix(WILDCARD) {
            Some(name) => (name, true),
            None => (text, false),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(NameFault::Empty);
        }
        if name.contains('*') {
            return Err(NameFault::Wildcard);
        }
        if let Some(wrong) = name.chars().find(|c| !c.is_ascii()) {
            return Err(NameFault::NotAscii(wrong));
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_ipv6 = name.contains(':') && name.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
        if let Some(wrong) = name.chars().find(|c| !valid(*c)).filter(|_| !is_ipv6) {
            return Err(NameFault::Character(wrong));
        }
        let mut labels = name.split('.');
        if labels.clone().any(str::is_empty) {
            return Err(NameFault::EmptyLabel);
        }
        if name.len() > NAME_LEN_MAX || labels.any(|label| label.len() > LABEL_LEN_MAX) {
            return Err(NameFault::TooLong);
        }
        // No top-level domain is a number (RFC 3696, 2).
        let last = name.rsplit('.').next().unwrap_or(name);
        if is_ipv6 || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameFault::Address);
        }
        let name = name.to_ascii_lowercase();
        Ok(match is_wildcard {
            true => NamePattern::Below(name),
            false => NamePattern::Exact(name),
        })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamePattern::Exact(name) => f.write_str(name),
            NamePattern::Below(name) => write!(f, "{WILDCARD}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_without_regard_to_case_and_a_final_dot() {
        for (text, shown) in [
            ("shop.example.com", "shop.example.com"),
            ("Shop.EXAMPLE.com.", "shop.example.com"),
            ("*.Example.com.", "*.example.com"),
            ("*.com", "*.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("_a-1.b", "_a-1.b"),
        ] {
            assert_eq!(NamePattern::parse(text).unwrap().to_string(), shown);
        }
        let longest = [63, 63, 63, 61].map(|len| "a".repeat(len)).join(".");
        assert_eq!(longest.len(), NAME_LEN_MAX);
        assert!(NamePattern::parse(&longest).is_ok());
        assert!(NamePattern::parse(&format!("*.{longest}.")).is_ok());
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        for (text, fault) in [
            ("", NameFault::Empty),
            (".", NameFault::Empty),
            ("*.", NameFault::Empty),
            ("*", NameFault::Wildcard),
            ("a.*.com", NameFault::Wildcard),
            ("a*.com", NameFault::Wildcard),
            ("*a.com", NameFault::Wildcard),
            ("*.*.com", NameFault::Wildcard),
            ("a..com", NameFault::EmptyLabel),
            (".com", NameFault::EmptyLabel),
            ("*..com", NameFault::EmptyLabel),
            ("a.com..", NameFault::EmptyLabel),
            ("10.0.0.1", NameFault::Address),
            ("fd00::4", NameFault::Address),
            ("443", NameFault::Address),
            ("b\u{fc}cher.example", NameFault::NotAscii('\u{fc}')),
            ("a b", NameFault::Character(' ')),
            ("a.com:443", NameFault::Character(':')),
            ("https://a.com", NameFault::Character(':')),
        ] {
            assert_eq!(NamePattern::parse(text), Err(fault), "{text}");
        }
        let label = "a".repeat(64);
        assert_eq!(NamePattern::parse(&label), Err(NameFault::TooLong));
        let long = ["a"; 128].join(".");
        assert_eq!(NamePattern::parse(&long), Err(NameFault::TooLong));
    }
}
