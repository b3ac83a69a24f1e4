//! What a descriptor is ready for.

use std::ops::BitOr;

/// A set of what a descriptor is ready for, or what has happened to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(u8);

impl Ready {
    /// Bytes, an end of the stream, a reset, or a connection can be read.
    pub const READABLE: Ready = Ready(1);
    /// There is room for bytes, or a connect has ended.
    pub const WRITABLE: Ready = Ready(2);
    /// The peer has ended its stream.
    pub const ENDED: Ready = Ready(4);
    /// The connection was reset, or both directions have ended.
    pub const GONE: Ready = Ready(8);
    /// There is urgent data (tcp(7)): a receive ends before it, with more bytes behind.
    pub const URGENT: Ready = Ready(16);

    /// All bytes before the end of the stream were received.
    pub const AT_END: Ready = Ready(32);

    /// What ends a read: bytes, the end of the stream, or a reset.
    pub const ENDS_READ: Ready = Ready(1 | 4 | 8);
    /// What ends a write: room, or a reset.
    pub const ENDS_WRITE: Ready = Ready(2 | 8);

    /// Whether it has any of these.
    pub fn has(self, any: Ready) -> bool {
        self.0 & any.0 != 0
    }

    /// Adds these.
    pub fn insert(&mut self, these: Ready) {
        self.0 |= these.0;
    }

    /// Removes these.
    pub fn remove(&mut self, these: Ready) {
        self.0 &= !these.0;
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}
