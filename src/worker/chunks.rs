//! The buffers of one direction of a session: what was received and is to be sent. The lengths of chunks are
//! kept here alone; the session knows only whether there are any.

use crate::io::Chunk;

/// Bytes in a buffer.
#[derive(Debug)]
struct Part<B> {
    /// `None`: there is no chunk, or it is being sent.
    buffer: Option<B>,
    start: u32,
    len: u32,
}

impl<B> Part<B> {
    const EMPTY: Self = Part {
        buffer: None,
        start: 0,
        len: 0,
    };
}

/// Chunks of one direction, in order: at most one that is being sent and one behind it.
#[derive(Debug)]
pub struct Chunks<B> {
    parts: [Part<B>; 2],
    /// The engine has the oldest, for a send.
    sending: bool,
    /// Whether a part is in memory of its size, to which nothing can be appended.
    shrunk: [bool; 2],
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Chunks {
            parts: [Part::EMPTY, Part::EMPTY],
            sending: false,
            shrunk: [false; 2],
        }
    }
}

impl<B> Chunks<B> {
    /// Appends a chunk. Returns it if there are two already: its bytes then belong behind those of the
    /// newest.
    pub fn push(&mut self, buffer: B, chunk: Chunk) -> Result<(), B> {
        let index = usize::from(self.sending || self.parts[0].buffer.is_some());
        let part = &mut self.parts[index];
        if part.buffer.is_some() {
            return Err(buffer);
        }
        let Chunk { start, len } = chunk;
        *part = Part {
            buffer: Some(buffer),
            start,
            len,
        };
        self.shrunk[index] = false;
        Ok(())
    }

    fn newest_index(&self) -> Option<usize> {
        self.parts.iter().rposition(|part| part.buffer.is_some())
    }

    /// There is a chunk behind the oldest.
    pub fn is_full(&self) -> bool {
        self.parts[1].buffer.is_some()
    }

    /// The newest chunk that is not being sent.
    pub fn newest(&self) -> Option<(&B, Chunk)> {
        let part = self.parts.iter().rev().find(|p| p.buffer.is_some())?;
        let (start, len) = (part.start, part.len);
        Some((part.buffer.as_ref()?, Chunk { start, len }))
    }

    /// Its buffer, start and length, to be changed.
    pub fn newest_mut(&mut self) -> Option<(&mut B, &mut u32, &mut u32)> {
        let mut parts = self.parts.iter_mut().rev();
        let part = parts.find(|p| p.buffer.is_some())?;
        Some((part.buffer.as_mut()?, &mut part.start, &mut part.len))
    }

    /// The newest is in memory of its size: nothing can be appended to it.
    pub fn newest_is_shrunk(&self) -> bool {
        self.newest_index()
            .is_some_and(|newest| self.shrunk[newest])
    }

    /// Replaces the newest chunk. Returns its buffer.
    pub fn replace_newest(&mut self, buffer: B, chunk: Chunk) -> Option<B> {
        let newest = self.newest_index()?;
        self.shrunk[newest] = false;
        let part = &mut self.parts[newest];
        part.start = chunk.start;
        part.len = chunk.len;
        part.buffer.replace(buffer)
    }

    /// Moves the chunks that are not being sent to memory of their size, as far as `shrink` does that.
    pub fn shrink(&mut self, mut shrink: impl FnMut(B, Chunk) -> Result<(B, Chunk), B>) {
        for (part, shrunk) in self.parts.iter_mut().zip(&mut self.shrunk) {
            let Some(buffer) = part.buffer.take() else {
                continue;
            };
            let (start, len) = (part.start, part.len);
            match shrink(buffer, Chunk { start, len }) {
                Ok((buffer, chunk)) => {
                    part.buffer = Some(buffer);
                    part.start = chunk.start;
                    *shrunk = true;
                }
                Err(buffer) => part.buffer = Some(buffer),
            }
        }
    }

    /// The oldest waits for something, and a chunk has a buffer that others could have: it is not in memory of
    /// its size.
    pub fn keeps_buffer(&self) -> bool {
        let mut parts = self.parts.iter().zip(self.shrunk);
        self.is_waiting() && parts.any(|(part, shrunk)| part.buffer.is_some() && !shrunk)
    }

    /// There is none, and none is being sent.
    pub fn is_empty(&self) -> bool {
        !self.sending && self.parts[0].buffer.is_none() && self.parts[1].buffer.is_none()
    }

    /// The oldest waits for something: it is not being sent.
    pub fn is_waiting(&self) -> bool {
        !self.sending && self.parts[0].buffer.is_some()
    }

    /// Takes the oldest chunk for a send.
    pub fn begin_send(&mut self) -> Option<(B, Chunk)> {
        let part = &mut self.parts[0];
        let buffer = part.buffer.take()?;
        self.sending = true;
        let (start, len) = (part.start, part.len);
        Some((buffer, Chunk { start, len }))
    }

    /// The send of the oldest chunk ended; `sent` bytes of it were taken. Returns how many are left.
    pub fn end_send(&mut self, buffer: B, sent: u32) -> u32 {
        self.sending = false;
        let part = &mut self.parts[0];
        part.start += sent;
        part.len -= sent;
        part.buffer = Some(buffer);
        part.len
    }

    /// Removes the oldest chunk.
    pub fn pop(&mut self) -> Option<B> {
        if self.sending {
            debug_assert!(false, "it is being sent");
            return None;
        }
        self.parts.swap(0, 1);
        self.shrunk[0] = self.shrunk[1];
        std::mem::replace(&mut self.parts[1], Part::EMPTY).buffer
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
        assert_eq!(chunks.begin_send(), Some(("a", chunk(40, 15))));
        chunks.push("b", chunk(40, 1)).unwrap();
        let third = chunks.push("c", chunk(40, 7));
        assert_eq!(third, Err("c"), "two are the most");
        let (_, _, len) = chunks.newest_mut().unwrap();
        *len += 7;
        assert!(chunks.begin_send().is_none(), "one at a time");
        assert_eq!(chunks.end_send("a", 10), 5);
        assert_eq!(chunks.begin_send(), Some(("a", chunk(50, 5))));
        assert_eq!(chunks.end_send("a", 5), 0);
        assert_eq!(chunks.pop(), Some("a"));
        assert_eq!(chunks.begin_send(), Some(("b", chunk(40, 8))));
        assert_eq!(chunks.end_send("b", 8), 0);
        assert_eq!(chunks.pop(), Some("b"));
        assert_eq!(chunks.pop(), None);
    }

    #[test]
    fn what_was_shrunk_is_sent_in_its_order_and_takes_no_more() {
        let chunk = |start, len| Chunk { start, len };
        let mut chunks = Chunks::default();
        chunks.push("a", chunk(40, 15)).unwrap();
        let _ = chunks.begin_send();
        let _ = chunks.end_send("a", 10);
        chunks.push("b", chunk(40, 8)).unwrap();
        assert!(!chunks.newest_is_shrunk());
        chunks.shrink(|buffer, chunk| match buffer {
            "a" => Ok(("small", Chunk { start: 0, ..chunk })),
            other => Err(other),
        });
        assert!(!chunks.newest_is_shrunk(), "that one stayed");
        assert!(chunks.keeps_buffer());
        chunks.shrink(|_, chunk| Ok(("less", Chunk { start: 0, ..chunk })));
        assert!(chunks.newest_is_shrunk() && !chunks.keeps_buffer());
        assert_eq!(chunks.replace_newest("more", chunk(40, 9)), Some("less"));
        assert!(!chunks.newest_is_shrunk() && chunks.keeps_buffer());
        assert_eq!(chunks.begin_send(), Some(("less", chunk(0, 5))));
        assert!(!chunks.is_waiting() && !chunks.is_empty() && !chunks.keeps_buffer());
        assert_eq!(chunks.end_send("less", 5), 0);
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
        let _ = chunks.begin_send();
        assert!(chunks.newest().is_none());
        chunks.push("b", chunk(0, 2)).unwrap();
        assert_eq!(chunks.newest(), Some((&"b", chunk(0, 2))));
    }
}
