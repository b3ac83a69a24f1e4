//! What a check of type "http" asks beside method and path, and what a body must be.

use regex_lite::Regex;

use super::super::problem::{Problem, shorten};

/// What the body of an answer must be, as far as it is looked at: its first 64 KiB, without its transfer
/// coding.
#[derive(Clone, Debug)]
pub enum ExpectBody {
    /// It contains this text, which is not empty.
    Contains(String),
    /// It matches this expression, which is searched for in it; bytes that are not UTF-8 count as U+FFFD.
    Matches(Regex),
}

impl ExpectBody {
    fn as_str(&self) -> (bool, &str) {
        match self {
            ExpectBody::Contains(text) => (false, text),
            ExpectBody::Matches(regex) => (true, regex.as_str()),
        }
    }
}

impl PartialEq for ExpectBody {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ExpectBody {}

pub(in crate::config) fn parse_expect_body(text: &str) -> Result<String, Problem> {
    if text.is_empty() {
        let cure = "write a part of the body, such as '\"status\":\"UP\"'";
        return Err(Problem::new("`expect_body` is empty", cure));
    }
    Ok(text.to_owned())
}

pub(in crate::config) fn parse_regex(text: &str) -> Result<Regex, Problem> {
    let cure = if text.is_empty() {
        "write an expression, such as 'status.*UP'".to_owned()
    } else {
        match Regex::new(text) {
            Ok(regex) => return Ok(regex),
            Err(error) => format!("{error}; in single quotes TOML leaves backslashes alone"),
        }
    };
    let title = format!("invalid regular expression `{}`", shorten(text));
    Err(Problem::new(title, cure))
}

/// A header line of a request that a probe makes itself, and what to do instead of writing it.
const OWN_LINES: &[(&str, &str)] = &[
    ("Host", "write it as `host`"),
    ("Connection", "remove it: each probe closes its connection"),
    ("Content-Length", "remove it: a probe sends no body"),
    ("Transfer-Encoding", "remove it: a probe sends no body"),
    ("Expect", "remove it: a probe sends no body"),
    ("Upgrade", "remove it: a probe speaks HTTP/1.1 only"),
];

/// Checks the name of a header line.
pub(in crate::config) fn check_header_name(name: &str) -> Result<(), Problem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let title = format!("invalid header name `{}`", shorten(name));
        return Err(Problem::new(title, "write it like \"X-Forwarded-Proto\""));
    }
    let own = OWN_LINES
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
    match own {
        Some((own, cure)) => Err(Problem::new(
            format!("`{own}` cannot be in `headers`"),
            *cure,
        )),
        None => Ok(()),
    }
}

pub(in crate::config) fn parse_header_value(text: &str) -> Result<String, Problem> {
    let plain = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if plain && text.trim() == text {
        return Ok(text.to_owned());
    }
    let title = format!("invalid header value `{}`", shorten(text));
    Err(Problem::new(
        title,
        "write visible ASCII, with spaces only between",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_request_is_refused() {
        for wrong in [
            "",
            "a b",
            "a:",
            "a\r\n",
            "ä",
            "host",
            "CONNECTION",
            "content-length",
        ] {
            assert!(check_header_name(wrong).is_err(), "{wrong}");
        }
        for wrong in ["a\r\nX: y", "a\n", "ä", " a", "a ", "\t"] {
            assert!(parse_header_value(wrong).is_err(), "{wrong}");
        }
        assert!(check_header_name("X-Forwarded-Proto").is_ok());
        assert_eq!(parse_header_value("a, b").as_deref(), Ok("a, b"));
        assert_eq!(parse_header_value("").as_deref(), Ok(""));
    }

    #[test]
    fn an_expression_that_does_not_compile_says_why() {
        let problem = parse_regex("status(").unwrap_err().to_string();
        let title = "invalid regular expression `status(`: ";
        assert!(problem.starts_with(title), "{problem}");
        assert!(parse_regex("").is_err());
        assert!(parse_regex(r#""status"\s*:\s*"UP""#).is_ok());
    }
}
