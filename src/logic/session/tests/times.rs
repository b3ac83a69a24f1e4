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
    // The server does not respond a client that has ended.
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

/// The story of a session whose greatest age is 100 seconds.
fn aging(mut story: Story) -> Story {
    story.policy.max_age = Some(Duration::from_secs(100));
    story.session.limit_age(&story.policy, 0);
    story
}

#[test]
fn an_old_session_is_closed_once_nothing_has_moved_for_a_second() {
    let mut story = aging(Story::relaying());
    assert_eq!(story.session.deadline(&story.policy), Some(at(100)));
    story.now = at(100);
    assert_eq!(story.on(TIMED_OUT), "cancel-c cancel-s");
    assert_eq!(story.code(), "AD");
    // What moved just before is waited for.
    let mut story = aging(Story::relaying());
    story.now = at(105);
    let _ = story.on(received(CLIENT, 5));
    let _ = story.on(sent(SERVER, 5));
    assert_eq!(story.session.deadline(&story.policy), Some(at(106)));
    // But not for ever.
    story.now = at(129) + Duration::from_millis(500);
    let _ = story.on(received(CLIENT, 5));
    assert_eq!(story.session.deadline(&story.policy), Some(at(130)));
    story.now = at(130);
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "AD");
    // The other timeouts hold as well.
    let mut story = aging(Story::relaying());
    let _ = story.on(ended(CLIENT));
    assert_eq!(story.session.deadline(&story.policy), Some(at(30)));
    story.now = at(30);
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "sD");
}

#[test]
fn a_tenth_at_most_is_added_to_an_age() {
    for (random, expires) in [(0, 100), (u32::MAX / 2, 105), (u32::MAX, 110)] {
        let mut story = aging(Story::relaying());
        story.session.limit_age(&story.policy, random);
        let deadline = story.session.deadline(&story.policy).expect("a deadline");
        let late = deadline.duration_since(at(expires));
        let early = at(expires).duration_since(deadline);
        assert!(late + early < Duration::from_millis(1), "{deadline:?}");
    }
}

#[test]
fn an_old_session_whose_server_works_on_a_response_is_waited_for() {
    let mut story = aging(Story::awaiting());
    assert_eq!(story.session.deadline(&story.policy), Some(at(130)));
    story.now = at(120);
    let _ = story.on(received(SERVER, 20));
    let _ = story.on(whole_head(20));
    let _ = story.on(sent(CLIENT, 20));
    assert_eq!(story.session.deadline(&story.policy), Some(at(121)));
    story.now = at(121);
    let _ = story.on(TIMED_OUT);
    assert_eq!(story.code(), "AD");
}

#[test]
fn a_tunnel_has_an_idle_timeout_of_its_own() {
    for (head, deadline) in [(ResponseHead::Whole, 300), (ResponseHead::Upgrade, 3600)] {
        let mut story = Story::awaiting();
        let _ = story.on(received(SERVER, 20));
        let _ = story.on(Step::Chunk(Reply::ResponseHead(head), 20));
        assert_eq!(story.session.deadline(&story.policy), Some(at(deadline)));
    }
}
