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
    /// The oldest is with the kernel.
    lent: bool,
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Chunks {
            buffers: [None, None],
            start: 0,
            lent: false,
        }
    }
}

impl<B> Chunks<B> {
    /// Appends a chunk that begins at the start of `buffer`. Gives it back if there is no place.
    pub fn push(&mut self, buffer: B) -> Result<(), B> {
        let place = usize::from(self.lent || self.buffers[0].is_some());
        if self.buffers[place].is_some() {
            return Err(buffer);
        }
        self.buffers[place] = Some(buffer);
        Ok(())
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
        chunks.push("a").unwrap();
        let (a, start) = chunks.lend().unwrap();
        assert_eq!((a, start), ("a", 0));
        chunks.push("b").unwrap();
        assert_eq!(chunks.push("c"), Err("c"), "two are the most");
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
