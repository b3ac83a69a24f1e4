//! What a worker keeps for one session beside its machine: descriptors, buffers, names.

use std::net::SocketAddr;

use crate::io::Engine;
use crate::logic::session::{Session, Side};

/// Chunks of one direction, in order: at most one is being sent and one waits behind it.
#[derive(Debug)]
pub struct Chunks<B> {
    buffers: [Option<B>; 2],
    /// Where the unsent bytes of the oldest begin.
    start: u32,
    /// Bytes of the other one.
    back_len: u32,
    /// The oldest is with the kernel.
    lent: bool,
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Chunks {
            buffers: [None, None],
            start: 0,
            back_len: 0,
            lent: false,
        }
    }
}

impl<B> Chunks<B> {
    /// Appends a chunk: the first `len` bytes of `buffer`. Gives it back if there is no place: its
    /// bytes then belong behind those of [`Chunks::last`].
    pub fn push(&mut self, buffer: B, len: u32) -> Result<(), B> {
        let place = usize::from(self.lent || self.buffers[0].is_some());
        if self.buffers[place].is_some() {
            return Err(buffer);
        }
        self.buffers[place] = Some(buffer);
        self.back_len = if place == 1 { len } else { 0 };
        Ok(())
    }

    /// There is a chunk behind the oldest.
    pub fn is_full(&self) -> bool {
        self.buffers[1].is_some()
    }

    /// The chunk behind the oldest, and its length, to which `len` is added.
    pub fn last(&mut self, len: u32) -> Option<(&mut B, u32)> {
        let at = self.back_len;
        self.back_len += len;
        Some((self.buffers[1].as_mut()?, at))
    }

    /// Takes the oldest chunk for a send: its buffer and where its unsent bytes begin.
    pub fn lend(&mut self) -> Option<(B, u32)> {
        let buffer = self.buffers[0].take()?;
        self.lent = true;
        Some((buffer, self.start))
    }

    /// The oldest chunk comes back, `sent` bytes shorter.
    pub fn take_back(&mut self, buffer: B, sent: u32) {
        self.lent = false;
        self.start += sent;
        self.buffers[0] = Some(buffer);
    }

    /// Removes the oldest chunk.
    pub fn pop(&mut self) -> Option<B> {
        self.start = 0;
        self.back_len = 0;
        let oldest = self.buffers[0].take();
        self.buffers[0] = self.buffers[1].take();
        oldest
    }
}

/// A session and what belongs to it.
pub struct Slot<E: Engine> {
    pub session: Session,
    pub generation: u16,
    /// Index of its frontend.
    pub frontend: u16,
    /// Index of the chosen server in the frontend's backend; its place is taken.
    pub server: Option<u16>,
    /// A receive waits for a free buffer, by side.
    pub starved: [bool; 2],
    /// The two connections, by side.
    pub sockets: [Option<E::Socket>; 2],
    /// Bytes on their way, by the side they come from.
    pub chunks: [Chunks<E::Buffer>; 2],
    /// Kernel pipes, by the side that bytes come from.
    pub pipes: [Option<E::Pipe>; 2],
    /// Servers whose connect failed.
    pub tried: Vec<u16>,
    /// Where the client comes from, if that is needed.
    pub client: Option<SocketAddr>,
    /// Bytes that are counted already, by the side they come from.
    pub counted: [u64; 2],
}

impl<E: Engine> Slot<E> {
    /// The connection of this side, if it is open.
    pub fn socket(&self, side: Side) -> Option<&E::Socket> {
        self.sockets[side.index()].as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_their_order_through_partial_sends() {
        let mut chunks = Chunks::default();
        chunks.push("a", 15).unwrap();
        let (a, start) = chunks.lend().unwrap();
        assert_eq!((a, start), ("a", 0));
        chunks.push("b", 1).unwrap();
        assert_eq!(chunks.push("c", 7), Err("c"), "two are the most");
        assert_eq!(
            chunks.last(7),
            Some((&mut "b", 1)),
            "it is joined to the last"
        );
        assert_eq!(chunks.last(3), Some((&mut "b", 8)));
        assert!(chunks.lend().is_none(), "one at a time");
        chunks.take_back(a, 10);
        let (a, start) = chunks.lend().unwrap();
        assert_eq!((a, start), ("a", 10));
        chunks.take_back(a, 5);
        assert_eq!(chunks.pop(), Some("a"));
        assert_eq!(
            chunks.lend(),
            Some(("b", 0)),
            "the next starts at its beginning"
        );
        chunks.take_back("b", 1);
        assert_eq!(chunks.pop(), Some("b"));
        assert_eq!(chunks.pop(), None);
    }
}
