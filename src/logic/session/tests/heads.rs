//! HTTP mode: the head of the request, the heads of its responses, and what ends a session on the
//! way there.

use super::*;

#[test]
fn a_request_in_pieces_waits_until_it_is_whole() {
    let mut story = Story::http();
    assert_eq!(story.on(ACCEPTED), "recv-c");
    for _ in 0..3 {
        assert_eq!(story.on(received(CLIENT, 10)), "read-c");
        assert!(story.session.is_reading_head(CLIENT));
        assert_eq!(story.on(INCOMPLETE), "recv-c");
    }
    assert_eq!(story.on(received(CLIENT, 10)), "read-c");
    // A cookie of six bytes was cut out; nine bytes of a body are among the rest.
    assert_eq!(story.on(preface(34)), "choose");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.on(CONNECTED), "send-s:34 recv-c recv-s");
    assert_eq!(story.on(received(CLIENT, 5)), "", "behind the head");
    assert_eq!(story.on(sent(SERVER, 34)), "release-c send-s:5 recv-c");
    assert_eq!(story.session.bytes(CLIENT), 45, "as they came");
}

#[test]
fn the_time_for_the_request_begins_with_the_connection() {
    let mut story = Story::http().after(&[ACCEPTED]);
    story.now = at(9);
    let _ = story.on(received(CLIENT, 10));
    let _ = story.on(INCOMPLETE);
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    story.now = at(10);
    assert_eq!(story.on(TIMED_OUT), "release-c leave error-408");
    assert_eq!(story.code(), "cR");
}

#[test]
fn a_response_in_pieces_goes_out_whole() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(received(SERVER, 7)), "read-s");
    assert_eq!(story.on(PARTIAL), "recv-s");
    assert_eq!(story.on(received(SERVER, 50)), "read-s");
    assert!(story.session.has_head_part(SERVER));
    assert_eq!(story.on(whole_head(90)), "send-c:90 recv-s");
    assert!(!story.session.is_reading_head(SERVER));
    assert_eq!(story.on(received(SERVER, 5)), "");
    assert_eq!(story.on(ended(SERVER)), "");
    assert_eq!(story.on(sent(CLIENT, 90)), "release-s send-c:5");
    assert_eq!(story.on(sent(CLIENT, 5)), "release-s end-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn an_interim_response_goes_out_before_the_next_head_is_looked_for() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(received(SERVER, 60)), "read-s");

    assert_eq!(story.on(interim(25)), "send-c:25");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s read-s");
    // Another one, with nothing behind it.

    assert_eq!(story.on(interim(35)), "send-c:35 recv-s");
    // What comes meanwhile waits, and so does the next receive.
    assert_eq!(story.on(received(SERVER, 30)), "");
    assert_eq!(story.on(sent(CLIENT, 35)), "release-s read-s");
    assert_eq!(story.on(whole_head(44)), "send-c:44 recv-s");
}

#[test]
fn an_interim_response_that_finds_no_room_goes_on_later() {
    let mut story = Story::awaiting().after(&[received(SERVER, 60), interim(25)]);
    assert_eq!(story.on(sent(CLIENT, 0)), "pollout-c");
    assert!(story.session.has_head_part(SERVER), "behind it");
    assert_eq!(story.on(writable(CLIENT)), "send-c:25");
    assert_eq!(story.on(sent(CLIENT, 20)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "send-c:5");
    assert_eq!(story.on(sent(CLIENT, 5)), "release-s read-s");
}

#[test]
fn a_server_that_ends_behind_an_interim_response_has_responded_if_the_next_head_came() {
    let mut story = Story::awaiting().after(&[received(SERVER, 60), interim(25)]);
    assert_eq!(story.on(ended(SERVER)), "");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s read-s");
    assert_eq!(story.on(whole_head(44)), "send-c:44");
    assert_eq!(story.on(sent(CLIENT, 44)), "release-s end-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn a_server_that_ends_inside_the_head_behind_an_interim_response_has_not_responded() {
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        interim(25),
        ended(SERVER),
        sent(CLIENT, 25),
    ]);
    let actions = story.on(PARTIAL);
    assert_eq!(
        actions, "release-s leave error-502",
        "nothing is read any more"
    );
    assert_eq!(story.code(), "SH");
    // The same behind two interim responses.
    let mut story = Story::awaiting().after(&[
        received(SERVER, 60),
        interim(25),
        ended(SERVER),
        sent(CLIENT, 25),
    ]);

    assert_eq!(story.on(interim(35)), "send-c:35");
    assert_eq!(story.on(sent(CLIENT, 35)), "release-s leave error-502");
}

#[test]
fn a_server_that_ends_before_its_head_is_whole_has_not_responded() {
    // Nothing came.
    let mut story = Story::awaiting();
    let ended = ended(SERVER);
    assert_eq!(story.on(ended), "leave error-502");
    assert_eq!(story.code(), "SH");
    // A part came.
    let part = [received(SERVER, 12), PARTIAL];
    let mut story = Story::awaiting().after(&part);
    assert_eq!(story.on(ended), "release-s leave error-502");
    // The same by a reset.
    let mut story = Story::awaiting().after(&part);
    let failed = receive_failed(SERVER);
    assert_eq!(story.on(failed), "release-s leave error-502");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_reset_behind_an_interim_response_is_an_end_without_an_response() {
    let mut story = Story::awaiting().after(&[received(SERVER, 25), interim(25)]);
    let failed = receive_failed(SERVER);
    assert_eq!(story.on(failed), "", "first the interim response");
    assert_eq!(story.on(sent(CLIENT, 25)), "release-s leave error-502");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_server_that_does_not_respond_in_time() {
    let mut story = Story::awaiting();
    assert_eq!(story.session.deadline(&story.policy), Some(at(300)));
    story.now = at(300);
    assert_eq!(story.on(TIMED_OUT), "cancel-s");
    assert_eq!(story.on(canceled(SERVER, Use::Read)), "");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "leave error-504");
    assert_eq!(story.code(), "sH");
    assert_eq!(story.session.deadline(&story.policy), Some(at(305)));
}

#[test]
fn a_server_that_breaks_after_its_response_began_is_passed_on() {
    let mut story = Story::awaiting().after(&[received(SERVER, 60), whole_head(60)]);
    let failed = receive_failed(SERVER);
    assert_eq!(story.on(failed), "");
    assert_eq!(story.on(sent(CLIENT, 60)), "release-s unsent-c");
    assert_eq!(story.on(unsent(0)), "cancel-c");
    assert_eq!(story.code(), "SD");
}

#[test]
fn who_has_no_server_gets_an_response() {
    let mut story = Story::requested();
    assert_eq!(story.on(NO_SERVER), "release-c leave error-503");
    assert_eq!(story.code(), "SC");

    let mut story = Story::requested().after(&[NO_SLOT]);
    assert_eq!(story.on(TIMED_OUT), "dequeue backup");
    assert_eq!(story.on(NO_BACKUP), "release-c leave error-503");
    assert_eq!(story.code(), "sQ");

    let refused = connect_failed(Fault::Refused);
    let mut story = Story::requested().after(&[CHOSEN, refused, CHOSEN]);
    assert_eq!(story.on(refused), "release-c leave error-503");
    assert_eq!(story.code(), "SC");

    let mut story = Story::requested().after(&[
        CHOSEN,
        refused,
        CHOSEN,
        TIMED_OUT,
        canceled(SERVER, Use::Cancel),
    ]);
    let given_up = connect_failed(Fault::TimedOut);
    assert_eq!(story.on(given_up), "release-c leave error-503");
    assert_eq!(story.code(), "sC");

    let mut story = Story::requested().after(&[CHOSEN, SHORTAGE]);
    story.now = at(5);
    assert_eq!(story.on(TIMED_OUT), "release-c leave error-503");
    assert_eq!(story.code(), "RC");
}

#[test]
fn what_is_no_request_gets_an_error_response_or_is_closed() {
    let came = [ACCEPTED, received(CLIENT, 10)];
    for response in [ErrorResponse::BadRequest, ErrorResponse::HeadTooLarge] {
        let mut story = Story::http().after(&came);
        let expected = format!("release-c leave error-{}", response.status());
        assert_eq!(
            story.on(refused(Refusal::Respond(response.into()))),
            expected
        );
        assert_eq!(story.code(), "PR");
    }
    let mut story = Story::http().after(&came);
    assert_eq!(story.on(refused(Refusal::Close)), "free");
    assert_eq!(story.code(), "PR");
}

#[test]
fn a_client_that_leaves_is_told_nothing() {
    let failed = receive_failed(CLIENT);
    for (came, event, actions, code) in [
        (&[][..], ended(CLIENT), "free", "CR"),
        (&[received(CLIENT, 5), INCOMPLETE], failed, "reset", "CR"),
    ] {
        let mut story = Story::http().after(&[ACCEPTED]).after(came);
        assert_eq!(story.on(event), actions);
        assert_eq!(story.code(), code);
    }
    let mut story = Story::requested().after(&[NO_SLOT]);
    assert_eq!(story.on(GONE), "dequeue reset");
    assert_eq!(story.code(), "CQ");
    let mut story = Story::requested().after(&[CHOSEN]);
    assert_eq!(story.on(GONE), "cancel-s");
    assert_eq!(story.code(), "CC");
    let mut story = Story::awaiting();
    assert_eq!(story.on(failed), "unsent-s");
    assert_eq!(story.on(unsent(0)), "cancel-s");
    assert_eq!(story.code(), "CH");
}

#[test]
fn a_client_that_ends_its_stream_still_gets_its_response() {
    let mut story = Story::awaiting();
    assert_eq!(story.on(ended(CLIENT)), "end-s");
    assert_eq!(story.session.deadline(&story.policy), Some(at(30)));
    assert_eq!(story.on(received(SERVER, 60)), "read-s");
    assert_eq!(story.on(whole_head(60)), "send-c:60 recv-s");
    assert_eq!(story.on(sent(CLIENT, 60)), "release-s");
    assert_eq!(story.on(ended(SERVER)), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn killed_sessions_are_reset_in_every_state() {
    for (story, actions, code) in [
        (Story::http().after(&[ACCEPTED]), "cancel-c", "KR"),
        (
            Story::requested().after(&[NO_SLOT]),
            "dequeue cancel-c",
            "KQ",
        ),
        (Story::requested().after(&[CHOSEN]), "cancel-s", "KC"),
        (Story::awaiting(), "cancel-c cancel-s", "KH"),
    ] {
        let mut story = story;
        assert_eq!(story.on(killed(KillReason::Operator)), actions);
        assert_eq!(story.code(), code);
    }
}
