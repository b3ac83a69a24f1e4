//! Edges by hand, everything else against a plain model.

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
