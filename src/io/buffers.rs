//! Buffers for receives: a pool in user memory and the ring through which the kernel takes them.
//!
//! The pool grows by blocks up to a bound and is used last-in-first-out, so that few buffers stay
//! hot; memory of buffers beyond a small reserve goes back to the kernel as they are released.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::engine::Chunk;

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

/// The most buffers that a pool can have: ids have 16 bits.
pub(super) const BUFFERS_MAX: usize = 1 << 16;

/// A buffer of the pool of this thread. Not `Clone`: whoever has it owns the memory.
#[derive(Debug)]
pub struct Buffer {
    id: u16,
    /// Which pool it is from: an id means nothing to another one.
    pool: u16,
}

impl Buffer {
    pub(super) fn id(&self) -> u16 {
        self.id
    }
}

/// Anonymous memory, mapped until dropped.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> std::io::Result<Self> {
        // SAFETY: (M) a new private mapping at an address of the kernel's choice overlaps no
        // memory in use.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { base, len }),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: (M, O) the mapping is ours alone; the ring that may have lent it is closed
        // before, by the field order of `Uring`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
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
}

impl Pool {
    /// A pool of at most `buffers_max` buffers (at least the ring's worth, at most
    /// [`BUFFERS_MAX`]).
    pub fn new(buffers_max: usize) -> std::io::Result<Self> {
        let ring = Mapping::new(usize::from(RING_BUFFERS) * size_of::<BufRingEntry>())?;
        static POOLS: AtomicU16 = AtomicU16::new(0);
        Ok(Pool {
            number: POOLS.fetch_add(1, Ordering::Relaxed),
            blocks: Vec::new(),
            free: VecDeque::new(),
            ring,
            tail: 0,
            in_ring: 0,
            buffers_max: buffers_max.clamp(usize::from(RING_BUFFERS), BUFFERS_MAX),
        })
    }

    /// Address of the ring, for registration. It stays until the pool is dropped.
    pub fn ring_address(&self) -> u64 {
        self.ring.base.as_ptr() as u64
    }

    /// Fills the kernel's ring from the pool.
    pub fn top_up(&mut self) {
        let before = self.tail;
        while self.in_ring < RING_BUFFERS {
            if self.free.is_empty() && !self.grow() {
                break;
            }
            let Some(id) = self.free.pop_back() else {
                break;
            };
            self.put(id);
        }
        if self.tail != before {
            self.publish();
        }
    }

    /// A buffer is available for the next receive.
    pub fn has_buffers(&self) -> bool {
        self.in_ring > 0
            || !self.free.is_empty()
            || self.blocks.len() * BLOCK_BUFFERS < self.buffers_max
    }

    /// The kernel took this buffer from the ring: it is the caller's now.
    pub fn taken(&mut self, id: u16) -> Buffer {
        self.in_ring -= 1;
        self.returned(id)
    }

    /// A buffer comes back from the kernel after a send.
    pub fn returned(&self, id: u16) -> Buffer {
        let pool = self.number;
        Buffer { id, pool }
    }

    /// A buffer for bytes of our own, if there is one.
    pub fn take(&mut self) -> Option<Buffer> {
        if self.free.is_empty() && !self.grow() {
            return None;
        }
        let id = self.free.pop_back()?;
        Some(self.returned(id))
    }

    /// Gives a buffer back to the pool.
    pub fn release(&mut self, buffer: Buffer) {
        let start = self.start_of(&buffer);
        if self.free.len() < KEPT_BUFFERS {
            self.free.push_back(buffer.id);
            return;
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
        self.free.push_front(buffer.id);
    }

    /// Where a buffer of this pool begins, [`HEADROOM_BYTES`] before what is received into it.
    ///
    /// # Panics
    ///
    /// It is of another pool.
    pub fn start_of(&self, buffer: &Buffer) -> NonNull<u8> {
        assert_eq!(buffer.pool, self.number, "a buffer of another pool");
        self.address(buffer.id)
    }

    /// Where a part of a buffer begins.
    ///
    /// # Panics
    ///
    /// It is not inside, or the buffer is of another pool.
    pub fn part(&self, buffer: &Buffer, chunk: Chunk) -> NonNull<u8> {
        let end = chunk.start.checked_add(chunk.len);
        let inside = end.is_some_and(|end| end <= STRIDE_BYTES);
        assert!(inside, "{chunk:?} is not inside a buffer");
        let start = self.start_of(buffer);
        // SAFETY: (M) the part lies inside the buffer, and the buffer inside a mapping of ours.
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

    fn address(&self, id: u16) -> NonNull<u8> {
        let (block, place) = (
            usize::from(id) / BLOCK_BUFFERS,
            usize::from(id) % BLOCK_BUFFERS,
        );
        // SAFETY: (M) ids exist only for mapped blocks, and `place` is inside the block.
        unsafe { self.blocks[block].base.add(place * STRIDE_BYTES as usize) }
    }

    fn grow(&mut self) -> bool {
        let mapped = self.blocks.len() * BLOCK_BUFFERS;
        if mapped >= self.buffers_max {
            return false;
        }
        let Ok(block) = Mapping::new(BLOCK_BUFFERS * STRIDE_BYTES as usize) else {
            return false;
        };
        self.blocks.push(block);
        for id in (mapped..mapped + BLOCK_BUFFERS).rev() {
            // `BUFFERS_MAX` keeps ids within 16 bits.
            self.free.push_front(id as u16);
        }
        true
    }

    fn put(&mut self, id: u16) {
        let address = self.address(id).as_ptr() as u64 + u64::from(HEADROOM_BYTES);
        let entries = self.ring.base.as_ptr().cast::<BufRingEntry>();
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
        let tail = unsafe { BufRingEntry::tail(self.ring.base.as_ptr().cast()) };
        // SAFETY: (M) the tail is 2-byte aligned, lives as long as the mapping, and is written
        // only here; the kernel reads it with acquire ordering.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_no_further() {
        let mut pool = Pool::new(100).unwrap();
        pool.top_up();
        assert_eq!(pool.in_ring, RING_BUFFERS);
        let mut taken = Vec::new();
        while pool.has_buffers() {
            let id = pool.tail.wrapping_sub(pool.in_ring);
            taken.push(pool.taken(id));
            pool.top_up();
        }
        assert_eq!(taken.len(), 2 * BLOCK_BUFFERS, "whole blocks are mapped");
        for buffer in taken {
            pool.release(buffer);
        }
        assert!(pool.has_buffers());
    }

    #[test]
    fn the_last_released_is_the_next_used() {
        let mut pool = Pool::new(1024).unwrap();
        pool.top_up();
        let first = pool.taken(0);
        let id = first.id();
        pool.release(first);
        assert_eq!(pool.free.back(), Some(&id));
    }

    #[test]
    fn buffers_are_writable_over_their_whole_length() {
        let mut pool = Pool::new(1024).unwrap();
        pool.top_up();
        let address = pool.address(BLOCK_BUFFERS as u16 - 1).as_ptr();
        // SAFETY: the last byte of the last buffer of a mapped block.
        let last = unsafe { &mut *address.wrapping_add(STRIDE_BYTES as usize - 1) };
        *last = 7;
        assert_eq!(*last, 7);
    }

    #[test]
    fn what_is_written_and_copied_is_read_back() {
        let mut pool = Pool::new(1024).unwrap();
        let (mut a, mut b) = (pool.take().unwrap(), pool.take().unwrap());
        pool.write(&mut a, HEADROOM_BYTES - 3, b"abcdef");
        let (start, len) = (HEADROOM_BYTES - 2, 4);
        assert_eq!(pool.bytes(&a, Chunk { start, len }), b"bcde");
        pool.copy(&a, Chunk { start, len }, &mut b, STRIDE_BYTES - 4);
        let start = STRIDE_BYTES - 5;
        assert_eq!(pool.bytes(&b, Chunk { start, len: 5 }), b"\0bcde");
        pool.release(a);
        pool.release(b);
    }

    #[test]
    #[should_panic(expected = "is not inside a buffer")]
    fn nothing_is_written_beyond_a_buffer() {
        let mut pool = Pool::new(1024).unwrap();
        let mut buffer = pool.take().unwrap();
        pool.write(&mut buffer, STRIDE_BYTES - 1, b"ab");
    }
}
