//! A send that was ordered and not yet handed to the engine.

use super::token::Key;
use crate::io::{Engine, SendBuffer};
use crate::logic::session::Side;

/// A send that is handed to the engine at the end of the turn.
pub struct Outgoing<E: Engine> {
    pub key: Key,
    pub to: Side,
    pub buffer: SendBuffer<E>,
}
