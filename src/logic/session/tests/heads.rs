//! HTTP mode: the head of the request, the heads of its answers, and what ends a session on the
//! way there.

use super::*;

const WHOLE: fn(u32) -> Head = |len| Head::Whole { len };

#[test]
fn a_request_in_pieces_waits_until_it_is_whole() {
    let mut story = Story::http();
    assert_eq!(story.on(Event::Accepted), "recv-c");
    for _ in 0..3 {
        assert_eq!(story.on(received(CLIENT, 10)), "read-c");
        assert!(story.session.head_held(CLIENT).is_some());
        assert_eq!(story.on(head(CLIENT, Head::Partial)), "recv-c");
    }
    assert_eq!(story.on(received(CLIENT, 10)), "read-c");
    // A cookie of six bytes was cut out; nine bytes of a body are among the rest.
    assert_eq!(story.on(head(CLIENT, WHOLE(34))), "choose");
    assert_eq!(story.on(Event::Chosen), "connect");
    assert_eq!(story.on(Event::Connected), "send-s:34 recv-c recv-s");
    assert_eq!(story.on(received(CLIENT, 5)), "", "behind the head");
    assert_eq!(story.on(sent(SERVER, 34)), "release-c send-s:5 recv-c");
    assert_eq!(story.session.bytes(CLIENT), 45, "as they came");
}

#[test]
fn the_time_for_the_request_begins_with_the_connection() {
    let mut story = Story::http().after(&[Event::Accepted]);
    story.now = at(9);
    let _ = story.on(received(CLIENT, 10));
    let _ = story.on(head(CLIENT, Head::Partial));
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    story.now = at(10);
    assert_eq!(story.on(Event::TimedOut), "release-c leave answer-408");
    assert_eq!(story.code(), "cR");
}

#[test]
fn an_answer_in_pieces_goes_out_whole() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(received(SERVER, 7)), "read-s");
    assert_eq!(story.on(head(SERVER, Head::Partial)), "recv-s");
    assert_eq!(story.on(received(SERVER, 50)), "read-s");
    assert_eq!(story.session.head_held(SERVER), Some(57));
    assert_eq!(story.on(head(SERVER, WHOLE(90))), "send-c:90 recv-s");
    assert_eq!(story.session.head_held(SERVER), None);
    assert_eq!(story.on(received(SERVER, 5)), "");
    assert_eq!(story.on(Event::Ended { from: SERVER }), "");
    assert_eq!(story.on(sent(CLIENT, 90)), "release-s send-c:5");
    assert_eq!(story.on(sent(CLIENT, 5)), "release-s end-c");
    assert_eq!(story.on(Event::Ended { from: CLIENT }), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn an_interim_answer_goes_out_before_the_next_head_is_looked_for() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(received(SERVER, 60)), "read-s");
    let interim = Head::Interim { len: 25 };
    assert_eq!(story.on(head(SERVER, interim)), "send-c:25");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s read-s");
    // Another one, with nothing behind it.
    let interim = Head::Interim { len: 35 };
    assert_eq!(story.on(head(SERVER, interim)), "send-c:35 recv-s");
    // What comes meanwhile waits, and so does the next receive.
    assert_eq!(story.on(received(SERVER, 30)), "");
    assert_eq!(story.on(sent(CLIENT, 35)), "release-s read-s");
    assert_eq!(story.on(head(SERVER, WHOLE(44))), "send-c:44 recv-s");
}

#[test]
fn an_interim_answer_that_finds_no_room_goes_on_later() {
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        head(SERVER, Head::Interim { len: 25 }),
    ]);
    assert_eq!(story.on(sent(CLIENT, 0)), "pollout-c");
    assert_eq!(story.session.head_held(SERVER), Some(35), "only behind it");
    assert_eq!(story.on(Event::Writable { to: CLIENT }), "send-c:25");
    assert_eq!(story.on(sent(CLIENT, 20)), "pollout-c");
    assert_eq!(story.on(Event::Writable { to: CLIENT }), "send-c:5");
    assert_eq!(story.on(sent(CLIENT, 5)), "release-s read-s");
}

#[test]
fn a_server_that_ends_behind_an_interim_answer_has_answered_if_the_next_head_came() {
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        head(SERVER, Head::Interim { len: 25 }),
    ]);
    assert_eq!(story.on(Event::Ended { from: SERVER }), "");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s read-s");
    assert_eq!(story.on(head(SERVER, WHOLE(44))), "send-c:44");
    assert_eq!(story.on(sent(CLIENT, 44)), "release-s end-c");
    assert_eq!(story.on(Event::Ended { from: CLIENT }), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn a_server_that_ends_inside_the_head_behind_an_interim_answer_has_not_answered() {
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        head(SERVER, Head::Interim { len: 25 }),
        Event::Ended { from: SERVER },
        sent(CLIENT, 25),
    ]);
    let actions = story.on(head(SERVER, Head::Partial));
    assert_eq!(
        actions, "release-s leave answer-502",
        "nothing is read any more"
    );
    assert_eq!(story.code(), "SH");
    // The same behind two interim answers.
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        head(SERVER, Head::Interim { len: 25 }),
        Event::Ended { from: SERVER },
        sent(CLIENT, 25),
    ]);
    let interim = Head::Interim { len: 35 };
    assert_eq!(story.on(head(SERVER, interim)), "send-c:35");
    assert_eq!(story.on(sent(CLIENT, 35)), "release-s leave answer-502");
}

#[test]
fn a_server_that_ends_before_its_head_is_whole_has_not_answered() {
    // Nothing came.
    let mut story = Story::awaiting();
    let ended = Event::Ended { from: SERVER };
    assert_eq!(story.on(ended), "leave answer-502");
    assert_eq!(story.code(), "SH");
    // A part came.
    let part = [received(SERVER, 12), head(SERVER, Head::Partial)];
    let mut story = Story::awaiting().after(&part);
    assert_eq!(story.on(ended), "release-s leave answer-502");
    // The same by a reset.
    let mut story = Story::awaiting().after(&part);
    let failed = Event::ReceiveFailed {
        from: SERVER,
        fault: Fault::Reset,
    };
    assert_eq!(story.on(failed), "release-s leave answer-502");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_reset_behind_an_interim_answer_is_an_end_without_an_answer() {
    let mut story = Story::awaiting().after(&[
        received(SERVER, 25),
        head(SERVER, Head::Interim { len: 25 }),
    ]);
    let failed = Event::ReceiveFailed {
        from: SERVER,
        fault: Fault::Reset,
    };
    assert_eq!(story.on(failed), "", "first the interim answer");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s leave answer-502");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_server_that_does_not_answer_in_time() {
    let mut story = Story::awaiting();
    assert_eq!(story.session.deadline(&story.policy), Some(at(300)));
    story.now = at(300);
    assert_eq!(story.on(Event::TimedOut), "cancel-s");
    assert_eq!(story.on(canceled(SERVER, Use::Read)), "");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "leave answer-504");
    assert_eq!(story.code(), "sH");
    assert_eq!(story.session.deadline(&story.policy), Some(at(305)));
}

#[test]
fn a_server_that_breaks_after_its_answer_began_is_passed_on() {
    let mut story = Story::awaiting().after(&[received(SERVER, 60), head(SERVER, WHOLE(60))]);
    let failed = Event::ReceiveFailed {
        from: SERVER,
        fault: Fault::Reset,
    };
    assert_eq!(story.on(failed), "");
    assert_eq!(story.on(sent(CLIENT, 60)), "release-s unsent-c");
    assert_eq!(story.on(Event::Unsent { len: 0 }), "cancel-c");
    assert_eq!(story.code(), "SD");
}

#[test]
fn who_has_no_server_gets_an_answer() {
    let mut story = Story::requested();
    assert_eq!(story.on(Event::NoServer), "release-c leave answer-503");
    assert_eq!(story.code(), "SC");

    let mut story = Story::requested().after(&[Event::Full]);
    assert_eq!(story.on(Event::TimedOut), "dequeue backup");
    assert_eq!(story.on(Event::Full), "release-c leave answer-503");
    assert_eq!(story.code(), "sQ");

    let refused = Event::ConnectFailed(Fault::Refused);
    let mut story = Story::requested().after(&[Event::Chosen, refused, Event::Chosen]);
    assert_eq!(story.on(refused), "release-c leave answer-503");
    assert_eq!(story.code(), "SC");

    let mut story = Story::requested().after(&[
        Event::Chosen,
        refused,
        Event::Chosen,
        Event::TimedOut,
        canceled(SERVER, Use::Cancel),
    ]);
    let given_up = Event::ConnectFailed(Fault::TimedOut);
    assert_eq!(story.on(given_up), "release-c leave answer-503");
    assert_eq!(story.code(), "sC");

    let mut story = Story::requested().after(&[Event::Chosen, Event::Shortage]);
    story.now = at(5);
    assert_eq!(story.on(Event::TimedOut), "release-c leave answer-503");
    assert_eq!(story.code(), "RC");
}

#[test]
fn what_is_no_request_is_answered_or_closed() {
    let came = [Event::Accepted, received(CLIENT, 10)];
    for answer in [ErrorResponse::BadRequest, ErrorResponse::HeadTooLarge] {
        let mut story = Story::http().after(&came);
        let refused = Head::Refused(Refusal::Respond(answer));
        let expected = format!("release-c leave answer-{}", answer.status());
        assert_eq!(story.on(head(CLIENT, refused)), expected);
        assert_eq!(story.code(), "PR");
    }
    let mut story = Story::http().after(&came);
    let refused = Head::Refused(Refusal::Close);
    assert_eq!(story.on(head(CLIENT, refused)), "free");
    assert_eq!(story.code(), "PR");
}

#[test]
fn a_client_that_leaves_is_told_nothing() {
    let failed = Event::ReceiveFailed {
        from: CLIENT,
        fault: Fault::Reset,
    };
    for (came, event, actions, code) in [
        (&[][..], Event::Ended { from: CLIENT }, "free", "CR"),
        (
            &[received(CLIENT, 5), head(CLIENT, Head::Partial)],
            failed,
            "reset",
            "CR",
        ),
    ] {
        let mut story = Story::http().after(&[Event::Accepted]).after(came);
        assert_eq!(story.on(event), actions);
        assert_eq!(story.code(), code);
    }
    let mut story = Story::requested().after(&[Event::Full]);
    assert_eq!(story.on(GONE), "dequeue reset");
    assert_eq!(story.code(), "CQ");
    let mut story = Story::requested().after(&[Event::Chosen]);
    assert_eq!(story.on(GONE), "cancel-s");
    assert_eq!(story.code(), "CC");
    let mut story = Story::awaiting();
    assert_eq!(story.on(failed), "unsent-s");
    assert_eq!(story.on(Event::Unsent { len: 0 }), "cancel-s");
    assert_eq!(story.code(), "CH");
}

#[test]
fn a_client_that_ends_its_stream_still_gets_its_answer() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(Event::Ended { from: CLIENT }), "end-s");
    assert_eq!(story.session.deadline(&story.policy), Some(at(30)));
    assert_eq!(story.on(received(SERVER, 60)), "read-s");
    assert_eq!(story.on(head(SERVER, WHOLE(60))), "send-c:60 recv-s");
    assert_eq!(story.on(sent(CLIENT, 60)), "release-s");
    assert_eq!(story.on(Event::Ended { from: SERVER }), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn killed_sessions_are_reset_in_every_state() {
    for (story, actions, code) in [
        (Story::http().after(&[Event::Accepted]), "cancel-c", "KR"),
        (
            Story::requested().after(&[Event::Full]),
            "dequeue cancel-c",
            "KQ",
        ),
        (Story::requested().after(&[Event::Chosen]), "cancel-s", "KC"),
        (Story::awaiting(), "cancel-c cancel-s", "KH"),
    ] {
        let mut story = story;
        assert_eq!(story.on(Event::Killed(KillReason::Operator)), actions);
        assert_eq!(story.code(), code);
    }
}
