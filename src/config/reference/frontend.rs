//! The keys of `[frontend.NAME]`.

use super::super::http_mode::{HEAD_SIZES, HttpMode, Inspect};
use super::super::mode::RawKind;
use super::super::page::quoted;
use super::super::tls_mode::{ROUTES_MAX, TlsMode};
use super::super::{defaults, format_size};
use super::entry::{Default, Key, Kind, Section, Text, Value, duration, whole, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::Frontend,
    path: "frontend",
    title: "[frontend.NAME]",
    about: "Where clients connect. At least one frontend is needed.",
    keys: KEYS,
    also: Some(Kind::Defaults),
    one_needed: &["backend", "routes"],
};

/// An address, `fd:N`, `systemd:NAME` or `unix:PATH`.
const LISTEN: Text = Text::new(
    r"^(fd:[0-9]+|systemd:[ -9;-~]{1,255}|unix:/.*[^/]|([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]{1,5})$",
);

/// An address, a network or a file of them.
const ADDRESSES: Text =
    Text::new(r"^([0-9.]+(/[0-9]{1,2})?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]{1,3})?|file:.*[^/])$");

/// What the keys of HTTP mode need.
const HTTP: Option<(&str, &str)> = Some(("mode", "http"));

/// What the keys of TLS mode need.
const TLS: Option<(&str, &str)> = Some(("mode", "tls"));

const KEYS: &[Key] = &[
    Key {
        name: "listen",
        value: Value::Texts(LISTEN),
        meaning: "The addresses on which clients are accepted.",
        bounds: "at least one of: an address, `fd:N`, `systemd:NAME`, `unix:PATH`",
        example: "[\"0.0.0.0:80\", \"[::]:80\"]",
        note: "With port 0 the kernel chooses the port. `fd:N` is a listening socket inherited as \
               descriptor N (3 or more), `systemd:NAME` one passed by socket activation, `unix:PATH` a Unix socket to \
               make. The same entry twice in the file is an error, except addresses with port 0. `ringway help \
               listeners` says more.",
        ..Key::BASE
    },
    Key {
        name: "backend",
        value: Value::Text(Text::NAME),
        meaning: "The name of the backend that serves these clients; in TLS mode, those that no route matches.",
        default: Default::Words(
            "none; it may be left out in TLS mode with `routes`: clients without a route are closed",
        ),
        bounds: "a [backend.NAME] of the file",
        example: "\"app\"",
        ..Key::BASE
    },
    Key {
        name: "mode",
        value: Value::Choice(|| words(RawKind::NAMES)),
        meaning: "What is relayed: bytes; HTTP/1, of which the first request and its answer are read; or \
                  TLS, of which only the ClientHello is read.",
        default: Default::Value(|| quoted("tcp")),
        example: "\"http\"",
        ..Key::BASE
    },
    Key {
        name: "head_max",
        value: Value::Size(HEAD_SIZES),
        meaning: "In HTTP mode, the largest head of a request or of an answer that is read.",
        default: Default::Value(|| quoted(format_size(u64::from(HttpMode::default().head_max)))),
        only_with: HTTP,
        example: "\"32KiB\"",
        ..Key::BASE
    },
    Key {
        name: "inspect",
        value: Value::Choice(|| words(Inspect::NAMES)),
        meaning: "In HTTP mode, what becomes of a connection after its first answer: \"first\" \
                  relays it on, \"close\" ends it.",
        default: Default::Value(|| quoted(HttpMode::default().inspect)),
        only_with: HTTP,
        example: "\"close\"",
        ..Key::BASE
    },
    Key {
        name: "forwarded_for",
        value: Value::Boolean,
        meaning: "In HTTP mode, whether servers are told the client's address by a line \
                  `X-Forwarded-For`, in place of those that came.",
        default: Default::Value(|| "false".to_owned()),
        bounds: "true needs inspect = \"close\"",
        only_with: HTTP,
        example: "true",
        ..Key::BASE
    },
    Key {
        name: "trust",
        value: Value::Texts(Text::NETWORK),
        meaning: "With `forwarded_for`, the clients whose own `X-Forwarded-For` is kept, with their \
                  address behind it: other proxies.",
        default: Default::Words("none"),
        bounds: "at least one address or network; needs `forwarded_for = true`",
        only_with: HTTP,
        example: "[\"10.0.0.0/8\"]",
        ..Key::BASE
    },
    Key {
        name: "hello_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "In TLS mode, how long a whole ClientHello may take to come. Who has been accepted before a reload keeps \
                  the time that held then.",
        default: Default::Value(|| duration(TlsMode::default().hello_timeout)),
        only_with: TLS,
        example: "\"3s\"",
        ..Key::BASE
    },
    Key {
        name: "routes",
        value: Value::Tables(Kind::Route, ROUTES_MAX),
        meaning: "In TLS mode, clients that get another backend, by the name and the protocols that they \
                  ask for.",
        default: Default::Words("none: all clients get `backend`"),
        only_with: TLS,
        example: "[{ sni = [\"shop.example.com\"], backend = \"app\" }]",
        ..Key::BASE
    },
    Key {
        name: "accept_proxy",
        value: Value::Section(Kind::AcceptProxy),
        meaning: "Balancers in front that say by the PROXY protocol who the client is.",
        default: Default::Words("none: the peer of a connection is the client"),
        ..Key::BASE
    },
    Key {
        name: "max_sessions",
        value: Value::Integer(|| whole(&defaults::SESSIONS)),
        meaning: "How many sessions of this frontend may be open at once, over all workers.",
        default: Default::Words("only the limit of [global]"),
        example: "20000",
        ..Key::BASE
    },
    Key {
        name: "allow",
        value: Value::Texts(ADDRESSES),
        meaning: "Who may connect; all others are reset at once.",
        default: Default::Words("everybody"),
        bounds: "at least one of: an address, a network, `file:PATH`",
        example: "[\"10.0.0.0/8\", \"2001:db8::/32\"]",
        note: "`deny` wins. Such a file has one address or network in each line, and comments behind \
               `#`; it is read at the start and at each reload. IPv4-mapped addresses of IPv6 count \
               as IPv4. `ringway help client-rules` says more.",
        ..Key::BASE
    },
    Key {
        name: "deny",
        value: Value::Texts(ADDRESSES),
        meaning: "Who may not connect: they are reset at once.",
        default: Default::Words("nobody"),
        bounds: "at least one of: an address, a network, `file:PATH`",
        example: "[\"192.0.2.7\", \"198.51.100.0/24\"]",
        note: "Files are as those of `allow`.",
        ..Key::BASE
    },
    Key {
        name: "per_client",
        value: Value::Section(Kind::PerClient),
        meaning: "Limits on each client.",
        default: Default::Words("none: clients have no limits of their own"),
        ..Key::BASE
    },
    Key {
        name: "log_empty",
        value: Value::Boolean,
        meaning: "Whether a connection that ends without a byte from its client gets a line in the \
                  access log.",
        default: Default::Value(|| true.to_string()),
        example: "false",
        note: "Health checks of others and port scans are such connections.",
        ..Key::BASE
    },
    Key {
        name: "backlog",
        value: Value::Integer(|| whole(&defaults::BACKLOGS)),
        meaning: "The length of the kernel's accept queue of each listener.",
        default: Default::Value(|| defaults::BACKLOG.to_string()),
        example: "1024",
        ..Key::BASE
    },
];
