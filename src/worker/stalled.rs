//! Stalled directions: those that keep a buffer for bytes that cannot be sent yet, because the peer does not
//! read, there is no server yet, or a head is incomplete. The longest stalled is first. Bytes in memory of
//! their size keep none.
//!
//! A linked list within a table by slot and side: adding and removing cost the same whatever their
//! number. Those that were not examined yet since they stalled are at its end.

use crate::logic::session::Side;
use crate::logic::time::Instant;

/// The end of the list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    since: Instant,
}

/// The list of one worker.
#[derive(Debug)]
pub struct Stalled {
    /// By slot and side.
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    /// The oldest that was not examined yet.
    fresh: u32,
}

impl Default for Stalled {
    fn default() -> Self {
        Stalled {
            links: Vec::new(),
            oldest: NONE,
            newest: NONE,
            fresh: NONE,
        }
    }
}

impl Stalled {
    /// Appends a direction that stalls now. It must not be in the list.
    pub fn push(&mut self, slot: usize, from: Side, since: Instant) {
        let node = node(slot, from);
        if self.links.len() <= node as usize {
            let unused = Link {
                previous: NONE,
                next: NONE,
                since,
            };
            self.links.resize(node as usize + 1, unused);
        }
        self.links[node as usize] = Link {
            previous: self.newest,
            next: NONE,
            since,
        };
        match self.newest {
            NONE => self.oldest = node,
            newest => self.links[newest as usize].next = node,
        }
        self.newest = node;
        if self.fresh == NONE {
            self.fresh = node;
        }
    }

    /// Removes a direction. It must be in the list.
    pub fn remove(&mut self, slot: usize, from: Side) {
        let node = node(slot, from);
        let Link { previous, next, .. } = self.links[node as usize];
        match previous {
            NONE => self.oldest = next,
            previous => self.links[previous as usize].next = next,
        }
        match next {
            NONE => self.newest = previous,
            next => self.links[next as usize].previous = previous,
        }
        if self.fresh == node {
            self.fresh = next;
        }
    }

    /// The direction that has been stalled longest, and since when.
    pub fn oldest(&self) -> Option<(usize, Side, Instant)> {
        let link = self.links.get(self.oldest as usize)?;
        let (slot, from) = direction(self.oldest);
        Some((slot, from, link.since))
    }

    /// The longest stalled of those that were not examined. From now on it counts as examined.
    pub fn examine_next(&mut self) -> Option<(usize, Side)> {
        let link = self.links.get(self.fresh as usize)?;
        let examined = direction(self.fresh);
        self.fresh = link.next;
        Some(examined)
    }
}

fn node(slot: usize, from: Side) -> u32 {
    // Tables of sessions have 2^24 slots at most.
    (slot * 2 + from.index()) as u32
}

fn direction(node: u32) -> (usize, Side) {
    (node as usize / 2, Side::BOTH[node as usize % 2])
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Remove(usize),
        Examine,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20usize).prop_map(Step::Push),
            (0..20usize).prop_map(Step::Remove),
            Just(Step::Examine),
        ]
    }

    proptest! {
        #[test]
        fn keeps_the_order_of_a_queue(steps in prop::collection::vec(step(), 0..200)) {
            let mut list = Stalled::default();
            let mut model: VecDeque<(usize, Instant, bool)> = VecDeque::new();
            for (index, step) in steps.into_iter().enumerate() {
                let now = Instant::ZERO + Duration::from_secs(index as u64);
                let at = |number: usize| (number / 2, Side::BOTH[number % 2]);
                match step {
                    Step::Push(number) if model.iter().all(|entry| entry.0 != number) => {
                        model.push_back((number, now, false));
                        list.push(at(number).0, at(number).1, now);
                    }
                    Step::Remove(number) if model.iter().any(|entry| entry.0 == number) => {
                        model.retain(|entry| entry.0 != number);
                        list.remove(at(number).0, at(number).1);
                    }
                    Step::Push(_) | Step::Remove(_) => {}
                    Step::Examine => {
                        let fresh = model.iter_mut().find(|entry| !entry.2);
                        let expected = fresh.map(|entry| {
                            entry.2 = true;
                            at(entry.0)
                        });
                        prop_assert_eq!(list.examine_next(), expected);
                    }
                }
                let oldest = model.front().map(|entry| (at(entry.0).0, at(entry.0).1, entry.1));
                prop_assert_eq!(list.oldest(), oldest);
            }
        }
    }
}
