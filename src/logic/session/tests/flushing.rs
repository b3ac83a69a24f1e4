//! A side that is reset: what it sent before reaches the other one, and then the reset does.

use super::*;

#[test]
fn what_is_buffered_is_sent_before_the_reset() {
    for (from, code) in [(CLIENT, "CD"), (SERVER, "SD")] {
        let to = from.other();
        let (f, t) = (side(from), side(to));
        let mut story = Story::relaying();
        let _ = story.on(received(from, 100));
        let _ = story.on(received(from, 200));
        assert_eq!(
            story.on(receive_failed(from)),
            "",
            "the other side is read already"
        );
        assert_eq!(
            story.session.after_send(to),
            AfterSend::More,
            "no end follows"
        );
        let next = story.on(sent(to, 100));
        assert_eq!(next, format!("release-{f} send-{t}:200"));
        let next = story.on(sent(to, 50));
        assert_eq!(next, format!("pollout-{t}"));
        // What the other side says goes nowhere, but it may have to say it before it reads.
        let next = story.on(received(to, 9));
        assert_eq!(next, format!("release-{t} recv-{t}"));
        assert_eq!(story.on(writable(to)), format!("send-{t}:150"));
        let next = story.on(sent(to, 150));
        assert_eq!(next, format!("release-{f} unsent-{t}"));
        assert_eq!(story.on(unsent(0)), format!("cancel-{t}"));
        assert_eq!(story.on(canceled(to, Use::Read)), "");
        assert_eq!(story.on(canceled(to, Use::Cancel)), "reset");
        assert_eq!(story.code(), code);
    }
}

#[test]
fn the_kernel_is_asked_as_long_as_it_delivers() {
    let mut story = Story::relaying().after(&[receive_failed(SERVER), unsent(90)]);
    for left in (0..90).rev() {
        story.now = at(4 * (90 - left));
        assert_eq!(story.on(TIMED_OUT), "unsent-c");
        let next = story.on(unsent(left as u32));
        let done = if left == 0 { "cancel-c" } else { "" };
        assert_eq!(next, done);
    }
}

#[test]
fn a_side_that_takes_nothing_is_reset_after_a_while() {
    let mut story = Story::relaying().after(&[receive_failed(SERVER), unsent(90)]);
    let mut asked = 0;
    loop {
        let deadline = story.session.deadline(&story.policy);
        story.now = deadline.expect("it is asked again");
        match story.on(TIMED_OUT).as_str() {
            "unsent-c" => assert_eq!(story.on(unsent(90)), ""),
            other => break assert_eq!(other, "cancel-c"),
        }
        asked += 1;
    }
    assert!((40..100).contains(&asked), "asked {asked} times");
    let waited = story.now.duration_since(at(0));
    assert!(waited >= LINGER_TIMEOUT && waited < LINGER_TIMEOUT + Duration::from_millis(200));
    assert_eq!(story.code(), "SD");
}

#[test]
fn buffered_bytes_that_nobody_takes_do_not_keep_a_session_whose_client_is_gone() {
    let mut story = Story::relaying().after(&[received(CLIENT, 10), receive_failed(CLIENT)]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(5)));
    story.now = at(3);
    let _ = story.on(received(SERVER, 10));
    assert_eq!(
        story.session.deadline(&story.policy),
        Some(at(5)),
        "dropped"
    );
    story.now = at(5);
    assert_eq!(story.on(TIMED_OUT), "cancel-s");
    assert_eq!(story.code(), "CD");
}

#[test]
fn bytes_in_a_kernel_pipe_go_out_before_the_reset() {
    let mut story = Story::relaying();
    let _ = story.on(received(SERVER, FULL));
    assert_eq!(story.on(sent(CLIENT, FULL)), "release-s in-s");
    let moved = |moved| spliced_out(SERVER, moved);
    let came = |moved| spliced_in(SERVER, moved);
    assert_eq!(
        story.on(came(SpliceResult::Bytes(PIPE_BYTES_MAX))),
        "out-s:262144"
    );
    assert_eq!(story.on(moved(SpliceResult::Bytes(72))), "pollout-c");
    // The request can't be delivered, the response can.
    let failed = send_failed(SERVER, Fault::Reset);
    let _ = story.on(received(CLIENT, 5));
    assert_eq!(story.on(failed), "release-c");
    assert_eq!(story.on(writable(CLIENT)), "out-s:262072");
    assert_eq!(story.on(moved(SpliceResult::Bytes(262_072))), "in-s");
    let reset = came(SpliceResult::Failed(Fault::Reset));
    assert_eq!(story.on(reset), "pipe-s unsent-c");
    assert_eq!(story.on(unsent(0)), "cancel-c");
    assert_eq!(story.code(), "SD");
}

#[test]
fn an_end_is_believed_if_it_came_before_the_reset() {
    // The client has ended its stream, of which a part is still buffered, and is gone then.
    let gone = |fault| send_failed(CLIENT, fault);
    let begun = || Story::relaying().after(&[received(CLIENT, 10), received(SERVER, 20)]);
    let mut story = begun();
    assert_eq!(story.on(gone(Fault::Closed)), "release-s");
    assert_eq!(story.on(ended(CLIENT)), "");
    assert_eq!(story.on(sent(SERVER, 10)), "release-c end-s unsent-s");
    // What looks like an end after a reset is none.
    let mut story = begun();
    assert_eq!(story.on(gone(Fault::Reset)), "release-s");
    assert_eq!(story.on(ended(CLIENT)), "");
    assert_eq!(story.on(sent(SERVER, 10)), "release-c unsent-s");
    assert_eq!(story.on(unsent(0)), "cancel-s");
    assert_eq!(story.code(), "CD");
}

#[test]
fn a_client_whose_end_was_passed_on_and_is_gone_takes_nothing_from_the_server() {
    let gone = send_failed(CLIENT, Fault::Closed);
    let mut story = Story::relaying().after(&[ended(CLIENT)]);
    let _ = story.on(received(SERVER, 20));
    // The upload may not have left yet.
    assert_eq!(story.on(gone), "release-s unsent-s");
    assert_eq!(story.on(received(SERVER, 20)), "release-s recv-s");
    assert_eq!(story.on(unsent(0)), "cancel-s");
}

#[test]
fn a_server_whose_end_was_passed_on_and_is_gone_does_not_take_the_client_with_it() {
    let gone = send_failed(SERVER, Fault::Closed);
    let mut story = Story::relaying().after(&[ended(SERVER)]);
    let _ = story.on(received(CLIENT, 20));
    assert_eq!(story.on(gone), "release-c leave");
    assert_eq!(story.on(received(CLIENT, 20)), "release-c recv-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "SL");
}
