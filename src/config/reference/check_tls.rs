//! The keys of `tls` in `[backend.NAME.health_check]`.

use super::entry::{Default, Key, Kind, Section, Text, Value};

pub(super) const SECTION: Section = Section {
    kind: Kind::CheckTls,
    path: "backend.health_check.tls",
    title: "[backend.NAME.health_check.tls]",
    about: "How checks speak TLS, 1.2 or 1.3. tls = true is this section without a key.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

const KEYS: &[Key] = &[
    Key {
        name: "sni",
        value: Value::Text(Text::new("^[A-Za-z0-9_.-]+$")),
        meaning: "The name that servers are told, and that their certificates must have if they are \
                  verified.",
        default: Default::Words(
            "the host name in the address of the server; none for an IP address",
        ),
        bounds: "a host name; needed to verify servers with IP addresses",
        example: "\"app.internal\"",
        ..Key::BASE
    },
    Key {
        name: "verify",
        value: Value::Boolean,
        meaning: "Whether the certificates of servers are verified.",
        default: Default::Words("true if `ca` is written, else false"),
        example: "false",
        ..Key::BASE
    },
    Key {
        name: "ca",
        value: Value::Text(Text::FILE),
        meaning: "A file in PEM with the certificates of the authorities that are trusted, or with those \
                  of the servers themselves.",
        default: Default::Words("those that the system trusts"),
        bounds: "read at the start and at each reload",
        example: "\"/etc/ssl/ca.pem\"",
        ..Key::BASE
    },
];
