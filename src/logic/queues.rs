//! Queues of sessions or listeners, by what they wait for.
//!
//! A worker has one [`Queues`] of each kind. Adding a member and removing one from anywhere in its queue
//! cost the same however many there are. A queue exists only while it has members, so empty ones cost
//! nothing.
//!
//! A target may have several queues: of sessions that wait for the same server, but have different
//! configurations, some may be able to continue where others are not.

use std::collections::BTreeMap;

/// No member: the end of a queue.
const NIL: u32 = u32::MAX;

/// The neighbours of a member in its queue, by number.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// A queue that is not empty.
#[derive(Debug)]
struct Queue<Q> {
    queue: Q,
    first: u32,
    last: u32,
}

/// All queues of one kind. `T` is what members wait for, `Q` identifies a queue among those of one target.
///
/// Members are slots of a slab, each in at most one queue. The memory is 8 bytes for each slot up to the
/// highest that ever waited, and is not freed.
#[derive(Debug)]
pub struct Queues<T, Q> {
    targets: BTreeMap<T, Vec<Queue<Q>>>,
    links: Vec<Link>,
}

impl<T, Q> Default for Queues<T, Q> {
    fn default() -> Self {
        Queues {
            targets: BTreeMap::new(),
            links: Vec::new(),
        }
    }
}

impl<T: Copy + Ord, Q: Clone + Eq> Queues<T, Q> {
    /// Appends a member to a queue.
    pub fn push(&mut self, target: T, queue: Q, slot: u32) {
        let last = self.queue(target, &queue).map_or(NIL, |queue| queue.last);
        self.link(target, queue, slot, [last, NIL]);
    }

    /// Puts a member before all others in a queue.
    pub fn push_first(&mut self, target: T, queue: Q, slot: u32) {
        let first = self.queue(target, &queue).map_or(NIL, |queue| queue.first);
        self.link(target, queue, slot, [NIL, first]);
    }

    /// Removes a member, wherever it is in its queue.
    pub fn remove(&mut self, target: T, queue: &Q, slot: u32) {
        let Link { previous, next } = self.links[slot as usize];
        let Some(queues) = self.targets.get_mut(&target) else {
            debug_assert!(false, "the target has no members");
            return;
        };
        let Some(index) = queues.iter().position(|found| found.queue == *queue) else {
            debug_assert!(false, "the queue has no members");
            return;
        };
        match previous {
            NIL => queues[index].first = next,
            previous => self.links[previous as usize].next = next,
        }
        match next {
            NIL => queues[index].last = previous,
            next => self.links[next as usize].previous = previous,
        }
        if queues[index].first == NIL {
            queues.swap_remove(index);
            if queues.is_empty() {
                self.targets.remove(&target);
            }
        }
    }

    /// The first member of a queue.
    pub fn first(&self, target: T, queue: &Q) -> Option<u32> {
        self.queue(target, queue).map(|queue| queue.first)
    }

    /// The queues of a target, each with its first member.
    pub fn queues(&self, target: T) -> impl Iterator<Item = (Q, u32)> {
        let queues = self.targets.get(&target).into_iter().flatten();
        queues.map(|found| (found.queue.clone(), found.first))
    }

    /// The targets that have members.
    pub fn targets(&self) -> impl Iterator<Item = T> {
        self.targets.keys().copied()
    }

    /// Removes all members. Returns the queues with their members in order.
    pub fn take_all(&mut self) -> Vec<(Q, Vec<u32>)> {
        let queues = std::mem::take(&mut self.targets).into_values().flatten();
        let members = |first: u32| {
            let next = |slot: &u32| Some(self.links[*slot as usize].next);
            std::iter::successors(Some(first), move |slot| {
                next(slot).filter(|next| *next != NIL)
            })
            .collect()
        };
        queues
            .map(|found| (found.queue, members(found.first)))
            .collect()
    }

    fn queue(&self, target: T, queue: &Q) -> Option<&Queue<Q>> {
        let mut queues = self.targets.get(&target)?.iter();
        queues.find(|found| found.queue == *queue)
    }

    /// Links a member between two neighbours, at least one of which is the end of the queue.
    fn link(&mut self, target: T, queue: Q, slot: u32, [previous, next]: [u32; 2]) {
        debug_assert!(slot != NIL, "the number {slot} stands for no member");
        let index = slot as usize;
        if index >= self.links.len() {
            let unused = Link {
                previous: NIL,
                next: NIL,
            };
            self.links.resize(index + 1, unused);
        }
        self.links[index] = Link { previous, next };
        for (neighbour, is_before) in [(previous, true), (next, false)] {
            if let Some(link) = self.links.get_mut(neighbour as usize) {
                match is_before {
                    true => link.next = slot,
                    false => link.previous = slot,
                }
            }
        }
        let queues = self.targets.entry(target).or_default();
        match queues.iter_mut().find(|found| found.queue == queue) {
            Some(found) if next == NIL => found.last = slot,
            Some(found) => found.first = slot,
            None => queues.push(Queue {
                queue,
                first: slot,
                last: slot,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, u8),
        PushFirst(u8, u8),
        Pop(u8, u8),
        /// The member at this fraction of all, in 2^-32.
        Remove(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let queue = || (0u8..2, 0u8..3);
        prop_oneof![
            3 => queue().prop_map(|(target, queue)| Step::Push(target, queue)),
            1 => queue().prop_map(|(target, queue)| Step::PushFirst(target, queue)),
            1 => queue().prop_map(|(target, queue)| Step::Pop(target, queue)),
            2 => any::<u32>().prop_map(Step::Remove),
        ]
    }

    /// The same, written the simple way.
    type Model = BTreeMap<(u8, u8), VecDeque<u32>>;

    fn check(waiting: &Queues<u8, u8>, model: &Model) {
        for target in 0..2 {
            let mut queues: Vec<_> = waiting.queues(target).collect();
            queues.sort_unstable();
            let expected = (0..3).filter_map(|queue| {
                let first = model.get(&(target, queue))?.front()?;
                Some((queue, *first))
            });
            assert_eq!(queues, expected.collect::<Vec<_>>());
            assert_eq!(
                waiting.targets().any(|found| found == target),
                !queues.is_empty()
            );
        }
    }

    proptest! {
        #[test]
        fn queues_are_what_queues_are(steps in prop::collection::vec(step(), 0..200)) {
            let mut waiting = Queues::default();
            let mut model = Model::new();
            let mut free: Vec<u32> = (0..200).rev().collect();
            for step in steps {
                match step {
                    Step::Push(target, queue) => {
                        let slot = free.pop().unwrap();
                        waiting.push(target, queue, slot);
                        model.entry((target, queue)).or_default().push_back(slot);
                    }
                    Step::PushFirst(target, queue) => {
                        let slot = free.pop().unwrap();
                        waiting.push_first(target, queue, slot);
                        model.entry((target, queue)).or_default().push_front(slot);
                    }
                    Step::Pop(target, queue) => {
                        let first = waiting.first(target, &queue);
                        let expected = model.entry((target, queue)).or_default().pop_front();
                        prop_assert_eq!(first, expected);
                        if let Some(slot) = first {
                            waiting.remove(target, &queue, slot);
                            free.push(slot);
                        }
                    }
                    Step::Remove(part) => {
                        let all: Vec<_> = (model.iter())
                            .flat_map(|(key, slots)| slots.iter().map(|slot| (*key, *slot)))
                            .collect();
                        if let Some(((target, queue), slot)) = pick(&all, part) {
                            waiting.remove(target, &queue, slot);
                            let slots = model.get_mut(&(target, queue)).unwrap();
                            slots.retain(|other| *other != slot);
                            free.push(slot);
                        }
                    }
                }
                check(&waiting, &model);
            }
            let mut all: Vec<_> = waiting.take_all();
            all.sort_unstable();
            let mut expected: Vec<_> = (model.into_iter())
                .filter(|(_, slots)| !slots.is_empty())
                .map(|((_, queue), slots)| (queue, Vec::from(slots)))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
            prop_assert_eq!(waiting.targets().count(), 0);
        }
    }

    fn pick<T: Copy>(all: &[T], part: u32) -> Option<T> {
        let index = (u64::from(part) * all.len() as u64) >> 32;
        all.get(index as usize).copied()
    }
}
