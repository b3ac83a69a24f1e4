//! Buffers: their size, their names, and parts of them. Their memory is in a pool.

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

/// A buffer of a pool. Not `Clone`: whoever has it owns its memory.
#[derive(Debug)]
pub struct Buffer {
    pub(super) id: BufferId,
    /// The number of its pool: another one knows nothing of its id.
    pub(super) pool: u16,
}
