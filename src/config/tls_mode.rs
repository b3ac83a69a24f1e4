//! TLS mode of a frontend: `hello_timeout`, and `routes` that choose a backend by what clients ask for.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use toml::Spanned;

use super::error::Diagnostics;
use super::field::Field;
use super::problem::{Problem, Span, shorten};
use super::render::Lines;
use super::session_rules::SessionRules;
use crate::logic::tls::{Conditions, NAME_LEN_MAX, NameFault, NamePattern};

/// Routes of one frontend.
pub(super) const ROUTES_MAX: usize = 10_000;

/// Bytes of the name of a protocol (RFC 7301, 3.1).
const PROTOCOL_LEN_MAX: usize = 255;

/// A hello comes at once: who needs longer wants to hold a place.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How TLS is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsMode {
    /// From accept to the end of the ClientHello; positive, at most 100 days.
    pub hello_timeout: Duration,
}

impl Default for TlsMode {
    /// What holds when only the mode is written.
    fn default() -> Self {
        TlsMode {
            hello_timeout: HELLO_TIMEOUT,
        }
    }
}

/// One entry of `routes`: clients that get another backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which clients; at least one condition.
    pub conditions: Conditions,
    /// Index into [`Config::backends`](super::Config::backends).
    pub backend: usize,
    /// What holds for these sessions once the route is taken; what concerns the client's connection alone, its
    /// `keepalive` and `user_timeout`, is that of the frontend.
    pub session: SessionRules,
}

impl fmt::Display for Route {
    /// What tells it from the other routes of its frontend: its first name, and its protocols.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { names, protocols } = &self.conditions;
        let mut separator = "";
        if let Some(name) = names.first() {
            write!(f, "{name}")?;
            separator = " ";
        }
        if !protocols.is_empty() {
            write!(f, "{separator}alpn={}", protocols.join(","))?;
        }
        Ok(())
    }
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub(super) struct RawTlsMode {
    pub hello_timeout: Field<Duration>,
    pub routes: Field<Vec<RawRoute>>,
}

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub(super) struct RawRoute {
    /// Where the entry begins.
    pub span: Span,
    pub sni: Field<Vec<Spanned<NamePattern>>>,
    pub alpn: Field<Vec<Spanned<String>>>,
    pub backend: Field<String>,
}

impl RawTlsMode {
    /// Its keys, with where they are written.
    pub fn written(&self) -> [(&'static str, Option<Span>); 2] {
        [
            (
                "hello_timeout",
                self.hello_timeout.written().map(Spanned::span),
            ),
            ("routes", self.routes.written().map(Spanned::span)),
        ]
    }

    /// Fills in the defaults.
    pub fn with_defaults(&self) -> TlsMode {
        let default = TlsMode::default();
        TlsMode {
            hello_timeout: *self.hello_timeout.get().unwrap_or(&default.hello_timeout),
        }
    }

    /// The routes, as far as they are valid.
    pub fn routes(&self) -> &[RawRoute] {
        self.routes.get().map_or(&[], Vec::as_slice)
    }
}

impl RawRoute {
    /// Its conditions, as far as they are valid.
    pub fn conditions(&self) -> Conditions {
        fn values<T: Clone>(field: &Field<Vec<Spanned<T>>>) -> Vec<T> {
            let list = field.get().into_iter().flatten();
            list.map(|value| value.get_ref().clone()).collect()
        }
        Conditions {
            names: values(&self.sni),
            protocols: values(&self.alpn),
        }
    }

    /// Whether of clients that ask for a name of both, it takes all that `later` would.
    fn takes_all_of(&self, later: &RawRoute) -> bool {
        match (self.alpn.get(), later.alpn.get()) {
            (None, _) => !matches!(self.alpn, Field::Invalid),
            (Some(_), None) => false,
            (Some(own), Some(others)) => {
                let has =
                    |other: &Spanned<String>| own.iter().any(|it| it.get_ref() == other.get_ref());
                others.iter().all(has)
            }
        }
    }

    /// Whether a condition is written, be it a wrong one.
    fn has_condition(&self) -> bool {
        !matches!((&self.sni, &self.alpn), (Field::Absent, Field::Absent))
    }
}

/// Reads a name of `sni`.
pub(super) fn parse_name(text: &str) -> Result<NamePattern, Problem> {
    let shown = shorten(text);
    NamePattern::parse(text).map_err(|fault| {
        let (why, cure) = match fault {
            NameFault::Wildcard => (
                "`*` stands for whole labels before a name".to_owned(),
                "write it at the beginning, such as \"*.example.com\"; for all other names \
                 write `backend` of the frontend"
                    .to_owned(),
            ),
            NameFault::Address => (
                "it is an address".to_owned(),
                "clients send no name when they connect to an address: write `backend` of the \
                 frontend for them"
                    .to_owned(),
            ),
            NameFault::NotAscii(wrong) => (
                format!("it has `{}`", wrong.escape_debug()),
                "write it as clients send it, in ASCII: \"xn--...\"".to_owned(),
            ),
            NameFault::Character(':' | '/') => (
                "it is more than a name".to_owned(),
                "write the name alone, such as \"shop.example.com\"".to_owned(),
            ),
            NameFault::Character(wrong) => (
                format!("it has `{}`", wrong.escape_debug()),
                "use letters, digits, `-`, `_` and `.`".to_owned(),
            ),
            NameFault::Empty => ("it is empty".to_owned(), example_of_a_name()),
            NameFault::EmptyLabel => (
                "a part between dots is empty".to_owned(),
                example_of_a_name(),
            ),
            NameFault::TooLong => (
                "it is too long".to_owned(),
                format!("use at most {NAME_LEN_MAX} characters, and 63 between dots"),
            ),
        };
        Problem::new(format!("invalid name of a server `{shown}`: {why}"), cure)
    })
}

fn example_of_a_name() -> String {
    "write it like \"shop.example.com\" or \"*.example.com\"".to_owned()
}

/// Reads a name of `alpn`.
pub(super) fn parse_protocol(text: &str) -> Result<String, Problem> {
    // Quotes and commas separate names in the access log, and in the name of a route, which must be its own.
    let is_shown = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ',');
    if (1..=PROTOCOL_LEN_MAX).contains(&text.len()) && text.chars().all(is_shown) {
        return Ok(text.to_owned());
    }
    let title = format!("invalid name of a protocol `{}`", shorten(text));
    let cure = match text.contains(',') {
        true => "write each name as an entry of its own, such as [\"h2\", \"http/1.1\"]",
        false => "write it as clients send it, such as \"h2\", \"http/1.1\" or \"acme-tls/1\"",
    };
    Err(Problem::new(title, cure))
}

/// Reports routes without a condition, and conditions that no client can meet because those of an earlier
/// route are met first. `frontend` is how messages call the frontend.
pub(super) fn validate_conditions(
    out: &mut Diagnostics,
    routes: &[RawRoute],
    lines: &Lines<'_>,
    frontend: &str,
) {
    let mut seen: HashMap<Option<&NamePattern>, Vec<(&RawRoute, Span)>> = HashMap::new();
    for route in routes {
        if !route.has_condition() {
            let title = format!("a route of {frontend} without a condition");
            let cure = "add sni = [\"shop.example.com\"]; the backend of all other clients is \
                        `backend` of the frontend";
            out.error(route.span.clone(), Problem::new(title, cure));
            continue;
        }
        let names = route.sni.get().into_iter().flatten();
        let mut conditions: Vec<_> = names
            .map(|name| (Some(name.get_ref()), name.span()))
            .collect();
        if matches!(route.sni, Field::Absent) {
            conditions.push((None, route.span.clone()));
        }
        for (name, span) in conditions {
            let earlier = seen.entry(name).or_default();
            if let Some((_, first)) = earlier.iter().find(|(it, _)| it.takes_all_of(route)) {
                let what = match name {
                    Some(name) => format!("`{}`", shorten(&name.to_string())),
                    None => "every client of this route".to_owned(),
                };
                let title = format!("{what} already has a route in {frontend}");
                let cure = format!("first at {}: remove one of them", lines.location(first));
                out.error(span, Problem::new(title, cure));
            } else {
                earlier.push((route, span));
            }
        }
    }
}
