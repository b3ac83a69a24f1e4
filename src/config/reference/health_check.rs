//! The keys of `[backend.NAME.health_check]`.

use super::super::defaults;
use super::super::health_check::{LITERAL_CHARACTERS_MAX, RawKind, StatusRanges};
use super::super::page::quoted;
use super::entry::{Default, Key, Kind, Section, Text, Value, duration, whole, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::HealthCheck,
    path: "backend.health_check",
    title: "[backend.NAME.health_check]",
    about: "How the servers of a backend are checked. Without this section servers count as up.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

/// What the keys that describe a request need.
const HTTP: Option<(&str, &str)> = Some(("type", "http"));

/// What the keys that describe an exchange of bytes need.
const TCP: Option<(&str, &str)> = Some(("type", "tcp"));

/// Bytes, as `send` and `expect` have them.
const LITERAL: Text =
    Text::new(r"^([^\\]|\\[rnt\\]|\\x[0-9A-Fa-f]{2})+$").at_most(LITERAL_CHARACTERS_MAX);

/// A status, or a range of them.
const STATUSES: Text =
    Text::new("^ *[1-9][0-9]{2} *(- *[1-9][0-9]{2} *)?(, *[1-9][0-9]{2} *(- *[1-9][0-9]{2} *)?)*$");

const KEYS: &[Key] = &[
    Key {
        name: "type",
        value: Value::Choice(|| words(RawKind::NAMES)),
        meaning: "What a server must do to pass: take a connection, or answer a request of HTTP.",
        default: Default::Value(|| quoted("tcp")),
        example: "\"http\"",
        ..Key::BASE
    },
    Key {
        name: "path",
        value: Value::Text(Text::new("^/[!-~]*$")),
        meaning: "The path of the request.",
        default: Default::Value(|| quoted(defaults::CHECK_PATH)),
        bounds: "begins with `/`, visible ASCII",
        only_with: HTTP,
        example: "\"/health\"",
        ..Key::BASE
    },
    Key {
        name: "method",
        value: Value::Text(Text::new("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")),
        meaning: "The method of the request.",
        default: Default::Value(|| quoted(defaults::CHECK_METHOD)),
        bounds: "a token",
        only_with: HTTP,
        example: "\"HEAD\"",
        ..Key::BASE
    },
    Key {
        name: "host",
        value: Value::Text(Text::new("^[!-~]*$")),
        meaning: "The value of the header `Host`; \"\" stands for the address of the server \
                  as it is written, with the port that is checked.",
        default: Default::Value(|| quoted("")),
        bounds: "visible ASCII",
        only_with: HTTP,
        example: "\"www.example.org\"",
        ..Key::BASE
    },
    Key {
        name: "expect_status",
        value: Value::Text(STATUSES),
        meaning: "The statuses of an answer that pass.",
        default: Default::Value(|| quoted(StatusRanges::default())),
        bounds: "statuses and ranges of them",
        only_with: HTTP,
        example: "\"200-299,301\"",
        ..Key::BASE
    },
    Key {
        name: "headers",
        value: Value::NamedTexts {
            names: Text::new("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
            values: Text::new("^([!-~]([ -~]*[!-~])?)?$"),
        },
        meaning: "Further lines of the head of the request.",
        default: Default::Words("none; the head has `Host`, `Connection: close` and `User-Agent`"),
        bounds: "visible ASCII; not `Host`, which is `host`, and not what says how long a message is",
        only_with: HTTP,
        example: "{ \"X-Forwarded-Proto\" = \"https\" }",
        ..Key::BASE
    },
    Key {
        name: "expect_body",
        value: Value::Text(Text::new("^[^\\x00]")),
        meaning: "What the body of an answer must contain, beside a status that passes.",
        default: Default::Words("nothing, the body is not read"),
        bounds: "not empty; not with `expect_body_regex`",
        only_with: HTTP,
        example: "'\"status\":\"UP\"'",
        note: "The first 64 KiB of the body are looked at.",
        ..Key::BASE
    },
    Key {
        name: "expect_body_regex",
        value: Value::Text(Text::new("^[^\\x00]")),
        meaning: "A regular expression that must match somewhere in the body of an answer.",
        default: Default::Words("none, the body is not read"),
        bounds: "the syntax of the crate regex-lite; not with `expect_body`",
        only_with: HTTP,
        example: "'\"replicas\": *[3-9]'",
        note: "The first 64 KiB of the body are looked at, once they or its end are there. Classes such as \
               \\d know ASCII only.",
        ..Key::BASE
    },
    Key {
        name: "send",
        value: Value::Text(LITERAL),
        meaning: "What is sent once the server has taken the connection.",
        default: Default::Words("nothing"),
        bounds: "\\r, \\n, \\t, \\\\ and \\xNN stand for one byte each",
        only_with: TCP,
        example: "'PING\\r\\n'",
        note: "In single quotes TOML leaves backslashes alone.",
        ..Key::BASE
    },
    Key {
        name: "expect",
        value: Value::Text(LITERAL),
        meaning: "What must come from the server: as an answer to `send`, or by itself.",
        default: Default::Words("nothing"),
        bounds: "as `send`",
        only_with: TCP,
        example: "'+PONG'",
        note: "It may stand anywhere in the first 64 KiB.",
        ..Key::BASE
    },
    Key {
        name: "tls",
        value: Value::BooleanOrSection(Kind::CheckTls),
        meaning: "Whether, and how, checks speak TLS.",
        default: Default::Words("false"),
        example: "true",
        note: "With `true` certificates are not verified. A check of type \"tcp\" without `send` and \
               `expect` passes when the handshake is done.",
        ..Key::BASE
    },
    Key {
        name: "interval",
        value: Value::Duration(defaults::CHECK_INTERVALS),
        meaning: "The time from one probe of a server to the next while the server is up.",
        default: Default::Value(|| duration(defaults::CHECK_INTERVAL)),
        bounds: "not less than `timeout`",
        example: "\"5s\"",
        ..Key::BASE
    },
    Key {
        name: "fast_interval",
        value: Value::Duration(defaults::CHECK_INTERVALS),
        meaning: "The same time while the server is between up and down.",
        default: Default::Words("the same as `interval`"),
        example: "\"500ms\"",
        note: "A session's failed connect also makes a probe, at most one in this time.",
        ..Key::BASE
    },
    Key {
        name: "down_interval",
        value: Value::Duration(defaults::CHECK_INTERVALS),
        meaning: "The same time while the server is down.",
        default: Default::Words("the same as `interval`"),
        example: "\"10s\"",
        ..Key::BASE
    },
    Key {
        name: "timeout",
        value: Value::Duration(defaults::CHECK_TIMEOUTS),
        meaning: "How long connecting and the answer may take together.",
        default: Default::Value(|| duration(defaults::CHECK_TIMEOUT)),
        bounds: "not more than `interval`",
        example: "\"500ms\"",
        ..Key::BASE
    },
    Key {
        name: "fall",
        value: Value::Integer(|| whole(&defaults::CHECK_COUNTS)),
        meaning: "How many failures in a row take a server down.",
        default: Default::Value(|| defaults::CHECK_FALL.to_string()),
        example: "2",
        ..Key::BASE
    },
    Key {
        name: "rise",
        value: Value::Integer(|| whole(&defaults::CHECK_COUNTS)),
        meaning: "How many successes in a row bring a server up.",
        default: Default::Value(|| defaults::CHECK_RISE.to_string()),
        example: "3",
        ..Key::BASE
    },
    Key {
        name: "port",
        value: Value::Integer(|| whole(&defaults::PORTS)),
        meaning: "The port that is checked.",
        default: Default::Words("the server's own port"),
        example: "9000",
        ..Key::BASE
    },
];
