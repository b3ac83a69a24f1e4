//! Section `[backend.NAME.health_check]`, from what was written to what is true.
//!
//! Its keys belong together, so its reader, its checks and its part of the configuration are here
//! and not spread over `raw`, `read` and `validate`, which call them.

mod http;
mod literal;
mod statuses;
mod tls;

use std::time::Duration;

use regex_lite::Regex;

use super::defaults;
use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span};
use super::units::format_duration;
pub use http::{ExpectBody, HttpCheck};
pub(super) use http::{
    check_header_name, parse_expect_body, parse_header_value, parse_host, parse_method, parse_path,
    parse_regex,
};
pub use literal::Literal;
pub(super) use literal::{CHARACTERS_MAX as LITERAL_CHARACTERS_MAX, parse_literal};
pub use statuses::StatusRanges;
pub(super) use statuses::parse_status_ranges;
pub use tls::{CheckTls, Roots, name_of_host};
pub(super) use tls::{RawCheckTls, parse_sni, validate_check_tls};

/// How the servers of a backend are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// What is asked of a server.
    pub kind: CheckKind,
    /// What is asked is asked within TLS; `None`: in clear.
    pub tls: Option<CheckTls>,
    /// From one probe to the next while the server is up; not shorter than `timeout`.
    pub interval: Duration,
    /// The same between up and down; when not written: the same as `interval`.
    pub fast_interval: Duration,
    /// The same while it is down; when not written: the same as `interval`.
    pub down_interval: Duration,
    /// Connect and answer together.
    pub timeout: Duration,
    /// Failures in a row that take a server down, 1..=1000.
    pub fall: u32,
    /// Successes in a row that bring it up, 1..=1000.
    pub rise: u32,
    /// Where it is checked; `None`: the server's own port.
    pub port: Option<u16>,
}

impl HealthCheck {
    /// By default, but for what is asked.
    pub(super) fn by(kind: CheckKind) -> Self {
        HealthCheck {
            kind,
            tls: None,
            interval: defaults::CHECK_INTERVAL,
            fast_interval: defaults::CHECK_INTERVAL,
            down_interval: defaults::CHECK_INTERVAL,
            timeout: defaults::CHECK_TIMEOUT,
            fall: defaults::CHECK_FALL,
            rise: defaults::CHECK_RISE,
            port: None,
        }
    }
}

/// What a probe asks of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// That it takes a connection.
    Tcp,
    /// That it takes what is sent, and answers it, or greets.
    Exchange(Exchange),
    /// That it answers a request.
    Http(HttpCheck),
}

impl CheckKind {
    /// Its name in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            CheckKind::Tcp | CheckKind::Exchange(_) => "tcp",
            CheckKind::Http(_) => "http",
        }
    }
}

/// One round with a server of any protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What is sent; `None`: nothing, the server speaks first.
    pub send: Option<Literal>,
    /// What the first 64 KiB that come from the server must contain; `None`: nothing is read.
    pub expect: Option<Literal>,
}

/// What an operator wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct RawHealthCheck {
    pub kind: Field<RawKind>,
    pub path: Field<String>,
    pub method: Field<String>,
    pub host: Field<String>,
    pub headers: Field<Vec<(String, String)>>,
    pub expect_status: Field<StatusRanges>,
    pub expect_body: Field<String>,
    pub expect_body_regex: Field<Regex>,
    pub send: Field<Literal>,
    pub expect: Field<Literal>,
    pub tls: Field<RawCheckTls>,
    pub interval: Field<Duration>,
    pub fast_interval: Field<Duration>,
    pub down_interval: Field<Duration>,
    pub timeout: Field<Duration>,
    pub fall: Field<u32>,
    pub rise: Field<u32>,
    pub port: Field<u16>,
}

/// Value of `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawKind {
    Tcp,
    Http,
}

impl RawKind {
    /// The names in the configuration.
    pub const NAMES: &[(&str, RawKind)] = &[("tcp", RawKind::Tcp), ("http", RawKind::Http)];
}

/// Checks what concerns more than one value, and fills in the defaults.
pub(super) fn validate_health_check(out: &mut Diagnostics, raw: &RawHealthCheck) -> HealthCheck {
    let http = match &raw.kind {
        Field::Written(kind) => *kind.get_ref() == RawKind::Http,
        Field::Absent => false,
        // Reported, and it may well have meant this.
        Field::Invalid => true,
    };
    keys_of_the_other_type(out, raw, http);
    let bodies = (raw.expect_body.written(), raw.expect_body_regex.written());
    if let (Some(_), Some(regex)) = bodies {
        let title = "`expect_body` and `expect_body_regex` are both written";
        out.error(regex.span(), Problem::new(title, "remove one of them"));
    }
    let bodiless = raw.method.get().is_some_and(|method| method == "HEAD");
    if let (Some(method), true) = (raw.method.written(), bodiless)
        && (bodies.0.is_some() || bodies.1.is_some())
    {
        let title = "an answer to \"HEAD\" has no body to be looked at";
        out.error(method.span(), Problem::new(title, "write method = \"GET\""));
    }
    let interval = value_or(&raw.interval, defaults::CHECK_INTERVAL);
    let timeout = value_or(&raw.timeout, defaults::CHECK_TIMEOUT);
    let known = !matches!(raw.interval, Field::Invalid) && !matches!(raw.timeout, Field::Invalid);
    if interval < timeout && known {
        let (interval, timeout) = (format_duration(interval), format_duration(timeout));
        let title = format!("interval = \"{interval}\" is shorter than timeout = \"{timeout}\"");
        let cure = format!(
            "a probe must be over before the next begins: write timeout = \"{interval}\" or less"
        );
        let location = span(&raw.interval).or_else(|| span(&raw.timeout));
        out.error(location.unwrap_or_default(), Problem::new(title, cure));
    }
    HealthCheck {
        kind: if http {
            CheckKind::Http(http_check(raw))
        } else {
            tcp_check(raw)
        },
        tls: (raw.tls.written())
            .and_then(|tls| validate_check_tls(out, tls.get_ref(), &tls.span())),
        interval,
        fast_interval: value_or(&raw.fast_interval, interval),
        down_interval: value_or(&raw.down_interval, interval),
        timeout,
        fall: value_or(&raw.fall, defaults::CHECK_FALL),
        rise: value_or(&raw.rise, defaults::CHECK_RISE),
        port: raw.port.get().copied(),
    }
}

/// Reports what is written and belongs to a check of the other type.
fn keys_of_the_other_type(out: &mut Diagnostics, raw: &RawHealthCheck, http: bool) {
    let of_http = [
        ("path", span(&raw.path)),
        ("method", span(&raw.method)),
        ("host", span(&raw.host)),
        ("headers", span(&raw.headers)),
        ("expect_status", span(&raw.expect_status)),
        ("expect_body", span(&raw.expect_body)),
        ("expect_body_regex", span(&raw.expect_body_regex)),
    ];
    let of_tcp = [("send", span(&raw.send)), ("expect", span(&raw.expect))];
    let (others, kind, cure) = if http {
        let cure = "write type = \"tcp\", or remove it; for the answer to a request there are \
                    `expect_status` and `expect_body`";
        (&of_tcp[..], "http", cure)
    } else {
        (&of_http[..], "tcp", "write type = \"http\", or remove it")
    };
    // One that was reported may well have been meant to be the other.
    if matches!(raw.kind, Field::Invalid) {
        return;
    }
    for (key, span) in others {
        let Some(span) = span else { continue };
        let title = format!("`{key}` has no meaning for a check of type \"{kind}\"");
        out.error(span.clone(), Problem::new(title, cure));
    }
}

fn tcp_check(raw: &RawHealthCheck) -> CheckKind {
    match (raw.send.get(), raw.expect.get()) {
        (None, None) => CheckKind::Tcp,
        (send, expect) => CheckKind::Exchange(Exchange {
            send: send.cloned(),
            expect: expect.cloned(),
        }),
    }
}

fn http_check(raw: &RawHealthCheck) -> HttpCheck {
    let text = |field: &Field<String>, default: &str| {
        field
            .get()
            .map_or_else(|| default.to_owned(), String::clone)
    };
    HttpCheck {
        path: text(&raw.path, defaults::CHECK_PATH),
        method: text(&raw.method, defaults::CHECK_METHOD),
        host: raw.host.get().filter(|host| !host.is_empty()).cloned(),
        headers: raw.headers.get().cloned().unwrap_or_default(),
        expect_status: raw.expect_status.get().cloned().unwrap_or_default(),
        expect_body: match (raw.expect_body.get(), raw.expect_body_regex.get()) {
            (Some(text), _) => Some(ExpectBody::Contains(text.clone())),
            (None, Some(regex)) => Some(ExpectBody::Matches(regex.clone())),
            (None, None) => None,
        },
    }
}

fn value_or<T: Copy>(field: &Field<T>, default: T) -> T {
    field.get().copied().unwrap_or(default)
}

fn span<T>(field: &Field<T>) -> Option<Span> {
    field.written().map(toml::Spanned::span)
}
