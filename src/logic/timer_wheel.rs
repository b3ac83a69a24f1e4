//! The timers of one worker: one deadline for each of up to a million sessions.
//!
//! A hierarchical wheel. Scheduling, moving and cancelling cost the same whatever is pending; a
//! timer is touched once for each level it comes down and once when it expires. The wheel reads no
//! clock and calls nobody back. The worker's loop sleeps until [`TimerWheel::next_wakeup`] and then
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
//! - A timer's place follows from its deadline and the elapsed tick, so it need not be stored.
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

/// A key's place in the list of its slot, or in the list of what is due.
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const DAY: Duration = Duration::from_secs(86_400);

    fn ms(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn drain(wheel: &mut TimerWheel, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| wheel.expire(now)).collect()
    }

    /// Wakes up only when told to, until nothing is left: when each key expired, and the wakeups.
    fn sleep_through(wheel: &mut TimerWheel) -> (Vec<(u32, Instant)>, usize) {
        let (mut expired, mut wakeups) = (Vec::new(), 0);
        while let Some(now) = wheel.next_wakeup() {
            wakeups += 1;
            expired.extend(drain(wheel, now).into_iter().map(|key| (key, now)));
        }
        (expired, wakeups)
    }

    #[test]
    fn an_empty_wheel_sleeps_for_ever() {
        let mut wheel = TimerWheel::new(ms(7));
        assert_eq!(wheel.next_wakeup(), None);
        assert_eq!(wheel.expire(ms(1_000_000)), None);
        assert_eq!(wheel.deadline(0), None);
        wheel.cancel(12);
        assert_eq!(wheel.next_wakeup(), None);
    }

    #[test]
    fn expires_at_the_tick_and_not_before() {
        let mut wheel = TimerWheel::new(Instant::ZERO);
        wheel.schedule(3, ms(5));
        assert_eq!(wheel.next_wakeup(), Some(ms(5)));
        assert_eq!(wheel.expire(Instant::from_nanos(4_999_999)), None);
        assert_eq!(wheel.expire(ms(5)), Some(3));
        assert_eq!(wheel.expire(ms(5)), None);
        assert_eq!(wheel.next_wakeup(), None);
    }

    #[test]
    fn a_deadline_is_rounded_up() {
        let mut wheel = TimerWheel::new(Instant::ZERO);
        wheel.schedule(0, Instant::from_nanos(5_000_001));
        assert_eq!(wheel.deadline(0), Some(ms(6)));
        assert_eq!(drain(&mut wheel, Instant::from_nanos(5_999_999)), [0u32; 0]);
        assert_eq!(drain(&mut wheel, ms(6)), [0]);
        assert_eq!(wheel.deadline(0), None);
    }

    #[test]
    fn scheduling_again_moves() {
        let mut wheel = TimerWheel::new(Instant::ZERO);
        wheel.schedule(0, ms(10));
        wheel.schedule(0, ms(5_000));
        assert_eq!(wheel.deadline(0), Some(ms(5_000)));
        assert_eq!(drain(&mut wheel, ms(4_999)), [0u32; 0]);
        wheel.schedule(0, ms(4_999));
        wheel.schedule(0, ms(5_001));
        wheel.schedule(0, ms(5_001));
        assert_eq!(drain(&mut wheel, ms(5_000)), [0u32; 0]);
        assert_eq!(drain(&mut wheel, ms(5_001)), [0]);
    }

    #[test]
    fn cancelling_leaves_the_others() {
        for victim in 0..3 {
            let mut wheel = TimerWheel::new(Instant::ZERO);
            for key in 0..3 {
                wheel.schedule(key, ms(70));
            }
            wheel.cancel(victim);
            wheel.cancel(victim);
            let mut rest = drain(&mut wheel, ms(70));
            rest.sort_unstable();
            let expected: Vec<u32> = (0..3).filter(|key| *key != victim).collect();
            assert_eq!(rest, expected, "without {victim}");
        }
    }

    #[test]
    fn cancelling_the_last_one_cancels_the_wakeup() {
        let mut wheel = TimerWheel::new(Instant::ZERO);
        wheel.schedule(0, ms(70));
        wheel.cancel(0);
        assert_eq!(wheel.next_wakeup(), None);
    }

    #[test]
    fn what_is_due_can_still_be_cancelled_or_moved() {
        let mut wheel = TimerWheel::new(Instant::ZERO);
        for key in 0..5 {
            wheel.schedule(key, ms(3));
        }
        let first = wheel.expire(ms(3)).expect("five are due");
        assert_eq!(wheel.next_wakeup(), Some(ms(3)), "four are left");
        let mut left: Vec<u32> = (0..5).filter(|key| *key != first).collect();
        wheel.cancel(left.remove(0));
        wheel.schedule(left.remove(0), ms(4));
        let mut expired = drain(&mut wheel, ms(3));
        expired.sort_unstable();
        assert_eq!(expired, left);
        assert_eq!(wheel.next_wakeup(), Some(ms(4)));
        assert_eq!(drain(&mut wheel, ms(4)).len(), 1);
    }

    #[test]
    fn a_loop_that_sets_anew_for_the_past_ends() {
        let mut wheel = TimerWheel::new(ms(10));
        wheel.schedule(0, ms(3));
        assert_eq!(wheel.expire(ms(10)), None);
        assert_eq!(wheel.next_wakeup(), Some(ms(11)));
        let mut rounds = 0;
        while let Some(key) = wheel.expire(ms(20)) {
            wheel.schedule(key, ms(3));
            rounds += 1;
        }
        assert_eq!(rounds, 10, "once for each of the ticks 11 to 20");
    }

    #[test]
    fn time_does_not_go_back() {
        let mut wheel = TimerWheel::new(ms(100));
        wheel.schedule(0, ms(150));
        assert_eq!(wheel.expire(ms(120)), None);
        assert_eq!(wheel.expire(ms(50)), None);
        assert_eq!(wheel.deadline(0), Some(ms(150)));
        wheel.schedule(1, ms(60));
        assert_eq!(drain(&mut wheel, ms(121)), [1]);
        assert_eq!(drain(&mut wheel, ms(150)), [0]);
    }

    #[test]
    fn every_boundary_of_a_level_is_met_exactly() {
        for level in 0..LEVELS as u32 {
            let span = 1_u64 << (DIGIT_BITS * level);
            for start in [0, 1, span - 1, span, 63 * span, 64 * span - 1] {
                for ahead in [1, 2, 63, 64, 65, span, 63 * span, 64 * span, 65 * span] {
                    if start + ahead > TICK_LAST {
                        continue;
                    }
                    let mut wheel = TimerWheel::new(ms(start));
                    wheel.schedule(9, ms(start + ahead));
                    let (expired, wakeups) = sleep_through(&mut wheel);
                    assert_eq!(expired, [(9, ms(start + ahead))], "{ahead} after {start}");
                    assert!(wakeups <= LEVELS, "{wakeups}: {ahead} after {start}");
                }
            }
        }
    }

    #[test]
    fn far_deadlines_are_kept_and_jumps_are_cheap() {
        let mut wheel = TimerWheel::new(ms(123));
        wheel.schedule(0, Instant::ZERO + 100 * DAY);
        wheel.schedule(1, Instant::ZERO + 100_000 * DAY);
        wheel.schedule(2, Instant::from_nanos(u64::MAX));
        assert_eq!(drain(&mut wheel, Instant::ZERO + 99 * DAY), [0u32; 0]);
        assert_eq!(drain(&mut wheel, Instant::ZERO + 100 * DAY), [0]);
        assert_eq!(drain(&mut wheel, Instant::ZERO + 99_999 * DAY), [0u32; 0]);
        assert_eq!(drain(&mut wheel, Instant::ZERO + 100_001 * DAY), [1]);
        assert_eq!(wheel.deadline(2), Some(tick_start(TICK_LAST)));
        assert_eq!(drain(&mut wheel, Instant::from_nanos(u64::MAX)), [2]);
        assert_eq!(wheel.next_wakeup(), None);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let end = Instant::from_nanos(u64::MAX);
        let mut wheel = TimerWheel::new(end);
        wheel.schedule(0, end);
        assert_eq!(wheel.expire(end), None, "there is no later tick");
        assert!(wheel.next_wakeup() <= Some(end));
        wheel.cancel(0);
        assert_eq!(wheel.next_wakeup(), None);
    }

    #[test]
    fn one_jump_hands_out_everything_in_the_order_of_ticks() {
        let mut wheel = TimerWheel::new(ms(5));
        let deadlines: Vec<u64> = (0..2_000).map(|key| 6 + key * 7_919 % 300_007).collect();
        for (key, deadline) in (0..).zip(&deadlines) {
            wheel.schedule(key, ms(*deadline));
        }
        let order: Vec<u64> = drain(&mut wheel, ms(300_100))
            .into_iter()
            .map(|key| deadlines[key as usize])
            .collect();
        assert_eq!(order.len(), deadlines.len());
        assert!(order.is_sorted());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule { key: u32, ahead: u64 },
        SchedulePast { key: u32, ago: u64 },
        Cancel { key: u32 },
        Jump { nanos: u64 },
        Sleep,
    }

    fn span() -> impl Strategy<Value = u64> {
        // Nanoseconds, evenly over the orders of magnitude from nothing to beyond 100 days.
        (0_u32..54, any::<u64>()).prop_map(|(bits, random)| random % (1 << bits))
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u32..24;
        prop_oneof![
            6 => (key.clone(), span()).prop_map(|(key, ahead)| Step::Schedule { key, ahead }),
            1 => (key.clone(), span()).prop_map(|(key, ago)| Step::SchedulePast { key, ago }),
            2 => key.prop_map(|key| Step::Cancel { key }),
            3 => span().prop_map(|nanos| Step::Jump { nanos }),
            3 => Just(Step::Sleep),
        ]
    }

    /// The wheel beside a sorted map, and what the caller knows of time.
    struct Pair {
        wheel: TimerWheel,
        /// Key to the tick at which it must expire.
        model: BTreeMap<u32, u64>,
        now: u64,
        wakeups: usize,
        scheduled: usize,
    }

    impl Pair {
        fn schedule(&mut self, key: u32, deadline: u64) {
            self.scheduled += 1;
            self.wheel.schedule(key, Instant::from_nanos(deadline));
            let tick = deadline.div_ceil(TICK_NANOS);
            self.model
                .insert(key, tick.max(self.now / TICK_NANOS + 1).min(TICK_LAST));
        }

        fn cancel(&mut self, key: u32) {
            self.wheel.cancel(key);
            self.model.remove(&key);
        }

        fn advance(&mut self, now: u64) {
            self.now = now;
            let mut expired = Vec::new();
            while let Some(key) = self.wheel.expire(Instant::from_nanos(now)) {
                let tick = self.model.remove(&key).expect("it expires once");
                assert!(tick * TICK_NANOS <= now, "{key} is early");
                expired.push(tick);
            }
            assert!(expired.is_sorted());
            for (key, tick) in &self.model {
                assert!(tick * TICK_NANOS > now, "{key} is late");
            }
        }

        fn check(&self) {
            let first = self.model.values().min().map(|tick| tick_start(*tick));
            let wakeup = self.wheel.next_wakeup();
            assert_eq!(wakeup.is_some(), first.is_some());
            assert!(wakeup <= first, "{wakeup:?} is after {first:?}");
            for key in 0..24 {
                let expected = self.model.get(&key).map(|tick| tick_start(*tick));
                assert_eq!(self.wheel.deadline(key), expected, "deadline of {key}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn does_what_a_sorted_map_does(
            start in span(),
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let mut pair = Pair {
                wheel: TimerWheel::new(Instant::from_nanos(start)),
                model: BTreeMap::new(),
                now: start,
                wakeups: 0,
                scheduled: 0,
            };
            for step in steps {
                match step {
                    Step::Schedule { key, ahead } => pair.schedule(key, pair.now + ahead),
                    Step::SchedulePast { key, ago } => {
                        pair.schedule(key, pair.now.saturating_sub(ago));
                    }
                    Step::Cancel { key } => pair.cancel(key),
                    Step::Jump { nanos } => pair.advance(pair.now + nanos),
                    Step::Sleep => {
                        if let Some(wakeup) = pair.wheel.next_wakeup() {
                            prop_assert!(wakeup.as_nanos() > pair.now, "it would spin");
                            pair.wakeups += 1;
                            pair.advance(wakeup.as_nanos());
                        }
                    }
                }
                pair.check();
            }
            while let Some(wakeup) = pair.wheel.next_wakeup() {
                pair.wakeups += 1;
                pair.advance(wakeup.as_nanos());
                pair.check();
            }
            prop_assert!(pair.model.is_empty());
            prop_assert!(pair.wakeups <= 8 * pair.scheduled);
        }

        #[test]
        fn a_timer_costs_at_most_eight_wakeups(
            start in span(),
            ahead in prop::collection::vec(span(), 1..40),
        ) {
            let mut wheel = TimerWheel::new(Instant::from_nanos(start));
            for (key, ahead) in (0..).zip(&ahead) {
                wheel.schedule(key, Instant::from_nanos(start + ahead));
            }
            let (expired, wakeups) = sleep_through(&mut wheel);
            prop_assert_eq!(expired.len(), ahead.len());
            prop_assert!(wakeups <= 8 * ahead.len());
        }

        #[test]
        fn scheduling_between_two_expirations_loses_nothing(
            first in prop::collection::vec(1_u64..5_000, 1..20),
            again in prop::collection::vec(0_u64..5_000, 20),
            now in 1_u64..10_000,
        ) {
            let mut wheel = TimerWheel::new(Instant::ZERO);
            let mut model = BTreeMap::new();
            for (key, tick) in (0..).zip(&first) {
                wheel.schedule(key, ms(*tick));
                model.insert(key, *tick);
            }
            let mut again = again.iter();
            let mut last = 0;
            while let Some(key) = wheel.expire(ms(now)) {
                let tick = model.remove(&key).expect("it expires once");
                prop_assert!(last <= tick && tick <= now);
                last = tick;
                if let Some(deadline) = again.next() {
                    wheel.schedule(key, ms(*deadline));
                    model.insert(key, (*deadline).max(tick + 1));
                }
            }
            for (key, tick) in &model {
                prop_assert!(*tick > now);
                prop_assert_eq!(wheel.deadline(*key), Some(ms(*tick)));
            }
        }
    }
}
