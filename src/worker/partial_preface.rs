//! What is kept of a preface until the rest of it has come.

use crate::logic::tls::HelloProgress;

/// A preface that is incomplete.
#[derive(Debug, Default)]
pub struct PartialPreface {
    /// What has come of it.
    pub bytes: Vec<u8>,
    /// The head of a request: how many of these bytes were searched for its end.
    pub searched: u32,
    /// A ClientHello: how far it was looked at.
    pub hello: HelloProgress,
}
