//! Times that few sessions have: those that wait for a slot or for the end of a shortage, and those of a limited age.

use std::time::Duration;

use crate::logic::time::Instant;

/// Times that few sessions have.
#[derive(Debug, Default)]
pub(super) struct RareTimes {
    /// When it reaches its greatest age.
    pub expires: Option<Instant>,
    /// When the first pause for a shortage began.
    pub backoff_since: Option<Instant>,
    /// When it entered the queue, while it is woken and a server is being chosen.
    pub woken_since: Option<Instant>,
    /// Time spent in the queue, without the present wait.
    pub waited: Duration,
}
