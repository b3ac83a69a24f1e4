//! Reads the keys of a frontend that say what it relays.

use super::super::http_mode::{HEAD_SIZES, Inspect, RawKind, RawMode};
use super::super::section::Section;
use super::super::value::{self};
use super::networks::read_networks;

/// Reads the keys out of the section of a frontend.
pub(super) fn read_mode(section: &mut Section<'_, '_, '_>) -> RawMode {
    RawMode {
        kind: section.take("mode", |out, entry| {
            value::choice(out, entry, RawKind::NAMES)
        }),
        head_max: section.take("head_max", |out, entry| {
            value::size(out, entry, HEAD_SIZES).and_then(|bytes| u32::try_from(bytes).ok())
        }),
        inspect: section.take("inspect", |out, entry| {
            value::choice(out, entry, Inspect::NAMES)
        }),
        forwarded_for: section.take("forwarded_for", value::boolean),
        trust: section.take("trust", read_networks),
    }
}
