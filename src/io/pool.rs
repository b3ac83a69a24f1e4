//! Buffer memory of one worker, bounded as a whole: what is received and waits to be sent.
//!
//! The pool grows by blocks up to a bound and is used last-in-first-out, so that few buffers stay
//! hot; memory of free buffers beyond a small reserve is given back to the kernel.
//!
//! A few bytes that wait long are moved to memory of exactly their size ([`Pool::shrink`]), which
//! counts against the same bound, and takes three quarters of it at most: if no buffer is left,
//! somebody has one.
//!
//! A buffer is free, owned by whoever has the [`Buffer`], or offered: the kernel may take it for a
//! receive ([`Pool::offer`]).

mod access;

use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use slab::Slab;

use super::buffer::{
    BUFFER_BYTES, Buffer, BufferId, BufferKind, Chunk, HEADROOM_BYTES, STRIDE_BYTES,
};
use super::memory::{Mapping, SizedCopy};

/// Buffers mapped at a time: some 4 MiB, of which only what is touched takes memory.
const BLOCK_BUFFERS: usize = 64;

/// Buffers that should always be left for receives: as many as may be offered at a time. The
/// smallest pool has so many.
pub(super) const RESERVE_BUFFERS: u16 = 64;

/// Free buffers whose memory is kept; that of others is given back to the kernel.
const KEPT_BUFFERS: usize = 256;

/// The most buffers that a pool can have, of each kind: indexes have 16 bits.
const BUFFERS_MAX: usize = 1 << 16;

/// The most bytes that are moved to memory of their size: with more, little would be gained.
const SHRINK_BYTES_MAX: u32 = BUFFER_BYTES / 2;

/// What memory of its size costs beside its bytes, generously estimated: the allocator and the
/// table add something.
const SIZED_OVERHEAD_BYTES: usize = 64;

/// How long the kernel is not asked for another block after it has refused one.
const MAP_PAUSE: Duration = Duration::from_secs(1);

/// The pool of one worker.
pub(super) struct Pool {
    /// Tells it from other pools.
    number: u16,
    blocks: Vec<Mapping>,
    /// The hot end is the back.
    free: VecDeque<u16>,
    /// Buffers that the kernel may take for receives.
    offered: u16,
    buffers_max: usize,
    /// Memory of exactly the size of its bytes.
    sized: Slab<SizedCopy>,
    sized_bytes: usize,
    /// Maps a block; tests make it fail.
    map: fn(usize) -> io::Result<Mapping>,
    /// The kernel has refused a block and is not asked for another before this time.
    refused_until: Option<Instant>,
}

impl Pool {
    /// A pool of at most `buffers_max` buffers (between [`RESERVE_BUFFERS`] and [`BUFFERS_MAX`]),
    /// the first of them mapped.
    pub fn new(buffers_max: usize) -> io::Result<Self> {
        static POOLS: AtomicU16 = AtomicU16::new(0);
        let mut pool = Pool {
            number: POOLS.fetch_add(1, Ordering::Relaxed) % Buffer::POOLS,
            blocks: Vec::new(),
            free: VecDeque::new(),
            offered: 0,
            buffers_max: buffers_max.clamp(usize::from(RESERVE_BUFFERS), BUFFERS_MAX),
            sized: Slab::new(),
            sized_bytes: 0,
            map: Mapping::new,
            refused_until: None,
        };
        pool.add_block()?;
        Ok(pool)
    }

    /// What tells it from other pools.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Never unmaps its memory, since the kernel may still use it.
    pub fn leak(&mut self) {
        self.blocks.iter_mut().for_each(Mapping::leak);
        std::mem::forget(std::mem::take(&mut self.sized));
    }

    /// Offers a free buffer to the kernel: its index and where received bytes begin. `None`: none is
    /// free. It counts as left until [`Pool::received`] is called for it.
    pub fn offer(&mut self) -> Option<(u16, NonNull<u8>)> {
        if usize::from(self.offered) >= self.left() || (self.free.is_empty() && !self.grow()) {
            return None;
        }
        let index = self.free.pop_back()?;
        self.offered += 1;
        // SAFETY: (M) a buffer is longer than that and lies inside memory of ours.
        let start = unsafe { self.address(index).add(HEADROOM_BYTES as usize) };
        Some((index, start))
    }

    /// How many buffers are offered.
    pub fn offered(&self) -> u16 {
        self.offered
    }

    /// An offered buffer that the kernel has taken for a receive, and returns.
    ///
    /// # Safety
    ///
    /// The kernel has returned the buffer of this index, once since it was offered (M).
    pub unsafe fn received(&mut self, index: u16) -> Buffer {
        self.offered -= 1;
        self.block_buffer(index)
    }

    /// How many more buffers can be had, offered ones included.
    pub fn left(&self) -> usize {
        let used = self.mapped() - self.free.len() - usize::from(self.offered);
        // Memory of the size of its bytes is not in the blocks: fewer of these may be mapped for it.
        let beside_sized = self.buffers_max.saturating_sub(self.sized_in_buffers());
        self.limit().min(beside_sized).saturating_sub(used)
    }

    /// No more are left than [`RESERVE_BUFFERS`], or than half of a small pool.
    pub fn is_short(&self) -> bool {
        self.left() <= usize::from(RESERVE_BUFFERS).min(self.limit() / 2)
    }

    fn mapped(&self) -> usize {
        self.blocks.len() * BLOCK_BUFFERS
    }

    /// How many buffers there can be now.
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

    /// The buffer of a send that has ended.
    ///
    /// # Safety
    ///
    /// The [`Buffer`] of this id was given up for the send and is made again only here (M).
    pub unsafe fn returned(&self, id: BufferId) -> Buffer {
        self.named(id)
    }

    fn block_buffer(&self, index: u16) -> Buffer {
        let kind = BufferKind::Block;
        self.named(BufferId { kind, index })
    }

    /// The one buffer of this id.
    fn named(&self, id: BufferId) -> Buffer {
        Buffer::named(id, self.number)
    }

    /// A buffer for bytes of our own, if there is one.
    pub fn take(&mut self) -> Option<Buffer> {
        if self.left() <= usize::from(self.offered) {
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
        let BufferId { kind, index } = buffer.id();
        match kind {
            BufferKind::Sized => {
                let copy = self.sized.remove(usize::from(index));
                self.sized_bytes -= cost(&copy);
                return;
            }
            BufferKind::Block if self.may_be_kept() => {
                self.free.push_back(index);
                return;
            }
            BufferKind::Block => {}
        }
        // SAFETY: (M) whoever gives a buffer back has owned it, so the kernel does not use it; the
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

    /// Whether a free buffer may keep its memory: few do, and all memory is within the bound.
    fn may_be_kept(&self) -> bool {
        let within = self.mapped() + self.sized_in_buffers() <= self.buffers_max;
        self.free.len() < KEPT_BUFFERS && (self.sized.is_empty() || within)
    }

    /// See [`Memory::shrink`](super::Memory::shrink).
    pub fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        let sized = buffer.id().kind == BufferKind::Sized;
        let is_full = self.sized_in_buffers() >= self.buffers_max * 3 / 4;
        if sized || chunk.len > SHRINK_BYTES_MAX || is_full || self.sized.len() >= BUFFERS_MAX {
            return Err(buffer);
        }
        let Some(copy) = SizedCopy::of(self.bytes(&buffer, chunk)) else {
            return Err(buffer);
        };
        self.sized_bytes += cost(&copy);
        // `BUFFERS_MAX` keeps it within 16 bits.
        let index = self.sized.insert(copy) as u16;
        self.release(buffer);
        let kind = BufferKind::Sized;
        let shrunk = self.named(BufferId { kind, index });
        Ok((shrunk, Chunk { start: 0, ..chunk }))
    }

    fn address(&self, index: u16) -> NonNull<u8> {
        let index = usize::from(index);
        let (block, offset) = (index / BLOCK_BUFFERS, index % BLOCK_BUFFERS);
        // SAFETY: (M) the offset is inside a block, and the block is mapped.
        unsafe {
            self.blocks[block]
                .base()
                .add(offset * STRIDE_BYTES as usize)
        }
    }

    /// Maps another block, unless there are enough or the kernel refuses.
    fn grow(&mut self) -> bool {
        if self.mapped() >= self.buffers_max || self.is_refused() {
            return false;
        }
        let refused = self.add_block().is_err();
        self.refused_until = refused.then(|| Instant::now() + MAP_PAUSE);
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
}

/// What memory of its size counts against the bound.
fn cost(copy: &SizedCopy) -> usize {
    copy.footprint() + SIZED_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
