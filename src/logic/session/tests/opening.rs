//! Choosing, waiting and connecting: what fails, and what is tried next.

use super::*;

#[test]
fn a_failed_connect_is_tried_elsewhere_as_often_as_allowed() {
    let mut story = Story::new().after(&[ACCEPTED, CHOSEN]);
    let refused = connect_failed(Fault::Refused);
    assert_eq!(story.on(refused), "choose-other");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.on(refused), "reset", "one retry is allowed");
    assert_eq!(story.code(), "SC");
    assert_eq!(story.session.summary(story.now).retries, 1);
}

#[test]
fn a_connect_that_takes_too_long_is_cancelled_and_tried_elsewhere() {
    let mut story = Story::new().after(&[ACCEPTED, CHOSEN]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(5)));
    story.now = at(5);
    assert_eq!(story.on(TIMED_OUT), "cancel-s");
    assert_eq!(story.session.deadline(&story.policy), None);
    let gone = connect_failed(Fault::TimedOut);
    assert_eq!(
        story.on(gone),
        "",
        "the cancellation still names the socket"
    );
    let canceled = canceled(SERVER, Use::Cancel);
    assert_eq!(story.on(canceled), "choose-other");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    assert_eq!(story.on(TIMED_OUT), "cancel-s");
    assert_eq!(story.on(canceled), "", "the connect is still out");
    assert_eq!(story.on(gone), "reset");
    assert_eq!(story.code(), "sC");
}

#[test]
fn a_connect_that_succeeds_after_its_timeout_is_used_and_can_still_be_ended() {
    let mut story = Story::new().after(&[ACCEPTED, CHOSEN, TIMED_OUT]);
    assert_eq!(story.on(CONNECTED), "recv-c recv-s");
    // The late cancellation is still out; the kill needs one that comes after the receives.
    assert_eq!(story.on(killed(KillReason::Operator)), "cancel-c");
    let canceled = canceled(SERVER, Use::Cancel);
    assert_eq!(story.on(canceled), "cancel-s");
}

#[test]
fn the_time_in_the_queue_counts_on_when_a_woken_session_gets_no_slot() {
    let mut story = Story::new().after(&[ACCEPTED, NO_SLOT]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(3)));
    story.now = at(2);
    assert_eq!(story.on(SLOT_FREED), "choose-woken");
    assert_eq!(story.on(NO_SLOT), "enqueue");
    assert_eq!(story.session.queued_since(), Some(at(0)));
    assert_eq!(story.session.deadline(&story.policy), Some(at(3)));
    assert_eq!(story.on(SLOT_FREED), "choose-woken");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(
        story.session.summary(story.now).waited,
        Duration::from_secs(2)
    );
}

#[test]
fn nobody_waits_for_ever() {
    let mut story = Story::new().after(&[ACCEPTED, NO_SLOT]);
    story.now = at(3);
    assert_eq!(story.on(TIMED_OUT), "dequeue backup");
    assert_eq!(story.on(NO_BACKUP), "cancel-c");
    assert_eq!(story.code(), "sQ");
    assert_eq!(
        story.session.summary(story.now).waited,
        Duration::from_secs(3)
    );
}

#[test]
fn a_shortage_pauses_and_ends_with_the_connect_timeout() {
    let mut story = Story::new().after(&[ACCEPTED, CHOSEN, SHORTAGE]);
    let mut pauses = 0;
    while let Some(deadline) = story.session.deadline(&story.policy) {
        story.now = deadline;
        let actions = story.on(TIMED_OUT);
        if actions == "reset" {
            break;
        }
        assert_eq!(actions, "choose");
        assert_eq!(story.on(CHOSEN), "connect");
        assert_eq!(story.on(SHORTAGE), "");
        pauses += 1;
    }
    assert_eq!(story.code(), "RC");
    assert_eq!(pauses, 49, "a tenth of a second each, five seconds in all");
    assert_eq!(story.session.summary(story.now).retries, 0);
}

#[test]
fn a_backup_helps_out_when_the_time_in_the_queue_is_over() {
    let mut story = Story::new().after(&[ACCEPTED, NO_SLOT]);
    story.now = at(3);
    assert_eq!(story.on(TIMED_OUT), "dequeue backup");
    assert_eq!(story.on(BACKUP), "connect");
    let waited = story.session.summary(story.now).waited;
    assert_eq!(waited, Duration::from_secs(3));
    // If that fails too, it may have to wait again.
    let refused = connect_failed(Fault::Refused);
    assert_eq!(story.on(refused), "choose-other");
    assert_eq!(story.on(NO_SLOT), "enqueue");
    assert_eq!(story.session.deadline(&story.policy), Some(at(6)));
}

#[test]
fn a_server_is_tried_again_after_a_pause() {
    let mut story = Story::new().after(&[ACCEPTED, CHOSEN]);
    let refused = connect_failed(Fault::Refused);
    assert_eq!(story.on(refused), "choose-other");
    assert_eq!(story.on(ALL_TRIED), "watch");
    assert_eq!(story.session.deadline(&story.policy), Some(at(1)));
    story.now = at(1);
    assert_eq!(story.on(TIMED_OUT), "forget choose");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.on(refused), "cancel-c", "one retry is allowed");
    assert_eq!(story.code(), "SC");
}

#[test]
fn the_pause_is_no_longer_than_a_connect_may_be() {
    let mut story = Story::new();
    story.policy.connect_timeout = Duration::from_millis(200);
    let refused = connect_failed(Fault::Refused);
    let events = [ACCEPTED, CHOSEN, refused, ALL_TRIED];
    let story = story.after(&events);
    let deadline = story.session.deadline(&story.policy);
    assert_eq!(deadline, Some(at(0) + Duration::from_millis(200)));
}

#[test]
fn one_that_was_woken_from_the_queue_may_have_to_pause() {
    let refused = connect_failed(Fault::Refused);
    let events = [ACCEPTED, CHOSEN, refused, NO_SLOT];
    let mut story = Story::new().after(&events);
    story.now = at(2);
    assert_eq!(story.on(SLOT_FREED), "choose-woken");
    assert_eq!(story.on(ALL_TRIED), "", "it is watched already");
    assert!(story.session.rare_times().woken_since.is_none());
    let waited = story.session.summary(story.now).waited;
    assert_eq!(waited, Duration::from_secs(2));
}
