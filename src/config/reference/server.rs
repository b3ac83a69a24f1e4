//! The keys of an entry of `servers`.

use super::super::defaults;
use super::entry::{Default, Key, Kind, Section, Text, Value, whole};

pub(super) const SECTION: Section = Section {
    kind: Kind::Server,
    path: "backend.servers",
    title: "an entry of `servers`",
    about: "One server of a backend. Entries are written as a list in [backend.NAME], or as \
            sections [[backend.NAME.servers]].",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

/// An address, or the path of a Unix socket.
const ADDRESS: Text = Text::new(
    r"^(unix:/.*[^/]|([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\]):[0-9]{1,5})$",
);

const KEYS: &[Key] = &[
    Key {
        name: "name",
        value: Value::Text(Text::NAME),
        meaning: "The name of the server.",
        bounds: "a name, unique in the backend",
        example: "\"web1\"",
        ..Key::BASE
    },
    Key {
        name: "address",
        value: Value::Text(ADDRESS),
        meaning: "The address of the server.",
        bounds: "an address; port 1 to 65535; or `unix:PATH`",
        example: "\"10.0.0.11:8080\"",
        ..Key::BASE
    },
    Key {
        name: "weight",
        value: Value::Integer(|| whole(&defaults::WEIGHTS)),
        meaning: "The server's share of the sessions; with 0 it is given no new ones by balancing.",
        default: Default::Value(|| defaults::WEIGHT.to_string()),
        example: "2",
        ..Key::BASE
    },
    Key {
        name: "max_sessions",
        value: Value::Integer(|| whole(&defaults::SESSIONS)),
        meaning: "How many sessions the server is given at once, over all workers; further ones \
                  wait in the queue.",
        default: Default::Words("unlimited"),
        example: "500",
        ..Key::BASE
    },
    Key {
        name: "backup",
        value: Value::Boolean,
        meaning: "Whether the server is used only when no other one can be.",
        default: Default::Value(|| false.to_string()),
        example: "true",
        note: "`ringway help balancing` says when that is.",
        ..Key::BASE
    },
    Key {
        name: "cookie",
        value: Value::Text(Text::new(r"^[!#-+\x2d-:<-\[\]-~]{1,64}$")),
        meaning: "The value of the sticky cookie that stands for the server.",
        default: Default::Words("a hash of `name`"),
        bounds: "1 to 64 visible ASCII characters other than `\"` `,` `;` `\\`; unique in the \
                 backend",
        example: "\"s1\"",
        note: "The hash is XXH3 (64 bits, seed 0) of the name, written as a number in base 64: \
               eleven digits of base64url, the most significant first. Every node and every \
               version has the same. `ringway http` has no names: there it is the hash of the \
               address as it was written. A `cookie` in a backend without `sticky` is a warning.",
        ..Key::BASE
    },
];
