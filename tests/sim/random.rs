//! What a run draws from its seed.

#[path = "../support/random.rs"]
mod generator;

pub use generator::Random;

impl Random {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from 1 to `max`, often one of the ends.
    pub fn up_to(&mut self, max: u64) -> u64 {
        match self.below(4) {
            0 => 1,
            1 => max,
            _ => 1 + self.below(max),
        }
    }
}
