//! What rarely changes in a direction, in one byte.

/// A set of what has happened to a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// The stream of the source has ended.
    pub const ENDED: Flags = Flags(1);
    /// The source was reset: its end is not the end of its stream.
    pub const RESET: Flags = Flags(2);
    /// The end was passed on, or the sink is gone: what still comes is discarded.
    pub const FINISHED: Flags = Flags(4);
    /// It has a kernel pipe.
    pub const PIPE: Flags = Flags(8);
    /// The kernel pipe of the other direction has bytes.
    pub const OTHER_PIPE: Flags = Flags(16);

    /// Whether it has this.
    pub fn has(self, one: Flags) -> bool {
        self.0 & one.0 != 0
    }

    /// Adds this.
    pub fn insert(&mut self, one: Flags) {
        self.0 |= one.0;
    }

    /// Removes this. Returns whether it was there.
    pub fn take(&mut self, one: Flags) -> bool {
        let had = self.has(one);
        self.0 &= !one.0;
        had
    }
}
