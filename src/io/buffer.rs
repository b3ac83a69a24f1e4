//! Buffers: their size, their names, and parts of them. Their memory is in a pool.

use std::num::NonZeroU16;

/// The most bytes that are received into a buffer.
pub const BUFFER_BYTES: u32 = 64 * 1024;

/// Free room before the first received byte, so that what is inserted into the head of a message
/// moves only that head. One page, which keeps the received bytes aligned and takes no memory
/// until it is used.
pub const HEADROOM_BYTES: u32 = 4 * 1024;

/// The most that one receive returns. Receives of 16 KiB were measured to cost 40 % more CPU for
/// 16 KiB answers than large ones, and more for larger answers.
pub const RECEIVE_BYTES: u32 = 48 * 1024;

/// From the beginning of a buffer to that of the next.
pub(super) const STRIDE_BYTES: u32 = HEADROOM_BYTES + BUFFER_BYTES;

/// A part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of its first byte. Received bytes begin at [`HEADROOM_BYTES`].
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// What kind of memory a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BufferKind {
    /// A part of a block, with room for [`BUFFER_BYTES`] behind [`HEADROOM_BYTES`].
    Block,
    /// Memory of exactly the size of its bytes.
    Sized,
}

/// A buffer's name within its pool, as an operation carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BufferId {
    pub kind: BufferKind,
    /// Among those of the same kind.
    pub index: u16,
}

/// A buffer of a pool. Not `Clone`: whoever has it owns its memory. A session has room for four, so it is small.
#[derive(Debug)]
pub struct Buffer {
    index: u16,
    /// Its kind, and the number of its pool: another one knows nothing of its id.
    origin: NonZeroU16,
}

const _: () = assert!(size_of::<Option<Buffer>>() == 4);

impl Buffer {
    /// The numbers of pools are below this.
    pub(super) const POOLS: u16 = 1 << 14;

    /// The one buffer of this id in the pool of this number.
    pub(super) fn named(id: BufferId, pool: u16) -> Self {
        let origin = (pool % Self::POOLS) << 2 | (id.kind as u16) << 1;
        Buffer {
            index: id.index,
            origin: NonZeroU16::MIN | origin,
        }
    }

    pub(super) fn id(&self) -> BufferId {
        let kind = match self.origin.get() & 2 {
            0 => BufferKind::Block,
            _ => BufferKind::Sized,
        };
        let index = self.index;
        BufferId { kind, index }
    }

    /// The number of its pool.
    pub(super) fn pool(&self) -> u16 {
        self.origin.get() >> 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_name() {
        for kind in [BufferKind::Block, BufferKind::Sized] {
            for index in [0, 1, u16::MAX] {
                for pool in [0, 1, Buffer::POOLS - 1] {
                    let id = BufferId { kind, index };
                    let buffer = Buffer::named(id, pool);
                    assert_eq!((buffer.id(), buffer.pool()), (id, pool));
                }
            }
        }
    }
}
