//! The keys of `keepalive`.

use super::super::keepalive::{COUNTS, Keepalive, TIMES};
use super::entry::{Default, Key, Kind, Section, Value, duration, whole};

pub(super) const SECTION: Section = Section {
    kind: Kind::Keepalive,
    path: "defaults.keepalive",
    title: "`keepalive`",
    about: "When the kernel asks a silent peer, on both sides, whether it is still there (tcp(7)).",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

const KEYS: &[Key] = &[
    Key {
        name: "idle",
        value: Value::Duration(TIMES),
        meaning: "How long a connection is silent before the first probe.",
        default: Default::Value(|| duration(Keepalive::default().idle)),
        bounds: "whole seconds",
        example: "\"30s\"",
        ..Key::BASE
    },
    Key {
        name: "interval",
        value: Value::Duration(TIMES),
        meaning: "From one probe without an answer to the next.",
        default: Default::Value(|| duration(Keepalive::default().interval)),
        bounds: "whole seconds",
        example: "\"5s\"",
        ..Key::BASE
    },
    Key {
        name: "count",
        value: Value::Integer(|| whole(&COUNTS)),
        meaning: "How many probes without an answer mean that the peer is gone.",
        default: Default::Value(|| Keepalive::default().count.to_string()),
        example: "3",
        ..Key::BASE
    },
];
