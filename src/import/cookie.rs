//! `cookie` of a backend: section 4.2 of HAProxy's manual.

use std::time::Duration;

use super::directive::Directive;
use super::notes::{Notes, Place};

/// A cookie that HAProxy inserts.
#[derive(Clone, Debug)]
pub(super) struct Cookie {
    pub directive: Directive,
    pub name: String,
    pub http_only: bool,
    pub secure: bool,
    pub same_site: Option<String>,
    pub domain: Option<String>,
    pub max_age: Option<Duration>,
    /// Servers without a value get one that is made of their address.
    pub is_dynamic: bool,
}

/// Reads the line; `None`: HAProxy inserts nothing, which has a note.
pub(super) fn read(directive: &Directive, place: &Place, notes: &mut Notes) -> Option<Cookie> {
    let Some(name) = directive.word(1) else {
        notes.wrong(place, directive, "`cookie` needs a name");
        return None;
    };
    let mut cookie = Cookie {
        directive: directive.clone(),
        name: name.to_owned(),
        http_only: false,
        secure: false,
        same_site: None,
        domain: None,
        max_age: None,
        is_dynamic: false,
    };
    let (mut inserts, mut is_indirect) = (false, false);
    let mut rest = directive.from(2);
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let has_argument = ["domain", "maxidle", "maxlife", "attr"].contains(&word.as_str());
        let argument = match after.split_first() {
            Some((argument, after)) if has_argument => {
                rest = after;
                argument.as_str()
            }
            None if has_argument => {
                notes.wrong(place, directive, format!("`{word}` needs an argument"));
                return None;
            }
            Some(_) | None => "",
        };
        match word.as_str() {
            "insert" => inserts = true,
            "indirect" => is_indirect = true,
            "nocache" => {}
            "httponly" => cookie.http_only = true,
            "secure" => cookie.secure = true,
            "dynamic" => cookie.is_dynamic = true,
            "domain" if cookie.domain.is_none() => {
                cookie.domain = Some(argument.trim_start_matches('.').to_owned());
            }
            "domain" => notes.not_translated(
                place,
                directive,
                format!("`domain {argument}`: a cookie has one domain"),
            ),
            "attr" => attribute(&mut cookie, argument, place, notes),
            "postonly" => notes.differs(
                place,
                directive,
                "`postonly`: an answer to any request may set the cookie",
            ),
            "preserve" => notes.differs(
                place,
                directive,
                "`preserve`: a cookie of this name that a server sets is removed",
            ),
            "maxidle" | "maxlife" => {
                let why = format!(
                    "`{word} {argument}`: the value has no dates; `max_age` of [backend.NAME.sticky] bounds it in the browser"
                );
                notes.not_translated(place, directive, why);
            }
            "rewrite" | "prefix" => {
                let why = "a cookie of the application stays as it is; [backend.NAME.sticky] sets one of its own";
                notes.not_translated(place, directive, why);
                return None;
            }
            other => {
                notes.wrong(
                    place,
                    directive,
                    format!("unknown word `{other}` behind `cookie`"),
                );
                return None;
            }
        }
    }
    if !inserts {
        let why = "without `insert` HAProxy only reads this cookie; [backend.NAME.sticky] sets one of its own";
        notes.not_translated(place, directive, why);
        return None;
    }
    if !is_indirect {
        let why = "the cookie is set when a client has none that is valid, and servers do not see it, as with `indirect`";
        notes.differs(place, directive, why);
    }
    Some(cookie)
}

/// An attribute that HAProxy appends as it is written.
fn attribute(cookie: &mut Cookie, text: &str, place: &Place, notes: &mut Notes) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let seconds = || {
        value
            .trim()
            .parse()
            .ok()
            .filter(|count| *count > 0)
            .map(Duration::from_secs)
    };
    match name.trim().to_ascii_lowercase().as_str() {
        "samesite" if value.eq_ignore_ascii_case("none") && cookie.secure => {
            cookie.same_site = Some("None".to_owned());
        }
        "samesite" if value.eq_ignore_ascii_case("lax") => {
            cookie.same_site = Some("Lax".to_owned())
        }
        "samesite" if value.eq_ignore_ascii_case("strict") => {
            cookie.same_site = Some("Strict".to_owned());
        }
        "max-age" if seconds().is_some() => cookie.max_age = seconds(),
        "httponly" => cookie.http_only = true,
        "secure" => cookie.secure = true,
        _ => {
            let directive = cookie.directive.clone();
            let why = format!(
                "`attr {text}`: there are SameSite (None with `secure` before it), Max-Age, HttpOnly, Secure"
            );
            notes.not_translated(place, &directive, why);
        }
    }
}
