//! The keys of `[defaults]`, which frontends and backends have as well.

use super::super::keepalive::{OFF, USER_TIMEOUTS};
use super::super::page::quoted;
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
        name: "tunnel_timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "In HTTP mode, the `idle_timeout` after an answer 101, as of a WebSocket.",
        default: Default::Words("the `idle_timeout` of the session"),
        example: "\"1h\"",
        ..Key::BASE
    },
    Key {
        name: "max_age",
        value: Value::DurationOr(OFF, defaults::MAX_AGES),
        meaning: "The age from which on a session is closed in order once nothing moved for a second, and \
                  30 seconds later in any case.",
        default: Default::Value(|| quoted(OFF)),
        example: "\"1h\"",
        note: "Up to a tenth is added at random, so that sessions which began together do not end \
               together. The end code is `AD`. In HTTP mode a server that works on an answer is waited \
               for, within the 30 seconds.",
        ..Key::BASE
    },
    Key {
        name: "keepalive",
        value: Value::SectionOr(OFF, Kind::Keepalive),
        meaning: "When the kernel asks silent peers, on both sides, whether they are still there.",
        default: Default::Value(|| quoted(OFF)),
        example: "{ idle = \"2m\", interval = \"15s\", count = 4 }",
        note: "What is left out in the braces has these values. A peer that has vanished is noticed after \
               idle + interval * count.",
        ..Key::BASE
    },
    Key {
        name: "user_timeout",
        value: Value::DurationOr(OFF, USER_TIMEOUTS),
        meaning: "How long bytes that were sent may stay without an acknowledgement, on both sides, \
                  before the connection is lost (TCP_USER_TIMEOUT).",
        default: Default::Value(|| quoted(OFF)),
        example: "\"30s\"",
        note: "With `keepalive` it also bounds how long probes go without an answer. Without it the kernel \
               tries for about 15 minutes.",
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
