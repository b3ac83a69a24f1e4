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
pub struct Arrival<S> {
    /// Which listener accepted.
    pub listener: usize,
    /// The connection, or why there is none.
    pub socket: Result<S, Fault>,
    /// Whether the same accept goes on.
    pub more: bool,
}

/// The results of accepts that are still to be handled, the oldest first.
pub struct Arrivals<S> {
    waiting: VecDeque<Arrival<S>>,
}

impl<S> Arrivals<S> {
    /// None yet.
    pub fn new() -> Self {
        Arrivals {
            waiting: VecDeque::new(),
        }
    }

    /// Adds the newest.
    pub fn push(&mut self, arrival: Arrival<S>) {
        self.waiting.push_back(arrival);
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Arrival<S>> {
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

    fn waiting(count: usize) -> Arrivals<()> {
        let mut arrivals = Arrivals::new();
        for listener in 0..count {
            arrivals.push(Arrival {
                listener,
                socket: Ok(()),
                more: true,
            });
        }
        arrivals
    }

    #[test]
    fn a_turn_handles_a_few_and_leaves_a_bounded_number() {
        let due = [0, 1, 8, 9, 72, 73, 1000].map(|count| waiting(count).due());
        assert_eq!(due, [0, 1, 8, 8, 8, 9, 936]);
    }

    #[test]
    fn the_oldest_comes_first() {
        let mut arrivals = waiting(3);
        let order: Vec<usize> = std::iter::from_fn(|| arrivals.pop())
            .map(|arrival| arrival.listener)
            .collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(arrivals.is_empty());
    }
}
