//! The ring of provided buffers: free buffers of a pool, from which the kernel takes one for each
//! receive that returns bytes (io_uring_setup_buf_ring(3)).

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::io::buffer::BUFFER_BYTES;
use crate::io::memory::Mapping;
use crate::io::pool::{Pool, RESERVE_BUFFERS};

/// The one group of provided buffers.
pub const BUFFER_GROUP: u16 = 0;

/// Entries of the ring. Few, because the kernel takes buffers first-in-first-out and each is a
/// stretch of cache; a receive that finds none is made again.
pub const RING_BUFFERS: u16 = RESERVE_BUFFERS;

const _: () = assert!(RING_BUFFERS.is_power_of_two());

/// The entries, shared with the kernel, which knows the end of them (the tail) from a field inside
/// the first.
pub struct BufferRing {
    entries: Mapping,
    tail: u16,
    /// The only pool whose buffers are in it.
    pool: u16,
}

impl BufferRing {
    /// An empty ring for buffers of this pool.
    pub fn new(pool: &Pool) -> io::Result<Self> {
        Ok(BufferRing {
            entries: Mapping::new(usize::from(RING_BUFFERS) * size_of::<BufRingEntry>())?,
            tail: 0,
            pool: pool.number(),
        })
    }

    /// Where the entries are, for registration. They stay there until it is dropped.
    pub fn address(&self) -> u64 {
        self.entries.base().as_ptr() as u64
    }

    /// Never unmaps the entries, since the kernel may still use them.
    pub fn leak(&mut self) {
        self.entries.leak();
    }

    /// Offers buffers of the pool to the kernel until the ring is full or none is free.
    ///
    /// # Panics
    ///
    /// It is another pool.
    pub fn fill(&mut self, pool: &mut Pool) {
        assert_eq!(pool.number(), self.pool, "another pool");
        let before = self.tail;
        while pool.offered() < RING_BUFFERS
            && let Some((index, start)) = pool.offer()
        {
            self.put(index, start.as_ptr() as u64);
        }
        if self.tail != before {
            self.publish();
        }
    }

    fn put(&mut self, index: u16, address: u64) {
        let entries = self.entries.base().as_ptr().cast::<BufRingEntry>();
        let position = usize::from(self.tail & (RING_BUFFERS - 1));
        // SAFETY: (M) the position is inside the ring. The kernel does not read an entry before the
        // tail covers it, and since fewer than `RING_BUFFERS` were offered it has consumed the old
        // one.
        let entry = unsafe { &mut *entries.wrapping_add(position) };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES);
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel the new entries.
    fn publish(&self) {
        // SAFETY: (M) the base is the page-aligned address of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.base().as_ptr().cast()) };
        // SAFETY: (M) the tail is 2-byte aligned, lives as long as the mapping, and is written
        // only here; the kernel reads it with acquire ordering.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffer::HEADROOM_BYTES;

    /// Index, address and length in the entry at this position.
    fn entry(ring: &BufferRing, position: u16) -> (u16, u64, u32) {
        let entries = ring.entries.base().as_ptr().cast::<BufRingEntry>();
        // SAFETY: (M) the position is inside the ring, which no kernel knows.
        let entry = unsafe { &*entries.wrapping_add(usize::from(position)) };
        (entry.bid(), entry.addr(), entry.len())
    }

    /// The tail as the kernel would read it.
    fn published(ring: &BufferRing) -> u16 {
        let base = ring.entries.base().as_ptr().cast();
        // SAFETY: (M) the base is the page-aligned address of a ring.
        let tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: (M) the tail is inside the ring, which no kernel knows.
        unsafe { *tail }
    }

    #[test]
    fn what_the_kernel_took_is_replaced_by_the_hottest_buffer() {
        let mut pool = Pool::new(1024).unwrap();
        let mut ring = BufferRing::new(&pool).unwrap();
        ring.fill(&mut pool);
        assert_eq!(
            (pool.offered(), published(&ring)),
            (RING_BUFFERS, RING_BUFFERS)
        );
        let (first, ..) = entry(&ring, 0);
        // SAFETY: (M) no kernel knows the ring: it is as if one had taken the buffer.
        let buffer = unsafe { pool.received(first) };
        let start = pool.start_of(&buffer).as_ptr() as u64 + u64::from(HEADROOM_BYTES);
        assert_eq!(entry(&ring, 0), (first, start, BUFFER_BYTES));
        pool.release(buffer);
        ring.fill(&mut pool);
        assert_eq!(entry(&ring, 0), (first, start, BUFFER_BYTES));
        assert_eq!(published(&ring), RING_BUFFERS + 1);
        ring.fill(&mut pool);
        assert_eq!(published(&ring), RING_BUFFERS + 1, "it is full");
    }

    #[test]
    #[should_panic(expected = "another pool")]
    fn buffers_of_another_pool_are_refused() {
        let pool = Pool::new(64).unwrap();
        let mut ring = BufferRing::new(&pool).unwrap();
        ring.fill(&mut Pool::new(64).unwrap());
    }
}
