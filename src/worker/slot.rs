//! What a worker keeps for one session beside its machine: descriptors, buffers, names.

use std::net::SocketAddr;

use super::config_generations::Route;
use super::connecting::Attempt;
use super::http::Http;
use crate::io::{Chunk, Engine};
use crate::logic::session::{Session, Side};

/// Bytes in a buffer.
#[derive(Debug)]
struct Part<B> {
    /// `None`: there is no chunk, or it is with the kernel.
    buffer: Option<B>,
    start: u32,
    len: u32,
    /// It is in memory of its size, with no room behind it.
    shrunk: bool,
}

impl<B> Part<B> {
    const EMPTY: Self = Part {
        buffer: None,
        start: 0,
        len: 0,
        shrunk: false,
    };
}

/// Chunks of one direction, in order: at most one is being sent and one waits behind it.
#[derive(Debug)]
pub struct Chunks<B> {
    parts: [Part<B>; 2],
    /// The oldest is with the kernel.
    lent: bool,
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Chunks {
            parts: [Part::EMPTY, Part::EMPTY],
            lent: false,
        }
    }
}

impl<B> Chunks<B> {
    /// Appends a chunk. Gives it back if there is no route: its bytes then belong behind those of
    /// the newest.
    pub fn push(&mut self, buffer: B, chunk: Chunk) -> Result<(), B> {
        let index = usize::from(self.lent || self.parts[0].buffer.is_some());
        let part = &mut self.parts[index];
        if part.buffer.is_some() {
            return Err(buffer);
        }
        let Chunk { start, len } = chunk;
        *part = Part {
            buffer: Some(buffer),
            start,
            len,
            shrunk: false,
        };
        Ok(())
    }

    /// There is a chunk behind the oldest.
    pub fn is_full(&self) -> bool {
        self.parts[1].buffer.is_some()
    }

    /// The newest chunk that is not with the kernel.
    pub fn newest(&self) -> Option<(&B, Chunk)> {
        let part = self.parts.iter().rev().find(|p| p.buffer.is_some())?;
        let (start, len) = (part.start, part.len);
        Some((part.buffer.as_ref()?, Chunk { start, len }))
    }

    /// The same, to be changed: buffer, start, length.
    pub fn newest_mut(&mut self) -> Option<(&mut B, &mut u32, &mut u32)> {
        let mut parts = self.parts.iter_mut().rev();
        let part = parts.find(|p| p.buffer.is_some())?;
        Some((part.buffer.as_mut()?, &mut part.start, &mut part.len))
    }

    /// The newest is in memory of its size: nothing can be put behind its bytes.
    pub fn newest_is_shrunk(&self) -> bool {
        let newest = self.parts.iter().rev().find(|p| p.buffer.is_some());
        newest.is_some_and(|part| part.shrunk)
    }

    /// Puts a chunk in the place of the newest, which is given back.
    pub fn replace_newest(&mut self, buffer: B, chunk: Chunk) -> Option<B> {
        let mut parts = self.parts.iter_mut().rev();
        let part = parts.find(|part| part.buffer.is_some())?;
        part.start = chunk.start;
        part.len = chunk.len;
        part.shrunk = false;
        part.buffer.replace(buffer)
    }

    /// Moves what is here to memory of its size, as far as `shrink` does that.
    pub fn shrink(&mut self, mut shrink: impl FnMut(B, Chunk) -> Result<(B, Chunk), B>) {
        for part in &mut self.parts {
            let Some(buffer) = part.buffer.take() else {
                continue;
            };
            let (start, len) = (part.start, part.len);
            match shrink(buffer, Chunk { start, len }) {
                Ok((buffer, chunk)) => {
                    part.buffer = Some(buffer);
                    part.start = chunk.start;
                    part.shrunk = true;
                }
                Err(buffer) => part.buffer = Some(buffer),
            }
        }
    }

    /// There is none, here or with the kernel.
    pub fn is_empty(&self) -> bool {
        !self.lent && self.parts[0].buffer.is_none() && self.parts[1].buffer.is_none()
    }

    /// The oldest waits for something, and is not with the kernel.
    pub fn is_waiting(&self) -> bool {
        !self.lent && self.parts[0].buffer.is_some()
    }

    /// Takes the oldest chunk for a send.
    pub fn lend(&mut self) -> Option<(B, Chunk)> {
        let part = &mut self.parts[0];
        let buffer = part.buffer.take()?;
        self.lent = true;
        let (start, len) = (part.start, part.len);
        Some((buffer, Chunk { start, len }))
    }

    /// The oldest chunk comes back, `sent` bytes shorter.
    pub fn take_back(&mut self, buffer: B, sent: u32) {
        self.lent = false;
        let part = &mut self.parts[0];
        part.start += sent;
        part.len -= sent;
        part.buffer = Some(buffer);
    }

    /// Removes the oldest chunk.
    pub fn pop(&mut self) -> Option<B> {
        if self.lent {
            debug_assert!(false, "the kernel has it");
            return None;
        }
        self.parts.swap(0, 1);
        std::mem::replace(&mut self.parts[1], Part::EMPTY).buffer
    }
}

/// What a receive waits for that the session has asked for and the kernel does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveWait {
    /// There is none.
    #[default]
    Nothing,
    /// A free buffer, in the queue of the starved.
    Buffer,
    /// The end of the send of what its direction has buffered: while buffers are few, none reads
    /// ahead.
    Send,
    /// The end of the cancellation of what the kernel does have: it is not made any more.
    Canceled,
}

/// A session and what belongs to it.
pub struct Slot<E: Engine> {
    pub session: Session,
    pub generation: u16,
    /// Its frontend, and the configuration that it began with.
    pub route: Route,
    /// Index of the chosen server in the frontend's backend.
    pub server: Option<u16>,
    /// A place on that server is taken.
    pub has_server_slot: bool,
    /// Index of the server that its cookie binds it to.
    pub pinned_server: Option<u16>,
    /// What a receive waits for, by side.
    pub receive_waits: [ReceiveWait; 2],
    /// It is in the list of directions whose bytes wait, by the side that they come from.
    pub stalled: [bool; 2],
    /// The two connections, by side.
    pub sockets: [Option<E::Socket>; 2],
    /// Bytes on their way, by the side they come from.
    pub chunks: [Chunks<E::Buffer>; 2],
    /// Kernel pipes, by the side that bytes come from.
    pub pipes: [Option<E::Pipe>; 2],
    /// Servers whose connect failed, in order.
    pub tried: Vec<u16>,
    /// How many of those were tried before the last pause: they may be tried again.
    pub tried_before: usize,
    /// The newest attempt to connect.
    pub attempt: Attempt,
    /// The server whose counters have the current attempt.
    pub counted_for: Option<u16>,
    /// The last attempt ended for a shortage of ours, so the next one may, too. It is counted when it
    /// has ended otherwise.
    pub short: bool,
    /// Where the client comes from, if that is needed.
    pub client: Option<SocketAddr>,
    /// Bytes that are counted already, by the side they come from.
    pub counted: [u64; 2],
    /// What is known of the first request and its answer, in HTTP mode.
    pub http: Option<Box<Http>>,
}

impl<E: Engine> Slot<E> {
    /// Servers that are not tried again without a pause.
    pub fn tried_lately(&self) -> &[u16] {
        &self.tried[self.tried_before..]
    }

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
        let chunk = |start, len| Chunk { start, len };
        let mut chunks = Chunks::default();
        assert!(chunks.newest().is_none());
        chunks.push("a", chunk(40, 15)).unwrap();
        assert_eq!(chunks.newest(), Some((&"a", chunk(40, 15))));
        assert_eq!(chunks.lend(), Some(("a", chunk(40, 15))));
        chunks.push("b", chunk(40, 1)).unwrap();
        let third = chunks.push("c", chunk(40, 7));
        assert_eq!(third, Err("c"), "two are the most");
        let (_, _, len) = chunks.newest_mut().unwrap();
        *len += 7;
        assert!(chunks.lend().is_none(), "one at a time");
        chunks.take_back("a", 10);
        assert_eq!(chunks.lend(), Some(("a", chunk(50, 5))));
        chunks.take_back("a", 5);
        assert_eq!(chunks.pop(), Some("a"));
        assert_eq!(chunks.lend(), Some(("b", chunk(40, 8))));
        chunks.take_back("b", 8);
        assert_eq!(chunks.pop(), Some("b"));
        assert_eq!(chunks.pop(), None);
    }

    #[test]
    fn what_was_shrunk_is_sent_in_its_order_and_takes_no_more() {
        let chunk = |start, len| Chunk { start, len };
        let mut chunks = Chunks::default();
        chunks.push("a", chunk(40, 15)).unwrap();
        let _ = chunks.lend();
        chunks.take_back("a", 10);
        chunks.push("b", chunk(40, 8)).unwrap();
        assert!(!chunks.newest_is_shrunk());
        chunks.shrink(|buffer, chunk| match buffer {
            "a" => Ok(("small", Chunk { start: 0, ..chunk })),
            other => Err(other),
        });
        assert!(!chunks.newest_is_shrunk(), "that one stayed");
        chunks.shrink(|_, chunk| Ok(("less", Chunk { start: 0, ..chunk })));
        assert!(chunks.newest_is_shrunk());
        assert_eq!(chunks.replace_newest("more", chunk(40, 9)), Some("less"));
        assert!(!chunks.newest_is_shrunk());
        assert_eq!(chunks.lend(), Some(("less", chunk(0, 5))));
        assert!(!chunks.is_waiting() && !chunks.is_empty());
        chunks.take_back("less", 5);
        assert!(chunks.is_waiting());
        assert_eq!(chunks.pop(), Some("less"));
        assert_eq!(chunks.pop(), Some("more"));
        assert!(chunks.is_empty());
    }

    #[test]
    fn what_comes_while_the_oldest_is_with_the_kernel_is_the_newest() {
        let chunk = |start, len| Chunk { start, len };
        let mut chunks = Chunks::default();
        chunks.push("a", chunk(0, 1)).unwrap();
        let _ = chunks.lend();
        assert!(chunks.newest().is_none());
        chunks.push("b", chunk(0, 2)).unwrap();
        assert_eq!(chunks.newest(), Some((&"b", chunk(0, 2))));
    }
}
