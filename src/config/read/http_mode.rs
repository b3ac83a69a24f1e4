//! Reads the keys of HTTP mode.

use super::super::http_mode::{HEAD_SIZES, Inspect, RawHttpMode};
use super::super::section::Section;
use super::super::value::{self};
use super::networks::read_networks;

/// Reads the keys out of the section of a frontend.
pub(super) fn read_http_mode(section: &mut Section<'_, '_, '_>) -> RawHttpMode {
    RawHttpMode {
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
