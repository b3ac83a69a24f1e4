//! The configuration in use, for whoever shows or changes something of it.

use std::sync::Arc;

use super::bound::Bound;
use crate::snapshot::Snapshot;

/// The configuration in use, and where it listens.
#[derive(Debug)]
pub struct Active {
    /// The configuration, and what is shared of it.
    pub snapshot: Arc<Snapshot>,
    /// Where its frontends listen, by index.
    pub bound: Vec<Vec<Bound>>,
}
