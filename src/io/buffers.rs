//! Buffers for receives: a pool in user memory and the ring through which the kernel takes them.
//!
//! The pool grows by blocks up to a bound and is used last-in-first-out, so that few buffers stay
//! hot; memory of buffers beyond a small reserve goes back to the kernel as they are released.
//!
//! Few bytes that wait long are moved to memory of their size ([`Pool::shrink`]), which counts
//! against the same bound.

use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use io_uring::types::BufRingEntry;
use slab::Slab;

use super::engine::Chunk;
use super::memory::{Mapping, SizedCopy};

/// The most bytes that are received into a buffer.
pub const BUFFER_BYTES: u32 = 64 * 1024;

/// Free room before the first received byte, so that what is inserted into the head of a message
/// moves only that head. One page, which keeps the received bytes aligned and takes no memory
/// until it is used.
pub const HEADROOM_BYTES: u32 = 4 * 1024;

/// From the beginning of a buffer to that of the next.
const STRIDE_BYTES: u32 = HEADROOM_BYTES + BUFFER_BYTES;

/// The most that one receive brings. Receives of 16 KiB were measured to cost 40 % more CPU for
/// 16 KiB answers than large ones, and more for larger answers.
pub const RECEIVE_BYTES: u32 = 48 * 1024;

/// A receive that stays armed ends once it has brought so many bytes. The kernel looks at that
/// after each piece, so all that it brings still fits into one buffer.
pub(super) const ARMED_BYTES: u32 = BUFFER_BYTES - RECEIVE_BYTES;

/// Buffers mapped at a time: some 4 MiB, of which only what is touched takes memory.
const BLOCK_BUFFERS: usize = 64;

/// Buffers that wait in the kernel's ring. Few, because the kernel takes them first-in-first-out
/// and each is a stretch of cache; a receive that finds none is made again.
pub(super) const RING_BUFFERS: u16 = 64;

/// Free buffers whose memory is kept; that of others is given back to the kernel.
const KEPT_BUFFERS: usize = 256;

/// The most buffers that a pool can have, of each kind: ids have 16 bits.
pub(super) const BUFFERS_MAX: usize = 1 << 16;

/// The most bytes that are moved to memory of their size: with more, little would be gained.
const SHRINK_BYTES_MAX: u32 = BUFFER_BYTES / 2;

/// What memory of its size costs beside its bytes, generously: what the allocator and the table
/// add.
const SIZED_OVERHEAD_BYTES: usize = 64;

/// How long the kernel is not asked again for a block that it refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Where the bytes of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// In a block, with room for [`BUFFER_BYTES`] behind [`HEADROOM_BYTES`].
    Block,
    /// In memory of their size.
    Sized,
}

/// A buffer's number, as an operation carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BufferId {
    pub memory: Memory,
    /// Among those of the same kind.
    pub index: u16,
}

/// A buffer of the pool of this thread. Not `Clone`: whoever has it owns the memory.
#[derive(Debug)]
pub struct Buffer {
    id: BufferId,
    /// Which pool it is from: an id means nothing to another one.
    pool: u16,
}

impl Buffer {
    pub(super) fn id(&self) -> BufferId {
        self.id
    }
}

/// The pool of one worker.
pub(super) struct Pool {
    /// Its own number.
    number: u16,
    blocks: Vec<Mapping>,
    /// The hot end is the back.
    free: VecDeque<u16>,
    /// The ring shared with the kernel: `RING_BUFFERS` entries, the tail inside the first.
    ring: Mapping,
    tail: u16,
    /// Buffers that the kernel may take.
    in_ring: u16,
    buffers_max: usize,
    /// Memory in the size of what is in it.
    sized: Slab<SizedCopy>,
    sized_bytes: usize,
    /// Maps a block; tests have it fail.
    map: fn(usize) -> io::Result<Mapping>,
    /// The kernel refused a block and is not asked again before.
    refused_until: Option<Instant>,
}

impl Pool {
    /// A pool of at most `buffers_max` buffers (at least the ring's worth, at most
    /// [`BUFFERS_MAX`]), the first of them mapped.
    pub fn new(buffers_max: usize) -> io::Result<Self> {
        let ring = Mapping::new(usize::from(RING_BUFFERS) * size_of::<BufRingEntry>())?;
        static POOLS: AtomicU16 = AtomicU16::new(0);
        let mut pool = Pool {
            number: POOLS.fetch_add(1, Ordering::Relaxed),
            blocks: Vec::new(),
            free: VecDeque::new(),
            ring,
            tail: 0,
            in_ring: 0,
            buffers_max: buffers_max.clamp(usize::from(RING_BUFFERS), BUFFERS_MAX),
            sized: Slab::new(),
            sized_bytes: 0,
            map: Mapping::new,
            refused_until: None,
        };
        pool.add_block()?;
        Ok(pool)
    }

    /// Address of the ring, for registration. It stays until the pool is dropped.
    pub fn ring_address(&self) -> u64 {
        self.ring.base().as_ptr() as u64
    }

    /// Keeps all memory mapped for ever, since the kernel may still use it.
    pub fn leak(&mut self) {
        self.blocks.iter_mut().for_each(Mapping::leak);
        self.ring.leak();
        std::mem::forget(std::mem::take(&mut self.sized));
    }

    /// Fills the kernel's ring from the pool.
    pub fn top_up(&mut self) {
        let before = self.tail;
        while self.in_ring < RING_BUFFERS && usize::from(self.in_ring) < self.left() {
            if self.free.is_empty() && !self.grow() {
                break;
            }
            let Some(index) = self.free.pop_back() else {
                break;
            };
            self.put(index);
        }
        if self.tail != before {
            self.publish();
        }
    }

    /// How many more buffers can be had, those in the kernel's ring included.
    pub fn left(&self) -> usize {
        let used = self.mapped() - self.free.len() - usize::from(self.in_ring);
        self.limit().saturating_sub(used + self.sized_in_buffers())
    }

    /// No more are left than the kernel's ring should have, or half of a small pool.
    pub fn is_short(&self) -> bool {
        self.left() <= usize::from(RING_BUFFERS).min(self.limit() / 2)
    }

    fn mapped(&self) -> usize {
        self.blocks.len() * BLOCK_BUFFERS
    }

    /// How many buffers there can be, as far as is known now.
    fn limit(&self) -> usize {
        if self.is_refused() {
            self.buffers_max.min(self.mapped())
        } else {
            self.buffers_max
        }
    }

    fn is_refused(&self) -> bool {
        (self.refused_until).is_some_and(|until| Instant::now() < until)
    }

    /// Memory of the size of its bytes, in terms of buffers.
    fn sized_in_buffers(&self) -> usize {
        self.sized_bytes.div_ceil(BUFFER_BYTES as usize)
    }

    /// The kernel took this buffer from the ring: it is the caller's now.
    pub fn taken(&mut self, index: u16) -> Buffer {
        self.in_ring -= 1;
        self.block_buffer(index)
    }

    fn block_buffer(&self, index: u16) -> Buffer {
        let memory = Memory::Block;
        self.returned(BufferId { memory, index })
    }

    /// A buffer comes back from the kernel after a send.
    pub fn returned(&self, id: BufferId) -> Buffer {
        let pool = self.number;
        Buffer { id, pool }
    }

    /// A buffer for bytes of our own, if there is one.
    pub fn take(&mut self) -> Option<Buffer> {
        if self.left() <= usize::from(self.in_ring) {
            return None;
        }
        if self.free.is_empty() && !self.grow() {
            return None;
        }
        let index = self.free.pop_back()?;
        Some(self.block_buffer(index))
    }

    /// Gives a buffer back to the pool.
    pub fn release(&mut self, buffer: Buffer) {
        let start = self.start_of(&buffer);
        let index = buffer.id.index;
        match buffer.id.memory {
            Memory::Sized => {
                let copy = self.sized.remove(usize::from(index));
                self.sized_bytes -= cost(&copy);
                return;
            }
            Memory::Block if self.may_be_kept() => {
                self.free.push_back(index);
                return;
            }
            Memory::Block => {}
        }
        // SAFETY: (M) the buffer was given back, so neither the kernel nor safe code uses it; the
        // range lies inside a mapping of ours.
        unsafe {
            libc::madvise(
                start.as_ptr().cast(),
                STRIDE_BYTES as usize,
                libc::MADV_DONTNEED,
            )
        };
        self.free.push_front(index);
    }

    /// The memory of a free buffer may stay: few have any, and all memory together is within the
    /// bound.
    fn may_be_kept(&self) -> bool {
        let within = self.mapped() + self.sized_in_buffers() <= self.buffers_max;
        self.free.len() < KEPT_BUFFERS && (self.sized.is_empty() || within)
    }

    /// See [`Engine::shrink`](super::Engine::shrink).
    pub fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        let sized = buffer.id.memory == Memory::Sized;
        if sized || chunk.len > SHRINK_BYTES_MAX || self.sized.len() >= BUFFERS_MAX {
            return Err(buffer);
        }
        let Some(copy) = SizedCopy::of(self.bytes(&buffer, chunk)) else {
            return Err(buffer);
        };
        self.sized_bytes += cost(&copy);
        // `BUFFERS_MAX` keeps it within 16 bits.
        let index = self.sized.insert(copy) as u16;
        self.release(buffer);
        let memory = Memory::Sized;
        let shrunk = self.returned(BufferId { memory, index });
        Ok((shrunk, Chunk { start: 0, ..chunk }))
    }

    /// Where a buffer of this pool begins; one in a block, [`HEADROOM_BYTES`] before what is
    /// received into it.
    ///
    /// # Panics
    ///
    /// It is of another pool.
    pub fn start_of(&self, buffer: &Buffer) -> NonNull<u8> {
        assert_eq!(buffer.pool, self.number, "a buffer of another pool");
        let index = buffer.id.index;
        match buffer.id.memory {
            Memory::Block => self.address(index),
            Memory::Sized => self.sized[usize::from(index)].base(),
        }
    }

    /// Where a part of a buffer begins.
    ///
    /// # Panics
    ///
    /// It is not inside, or the buffer is of another pool.
    pub fn part(&self, buffer: &Buffer, chunk: Chunk) -> NonNull<u8> {
        let start = self.start_of(buffer);
        let size = match buffer.id.memory {
            Memory::Block => STRIDE_BYTES as usize,
            Memory::Sized => self.sized[usize::from(buffer.id.index)].len(),
        };
        let end = chunk.start.checked_add(chunk.len);
        let inside = end.is_some_and(|end| end as usize <= size);
        assert!(inside, "{chunk:?} is not inside a buffer");
        // SAFETY: (M) the part lies inside the buffer, and the buffer inside memory of ours.
        unsafe { start.add(chunk.start as usize) }
    }

    /// See [`Engine::bytes`](super::Engine::bytes).
    pub fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        let start = self.part(buffer, chunk);
        // SAFETY: (M) whoever has a buffer owns its memory, which is mapped and, being anonymous,
        // always has a value; it can't be written while the buffer is borrowed.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), chunk.len as usize) }
    }

    /// See [`Engine::write`](super::Engine::write).
    pub fn write(&self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let to = self.part(buffer, Chunk { start: at, len });
        // SAFETY: (M) whoever has a buffer owns its memory, and nothing of it is borrowed since it
        // is here exclusively; the range was checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }

    /// See [`Engine::copy`](super::Engine::copy).
    pub fn copy(&self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        self.write(to, at, self.bytes(from, chunk));
    }

    /// See [`Engine::prepend`](super::Engine::prepend).
    pub fn prepend(&self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        let start = behind.start.saturating_add(part.len);
        let moved = self.part(to, Chunk { start, ..behind });
        let old = self.part(to, behind);
        // SAFETY: (M) whoever has a buffer owns its memory; both ranges were checked, and may
        // overlap.
        unsafe { std::ptr::copy(old.as_ptr(), moved.as_ptr(), behind.len as usize) };
        self.copy(from, part, to, behind.start);
    }

    fn address(&self, id: u16) -> NonNull<u8> {
        let (block, place) = (
            usize::from(id) / BLOCK_BUFFERS,
            usize::from(id) % BLOCK_BUFFERS,
        );
        // SAFETY: (M) ids exist only for mapped blocks, and `place` is inside the block.
        unsafe { self.blocks[block].base().add(place * STRIDE_BYTES as usize) }
    }

    /// Maps another block, unless there are enough or the kernel refuses.
    fn grow(&mut self) -> bool {
        if self.mapped() >= self.buffers_max || self.is_refused() {
            return false;
        }
        let refused = self.add_block().is_err();
        self.refused_until = refused.then(|| Instant::now() + REFUSED_PAUSE);
        !refused
    }

    fn add_block(&mut self) -> io::Result<()> {
        let mapped = self.mapped();
        let block = (self.map)(BLOCK_BUFFERS * STRIDE_BYTES as usize)?;
        self.blocks.push(block);
        for index in (mapped..mapped + BLOCK_BUFFERS).rev() {
            // `BUFFERS_MAX` keeps indexes within 16 bits.
            self.free.push_front(index as u16);
        }
        Ok(())
    }

    fn put(&mut self, id: u16) {
        let address = self.address(id).as_ptr() as u64 + u64::from(HEADROOM_BYTES);
        let entries = self.ring.base().as_ptr().cast::<BufRingEntry>();
        let index = usize::from(self.tail & (RING_BUFFERS - 1));
        // SAFETY: (M) the index is inside the ring; the kernel does not read an entry before the
        // tail covers it, and `in_ring < RING_BUFFERS` says that it has consumed the old one.
        let entry = unsafe { &mut *entries.wrapping_add(index) };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        self.in_ring += 1;
    }

    fn publish(&self) {
        // SAFETY: (M) the base is the page-aligned address of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.ring.base().as_ptr().cast()) };
        // SAFETY: (M) the tail is 2-byte aligned, lives as long as the mapping, and is written
        // only here; the kernel reads it with acquire ordering.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// What memory of its size counts.
fn cost(copy: &SizedCopy) -> usize {
    copy.len() + SIZED_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
