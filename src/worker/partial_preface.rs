//! What is kept of a preface until the rest of it has come.

use crate::io::SizedCopy;
use crate::logic::tls::HelloProgress;

/// A preface that is incomplete.
#[derive(Debug, Default)]
pub struct PartialPreface {
    /// What has come of it.
    pub kept: SizedCopy,
    /// How far these were looked at.
    pub progress: Progress,
}

/// How far an incomplete preface was looked at, so that what comes next is not searched from its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The head of a request: how many of its bytes were searched for its end.
    pub searched: u32,
    /// A ClientHello.
    pub hello: HelloProgress,
}
