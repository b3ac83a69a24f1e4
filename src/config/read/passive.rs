//! Reads section `[backend.NAME.passive]`.

use toml::de::DeValue;

use super::super::error::Diagnostics;
use super::super::passive::{FAILURES, PAUSES, RawPassive, WITHIN};
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_passive(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawPassive> {
    let location = format!("{}.passive]", backend.trim_end_matches(']'));
    let DeValue::Table(table) = entry.value else {
        return value::wrong_type(out, entry, "a section", format!("write {location}"));
    };
    let mut section = Section::open(out, Kind::Passive, &location, table);
    Some(RawPassive {
        failures: section.take("failures", |out, entry| {
            value::integer(out, entry, FAILURES)
        }),
        within: section.take("within", |out, entry| value::duration(out, entry, WITHIN)),
        pause: section.take("pause", |out, entry| value::duration(out, entry, PAUSES)),
    })
}
