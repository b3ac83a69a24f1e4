//! How far the PROXY head of a peer has come, and what was wrong with it.

/// How far the head of a peer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyStage {
    /// At most a part of a signature is there.
    Unsigned,
    /// A signature is there, so the rest must follow.
    Signed,
    /// None will come. The receive is being cancelled.
    Over,
}

/// What was wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// It was malformed, or missing though it is required.
    Wrong,
    /// It was not whole in time.
    Late,
}
