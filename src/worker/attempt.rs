//! How far a session's attempt to connect to its server has come.

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// Index of the address that is tried, modulo their number.
    pub index: usize,
    /// Addresses that were tried before.
    pub tried: usize,
}

impl Attempt {
    /// The same attempt at the next address.
    pub fn next(self) -> Self {
        Attempt {
            index: self.index.wrapping_add(1),
            tried: self.tried + 1,
        }
    }
}
