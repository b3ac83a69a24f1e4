//! Section `[backend.NAME.sticky]`, from what was written to the text of a Set-Cookie line.
//!
//! Its keys belong together, so its reader, its checks and its part of the configuration are here
//! and not spread over `raw`, `read` and `validate`, which call them. What a cookie's name and
//! value may consist of is in `cookie`.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::is_host;
use super::choice::word;
use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten, subsection};

/// Bytes of `path`: with the longest of everything else a Set-Cookie line stays below 2 KiB.
pub(super) const PATH_LEN_MAX: usize = 1024;

/// Browsers cut it to 400 days; what is not positive would delete the cookie.
pub(super) const MAX_AGES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

/// How a client is bound to its server: by a cookie that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Name of the cookie, a token of 1 to 64 characters; compared exactly.
    pub cookie: String,
    /// Scripts of the page do not see it.
    pub http_only: bool,
    /// Browsers send it over TLS only.
    pub secure: bool,
    /// With which requests from other sites browsers send it.
    pub same_site: SameSite,
    /// Begins with `/`; visible ASCII without `;`, at most 1024 bytes.
    pub path: String,
    /// A host name; `None`: browsers send it to the very host that set it.
    pub domain: Option<String>,
    /// Whole seconds, at most 400 days; `None`: until the browser is closed.
    pub max_age: Option<Duration>,
}

impl Sticky {
    /// This cookie, and everything else by default.
    pub(super) fn named(cookie: String) -> Self {
        Self {
            cookie,
            http_only: true,
            secure: false,
            same_site: SameSite::Lax,
            path: "/".to_owned(),
            domain: None,
            max_age: None,
        }
    }

    /// What follows `Set-Cookie: ` for the server with this value, without a line end: less than 2 KiB
    /// of visible ASCII and single spaces, as long as `value` is a [`cookie`](super::Server::cookie).
    ///
    /// Attributes that are off are left out; the order is Path, HttpOnly, SameSite, Domain,
    /// Max-Age, Secure (RFC 6265 section 4.1.1 gives none).
    pub fn set_cookie(&self, value: &str) -> String {
        let mut text = format!("{}={value}; Path={}", self.cookie, self.path);
        if self.http_only {
            text.push_str("; HttpOnly");
        }
        match self.same_site {
            SameSite::Lax => text.push_str("; SameSite=Lax"),
            SameSite::Strict => text.push_str("; SameSite=Strict"),
            SameSite::None => text.push_str("; SameSite=None"),
            SameSite::Off => {}
        }
        // Writing to a string cannot fail.
        if let Some(domain) = &self.domain {
            let _ = write!(text, "; Domain={domain}");
        }
        if let Some(max_age) = self.max_age {
            let _ = write!(text, "; Max-Age={}", max_age.as_secs());
        }
        if self.secure {
            text.push_str("; Secure");
        }
        text
    }
}

/// With which requests from other sites browsers send a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With links that are followed.
    Lax,
    /// With none.
    Strict,
    /// With all; needs `secure`.
    None,
    /// The browser decides: the attribute is left out.
    Off,
}

impl SameSite {
    /// The names in the configuration.
    pub const NAMES: &[(&str, SameSite)] = &[
        ("Lax", SameSite::Lax),
        ("Strict", SameSite::Strict),
        ("None", SameSite::None),
        ("off", SameSite::Off),
    ];
}

impl fmt::Display for SameSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(word(SameSite::NAMES, *self))
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawSticky {
    /// Where the section begins.
    pub span: Span,
    pub cookie: Field<String>,
    pub http_only: Field<bool>,
    pub secure: Field<bool>,
    pub same_site: Field<SameSite>,
    pub path: Field<String>,
    /// Empty: none.
    pub domain: Field<String>,
    pub max_age: Field<Duration>,
}

/// Checks what concerns more than one value, and fills in the defaults; `None` without a name.
pub(super) fn validate_sticky(
    out: &mut Diagnostics,
    raw: &RawSticky,
    backend: &str,
) -> Option<Sticky> {
    if matches!(raw.cookie, Field::Absent) {
        let title = format!("missing key `cookie` in {}", location(backend));
        let problem = Problem::new(title, "add cookie = \"SRV\"");
        out.error(raw.span.clone(), problem);
    }
    let name = raw.cookie.get().cloned().unwrap_or_default();
    let default = Sticky::named(name);
    let sticky = Sticky {
        http_only: *raw.http_only.get().unwrap_or(&default.http_only),
        secure: *raw.secure.get().unwrap_or(&default.secure),
        same_site: *raw.same_site.get().unwrap_or(&default.same_site),
        path: raw.path.get().cloned().unwrap_or(default.path),
        domain: raw.domain.get().filter(|d| !d.is_empty()).cloned(),
        max_age: raw.max_age.get().copied(),
        cookie: default.cookie,
    };
    refused_by_browsers(out, raw, &sticky);
    raw.cookie.get().map(|_| sticky)
}

/// Reports cookies that browsers drop silently, so that no client would ever be bound to a server.
fn refused_by_browsers(out: &mut Diagnostics, raw: &RawSticky, sticky: &Sticky) {
    if matches!(raw.secure, Field::Invalid) {
        return;
    }
    if let Some(same_site) = raw.same_site.written()
        && *same_site.get_ref() == SameSite::None
        && !sticky.secure
    {
        let title =
            "same_site = \"None\" needs secure = true: browsers refuse the cookie otherwise";
        let cure = "write secure = true, or same_site = \"Lax\"";
        out.error(same_site.span(), Problem::new(title, cure));
    }
    if let Some(name) = raw.cookie.written()
        && let Err(problem) = check_prefix(sticky)
    {
        out.error(name.span(), problem);
    }
}

/// Whether browsers take a cookie of this name with these attributes: RFC 6265bis section 4.1.3,
/// without regard to case as they do.
pub(super) fn check_prefix(sticky: &Sticky) -> Result<(), Problem> {
    let name = sticky.cookie.to_ascii_lowercase();
    let of_host = name.starts_with("__host-");
    let (needed, cure) = if !sticky.secure && (of_host || name.starts_with("__secure-")) {
        ("secure = true", "write secure = true, or take another name")
    } else if of_host && (sticky.path != "/" || sticky.domain.is_some()) {
        let cure = "remove `path` and `domain`, or take another name";
        ("path = \"/\" and no domain", cure)
    } else {
        return Ok(());
    };
    let title = format!("a cookie of this name needs {needed}: browsers refuse it otherwise");
    Err(Problem::new(title, cure))
}

pub(super) fn location(backend: &str) -> String {
    subsection(backend, "sticky")
}

pub(super) fn parse_path(text: &str) -> Result<String, Problem> {
    let cure = if !text.starts_with('/') {
        "it begins with a slash, such as \"/\""
    } else if !text.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
        "write spaces, `;` and other special characters as %20, %3B and so on"
    } else if text.len() > PATH_LEN_MAX {
        "it may have at most 1024 bytes"
    } else {
        return Ok(text.to_owned());
    };
    let title = format!("invalid path `{}`", shorten(text));
    Err(Problem::new(title, cure))
}

pub(super) fn parse_domain(text: &str) -> Result<String, Problem> {
    let invalid = |cure: String| {
        let title = format!("invalid domain `{}`", shorten(text));
        Err(Problem::new(title, cure))
    };
    // Browsers ignore a dot before it, and match nothing with one behind it.
    let bare = text.trim_matches('.');
    match (text.is_empty(), is_host(bare)) {
        (true, _) => Ok(String::new()),
        (false, true) if bare == text => Ok(text.to_owned()),
        (false, true) => invalid(format!(
            "write \"{}\", which includes its subdomains",
            shorten(bare)
        )),
        (false, false) => invalid("write a host name, such as \"example.com\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cookie;

    #[test]
    fn a_set_cookie_line_has_what_is_on() {
        let mut sticky = Sticky::named("SRV".to_owned());
        let expected = "SRV=s1; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(sticky.set_cookie("s1"), expected);
        sticky.http_only = false;
        sticky.same_site = SameSite::Off;
        assert_eq!(sticky.set_cookie("s1"), "SRV=s1; Path=/");
        let sticky = Sticky {
            cookie: "__Secure-x".to_owned(),
            http_only: true,
            secure: true,
            same_site: SameSite::None,
            path: "/shop".to_owned(),
            domain: Some("example.com".to_owned()),
            max_age: Some(Duration::from_secs(8 * 3600)),
        };
        assert_eq!(
            sticky.set_cookie("a=b"),
            "__Secure-x=a=b; Path=/shop; HttpOnly; SameSite=None; Domain=example.com; \
             Max-Age=28800; Secure"
        );
    }

    #[test]
    fn the_longest_set_cookie_line_is_below_2_kib() {
        let part = "d".repeat(63);
        let domain = [&*part, &*part, &*part, &part[..61]].join(".");
        let sticky = Sticky {
            cookie: cookie::parse_name(&"n".repeat(64)).unwrap(),
            http_only: true,
            secure: true,
            same_site: SameSite::Strict,
            path: parse_path(&format!("/{}", "p".repeat(PATH_LEN_MAX - 1))).unwrap(),
            domain: Some(parse_domain(&domain).unwrap()),
            max_age: Some(*MAX_AGES.end()),
        };
        let text = sticky.set_cookie(&cookie::parse_value(&"v".repeat(64)).unwrap());
        assert!(domain.len() == 253 && text.len() < 2048, "{}", text.len());
    }

    #[test]
    fn what_would_break_the_line_is_refused() {
        for path in [
            "",
            "a",
            "/a;b",
            "/a b",
            "/\r\nX: y",
            "/ä",
            &"/".repeat(1025),
        ] {
            assert!(parse_path(path).is_err(), "{path}");
        }
        for domain in [
            ".",
            "a b",
            "a;b",
            "10.0.0.1",
            "[::1]",
            "a..b",
            "a:80",
            ".example.com",
            "example.com.",
            "ä.example",
            "a\r\nb",
        ] {
            assert!(parse_domain(domain).is_err(), "{domain}");
        }
        for domain in ["", "localhost", "example.com"] {
            assert_eq!(parse_domain(domain).unwrap(), domain);
        }
    }
}
