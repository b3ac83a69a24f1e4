//! Buffers: they hold pieces of streams, or real bytes where the worker reads or writes them.

use std::rc::Rc;

use ringway::io::{BUFFER_BYTES, Chunk, HEADROOM_BYTES, Memory};

use super::connection::range;
use super::{Buffer, Kernel};
use crate::stream::Piece;

impl Memory for Kernel {
    type Buffer = Buffer;

    fn release(&mut self, mut buffer: Buffer) {
        buffer.content = None;
        match buffer.sized {
            None => {
                self.buffers_out -= 1;
                self.buffers_released += 1;
            }
            Some(sized) => self.sized_bytes -= sized,
        }
    }

    fn take_buffer(&mut self) -> Option<Buffer> {
        if self.buffers_left() == 0 {
            self.world.borrow_mut().buffers_refused += 1;
            return None;
        }
        self.buffers_out += 1;
        Some(Buffer::of(Piece::default()))
    }

    fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        &buffer.content().memory[range(chunk)]
    }

    fn write(&mut self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        let content = buffer.content_mut();
        assert_eq!(content.piece.len, 0, "the buffer has a piece");
        let memory = Rc::make_mut(&mut content.memory);
        let end = at as usize + bytes.len();
        memory.resize(memory.len().max(end), 0);
        memory[at as usize..end].copy_from_slice(bytes);
        assert!(memory.len() <= (HEADROOM_BYTES + BUFFER_BYTES) as usize);
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        let (from, target) = (from.content(), to.content_mut());
        if !from.memory.is_empty() {
            assert!(
                target.stream.is_none() || target.stream == from.stream,
                "bytes of another stream"
            );
            target.stream = from.stream;
            self.write(to, at, &from.memory[range(chunk)]);
            return;
        }
        let at = u64::from(at - HEADROOM_BYTES);
        let to = &mut target.piece;
        let from = from.piece;
        assert!(target.memory.is_empty(), "a piece behind real bytes");
        assert_eq!(to.len, at, "copied to the wrong place");
        assert_eq!(chunk.start, HEADROOM_BYTES);
        assert_eq!(from.len, u64::from(chunk.len));
        assert_eq!(to.stream, from.stream, "bytes of another stream");
        assert_eq!(to.offset + to.len, from.offset);
        to.len += from.len;
        assert!(to.len <= u64::from(BUFFER_BYTES), "a buffer overflows");
    }

    fn prepend(&mut self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        let (first, second) = (from.content(), to.content_mut());
        if !first.memory.is_empty() {
            assert_eq!(second.stream, first.stream, "bytes of another stream");
            let bytes = [&first.memory[range(part)], &second.memory[range(behind)]].concat();
            self.write(to, behind.start, &bytes);
            return;
        }
        assert_eq!(behind.start, HEADROOM_BYTES);
        let (piece, to) = (first.part(part).piece, &mut second.piece);
        assert_eq!(u64::from(behind.len), to.len, "a part only");
        assert_eq!(piece.stream, to.stream, "bytes of another stream");
        assert_eq!(piece.offset + piece.len, to.offset, "in the wrong order");
        *to = Piece {
            len: piece.len + to.len,
            ..piece
        };
        assert!(to.len <= u64::from(BUFFER_BYTES), "a buffer overflows");
    }

    fn buffers_left(&self) -> usize {
        let beside_sized = self.world.borrow().weather.buffers_max - self.sized_in_buffers();
        let max = self.buffers_max().min(beside_sized);
        max.saturating_sub(self.buffers_out)
    }

    fn is_short_of_buffers(&self) -> bool {
        self.buffers_left() <= self.buffers_max() / 2
    }

    fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        let fails = {
            let world = &mut *self.world.borrow_mut();
            world.fault(world.weather.no_memory)
        };
        let is_full = self.sized_in_buffers() >= self.world.borrow().weather.buffers_max * 3 / 4;
        if fails || is_full || buffer.sized.is_some() || chunk.len > BUFFER_BYTES / 2 {
            return Err(buffer);
        }
        let content = buffer.content().part(chunk);
        self.release(buffer);
        self.sized_bytes += chunk.len as usize;
        self.world.borrow_mut().shrunk += 1;
        let start = HEADROOM_BYTES;
        let shrunk = Buffer {
            content: Some(content),
            sized: Some(chunk.len as usize),
        };
        Ok((shrunk, Chunk { start, ..chunk }))
    }
}

impl Kernel {
    fn sized_in_buffers(&self) -> usize {
        self.sized_bytes.div_ceil(BUFFER_BYTES as usize)
    }
}
