//! What is to arrive at a side, to be held against what did.

use crate::kernel::Peer;
use crate::stream::Arrival;

/// What a side gets of a stream: some bytes, then the stream from an offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub text: Vec<u8>,
    /// Where in the stream it goes on; `None`: not at all.
    pub rest_at: Option<u64>,
}

impl Expected {
    /// Nothing else than these bytes.
    pub fn only(text: Vec<u8>) -> Self {
        let rest_at = None;
        Expected { text, rest_at }
    }

    /// All that may arrive of a stream of which so much was read.
    pub fn len(&self, read: u64) -> u64 {
        self.text.len() as u64 + self.rest_at.map_or(0, |at| read - at)
    }

    /// Whether what arrived is the beginning of it.
    pub fn begins_with(&self, arrival: &Arrival, from: &Peer, read: u64) -> bool {
        let len = self.text.len();
        let byte = |index: usize| match self.text.get(index) {
            Some(byte) => *byte,
            None => from.byte(self.rest_at.unwrap_or(0) + (index - len) as u64),
        };
        let mut text = arrival.text.iter().enumerate();
        let pieces = match (arrival.pieces_at, self.rest_at) {
            (None, _) => true,
            (Some(_), None) => false,
            // The first piece goes on where the text ends.
            (Some(at), Some(rest_at)) => {
                arrival.text.len() >= len && arrival.text.len() as u64 == len as u64 + at - rest_at
            }
        };
        arrival.bytes <= self.len(read) && pieces && text.all(|(index, b)| *b == byte(index))
    }
}
