//! The keys of `[defaults]`, which frontends and backends have as well.

use super::super::{Timeouts, defaults};
use super::entry::{Default, Key, Kind, Section, Value, duration, whole};

pub(super) const SECTION: Section = Section {
    kind: Kind::Defaults,
    path: "defaults",
    title: "[defaults]",
    about: "Timeouts and retries. These keys may also be written in [frontend.NAME] and in \
            [backend.NAME]. For a session, a value of its backend wins over one of its frontend, \
            which wins over [defaults].",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

const KEYS: &[Key] = &[
    Key {
        name: "connect_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long one attempt to connect to a server may take.",
        default: Default::Value(|| duration(Timeouts::default().connect)),
        example: "\"2s\"",
        ..Key::BASE
    },
    Key {
        name: "idle_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long a session may go without a byte in either direction.",
        default: Default::Value(|| duration(Timeouts::default().idle)),
        example: "\"1h\"",
        ..Key::BASE
    },
    Key {
        name: "half_closed_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long a session may be idle after one direction has ended.",
        default: Default::Value(|| duration(Timeouts::default().half_closed)),
        example: "\"1m\"",
        ..Key::BASE
    },
    Key {
        name: "request_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "In HTTP mode, how long the client may take to send the whole head of its first \
                  request.",
        default: Default::Value(|| duration(Timeouts::default().request)),
        example: "\"5s\"",
        ..Key::BASE
    },
    Key {
        name: "queue_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long a session may wait in the queue while all servers are full.",
        default: Default::Words("the `connect_timeout` of the session"),
        example: "\"1s\"",
        ..Key::BASE
    },
    Key {
        name: "retries",
        value: Value::Integer(|| whole(&defaults::RETRY_COUNTS)),
        meaning: "How many more attempts to connect follow a failed first one.",
        default: Default::Value(|| defaults::RETRIES.to_string()),
        example: "1",
        note: "Each goes to another server while there is one.",
        ..Key::BASE
    },
];
