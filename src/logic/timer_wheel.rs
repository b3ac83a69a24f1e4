//! The timers of one worker: one deadline for each of up to a million sessions.
//!
//! A hierarchical wheel. Scheduling, moving and cancelling cost the same whatever is pending; a
//! timer is touched once for each level it comes down and once when it expires. The wheel reads no
//! clock and calls nothing back. The worker's loop sleeps until [`TimerWheel::next_wakeup`] and then
//! asks [`TimerWheel::expire`] for one key after the other; between two of them it may schedule and
//! cancel as it likes.
//!
//! # How it works
//!
//! Time is counted in ticks of a millisecond. A tick number is read as digits of base 64, and each
//! level has a slot for every value of its digit:
//!
//! ```text
//! digit (level)      7 ... 3        2        1        0
//! elapsed                  0        0       17       40
//! deadline A               0        0       17       44    differs first at level 0: slot 44
//! deadline B               0        0       19        2    differs first at level 1: slot 19
//! deadline C               0        5        0        0    differs first at level 2: slot 5
//! ```
//!
//! A timer waits on the level of the highest digit in which its deadline differs from the last
//! elapsed tick, in the slot of its deadline's digit there. Four things follow:
//!
//! - Every occupied slot lies ahead of the elapsed digit of its level; levels never wrap.
//! - Anything on a level is due before anything on a higher one. The lowest occupied slot of the
//!   lowest occupied level is the next event, and bitmaps find it without a loop over ticks, so a
//!   jump of the clock by hours costs no more than a small one.
//! - When time reaches a slot of level 0, its timers are due. When time reaches the first tick of a
//!   slot of a higher level, its timers move to lower levels, or are due.
//! - A timer's slot follows from its deadline and the elapsed tick, so it need not be stored.
//!
//! Eight levels span 2^48 ticks, more than an [`Instant`] can express: there is no horizon beyond
//! which a deadline would need special care.
//!
//! What is not spread out: a slot of level 3 spans 4.4 minutes, and whatever waits in it comes down
//! in a single call. Where memory is cold this takes about 0.1 us for each timer, so 0.1 s for a
//! million that all wait for the same few minutes.

use super::time::Instant;
use std::time::Duration;

/// Length of a tick. Deadlines are rounded up to a whole one.
pub const TICK: Duration = Duration::from_millis(1);

const TICK_NANOS: u64 = TICK.as_nanos() as u64;
/// The last tick that begins within the range of [`Instant`]; later deadlines are brought to it.
const TICK_LAST: u64 = u64::MAX / TICK_NANOS;

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = 8;
const _: () = assert!(TICK_LAST >> (DIGIT_BITS * LEVELS as u32) == 0);

/// No key: the end of a list.
const NIL: u32 = u32::MAX;
/// The tick of a node that is in no list. No timer can have it: a deadline is always ahead of the
/// elapsed tick, which is at least 0.
const IDLE: u64 = 0;

/// A key's neighbours in the list of its slot, or in the list of what is due.
#[derive(Clone, Copy, Debug)]
struct Node {
    tick: u64,
    prev: u32,
    next: u32,
}

const _: () = assert!(size_of::<Node>() <= 16);

impl Node {
    const UNUSED: Self = Self {
        tick: IDLE,
        prev: NIL,
        next: NIL,
    };
}

/// One level: 64 lists, and a bit for each that is not empty.
#[derive(Clone, Debug)]
struct Level {
    occupied: u64,
    heads: [u32; SLOTS],
}

/// A set of timers, at most one for each key.
///
/// Keys are meant to be slot numbers of a slab: memory is 16 bytes for each key up to the highest
/// one ever used, and is not given back.
#[derive(Clone, Debug)]
pub struct TimerWheel {
    /// All that was due up to this tick is either handed out or in the list `due`.
    elapsed: u64,
    levels: [Level; LEVELS],
    /// First of the timers whose tick is `elapsed`. While there is one, `elapsed` stays.
    due: u32,
    nodes: Vec<Node>,
}

/// A slot that time will reach: where it is, and its first tick.
struct Slot {
    level: usize,
    index: usize,
    start: u64,
}

impl TimerWheel {
    /// An empty wheel whose time begins at `now`.
    pub fn new(now: Instant) -> Self {
        let level = Level {
            occupied: 0,
            heads: [NIL; SLOTS],
        };
        Self {
            elapsed: tick_begun(now),
            levels: std::array::from_fn(|_| level.clone()),
            due: NIL,
            nodes: Vec::new(),
        }
    }

    /// Sets the timer of `key` to `deadline`, in place of the one that it may have.
    ///
    /// A deadline that has passed already expires with the tick after the one that
    /// [`expire`](Self::expire) has come to. A loop that sets anew whatever expires therefore ends.
    ///
    /// # Panics
    ///
    /// If `key` is `u32::MAX`.
    pub fn schedule(&mut self, key: u32, deadline: Instant) {
        assert!(key != NIL, "the key {key} stands for no key");
        let tick = tick_reached(deadline).max(self.elapsed + 1);
        let index = key as usize;
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, Node::UNUSED);
        }
        // A busy session moves its idle timer many times within a tick.
        if self.nodes[index].tick == tick {
            return;
        }
        self.cancel(key);
        self.link(key, tick);
    }

    /// Takes the timer of `key` away; nothing happens if there is none.
    pub fn cancel(&mut self, key: u32) {
        let Some(&Node { tick, prev, next }) = self.nodes.get(key as usize) else {
            return;
        };
        if tick == IDLE {
            return;
        }
        self.nodes[key as usize] = Node::UNUSED;
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        }
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        } else if tick <= self.elapsed {
            self.due = next;
        } else {
            let (level, slot) = self.place(tick);
            let level = &mut self.levels[level];
            level.heads[slot] = next;
            if next == NIL {
                level.occupied &= !(1 << slot);
            }
        }
    }

    /// When the timer of `key` will expire, if it has one: its deadline, rounded up to a whole tick.
    pub fn deadline(&self, key: u32) -> Option<Instant> {
        let node = self.nodes.get(key as usize)?;
        (node.tick != IDLE).then(|| tick_start(node.tick))
    }

    /// When [`expire`](Self::expire) should be called next, or `None` if no timer is set.
    ///
    /// Never later than the first deadline, rounded up to a whole tick. Possibly earlier, when
    /// timers have to come down a level first: at most seven times in the life of a timer.
    pub fn next_wakeup(&self) -> Option<Instant> {
        if self.due != NIL {
            return Some(tick_start(self.elapsed));
        }
        self.next_slot().map(|slot| tick_start(slot.start))
    }

    /// Takes out one timer whose deadline is not after `now` and returns its key; `None` if there
    /// is no more.
    ///
    /// Keys come in the order of their ticks, in no particular order within one. A `now` that is
    /// before an earlier one counts as that one.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        let now = tick_begun(now);
        loop {
            if self.due != NIL {
                let key = self.due;
                self.cancel(key);
                return Some(key);
            }
            let Some(slot) = self.next_slot().filter(|slot| slot.start <= now) else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            self.reach(&slot);
        }
    }

    /// Lets time reach `slot`, which must be the next one, while nothing is due.
    fn reach(&mut self, slot: &Slot) {
        let level = &mut self.levels[slot.level];
        let head = std::mem::replace(&mut level.heads[slot.index], NIL);
        level.occupied &= !(1 << slot.index);
        self.elapsed = slot.start;
        if slot.level == 0 {
            self.due = head;
            return;
        }
        let mut key = head;
        while key != NIL {
            let Node { tick, next, .. } = self.nodes[key as usize];
            self.link(key, tick);
            key = next;
        }
    }

    /// The occupied slot that time reaches first.
    fn next_slot(&self) -> Option<Slot> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        let index = self.levels[level].occupied.trailing_zeros();
        let shift = DIGIT_BITS * level as u32;
        let above = self.elapsed >> (shift + DIGIT_BITS) << DIGIT_BITS;
        Some(Slot {
            level,
            index: index as usize,
            start: (above | u64::from(index)) << shift,
        })
    }

    /// Level and slot of a tick that is ahead of `elapsed`.
    fn place(&self, tick: u64) -> (usize, usize) {
        debug_assert!(tick > self.elapsed);
        let level = (tick ^ self.elapsed).ilog2() / DIGIT_BITS;
        let slot = (tick >> (DIGIT_BITS * level)) as usize % SLOTS;
        (level as usize, slot)
    }

    /// Puts `key`, which is in no list, at the head of the one where `tick` belongs.
    fn link(&mut self, key: u32, tick: u64) {
        let head = if tick <= self.elapsed {
            &mut self.due
        } else {
            let (level, slot) = self.place(tick);
            let level = &mut self.levels[level];
            level.occupied |= 1 << slot;
            &mut level.heads[slot]
        };
        let next = std::mem::replace(head, key);
        if next != NIL {
            self.nodes[next as usize].prev = key;
        }
        self.nodes[key as usize] = Node {
            tick,
            prev: NIL,
            next,
        };
    }
}

/// The tick that has begun at `now`.
fn tick_begun(now: Instant) -> u64 {
    now.as_nanos() / TICK_NANOS
}

/// The first tick that begins at `deadline` or after it.
fn tick_reached(deadline: Instant) -> u64 {
    deadline.as_nanos().div_ceil(TICK_NANOS).min(TICK_LAST)
}

/// The instant at which `tick` begins.
fn tick_start(tick: u64) -> Instant {
    Instant::from_nanos(tick.saturating_mul(TICK_NANOS))
}

#[cfg(test)]
mod tests;
