//! What is kept of a preface until the rest of it has come.

/// A preface that is incomplete.
#[derive(Debug, Default)]
pub struct PartialPreface {
    /// What has come of it.
    pub bytes: Vec<u8>,
    /// How many of these bytes were searched for its end.
    pub searched: u32,
}
