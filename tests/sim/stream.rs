//! Bytes without bytes: a piece of a stream is its stream's number, an offset and a length, so
//! that a lost, doubled, reordered or strayed byte is noticed at once and costs nothing to check.
//! Where heads are read, at the beginning of streams, bytes are real.

use std::collections::VecDeque;
use std::rc::Rc;

use ringway::io::{Chunk, HEADROOM_BYTES};

/// A piece of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The byte of a stream at this offset, behind its head: a letter.
pub fn letter(stream: u64, offset: u64) -> u8 {
    b'a' + ((stream * 5 + offset * 7 + offset / 16) % 16) as u8
}

/// What a buffer holds: real bytes, or a piece.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The stream of real bytes; `None`: they are the worker's own.
    pub stream: Option<u64>,
    /// The memory of the buffer from its beginning, if it holds real bytes.
    pub memory: Rc<Vec<u8>>,
    /// What it holds otherwise.
    pub piece: Piece,
}

impl Content {
    /// A copy of a part, as it lies in a buffer of its own.
    pub fn part(&self, chunk: Chunk) -> Content {
        let head = HEADROOM_BYTES as usize;
        let mut copy = Content {
            stream: self.stream,
            ..Content::default()
        };
        if self.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            copy.piece = self.piece.part(start, u64::from(chunk.len));
        } else {
            let start = chunk.start as usize;
            let bytes = &self.memory[start..start + chunk.len as usize];
            copy.memory = Rc::new([&vec![0; head], bytes].concat());
        }
        copy
    }
}

/// Where a stream arrives.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// The stream that arrives here, known from its first piece.
    pub stream: Option<u64>,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Of those, the real ones, which come first.
    pub text: Vec<u8>,
    /// Offset in its stream of the first piece.
    pub pieces_at: Option<u64>,
    /// Its end has arrived.
    pub ended: bool,
    /// A PROXY head may have been removed from the beginning of the stream.
    pub may_skip_head: bool,
}

impl Arrival {
    pub fn accept(&mut self, piece: Piece) {
        self.belongs(piece.stream);
        let text_len = self.text.len() as u64;
        if text_len == 0 && !self.may_skip_head {
            assert_eq!(self.bytes, piece.offset, "bytes lost or doubled");
        }
        let first = *self.pieces_at.get_or_insert(piece.offset);
        assert_eq!(
            first + self.bytes - text_len,
            piece.offset,
            "bytes lost, doubled or out of order"
        );
        self.bytes += piece.len;
    }

    pub fn accept_text(&mut self, stream: Option<u64>, text: &[u8]) {
        assert_eq!(self.pieces_at, None, "real bytes come first");
        if let Some(stream) = stream {
            self.belongs(stream);
        }
        assert!(!self.ended, "bytes after the end");
        self.text.extend_from_slice(text);
        self.bytes += text.len() as u64;
    }

    fn belongs(&mut self, stream: u64) {
        let known = *self.stream.get_or_insert(stream);
        assert_eq!(known, stream, "bytes of another stream");
        assert!(!self.ended, "bytes after the end");
    }
}
