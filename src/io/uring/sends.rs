//! Sends of a ring: queued in order, ended by the submission, and rarely with a completion.

use std::collections::VecDeque;

use io_uring::cqueue;

use super::user_data::{Kind, decode};

/// A send whose end was not handed out yet.
struct Queued {
    user_data: u64,
    /// How many operations were queued before it.
    before: u64,
    /// Bytes that the kernel took, or a negative errno: all bytes, unless a completion says
    /// otherwise.
    result: i32,
}

/// Sends in the order in which they were queued.
#[derive(Default)]
pub struct Sends {
    queued: VecDeque<Queued>,
    /// How many of them, from the first on, have ended.
    ended: usize,
    /// The kernel did not take all of them in the last submission.
    left: bool,
}

impl Sends {
    /// A send of `len` bytes is queued after `before` other operations of the ring.
    pub fn push(&mut self, user_data: u64, before: u64, len: u32) {
        self.queued.push_back(Queued {
            user_data,
            before,
            // At most a buffer.
            result: len as i32,
        });
    }

    /// Whether the kernel did not take all sends in the last submission.
    pub fn is_left(&self) -> bool {
        self.left
    }

    /// Whether the ends of all sends that have ended were handed out.
    pub fn are_handed_out(&self) -> bool {
        self.ended == 0
    }

    /// Finds out how sends ended, when the kernel has taken so many operations. Since sends never
    /// wait, those of them that are sends have ended, and only those that did not take all their
    /// bytes have a completion, in this order.
    pub fn settle(&mut self, submitted: u64, completions: &[cqueue::Entry]) {
        self.ended = self.queued.partition_point(|send| send.before < submitted);
        self.left = self.ended < self.queued.len();
        let is_send = |entry: &&cqueue::Entry| decode(entry.user_data()).1 == Kind::Send;
        let mut next = 0;
        for short in completions.iter().filter(is_send) {
            let is_meant = |send: &Queued| send.user_data == short.user_data();
            let behind = self.queued.range(next..).position(is_meant);
            let found = behind.map(|index| next + index);
            // Another order is not expected, and does no harm.
            let found = found.or_else(|| self.queued.iter().position(is_meant));
            debug_assert!(found.is_some(), "a completion of no send");
            if let Some(index) = found {
                self.queued[index].result = short.result();
                next = index + 1;
            }
        }
    }

    /// The next send that has ended: its user data and its result.
    pub fn next(&mut self) -> Option<(u64, i32)> {
        self.ended = self.ended.checked_sub(1)?;
        let send = self.queued.pop_front()?;
        Some((send.user_data, send.result))
    }
}
