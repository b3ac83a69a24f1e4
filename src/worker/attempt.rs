//! How far a session's attempt to connect to its server has come.

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// Index of the address that is tried, modulo their number.
    pub index: u32,
    /// Addresses that were tried before.
    pub tried: u16,
    /// The local address that is connected from, modulo their number.
    pub source: u16,
    /// Local addresses that had no port left for the address that is tried.
    pub sources_tried: u16,
}

impl Attempt {
    /// The same attempt at the next address.
    pub fn next(self) -> Self {
        Attempt {
            index: self.index.wrapping_add(1),
            tried: self.tried.saturating_add(1),
            source: self.source,
            sources_tried: 0,
        }
    }

    /// The same attempt from the next local address.
    pub fn next_source(self) -> Self {
        Attempt {
            source: self.source.wrapping_add(1),
            sources_tried: self.sources_tried.saturating_add(1),
            ..self
        }
    }
}
