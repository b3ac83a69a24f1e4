//! Idleness, deadlines, and what a summary tells of them.

use super::*;

#[test]
fn idle_sessions_end_and_say_who_was_slow() {
    // Nobody speaks.
    let mut story = Story::relaying();
    assert_eq!(story.session.deadline(&story.policy), Some(at(300)));
    assert_eq!(story.on(TIMED_OUT), "cancel-c cancel-s");
    assert_eq!(story.code(), "cD");
    // The client does not read.
    let mut story = Story::relaying();
    let _ = story.on(received(SERVER, 5));
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "cD");
    // The server does not read.
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 5));
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "sD");
    // The server does not answer a client that has ended.
    let mut story = Story::relaying();
    let _ = story.on(ended(CLIENT));
    assert_eq!(story.session.deadline(&story.policy), Some(at(30)));
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "sD");
    // The client does not end after the server has.
    let mut story = Story::relaying();
    let _ = story.on(ended(SERVER));
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "cL");
}

#[test]
fn activity_moves_the_deadline() {
    let mut story = Story::relaying();
    story.now = at(100);
    let _ = story.on(received(CLIENT, 5));
    assert_eq!(story.session.deadline(&story.policy), Some(at(400)));
    story.now = at(200);
    let _ = story.on(sent(SERVER, 5));
    assert_eq!(story.session.deadline(&story.policy), Some(at(500)));
}

#[test]
fn a_summary_tells_the_times() {
    let mut story = Story::new();
    let _ = story.on(ACCEPTED);
    let _ = story.on(NO_SLOT);
    story.now = at(1);
    let _ = story.on(SLOT_FREED);
    let _ = story.on(CHOSEN);
    story.now = at(3);
    let _ = story.on(CONNECTED);
    story.now = at(10);
    let summary = story.session.summary(story.now);
    assert_eq!(summary.waited, Duration::from_secs(1));
    assert_eq!(summary.connect, Some(Duration::from_secs(2)));
    assert_eq!(summary.total, Duration::from_secs(10));
}
