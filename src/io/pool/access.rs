//! Reading and writing the buffers of a pool.

use std::ptr::NonNull;

use super::Pool;
use crate::io::buffer::{Buffer, BufferId, BufferKind, Chunk, STRIDE_BYTES};

impl Pool {
    /// Where a buffer of this pool begins: one in a block, before its headroom.
    ///
    /// # Panics
    ///
    /// It is of another pool.
    pub fn start_of(&self, buffer: &Buffer) -> NonNull<u8> {
        assert_eq!(buffer.pool(), self.number, "a buffer of another pool");
        let BufferId { kind, index } = buffer.id();
        match kind {
            BufferKind::Block => self.address(index),
            BufferKind::Sized => self.sized[usize::from(index)].base(),
        }
    }

    /// Where a part of a buffer begins.
    ///
    /// # Panics
    ///
    /// It is not inside, or the buffer is of another pool.
    pub fn part(&self, buffer: &Buffer, chunk: Chunk) -> NonNull<u8> {
        let start = self.start_of(buffer);
        let BufferId { kind, index } = buffer.id();
        let size = match kind {
            BufferKind::Block => STRIDE_BYTES as usize,
            BufferKind::Sized => self.sized[usize::from(index)].len(),
        };
        let end = chunk.start.checked_add(chunk.len);
        let inside = end.is_some_and(|end| end as usize <= size);
        assert!(inside, "{chunk:?} is not inside a buffer");
        // SAFETY: (M) the part lies inside the buffer, and the buffer inside memory of ours.
        unsafe { start.add(chunk.start as usize) }
    }

    /// See [`Memory::bytes`](crate::io::Memory::bytes).
    pub fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        let start = self.part(buffer, chunk);
        // SAFETY: (M) whoever has a buffer owns its memory, which is mapped and, being anonymous,
        // always has a value; it can't be written while the buffer is borrowed.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), chunk.len as usize) }
    }

    /// A part of a buffer, to be written by a system call.
    ///
    /// # Panics
    ///
    /// It is not inside, or the buffer is of another pool.
    pub fn bytes_mut<'b>(&'b mut self, buffer: &'b mut Buffer, chunk: Chunk) -> &'b mut [u8] {
        let start = self.part(buffer, chunk);
        // SAFETY: (M) whoever has a buffer owns its memory, which is mapped and, being anonymous,
        // always has a value; buffer and pool are here exclusively.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), chunk.len as usize) }
    }

    /// See [`Memory::write`](crate::io::Memory::write).
    pub fn write(&self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let to = self.part(buffer, Chunk { start: at, len });
        // SAFETY: (M) whoever has a buffer owns its memory, and nothing of it is borrowed since it
        // is here exclusively; the range was checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }

    /// See [`Memory::copy`](crate::io::Memory::copy).
    pub fn copy(&self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        self.write(to, at, self.bytes(from, chunk));
    }

    /// See [`Memory::prepend`](crate::io::Memory::prepend).
    pub fn prepend(&self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        let start = behind.start.saturating_add(part.len);
        let moved = self.part(to, Chunk { start, ..behind });
        let old = self.part(to, behind);
        // SAFETY: (M) whoever has a buffer owns its memory; both ranges were checked, and may
        // overlap.
        unsafe { std::ptr::copy(old.as_ptr(), moved.as_ptr(), behind.len as usize) };
        self.copy(from, part, to, behind.start);
    }
}
