//! Reads section `[backend.NAME.passive]`.

use super::super::error::Diagnostics;
use super::super::passive::{FAILURES, PAUSES, RawPassive, WITHIN};
use super::super::problem::subsection;
use super::super::reference::Kind;
use super::super::section::{Entry, Section};
use super::super::value::{self, Read};

/// Reads the section; `backend` is how messages call the one that it belongs to.
pub(super) fn read_passive(
    out: &mut Diagnostics,
    entry: &Entry<'_, '_>,
    backend: &str,
) -> Read<RawPassive> {
    let location = subsection(backend, "passive");
    let table = value::table(out, entry, &location)?;
    let mut section = Section::open(out, Kind::Passive, &location, table);
    Some(RawPassive {
        failures: section.take("failures", |out, entry| {
            value::integer(out, entry, FAILURES)
        }),
        within: section.take("within", |out, entry| value::duration(out, entry, WITHIN)),
        pause: section.take("pause", |out, entry| value::duration(out, entry, PAUSES)),
    })
}
