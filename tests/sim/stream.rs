//! Bytes without bytes: a piece of a stream is its stream's number, an offset and a length, so
//! that a lost, doubled, reordered or strayed byte is noticed at once and costs nothing to check.

use std::collections::VecDeque;

/// A piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub stream: u64,
    pub offset: u64,
    pub len: u64,
}

impl Piece {
    /// The part from `start`, `len` long.
    pub fn part(self, start: u64, len: u64) -> Piece {
        assert!(start + len <= self.len, "part outside of {self:?}");
        Piece {
            stream: self.stream,
            offset: self.offset + start,
            len,
        }
    }
}

/// Pieces in order, as a kernel pipe holds them.
#[derive(Clone, Debug, Default)]
pub struct Pieces(VecDeque<Piece>);

impl Pieces {
    pub fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len).sum()
    }

    pub fn push(&mut self, piece: Piece) {
        self.0.push_back(piece);
    }

    /// Takes at most `max` bytes from the front, as one piece.
    pub fn pop(&mut self, max: u64) -> Option<Piece> {
        let front = self.0.front_mut()?;
        let taken = front.part(0, front.len.min(max));
        *front = front.part(taken.len, front.len - taken.len);
        if front.len == 0 {
            self.0.pop_front();
        }
        Some(taken)
    }
}

/// Where a stream arrives.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// The stream that arrives here, known from its first piece.
    pub stream: Option<u64>,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Its end has arrived.
    pub ended: bool,
}

impl Arrival {
    pub fn accept(&mut self, piece: Piece) {
        let stream = *self.stream.get_or_insert(piece.stream);
        assert_eq!(stream, piece.stream, "bytes of another stream");
        assert_eq!(
            self.bytes, piece.offset,
            "bytes lost, doubled or out of order"
        );
        assert!(!self.ended, "bytes after the end");
        self.bytes += piece.len;
    }
}
