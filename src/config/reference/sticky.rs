//! The keys of `[backend.NAME.sticky]`.

use super::super::SameSite;
use super::super::Sticky;
use super::super::page::quoted;
use super::super::sticky::{MAX_AGES, PATH_LEN_MAX};
use super::entry::{Default, Key, Kind, Section, Text, Value, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::Sticky,
    path: "backend.sticky",
    title: "[backend.NAME.sticky]",
    about: "A cookie that binds each client to its server. Without this section clients are not \
            bound. Every frontend that uses the backend must be in HTTP mode. A cookie whose name \
            begins with `__Secure-` or `__Host-` needs `secure = true`, and for the latter \
            `path = \"/\"` and no `domain`.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

/// What holds when only the name is written.
fn unwritten() -> Sticky {
    Sticky::named(String::new())
}

const KEYS: &[Key] = &[
    Key {
        name: "cookie",
        value: Value::Text(Text::new("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")),
        meaning: "The name of the cookie.",
        bounds: "a token of 1 to 64 characters",
        example: "\"SRV\"",
        ..Key::BASE
    },
    Key {
        name: "http_only",
        value: Value::Boolean,
        meaning: "Whether the cookie is hidden from scripts of the page.",
        default: Default::Value(|| unwritten().http_only.to_string()),
        example: "false",
        ..Key::BASE
    },
    Key {
        name: "secure",
        value: Value::Boolean,
        meaning: "Whether browsers send the cookie over TLS only.",
        default: Default::Value(|| unwritten().secure.to_string()),
        example: "true",
        ..Key::BASE
    },
    Key {
        name: "same_site",
        value: Value::Choice(|| words(SameSite::NAMES)),
        meaning: "With which requests from other sites browsers send the cookie; \"off\" leaves it \
                  to the browser.",
        default: Default::Value(|| quoted(unwritten().same_site)),
        bounds: "\"None\" needs `secure = true`",
        example: "\"Strict\"",
        ..Key::BASE
    },
    Key {
        name: "path",
        value: Value::Text(Text::new("^/[!-:<-~]*$").at_most(PATH_LEN_MAX)),
        meaning: "The path for which browsers send the cookie.",
        default: Default::Value(|| quoted(unwritten().path)),
        bounds: "begins with `/`; at most 1024 visible ASCII characters other than `;`",
        example: "\"/shop\"",
        ..Key::BASE
    },
    Key {
        name: "domain",
        value: Value::Text(Text::new(
            r"^([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*)?$",
        )),
        meaning: "The host to which, with its subdomains, browsers send the cookie; \"\" means \
                  only the host that set it.",
        default: Default::Value(|| quoted("")),
        bounds: "a host name",
        example: "\"example.com\"",
        ..Key::BASE
    },
    Key {
        name: "max_age",
        value: Value::Duration(MAX_AGES),
        meaning: "How long browsers keep the cookie.",
        default: Default::Words("until the browser is closed"),
        bounds: "whole seconds",
        example: "\"8h\"",
        ..Key::BASE
    },
];
