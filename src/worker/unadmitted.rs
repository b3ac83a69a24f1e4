//! Connections that a listener has accepted and that are not admitted yet.
//!
//! A turn of the event loop handles first what sessions wait for, and then some of these: a burst of new
//! connections delays open sessions by that many at most. Of refused ones it handles fewer: sessions that begin together
//! cost less each, since one call into the kernel takes the operations of all, but a refused connection has none.

use std::collections::VecDeque;

use crate::io::Fault;

/// Connections that a turn handles, if no more than [`LEFT_MAX`] others wait.
const HANDLED_PER_TURN: usize = 8;

/// Those among them that were refused after which it handles no others.
const REFUSED_PER_TURN: usize = 2;

/// The most that may be left after a turn. The others stay in the kernel's queue, whose length is bounded.
const LEFT_MAX: usize = 64;

/// The result of an accept.
pub struct AcceptResult<S> {
    /// Which listener accepted.
    pub listener: usize,
    /// The connection, or why there is none.
    pub socket: Result<S, Fault>,
    /// Whether the same accept goes on.
    pub more: bool,
}

/// The results of accepts that are still to be handled, the oldest first.
pub struct Unadmitted<S> {
    waiting: VecDeque<AcceptResult<S>>,
    /// Handled in this turn.
    handled: usize,
    /// Refused in this turn.
    refused: usize,
}

impl<S> Unadmitted<S> {
    /// None yet.
    pub fn new() -> Self {
        Unadmitted {
            waiting: VecDeque::new(),
            handled: 0,
            refused: 0,
        }
    }

    /// Adds the newest.
    pub fn push(&mut self, result: AcceptResult<S>) {
        self.waiting.push_back(result);
    }

    /// A turn begins.
    pub fn begin_turn(&mut self) {
        (self.handled, self.refused) = (0, 0);
    }

    /// The oldest, if this turn handles one more.
    pub fn take_due(&mut self) -> Option<AcceptResult<S>> {
        let may_handle = self.handled < HANDLED_PER_TURN && self.refused < REFUSED_PER_TURN;
        if !may_handle && self.waiting.len() <= LEFT_MAX {
            return None;
        }
        self.handled += 1;
        self.waiting.pop_front()
    }

    /// One of this turn was refused.
    pub fn note_refused(&mut self) {
        self.refused += 1;
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(count: usize) -> Unadmitted<()> {
        let mut unadmitted = Unadmitted::new();
        for listener in 0..count {
            unadmitted.push(AcceptResult {
                listener,
                socket: Ok(()),
                more: true,
            });
        }
        unadmitted
    }

    /// How many a turn handles while so many wait, if it refuses none or all of them.
    fn handled(count: usize, are_refused: bool) -> usize {
        let mut unadmitted = waiting(count);
        unadmitted.begin_turn();
        while unadmitted.take_due().is_some() {
            if are_refused {
                unadmitted.note_refused();
            }
        }
        count - unadmitted.waiting.len()
    }

    #[test]
    fn a_turn_handles_a_few_and_leaves_a_bounded_number() {
        let admitted = [0, 1, 8, 9, 72, 73, 1000].map(|count| handled(count, false));
        assert_eq!(admitted, [0, 1, 8, 8, 8, 9, 936]);
    }

    #[test]
    fn a_turn_refuses_fewer_than_it_admits() {
        let refused = [0, 1, 2, 3, 8, 66, 67, 1000].map(|count| handled(count, true));
        assert_eq!(refused, [0, 1, 2, 2, 2, 2, 3, 936]);
    }

    #[test]
    fn a_turn_that_has_refused_enough_leaves_the_others_to_the_next() {
        let mut unadmitted = waiting(8);
        for handled in [5, 2, 1] {
            unadmitted.begin_turn();
            let from = unadmitted.waiting.len();
            while let Some(result) = unadmitted.take_due() {
                // The clients of these listeners are refused.
                if [3, 4, 5, 6].contains(&result.listener) {
                    unadmitted.note_refused();
                }
            }
            assert_eq!(from - unadmitted.waiting.len(), handled);
        }
    }

    #[test]
    fn the_oldest_comes_first() {
        let mut unadmitted = waiting(3);
        let order: Vec<usize> = std::iter::from_fn(|| unadmitted.take_due())
            .map(|result| result.listener)
            .collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(unadmitted.is_empty());
    }
}
