//! All sections, and where to find one.

use super::entry::{Default, Key, Kind, Section, Value};
use super::{
    admin, backend, check_tls, discover, frontend, global, health_check, keepalive, passive,
    per_client, proxy, route, server, session, sticky,
};

/// The sections, in the order of the manual page; the first is the file itself.
static SECTIONS: &[Section] = &[
    Section {
        kind: Kind::Root,
        path: "",
        title: "the top level",
        about: "A file has these sections; at least one [frontend.NAME] with its [backend.NAME], or \
                [admin], is needed. Without a frontend the process serves nobody until a reload gives \
                it one.",
        keys: ROOT,
        also: None,
        one_needed: &["frontend", "admin"],
    },
    global::SECTION,
    admin::SECTION,
    session::SECTION,
    frontend::SECTION,
    proxy::SECTION,
    route::SECTION,
    per_client::SECTION,
    backend::SECTION,
    server::SECTION,
    health_check::SECTION,
    check_tls::SECTION,
    passive::SECTION,
    sticky::SECTION,
    discover::SECTION,
    keepalive::SECTION,
];

/// The sections of a file.
const ROOT: &[Key] = &[
    Key {
        name: "global",
        value: Value::Section(Kind::Global),
        meaning: "What concerns the process as a whole.",
        default: Default::Words("every key of it has its default"),
        ..Key::BASE
    },
    Key {
        name: "admin",
        value: Value::Section(Kind::Admin),
        meaning: "The admin listener.",
        default: Default::Words("there is none"),
        ..Key::BASE
    },
    Key {
        name: "defaults",
        value: Value::Section(Kind::Defaults),
        meaning: "Timeouts and retries for all frontends and backends that do not set their own.",
        default: Default::Words("every key of it has its default"),
        ..Key::BASE
    },
    Key {
        name: "frontend",
        value: Value::NamedSections(Kind::Frontend),
        meaning: "Where clients connect.",
        default: Default::Words("there is none"),
        needs: Some("backend"),
        ..Key::BASE
    },
    Key {
        name: "backend",
        value: Value::NamedSections(Kind::Backend),
        meaning: "Pools of servers.",
        default: Default::Words("there is none"),
        ..Key::BASE
    },
];

/// The section of a kind.
pub fn section(kind: Kind) -> &'static Section {
    let found = SECTIONS.iter().find(|section| section.kind == kind);
    // A test looks up every kind.
    found.unwrap_or(&SECTIONS[0])
}

/// All of them.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter()
}

/// All keys that may be written in a section.
pub fn all_keys(section: &Section) -> impl Iterator<Item = &'static Key> + use<> {
    let also = section.also.map(self::section);
    let also = also.into_iter().flat_map(|section| section.keys);
    section.keys.iter().chain(also)
}
