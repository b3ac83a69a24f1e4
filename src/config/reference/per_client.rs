//! The keys of `[frontend.NAME.per_client]`.

use super::super::defaults;
use super::super::per_client::{BURSTS, IPV4_PREFIX, IPV4_PREFIXES, IPV6_PREFIX, IPV6_PREFIXES};
use super::entry::{Default, Key, Kind, Section, Text, Value, whole};

pub(super) const SECTION: Section = Section {
    kind: Kind::PerClient,
    path: "frontend.per_client",
    title: "[frontend.NAME.per_client]",
    about: "Limits on each client of the frontend, over all workers. A connection beyond a limit is \
            reset at once. `ringway help client-rules` tells how clients are counted.",
    keys: KEYS,
    also: None,
    one_needed: &["max_sessions", "rate"],
};

const KEYS: &[Key] = &[
    Key {
        name: "max_sessions",
        value: Value::Integer(|| whole(&defaults::SESSIONS)),
        meaning: "How many sessions of one client may be open at once.",
        default: Default::Words("no limit"),
        example: "100",
        ..Key::BASE
    },
    Key {
        name: "rate",
        value: Value::Text(Text::new("^[0-9]+/[sm]$")),
        meaning: "How many sessions one client may begin in a second (\"/s\") or a minute (\"/m\").",
        default: Default::Words("no limit"),
        bounds: "1 to 1000000, and \"/s\" or \"/m\"",
        example: "\"20/s\"",
        note: "Sessions that come evenly are never refused; `burst` of them may come at once.",
        ..Key::BASE
    },
    Key {
        name: "burst",
        value: Value::Integer(|| whole(&BURSTS)),
        meaning: "How many sessions one client may begin at once after a pause.",
        default: Default::Words("the number of `rate`"),
        bounds: "only with `rate`",
        example: "10",
        ..Key::BASE
    },
    Key {
        name: "ipv4_prefix",
        value: Value::Integer(|| whole(&IPV4_PREFIXES)),
        meaning: "How many first bits of an IPv4 address say which client it is.",
        default: Default::Value(|| IPV4_PREFIX.to_string()),
        example: "24",
        ..Key::BASE
    },
    Key {
        name: "ipv6_prefix",
        value: Value::Integer(|| whole(&IPV6_PREFIXES)),
        meaning: "How many first bits of an IPv6 address say which client it is.",
        default: Default::Value(|| IPV6_PREFIX.to_string()),
        example: "56",
        note: "Hosts choose the last 64 bits of their addresses as they like.",
        ..Key::BASE
    },
];
