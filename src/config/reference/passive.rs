//! The keys of `[backend.NAME.passive]`.

use super::super::passive::{DEFAULT, FAILURES, PAUSES, WITHIN};
use super::entry::{Default, Key, Kind, Section, Value, duration, whole};

pub(super) const SECTION: Section = Section {
    kind: Kind::Passive,
    path: "backend.passive",
    title: "[backend.NAME.passive]",
    about: "When a server is left out because sessions with it fail, with a health check or without. \
            Without this section none is. See `ringway help health`.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

const KEYS: &[Key] = &[
    Key {
        name: "failures",
        value: Value::Integer(|| whole(&FAILURES)),
        meaning: "How many failures within `within` leave a server out.",
        default: Default::Value(|| DEFAULT.failures.to_string()),
        example: "3",
        note: "A failure is a connect that fails and, in HTTP mode, a session that the server ends, \
               or in which it times out, before the head of its answer.",
        ..Key::BASE
    },
    Key {
        name: "within",
        value: Value::Duration(WITHIN),
        meaning: "The time in which failures are counted together.",
        default: Default::Value(|| duration(DEFAULT.within)),
        example: "\"30s\"",
        ..Key::BASE
    },
    Key {
        name: "pause",
        value: Value::Duration(PAUSES),
        meaning: "How long the server gets no new sessions.",
        default: Default::Value(|| duration(DEFAULT.pause)),
        example: "\"5s\"",
        note: "It doubles each time, up to 5 minutes, until the server was in for ten times `within`. \
               The last usable server of a backend is not left out.",
        ..Key::BASE
    },
];
