//! Section `[backend.NAME.health_check]`, from what was written to what is true.
//!
//! Its keys belong together, so its reader, its checks and its part of the configuration are here
//! and not spread over `raw`, `read` and `validate`, which call them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::defaults;
use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten};
use super::units::format_duration;

/// How the servers of a backend are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked of a server.
    pub kind: CheckKind,
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
    /// That it answers a request.
    Http(HttpCheck),
}

impl CheckKind {
    /// Its name in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            CheckKind::Tcp => "tcp",
            CheckKind::Http(_) => "http",
        }
    }
}

/// A request, and the answers that are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Begins with `/`; visible ASCII only.
    pub path: String,
    /// A token.
    pub method: String,
    /// Value of the header `Host`; `None`: the address that is checked.
    pub host: Option<String>,
    /// The statuses that pass.
    pub expect_status: StatusRanges,
}

impl HttpCheck {
    /// A request for `path`, and what else is the default.
    pub(super) fn get(path: String) -> Self {
        HttpCheck {
            path,
            method: defaults::CHECK_METHOD.to_owned(),
            host: None,
            expect_status: StatusRanges::default(),
        }
    }
}

/// Statuses of HTTP, as in `200-299,301`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRanges(Vec<RangeInclusive<u16>>);

impl StatusRanges {
    /// Whether `status` is among them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for StatusRanges {
    fn default() -> Self {
        StatusRanges(vec![defaults::CHECK_EXPECT_STATUS])
    }
}

impl fmt::Display for StatusRanges {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

/// What an operator wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct RawHealthCheck {
    pub kind: Field<RawKind>,
    pub path: Field<String>,
    pub method: Field<String>,
    pub host: Field<String>,
    pub expect_status: Field<StatusRanges>,
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
    if !http {
        let written = [
            ("path", span(&raw.path)),
            ("method", span(&raw.method)),
            ("host", span(&raw.host)),
            ("expect_status", span(&raw.expect_status)),
        ];
        for (key, span) in written {
            let Some(span) = span else { continue };
            let title = format!("`{key}` has no meaning for a check of type \"tcp\"");
            let cure = "write type = \"http\", or remove it";
            out.error(span, Problem::new(title, cure));
        }
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
            CheckKind::Tcp
        },
        interval,
        fast_interval: value_or(&raw.fast_interval, interval),
        down_interval: value_or(&raw.down_interval, interval),
        timeout,
        fall: value_or(&raw.fall, defaults::CHECK_FALL),
        rise: value_or(&raw.rise, defaults::CHECK_RISE),
        port: raw.port.get().copied(),
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
        expect_status: raw.expect_status.get().cloned().unwrap_or_default(),
    }
}

fn value_or<T: Copy>(field: &Field<T>, default: T) -> T {
    field.get().copied().unwrap_or(default)
}

fn span<T>(field: &Field<T>) -> Option<Span> {
    field.written().map(toml::Spanned::span)
}

pub(super) fn parse_path(text: &str) -> Result<String, Problem> {
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

pub(super) fn parse_method(text: &str) -> Result<String, Problem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(token) {
        return Ok(text.to_owned());
    }
    let title = format!("invalid method `{}`", shorten(text));
    Err(Problem::new(title, "write it like \"GET\""))
}

pub(super) fn parse_host(text: &str) -> Result<String, Problem> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    let title = format!("invalid host `{}`", shorten(text));
    Err(Problem::new(title, "write it like \"www.example.org\""))
}

pub(super) fn parse_status_ranges(text: &str) -> Result<StatusRanges, Problem> {
    let status = |text: &str| -> Option<u16> {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && *status >= 100)
    };
    let range = |part: &str| {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        let (start, end) = (status(start.trim())?, status(end.trim())?);
        (start <= end).then_some(start..=end)
    };
    const CURE: &str = "write statuses and ranges of them, such as \"200-299,301\"";
    if text.trim().is_empty() {
        return Err(Problem::new("`expect_status` is empty", CURE));
    }
    let ranges = text.split(',').map(|part| {
        range(part.trim()).ok_or_else(|| {
            let title = format!("invalid range of statuses `{}`", shorten(part.trim()));
            Problem::new(title, CURE)
        })
    });
    ranges.collect::<Result<_, _>>().map(StatusRanges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_statuses_are_read_and_written() {
        for (text, written) in [
            ("200", "200"),
            ("200-399", "200-399"),
            (" 200 - 299 , 301,100-999", "200-299,301,100-999"),
        ] {
            assert_eq!(parse_status_ranges(text).unwrap().to_string(), written);
        }
        let ranges = parse_status_ranges("200-299,301").unwrap();
        for (status, inside) in [
            (199, false),
            (200, true),
            (299, true),
            (300, false),
            (301, true),
        ] {
            assert_eq!(ranges.contains(status), inside, "{status}");
        }
        let default = StatusRanges::default();
        assert!(default.contains(204) && default.contains(399) && !default.contains(400));
        for wrong in [
            "", " ", "200,", "20", "2000", "399-200", "200-", "2xx", "+20", "099",
        ] {
            assert!(parse_status_ranges(wrong).is_err(), "{wrong}");
        }
    }

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
    }
}
