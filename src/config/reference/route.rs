//! The keys of an entry of `routes`.

use super::entry::{Default, Key, Kind, Section, Text, Value};

pub(super) const SECTION: Section = Section {
    kind: Kind::Route,
    path: "frontend.routes",
    title: "an entry of `routes`",
    about: "Clients of a frontend in TLS mode that get another backend, by what they ask for. A route \
            matches if all of its conditions do; it has one at least. Of those that match, an exact name \
            wins over a wildcard, a longer wildcard over a shorter one, any name over a route without \
            `sni`; among equals the first. `ringway help tls-mode` says more.",
    keys: KEYS,
    also: None,
    one_needed: &["sni", "alpn"],
};

/// A name, with or without a wildcard.
const NAME: Text = Text::new(r"^(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$");

/// What clients offer as a protocol: visible characters of ASCII but `"` and `,`.
const PROTOCOL: Text = Text::new(r"^[!#-+\--~]{1,255}$");

const KEYS: &[Key] = &[
    Key {
        name: "sni",
        value: Value::Texts(NAME),
        meaning: "The names of servers that a client asks for, of which one is to match.",
        default: Default::Words("clients with any name, or none"),
        bounds: "at least one of: a name; `*.` and a name, for all names below it",
        example: "[\"shop.example.com\", \"*.shop.example.com\"]",
        note: "Case and a final dot do not count. `*.` stands for one label or more. Names with other \
               letters than those of ASCII are written as clients send them: \"xn--...\".",
        ..Key::BASE
    },
    Key {
        name: "alpn",
        value: Value::Texts(PROTOCOL),
        meaning: "The protocols that a client offers, of which one is to match.",
        default: Default::Words("clients with any protocols, or none"),
        bounds: "at least one name of a protocol (ALPN), of visible characters of ASCII but `\"` and `,`",
        example: "[\"acme-tls/1\"]",
        ..Key::BASE
    },
    Key {
        name: "backend",
        value: Value::Text(Text::NAME),
        meaning: "The name of the backend that serves these clients.",
        bounds: "a [backend.NAME] of the file",
        example: "\"app\"",
        note: "Its timeouts and `retries` win over those of the frontend.",
        ..Key::BASE
    },
];
