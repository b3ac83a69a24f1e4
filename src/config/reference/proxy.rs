//! The keys of `[frontend.NAME.accept_proxy]`.

use super::super::defaults;
use super::super::proxy::AcceptProxy;
use super::entry::{Default, Key, Kind, Section, Text, Value, duration};

pub(super) const SECTION: Section = Section {
    kind: Kind::AcceptProxy,
    path: "frontend.accept_proxy",
    title: "[frontend.NAME.accept_proxy]",
    about: "Balancers in front of this one, which say by the PROXY protocol, version 1 or 2, who the \
            client is. Without this section what looks like such a head is data. `ringway help \
            proxy-protocol` says more.",
    keys: KEYS,
    also: None,
    one_needed: &[],
};

/// What holds when only `from` is written.
fn unwritten() -> AcceptProxy {
    AcceptProxy::from(Vec::new())
}

const KEYS: &[Key] = &[
    Key {
        name: "from",
        value: Value::Texts(Text::NETWORK),
        meaning: "The peers that may send a PROXY head; what others send is data.",
        bounds: "at least one address or network",
        example: "[\"10.0.0.7\", \"2001:db8::/64\"]",
        ..Key::BASE
    },
    Key {
        name: "required",
        value: Value::Boolean,
        meaning: "Whether a peer of `from` that sends no head is refused.",
        default: Default::Value(|| unwritten().required.to_string()),
        example: "false",
        note: "With false, a connection that does not begin with the signature of a head, or sends \
               nothing within `timeout`, is one of the peer itself.",
        ..Key::BASE
    },
    Key {
        name: "timeout",
        value: Value::Duration(defaults::TIMEOUTS),
        meaning: "How long a whole head may take to come.",
        default: Default::Value(|| duration(unwritten().timeout)),
        example: "\"3s\"",
        ..Key::BASE
    },
];
