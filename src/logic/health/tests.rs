//! The counter against a table written by hand and against a plain model; the operator's states.

use super::*;
use proptest::prelude::*;

const PASS: Cause = Cause::L4Ok;
const FAIL: Cause = Cause::L4Timeout;

fn rules(fall: u32, rise: u32) -> Rules {
    Rules {
        check: Some(CheckRules {
            fall,
            rise,
            interval: Duration::from_secs(2),
            fast_interval: Duration::from_secs(1),
            down_interval: Duration::from_secs(5),
        }),
        weight: 1,
        slow_start: None,
    }
}

fn server(fall: u32, rise: u32) -> Health {
    Health::new(rules(fall, rise), Instant::ZERO)
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

#[test]
fn the_counter_moves_as_the_table_says() {
    // Of fall 3 and rise 2, by hand: counter, after a success, after a failure.
    const TABLE: [(u32, u32, u32); 5] = [(0, 1, 0), (1, 4, 0), (2, 4, 0), (3, 4, 2), (4, 4, 3)];
    for (counter, passed, failed) in TABLE {
        for (cause, expected) in [(PASS, passed), (FAIL, failed)] {
            let mut health = server(3, 2);
            health.counter = counter;
            let change = health.probed(at(1), cause);
            assert_eq!(health.counter, expected, "{counter} {cause}");
            let (was_up, is_up) = (counter >= 2, expected >= 2);
            assert_eq!(change.is_some(), was_up != is_up, "{counter} {cause}");
            assert_eq!(health.is_usable(), is_up, "{counter} {cause}");
        }
    }
}

#[test]
fn a_server_without_an_address_is_down_until_it_has_one() {
    // Not checked: usable as soon as there is an address.
    let mut unchecked = rules(3, 2);
    unchecked.check = None;
    let mut health = Health::new(unchecked, Instant::ZERO);
    let change = health.unresolved(at(1)).unwrap();
    assert_eq!(change.transition.names(), ("no check", "down"));
    assert_eq!(change.cause.to_string(), "RESOLVE");
    assert!(!health.is_usable() && health.interval().is_none());
    let change = health.resolved(at(4)).unwrap();
    assert_eq!(change.transition.names(), ("down", "no check"));
    assert_eq!(
        (change.cause, change.lasted.as_secs()),
        (Cause::Resolved, 3)
    );
    assert!(health.is_usable());
    assert_eq!(health.resolved(at(5)), None);

    // Checked: the first probe that passes brings it up, whatever happened meanwhile.
    for rise in [1, 2] {
        let mut health = server(3, rise);
        let change = health.unresolved(at(1)).unwrap();
        assert_eq!(change.transition.names(), ("up", "down"));
        assert_eq!(health.probed(at(2), PASS), None, "nobody was probed");
        assert_eq!(health.set_rules(at(2), rules(2, rise)), None);
        assert!(health.set_admin(at(2), AdminState::Maint).is_some());
        assert!(health.set_admin(at(2), AdminState::Ready).is_some());
        assert!(!health.is_usable() && health.interval().is_none());
        assert_eq!(health.resolved(at(3)), None, "it has not passed yet");
        assert!(!health.is_usable() && health.interval().is_some());
        let mut failing = health.clone();
        assert_eq!(failing.probed(at(4), FAIL), None);
        let change = health.probed(at(4), PASS).unwrap();
        assert_eq!(change.transition.names(), ("down", "up"));
        assert!(health.is_usable());
    }
}

#[test]
fn the_first_failure_takes_down_what_was_only_assumed() {
    let mut health = server(3, 2);
    assert!(health.is_usable());
    assert_eq!(health.operational(), Operational::Up { failures: 0 });
    let change = health.probed(at(1), FAIL).unwrap();
    assert_eq!(
        (change.transition.names(), change.results),
        (("up", "down"), 1)
    );

    let mut health = server(3, 2);
    assert_eq!(health.probed(at(0), PASS), None);
    assert_eq!(health.probed(at(1), FAIL), None);
    assert_eq!(health.operational(), Operational::Up { failures: 1 });
    assert_eq!(health.probed(at(2), FAIL), None);
    let change = health.probed(at(9), FAIL).unwrap();
    assert_eq!((change.results, change.lasted.as_secs()), (3, 9));
    assert_eq!(health.probed(at(10), PASS), None);
    assert_eq!(health.operational(), Operational::Down { successes: 1 });
    let change = health.probed(at(11), PASS).unwrap();
    assert_eq!(
        (change.transition.names(), change.results),
        (("down", "up"), 2)
    );
    assert_eq!(change.lasted.as_secs(), 2);
}

#[test]
fn what_this_host_could_not_find_out_changes_nothing() {
    let mut health = server(1, 1);
    health.probed(at(0), PASS);
    for _ in 0..5 {
        assert_eq!(health.probed(at(1), Cause::Socket("no files")), None);
    }
    assert!(health.is_usable());
}

#[test]
fn the_interval_follows_the_counter() {
    let mut health = server(2, 2);
    let seconds = |health: &Health| health.interval().map(|interval| interval.as_secs());
    assert_eq!(seconds(&health), Some(1), "not known yet");
    health.probed(at(0), PASS);
    assert_eq!(seconds(&health), Some(2), "up");
    health.probed(at(1), FAIL);
    assert_eq!(seconds(&health), Some(1), "going down");
    health.probed(at(2), FAIL);
    assert_eq!(seconds(&health), Some(5), "down");
    health.probed(at(3), PASS);
    assert_eq!(seconds(&health), Some(1), "going up");
    health.set_admin(at(4), AdminState::Maint);
    assert_eq!(seconds(&health), None);
    let unchecked = Health::new(
        Rules {
            check: None,
            ..rules(1, 1)
        },
        at(0),
    );
    assert_eq!(seconds(&unchecked), None);
}

#[test]
fn the_operator_and_the_probes_are_apart() {
    let all = AdminState::ALL;
    for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
        for up in [true, false] {
            let mut health = server(1, 1);
            health.probed(at(0), if up { PASS } else { FAIL });
            health.set_admin(at(1), from);
            let change = health.set_admin(at(4), to);
            assert_eq!(change.is_some(), from != to);
            // Out of maintenance it is assumed to be up.
            let up = up || from == AdminState::Maint && to != AdminState::Maint;
            let found = (
                health.is_usable(),
                health.weight(at(4)),
                health.weight_shown(at(4)),
            );
            // A cookie leads to a server that drains, balancing does not.
            let expected = (
                up && to != AdminState::Maint,
                u32::from(to != AdminState::Drain),
                1,
            );
            assert_eq!(found, expected, "{from:?} {to:?}");
            let word = if up { "up" } else { "down" };
            assert_eq!(
                health.operational().state().as_str(),
                word,
                "{from:?} {to:?}"
            );
            if let Some(change) = change.filter(|_| from != AdminState::Ready) {
                assert_eq!(change.transition.names(), (from.as_str(), to.as_str()));
                assert_eq!(change.lasted.as_secs(), 3);
            }
        }
    }
}

#[test]
fn a_server_in_drain_is_still_checked_and_one_in_maintenance_is_not() {
    let mut health = server(1, 1);
    health.set_admin(at(0), AdminState::Drain);
    assert!(health.probed(at(1), FAIL).is_some());
    assert!(health.probed(at(2), PASS).is_some());
    health.set_admin(at(3), AdminState::Maint);
    assert_eq!(health.probed(at(4), FAIL), None);
    assert_eq!(health.operational(), Operational::Up { failures: 0 });
}

#[test]
fn the_weight_rises_after_a_return_and_not_at_the_start() {
    let mut rules = rules(1, 1);
    rules.weight = 2;
    rules.slow_start = Some(Duration::from_secs(64));
    let mut health = Health::new(rules, at(0));
    assert_eq!((health.weight(at(0)), health.next_rise(at(0))), (128, None));
    health.probed(at(0), PASS);
    assert_eq!(health.weight(at(0)), 128, "the first result is no return");
    health.probed(at(10), FAIL);
    health.probed(at(100), PASS);
    assert_eq!(health.next_rise(at(100)), Some(at(101)));
    for (second, weight, shown) in [
        (100, 2, 1),
        (101, 2, 1),
        (102, 4, 1),
        (132, 64, 1),
        (133, 66, 2),
        (164, 128, 2),
        (999, 128, 2),
    ] {
        let found = (health.weight(at(second)), health.weight_shown(at(second)));
        assert_eq!(found, (weight, shown), "{second}");
    }
    assert_eq!(health.next_rise(at(164)), None);
    health.set_admin(at(200), AdminState::Maint);
    health.set_admin(at(300), AdminState::Ready);
    assert_eq!(health.weight(at(301)), 2, "back from maintenance");
    health.set_admin(at(310), AdminState::Drain);
    health.set_admin(at(364), AdminState::Ready);
    assert_eq!(health.weight(at(364)), 128, "draining is no absence");
}

#[test]
fn the_operator_sets_weights() {
    let mut health = server(1, 1);
    assert_eq!(health.set_weight(1), None);
    assert_eq!(health.set_weight(0), Some(1));
    assert_eq!((health.weight(at(0)), health.is_usable()), (0, true));
    assert_eq!(health.set_weight(256), Some(0));
    assert_eq!(
        (health.weight(at(0)), health.weight_shown(at(0))),
        (256, 256)
    );
    let slow_start = Some(Duration::from_secs(64));
    let mut health = Health::new(
        Rules {
            slow_start,
            ..rules(1, 1)
        },
        at(0),
    );
    health.set_admin(at(0), AdminState::Maint);
    health.set_admin(at(100), AdminState::Ready);
    health.set_weight(10);
    assert_eq!(health.weight(at(132)), 10 * 32, "half of what it will be");
    assert_eq!(health.weight_shown(at(132)), 5);
}

#[test]
fn weights_without_slow_start_are_as_configured() {
    let mut health = server(1, 1);
    health.probed(at(0), FAIL);
    health.probed(at(1), PASS);
    assert_eq!((health.weight(at(1)), health.weight_shown(at(1))), (1, 1));
}

proptest! {
    /// Up until `fall` failures in a row, down until `rise` successes in a row; at the start,
    /// all failures but one have been.
    #[test]
    fn it_is_what_runs_of_equal_results_say(
        fall in 1u32..6,
        rise in 1u32..6,
        results in prop::collection::vec(any::<bool>(), 0..80),
    ) {
        let mut health = server(fall, rise);
        let (mut up, mut run) = (true, fall - 1);
        for (second, passed) in results.into_iter().enumerate() {
            let change = health.probed(at(second as u64), if passed { PASS } else { FAIL });
            let before = up;
            run = if passed == up { 0 } else { run + 1 };
            if run == if up { fall } else { rise } {
                (up, run) = (!up, 0);
            }
            prop_assert_eq!(health.is_usable(), up);
            prop_assert_eq!(change.is_some(), up != before);
            let expected = match up {
                true => Operational::Up { failures: run },
                false => Operational::Down { successes: run },
            };
            prop_assert_eq!(health.operational(), expected);
        }
    }
}

#[test]
fn other_rules_leave_a_server_as_it_is() {
    // Going down under the old rules, as near to it under the new ones.
    let mut health = server(3, 2);
    health.probed(at(0), PASS);
    health.probed(at(1), FAIL);
    assert_eq!(health.set_rules(at(2), rules(5, 4)), None);
    assert_eq!(health.operational(), Operational::Up { failures: 1 });
    assert_eq!(health.set_rules(at(2), rules(1, 1)), None);
    assert_eq!(health.operational(), Operational::Up { failures: 0 });
    assert!(
        health.probed(at(3), FAIL).is_some(),
        "down by the new rules"
    );
    // Rising, and down.
    assert_eq!(health.set_rules(at(3), rules(2, 3)), None);
    health.probed(at(4), PASS);
    health.probed(at(4), PASS);
    assert_eq!(health.operational(), Operational::Down { successes: 2 });
    assert_eq!(health.set_rules(at(5), rules(2, 1)), None);
    assert_eq!(health.operational(), Operational::Down { successes: 0 });
    // Only assumed to be up, it still falls at once.
    let mut health = server(3, 2);
    health.set_rules(at(0), rules(9, 9));
    assert_eq!(health.operational(), Operational::Up { failures: 0 });
    assert!(health.probed(at(1), FAIL).is_some());
}

#[test]
fn checks_that_end_or_begin_are_changes() {
    let unchecked = Rules {
        check: None,
        ..rules(1, 1)
    };
    let mut health = server(1, 1);
    health.probed(at(1), FAIL);
    health.set_admin(at(1), AdminState::Drain);
    let change = health.set_rules(at(5), unchecked).unwrap();
    assert_eq!(change.transition.names(), ("down", "no check"));
    assert_eq!((change.lasted.as_secs(), change.results), (4, 0));
    assert_eq!(
        health.admin(),
        AdminState::Drain,
        "the operator's word stands"
    );
    let change = health.set_rules(at(6), rules(3, 2)).unwrap();
    assert_eq!(change.transition.names(), ("no check", "up"));
    assert_eq!(change.cause.to_string(), "configuration");
    assert!(health.is_moving(), "its first result is wanted soon");
    assert!(health.probed(at(7), FAIL).is_some());
}
