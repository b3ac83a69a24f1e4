//! What a sticky cookie may consist of: its name, and the values that stand for servers.
//!
//! Pure text, by the grammar of RFC 6265 section 4.1.1; which value belongs to which server is
//! decided in `backends` and `simple`, the attributes are in `sticky`.

use xxhash_rust::xxh3::xxh3_64;

use super::problem::{Problem, shorten};

/// Characters of a name and of a value: a cookie goes with every request of a client.
const LEN_MAX: usize = 64;

/// The digits of [`hashed_value`], those of base64url (RFC 4648 section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Reads the name of a cookie: a token of 1 to 64 characters.
pub(super) fn parse_name(text: &str) -> Result<String, Problem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(token) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("invalid name of a cookie `{}`", shorten(text)),
        "use 1 to 64 letters, digits, `_` and `-`, such as \"SRV\"",
    ))
}

/// Reads the value that stands for a server: 1 to 64 of RFC 6265's `cookie-octet`.
pub(super) fn parse_value(text: &str) -> Result<String, Problem> {
    let octet = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
    if (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(octet) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("invalid value of a cookie `{}`", shorten(text)),
        "use 1 to 64 visible ASCII characters other than `\"`, `,`, `;` and `\\`",
    ))
}

/// The value of a server that has none written: the XXH3 hash (64 bits, seed 0) of `name` as a
/// number in base 64, eleven digits of base64url with the most significant first.
///
/// It is equal on all nodes and in all versions, since clients keep it. It hides the name from a
/// glance, not from who guesses it.
pub(super) fn hashed_value(name: &str) -> String {
    let hash = xxh3_64(name.as_bytes());
    let digit = |shift: u32| char::from(DIGITS[(hash >> shift & 63) as usize]);
    (0..=60).rev().step_by(6).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_tokens_and_values_are_cookie_octets() {
        let long = "x".repeat(64);
        for name in ["SRV", "x", "!#$%&'*+-.^_`|~", "__Host-srv", &long] {
            assert_eq!(parse_name(name).unwrap(), name);
        }
        let longer = "x".repeat(65);
        for name in ["", " ", "a b", "a=b", "a;b", "a,b", "\"a\"", "ä", "a\n"] {
            assert!(parse_name(name).is_err(), "{name}");
        }
        for value in ["s1", "a=b", "!#$%&'()*+-./:<=>?@[]^_`{|}~", &long] {
            assert_eq!(parse_value(value).unwrap(), value);
        }
        for value in [
            "", " ", "a b", "\"a\"", "a,b", "a;b", "a\\b", "a\r\n", "\u{7f}", "ä",
        ] {
            assert!(parse_value(value).is_err(), "{value}");
        }
        assert!(parse_name(&longer).is_err() && parse_value(&longer).is_err());
    }

    #[test]
    fn a_hash_never_changes() {
        // XXH3 of nothing is 0x2d06800538d394c2, of its specification.
        assert_eq!(hashed_value(""), "C0GgAU405TC");
        let pinned = ["web1", "web2", "10.0.0.11:8080"].map(hashed_value);
        assert_eq!(pinned, ["EsEIyPpXo6G", "PhlV8U4HEZz", "AZFBjq6-DPk"]);
    }

    proptest! {
        #[test]
        fn a_hash_is_a_value(name in "\\PC{0,64}") {
            let value = hashed_value(&name);
            prop_assert_eq!(value.len(), 11);
            prop_assert_eq!(parse_value(&value).unwrap(), value);
        }
    }
}
