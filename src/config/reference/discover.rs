//! The keys of `[backend.NAME.discover]`.

use super::super::discover::{
    Family, INTERVAL, INTERVALS, OnEmpty, SERVERS, SERVERS_BOUNDS, TIMEOUT, TIMEOUTS,
};
use super::super::page::quoted;
use super::super::{defaults, units};
use super::entry::{Default, Key, Kind, Section, Text, Value, whole, words};

pub(super) const SECTION: Section = Section {
    kind: Kind::Discover,
    path: "backend.discover",
    title: "[backend.NAME.discover]",
    about: "Servers that are found by DNS, and asked for again and again. Exactly one of `dns` and \
            `srv` must be written. `servers` may stand beside this section. \
            `ringway help discovery` tells how it works.",
    keys: KEYS,
    also: None,
    one_needed: &["dns", "srv"],
};

const KEYS: &[Key] = &[
    Key {
        name: "dns",
        value: Value::Text(Text::new(r"^[A-Za-z0-9_.-]+:[0-9]{1,5}$")),
        meaning: "The name whose addresses are those of the servers, and the port of all of them.",
        default: Default::Words("none: `srv` is written"),
        bounds: "a host name and a port, 1 to 65535",
        example: "\"tasks.api:8080\"",
        note: "A and AAAA records are asked for, unless `family` is set. In Docker Swarm the name \
               of the replicas is `tasks.SERVICE`; in Compose it is that of the service.",
        ..Key::BASE
    },
    Key {
        name: "srv",
        value: Value::Text(Text::new(r"^[A-Za-z0-9_.-]+$")),
        meaning: "The name whose SRV records have the names and the ports of the servers.",
        default: Default::Words("none: `dns` is written"),
        bounds: "a name",
        example: "\"_http._tcp.web.service.consul\"",
        note: "Only records of the best priority are used. Their weights are taken, or scaled to 1 \
               to 256 if there are larger ones, unless `weight` is written.",
        ..Key::BASE
    },
    Key {
        name: "interval",
        value: Value::Duration(INTERVALS),
        meaning: "From the end of a query to the next one.",
        default: Default::Value(|| quoted(units::format_duration(INTERVAL))),
        example: "\"5s\"",
        note: "The time to live of records is not looked at. From the third failure in a row on \
               the next query waits longer, up to 10 seconds.",
        ..Key::BASE
    },
    Key {
        name: "timeout",
        value: Value::Duration(TIMEOUTS),
        meaning: "How long a name server may take for an answer.",
        default: Default::Value(|| quoted(units::format_duration(TIMEOUT))),
        example: "\"500ms\"",
        ..Key::BASE
    },
    Key {
        name: "resolvers",
        value: Value::Texts(Text::new(
            r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(:[0-9]{1,5})?$",
        )),
        meaning: "The name servers, which are asked one after the other until one answers.",
        default: Default::Words("/etc/hosts, then those of /etc/resolv.conf"),
        bounds: "IP addresses with or without a port, which is 53 unless it is written",
        example: "[\"127.0.0.11:53\"]",
        note: "Name servers that are written here get the name as it is; with those of \
               /etc/resolv.conf its search list and `ndots` hold.",
        ..Key::BASE
    },
    Key {
        name: "family",
        value: Value::Choice(|| words(Family::NAMES)),
        meaning: "Which addresses are asked for.",
        default: Default::Value(|| quoted(Family::Any)),
        example: "\"ipv4\"",
        ..Key::BASE
    },
    Key {
        name: "max_servers",
        value: Value::Integer(|| whole(&SERVERS_BOUNDS)),
        meaning: "How many discovered servers the backend has at most; further ones are left out, \
                  with a warning.",
        default: Default::Value(|| SERVERS.to_string()),
        example: "100",
        note: "Servers that are in stay in; then the lowest addresses are taken.",
        ..Key::BASE
    },
    Key {
        name: "on_empty",
        value: Value::Choice(|| words(OnEmpty::NAMES)),
        meaning: "What an empty answer means, or that the name does not exist: \"keep\": a \
                  failure, the servers stay; \"drop\": there are no servers.",
        default: Default::Value(|| quoted(OnEmpty::Keep)),
        example: "\"drop\"",
        ..Key::BASE
    },
    Key {
        name: "weight",
        value: Value::Integer(|| whole(&defaults::WEIGHTS)),
        meaning: "The weight of each discovered server.",
        default: Default::Words("1; with `srv`, that of the record"),
        example: "2",
        ..Key::BASE
    },
    Key {
        name: "max_sessions",
        value: Value::Integer(|| whole(&defaults::SESSIONS)),
        meaning: "How many sessions each discovered server is given at once, over all workers.",
        default: Default::Words("unlimited"),
        example: "500",
        ..Key::BASE
    },
    Key {
        name: "backup",
        value: Value::Boolean,
        meaning: "Whether discovered servers are used only when no other one can be.",
        default: Default::Value(|| false.to_string()),
        example: "true",
        ..Key::BASE
    },
];
