//! Reads the keys of `[global]` that say as whom the process serves.

use super::super::identity::RawIdentity;
use super::super::section::Section;
use super::super::value::{self};

/// Reads the keys.
pub(super) fn read_identity(section: &mut Section<'_, '_, '_>) -> RawIdentity {
    RawIdentity {
        user: section.take("user", value::string),
        group: section.take("group", value::string),
    }
}
