//! `random`: the better of two servers drawn at random.
//!
//! Each draw is by weight, the two servers are different, and the one with fewer sessions for its
//! weight is taken; of equals, the one that was drawn first. It avoids busy servers nearly as well
//! as `least_conn`, and workers that choose at the same moment do not all take the same one. Goes
//! over the servers three times.

use super::candidates::{Open, Servers};
use super::generator::Generator;
use super::least_conn::Load;

/// The algorithm `random`, with its source of randomness.
#[derive(Clone, Debug)]
pub struct Random {
    generator: Generator,
}

impl Random {
    pub(super) fn new(generator: Generator) -> Self {
        Self { generator }
    }

    pub(super) fn choose<S: Servers>(&mut self, open: &Open<'_, S>) -> Option<usize> {
        let total: u64 = open.iter().map(|(_, weight)| u64::from(weight)).sum();
        let first = self.draw(open, total, None)?;
        let rest = total.saturating_sub(first.1.into());
        let Some(second) = self.draw(open, rest, Some(first.0)) else {
            return Some(first.0);
        };
        let first = Load::new(open, first.0, first.1);
        let second = Load::new(open, second.0, second.1);
        Some(if second.is_below(&first) {
            second.index
        } else {
            first.index
        })
    }

    /// Draws by weight from all but the `excluded` server; `total` is the sum of their weights.
    fn draw<S: Servers>(
        &mut self,
        open: &Open<'_, S>,
        total: u64,
        excluded: Option<usize>,
    ) -> Option<(usize, u32)> {
        let mut ticket = self.generator.below(total);
        let mut last = None;
        for (index, weight) in open.iter().filter(|(index, _)| Some(*index) != excluded) {
            if ticket < weight.into() {
                return Some((index, weight));
            }
            ticket -= u64::from(weight);
            // Kept for the case that weights were lowered since they were summed up.
            last = Some((index, weight));
        }
        last
    }
}
