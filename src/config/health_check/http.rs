//! What a check of type "http" asks, and what the answer must be.

use regex_lite::Regex;

use super::super::defaults;
use super::super::problem::{Problem, shorten};
use super::statuses::StatusRanges;

/// A request, and the answers that are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Begins with `/`; visible ASCII only.
    pub path: String,
    /// A token.
    pub method: String,
    /// Value of the header `Host`; `None`: the address that is checked.
    pub host: Option<String>,
    /// Further lines of the head: names and values, which no line can be smuggled in by.
    pub headers: Vec<(String, String)>,
    /// The statuses that pass.
    pub expect_status: StatusRanges,
    /// What the body must be as well; `None`: it is not read.
    pub expect_body: Option<ExpectBody>,
}

impl HttpCheck {
    /// A request for `path`, and what else is the default.
    pub(in crate::config) fn get(path: String) -> Self {
        HttpCheck {
            path,
            method: defaults::CHECK_METHOD.to_owned(),
            host: None,
            headers: Vec::new(),
            expect_status: StatusRanges::default(),
            expect_body: None,
        }
    }
}

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

/// Whether a text is a token of RFC 9110, 5.6.2, as methods and names of headers are.
fn is_token(text: &str) -> bool {
    let is_of_tokens =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_tokens)
}

pub(in crate::config) fn parse_path(text: &str) -> Result<String, Problem> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    match text.strip_prefix('/') {
        Some(_) if visible => Ok(text.to_owned()),
        Some(_) => Err(Problem::new(
            format!("invalid path `{}`", shorten(text)),
            "write spaces and other special characters as %20",
        )),
        None => Err(Problem::new(
            format!("invalid path `{}`", shorten(text)),
            "it begins with a slash, such as \"/health\"",
        )),
    }
}

pub(in crate::config) fn parse_method(text: &str) -> Result<String, Problem> {
    if is_token(text) {
        return Ok(text.to_owned());
    }
    let title = format!("invalid method `{}`", shorten(text));
    Err(Problem::new(title, "write it like \"GET\""))
}

pub(in crate::config) fn parse_host(text: &str) -> Result<String, Problem> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    let title = format!("invalid host `{}`", shorten(text));
    Err(Problem::new(title, "write it like \"www.example.org\""))
}

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
    if !is_token(name) {
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
        for wrong in ["", "health", "/a b", "/a\r\nX: y", "/ä"] {
            assert!(parse_path(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "GET /", "G\r\n", "GÉT"] {
            assert!(parse_method(wrong).is_err(), "{wrong}");
        }
        for wrong in ["a b", "a\r\nX: y", "ä"] {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
        assert!(parse_path("/a?b=%20").is_ok() && parse_method("OPTIONS").is_ok());
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
