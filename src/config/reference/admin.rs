//! The keys of `[admin]`.

use super::super::admin::{PAGE_LEN_MAX, SOCKET_LEN_MAX};
use super::entry::{Default, Key, Kind, Section, Text, Value};

pub(super) const SECTION: Section = Section {
    kind: Kind::Admin,
    path: "admin",
    title: "[admin]",
    about: "The admin listener: the stats page, metrics, readiness and the HTTP API for operators. \
            Without this section, and without `--admin ADDR` on the command line, there is none. \
            At least one of `listen` and `socket` is needed. A change needs a restart. `ringway \
            help admin-listener` says what there is and who may do what.",
    keys: KEYS,
    also: None,
    one_needed: &["listen", "socket"],
};

const KEYS: &[Key] = &[
    Key {
        name: "listen",
        value: Value::Text(Text::ADDRESS),
        meaning: "The address that the admin listener listens on.",
        default: Default::Words("none: it does not listen over TCP"),
        bounds: "an address, beyond loopback only with `token_file` or `read_only`; with port 0 the \
                 kernel chooses the port",
        example: "\"127.0.0.1:8404\"",
        note: "`--admin ADDR` on the command line replaces it.",
        ..Key::BASE
    },
    Key {
        name: "socket",
        value: Value::Text(Text::FILE.at_most(SOCKET_LEN_MAX)),
        meaning: "The path of a Unix socket that the admin listener listens on as well.",
        default: Default::Words("none"),
        bounds: "a path of at most 107 bytes",
        example: "\"/run/ringway/admin.sock\"",
        note: "Everything is allowed over it, without a token. The operators' commands use it.",
        ..Key::BASE
    },
    Key {
        name: "haproxy_socket",
        value: Value::Text(Text::FILE.at_most(SOCKET_LEN_MAX)),
        meaning: "The path of a Unix socket that answers the commands of HAProxy's `stats socket`.",
        default: Default::Words("none"),
        bounds: "a path of at most 107 bytes, not that of `socket`",
        example: "\"/run/haproxy/admin.sock\"",
        note: "For scripts and collectors that were made for HAProxy: `ringway help haproxy-socket` has the \
               commands. Everything that they order is allowed, without a token.",
        ..Key::BASE
    },
    Key {
        name: "socket_group",
        value: Value::Text(Text::USER),
        meaning: "A group whose members may use `socket` and `haproxy_socket`, by its name or its number.",
        default: Default::Words("none: only the process's user and root may use it"),
        bounds: "a group of this host, which the process's user is in, or the process starts as root",
        needs: Some("socket"),
        example: "\"adm\"",
        note: "Members may do everything over the socket but upgrade and take over, which are for the \
               process's user and root.",
        ..Key::BASE
    },
    Key {
        name: "token_file",
        value: Value::Text(Text::FILE),
        meaning: "A file with the token that a request over `listen` needs to change something.",
        default: Default::Words("none: over `listen` nothing can be changed"),
        bounds: "a path",
        example: "\"/etc/ringway/token\"",
        note: "The token is the only word in the file, which others may not read; it is read at \
               the start.",
        ..Key::BASE
    },
    Key {
        name: "read_only",
        value: Value::Boolean,
        meaning: "Whether everybody who reaches `listen` may read, by any host name, and nobody may \
                  change anything over it.",
        default: Default::Value(|| false.to_string()),
        bounds: "not together with `token_file`",
        example: "true",
        note: "For containers: `listen` may be beyond loopback without a token. Over `socket` everything \
               is allowed as before. `--admin-read-only` on the command line sets it.",
        ..Key::BASE
    },
    Key {
        name: "page",
        value: Value::Text(Text::new("^/[A-Za-z0-9/_.~-]*$").at_most(PAGE_LEN_MAX)),
        meaning: "A second path of the stats page.",
        default: Default::Words("none: the page is at `/` only"),
        bounds: "begins with `/`; at most 256 letters, digits, `/`, `_`, `.`, `-`, `~`; not a path \
                 that the admin listener has already",
        example: "\"/haproxy_stats\"",
        ..Key::BASE
    },
];
