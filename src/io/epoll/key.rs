//! What a descriptor is registered with and what its edges carry.

/// Names a socket, a listener or the waker. Edges of one wait may follow each other, while those handled
/// first close descriptors of others and open new ones in their place; the generation tells them apart.
///
/// | Bits | Content |
/// | --- | --- |
/// | 0 to 31 | index |
/// | 32 to 47 | generation |
/// | 48 and 49 | what it is |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

/// What a [`Key`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A socket of this index and generation.
    Socket(u32, u16),
    /// A listener of this index and generation.
    Listener(u32, u16),
    /// The waker.
    Waker,
}

const LISTENER: u64 = 1 << 48;
const WAKER: u64 = 1 << 49;

impl Key {
    /// The key of the waker.
    pub const WAKER: Key = Key(WAKER);

    pub(super) fn socket(index: u32, generation: u16) -> Key {
        Key(u64::from(index) | u64::from(generation) << 32)
    }

    pub(super) fn listener(index: u32, generation: u16) -> Key {
        Key(Key::socket(index, generation).0 | LISTENER)
    }

    pub(super) fn named(self) -> Named {
        let (index, generation) = (self.0 as u32, (self.0 >> 32) as u16);
        if self.0 & WAKER != 0 {
            Named::Waker
        } else if self.0 & LISTENER != 0 {
            Named::Listener(index, generation)
        } else {
            Named::Socket(index, generation)
        }
    }

    /// As a number that an edge carries.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The key of a number that [`Key::to_bits`] returned.
    pub fn from_bits(bits: u64) -> Key {
        Key(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for index in [0, 1, u32::MAX] {
            for generation in [0, 7, u16::MAX] {
                let socket = Key::socket(index, generation);
                assert_eq!(socket.named(), Named::Socket(index, generation));
                let listener = Key::listener(index, generation);
                assert_eq!(listener.named(), Named::Listener(index, generation));
                assert_eq!(Key::from_bits(listener.to_bits()), listener);
            }
        }
        assert_eq!(Key::WAKER.named(), Named::Waker);
    }
}
