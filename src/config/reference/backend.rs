//! The keys of `[backend.NAME]`.

use super::super::page::quoted;
use super::super::{Algorithm, OnDown, SendProxy, defaults};
use super::entry::{Default, Key, Kind, Section, Text, Value, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::Backend,
    path: "backend",
    title: "[backend.NAME]",
    about: "A pool of servers. A backend that no frontend uses is a warning.",
    keys: KEYS,
    also: Some(Kind::Defaults),
    one_needed: &["servers", "discover"],
};

const KEYS: &[Key] = &[
    Key {
        name: "servers",
        value: Value::Tables(Kind::Server, defaults::SERVERS_MAX),
        meaning: "The servers, in order.",
        default: Default::Words("none, if `discover` is written; else it is required"),
        example: "[{ name = \"web1\", address = \"10.0.0.11:8080\" }]",
        ..Key::BASE
    },
    Key {
        name: "balance",
        value: Value::Choice(|| words(Algorithm::NAMES)),
        meaning: "How a server is chosen for a new session.",
        default: Default::Value(|| quoted(Algorithm::RoundRobin)),
        example: "\"least_conn\"",
        note: "`round_robin`: in turn, by weight, in one order for all workers. `least_conn`: the \
               fewest open sessions of all workers, per weight. `random`: the better of two random \
               draws, by the measure of `least_conn`. `source_hash`: a weighted rendezvous hash of \
               the client's address, the same on every node with the same servers. `first`: the \
               first in the order of the file that has a free slot.",
        ..Key::BASE
    },
    Key {
        name: "slow_start",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long the weight of a server takes to rise to its full value after the server \
                  came back.",
        default: Default::Words("off: it has its full weight at once"),
        example: "\"30s\"",
        ..Key::BASE
    },
    Key {
        name: "on_down",
        value: Value::Choice(|| words(OnDown::NAMES)),
        meaning: "What becomes of the open sessions of a server that goes down: they go on, or they \
                  are closed.",
        default: Default::Value(|| quoted(OnDown::Keep)),
        example: "\"close\"",
        ..Key::BASE
    },
    Key {
        name: "send_proxy",
        value: Value::Choice(|| words(SendProxy::NAMES)),
        meaning: "Which head of the PROXY protocol servers get before the bytes of a client.",
        default: Default::Value(|| quoted(SendProxy::Off)),
        example: "\"v2\"",
        note: "The servers must expect it, all of them. Health checks that send something begin with one, \
               too. `ringway help proxy-protocol` says more.",
        ..Key::BASE
    },
    Key {
        name: "source",
        value: Value::Texts(Text::new(r"^([0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$")),
        meaning: "Local addresses of connects to the servers, in turn.",
        default: Default::Words("the kernel chooses"),
        bounds: "at least one IP address of this host, without a port",
        example: "[\"10.0.0.9\", \"10.0.0.10\"]",
        note: "Each address has all local ports for each server, so two have twice as many. A server of \
               another family than all of them is connected to as without `source`. Health checks \
               begin at these addresses, too.",
        ..Key::BASE
    },
    Key {
        name: "health_check",
        value: Value::Section(Kind::HealthCheck),
        meaning: "How the servers are checked.",
        default: Default::Words("none: servers count as up"),
        ..Key::BASE
    },
    Key {
        name: "passive",
        value: Value::Section(Kind::Passive),
        meaning: "When a server is left out because sessions with it fail.",
        default: Default::Words("never"),
        ..Key::BASE
    },
    Key {
        name: "sticky",
        value: Value::Section(Kind::Sticky),
        meaning: "The cookie that binds each client to its server.",
        default: Default::Words("off: clients are not bound"),
        ..Key::BASE
    },
    Key {
        name: "discover",
        value: Value::Section(Kind::Discover),
        meaning: "How further servers are found by DNS.",
        default: Default::Words("none: there are only `servers`"),
        ..Key::BASE
    },
];
