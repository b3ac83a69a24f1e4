//! Connections that a listener has accepted and that are not admitted yet.
//!
//! A turn of the event loop handles first what sessions wait for, and then some of these: a burst of new
//! connections, whether they are admitted or refused, delays open sessions by that many at most.

use std::collections::VecDeque;

use crate::io::Fault;

/// Connections that a turn admits, if no more than [`LEFT_MAX`] others wait.
const ADMITTED_PER_TURN: usize = 8;

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
}

impl<S> Unadmitted<S> {
    /// None yet.
    pub fn new() -> Self {
        Unadmitted {
            waiting: VecDeque::new(),
        }
    }

    /// Adds the newest.
    pub fn push(&mut self, result: AcceptResult<S>) {
        self.waiting.push_back(result);
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<AcceptResult<S>> {
        self.waiting.pop_front()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many this turn handles.
    pub fn due(&self) -> usize {
        let waiting = self.waiting.len();
        waiting
            .min(ADMITTED_PER_TURN)
            .max(waiting.saturating_sub(LEFT_MAX))
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

    #[test]
    fn a_turn_handles_a_few_and_leaves_a_bounded_number() {
        let due = [0, 1, 8, 9, 72, 73, 1000].map(|count| waiting(count).due());
        assert_eq!(due, [0, 1, 8, 8, 8, 9, 936]);
    }

    #[test]
    fn the_oldest_comes_first() {
        let mut unadmitted = waiting(3);
        let order: Vec<usize> = std::iter::from_fn(|| unadmitted.pop())
            .map(|result| result.listener)
            .collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(unadmitted.is_empty());
    }
}
