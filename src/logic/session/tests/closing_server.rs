//! HTTP mode: what is in flight or buffered when an error response is decided on, and how the client's
//! connection is closed after it.

use super::*;

/// One that sends an error response of 100 bytes; the receive from its client is in flight.
fn sending_error() -> Story {
    Story::http().after(&[ACCEPTED, TIMED_OUT, prepared(100)])
}

#[test]
fn an_error_response_is_followed_by_the_end_of_the_stream_and_a_wait() {
    let mut story = sending_error();
    story.now = at(2);
    assert_eq!(story.on(sent(CLIENT, 60)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "send-c:40");
    assert_eq!(story.on(sent(CLIENT, 0)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "send-c:40");
    assert_eq!(story.on(sent(CLIENT, 40)), "release-s end-c");
    assert_eq!(story.session.deadline(&story.policy), Some(at(5)));
    // What the client still sends is dropped, or it would be reset.
    assert_eq!(story.on(received(CLIENT, 9)), "release-c recv-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "cR", "as it was when the response was chosen");
}

#[test]
fn the_wait_for_the_client_to_close_ends() {
    let mut story = sending_error().after(&[sent(CLIENT, 100)]);
    assert_eq!(story.on(TIMED_OUT), "cancel-c");
    assert_eq!(story.on(canceled(CLIENT, Use::Read)), "");
    assert_eq!(story.on(canceled(CLIENT, Use::Cancel)), "free");
    assert_eq!(story.code(), "cR");
}

#[test]
fn a_client_that_does_not_take_its_response_is_reset() {
    let mut story = sending_error();
    assert_eq!(story.session.deadline(&story.policy), Some(at(5)));
    assert_eq!(story.on(TIMED_OUT), "cancel-c");
    assert_eq!(story.on(canceled(CLIENT, Use::Read)), "");
    assert_eq!(story.on(canceled(CLIENT, Use::Write)), "");
    assert_eq!(story.on(canceled(CLIENT, Use::Cancel)), "reset");
}

#[test]
fn without_a_buffer_there_is_no_response() {
    let mut story = Story::requested().after(&[NO_SERVER]);
    assert_eq!(story.on(prepared(0)), "reset");
    assert_eq!(story.code(), "SC");
}

#[test]
fn a_client_that_had_ended_is_not_waited_for() {
    let mut story = Story::awaiting().after(&[ended(CLIENT)]);
    assert_eq!(story.on(ended(SERVER)), "leave error-502");
    assert_eq!(story.on(prepared(100)), "send-c:100");
    assert_eq!(story.on(sent(CLIENT, 100)), "release-s end-c free");
}

#[test]
fn an_upload_is_given_up_when_the_kernel_gave_its_send_back() {
    let mut story = Story::sending();
    let _ = story.on(received(CLIENT, 9));
    // Two chunks are buffered: the first one is with the kernel.
    assert_eq!(story.on(ended(SERVER)), "cancel-s");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "cancel-s");
    let came = story.on(canceled(SERVER, Use::Write));
    assert_eq!(came, "release-c release-c");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "leave error-502");
    assert_eq!(story.on(prepared(100)), "send-c:100");
    // No receive was in flight: one is made when the client is to leave.
    assert_eq!(story.on(sent(CLIENT, 100)), "release-s end-c recv-c");
}

#[test]
fn an_upload_that_goes_on_coming_is_dropped() {
    let armed = |len| {
        received_info(
            CLIENT,
            ReceivedInfo {
                len,
                more: false,
                armed: true,
            },
        )
    };
    let mut story = Story::sending().after(&[ended(SERVER)]);
    assert_eq!(story.on(armed(10)), "", "behind what the kernel has");
    assert_eq!(story.on(armed(10)), "", "joined");
    assert_eq!(story.on(sent(SERVER, 40)), "release-c release-c");
    assert_eq!(story.on(armed(10)), "release-c");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "leave error-502");
    assert_eq!(story.on(armed(10)), "release-c");
    assert_eq!(story.on(prepared(100)), "send-c:100");
    assert_eq!(story.on(armed(10)), "release-c");
    assert_eq!(story.on(sent(CLIENT, 100)), "release-s end-c");
    assert_eq!(story.on(armed(10)), "release-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.session.bytes(CLIENT), 100);
}

/// One whose client sends so much that its bytes go through a kernel pipe, while the head of the
/// response is awaited.
fn splicing() -> Story {
    Story::awaiting().after(&[received(CLIENT, FULL), sent(SERVER, FULL)])
}

fn moved_in(len: u32) -> Step {
    spliced_in(CLIENT, SpliceResult::Bytes(len))
}

fn moved_out(len: u32) -> Step {
    spliced_out(CLIENT, SpliceResult::Bytes(len))
}

#[test]
fn a_kernel_pipe_with_bytes_for_the_server_is_given_back() {
    let mut story = splicing();
    assert_eq!(story.on(moved_in(5000)), "out-c:5000");
    assert_eq!(story.on(moved_out(1000)), "pollout-s");
    assert_eq!(story.on(ended(SERVER)), "cancel-s");
    assert_eq!(story.on(canceled(SERVER, Use::Write)), "drop-pipe-c");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "leave error-502");
    assert_eq!(story.buffered(CLIENT), 0);
}

#[test]
fn a_poll_of_the_client_is_followed_by_a_receive() {
    let waiting = || splicing().after(&[moved_in(5000), moved_out(5000)]);
    // It ends while the response is given.
    let mut story = waiting();
    assert_eq!(story.on(ended(SERVER)), "leave error-502");
    assert_eq!(story.on(prepared(100)), "send-c:100");
    assert_eq!(story.on(readable(CLIENT)), "");
    assert_eq!(story.on(sent(CLIENT, 100)), "release-s end-c recv-c");
    // It ends after that.
    let mut story = waiting().after(&[ended(SERVER), prepared(100), sent(CLIENT, 100)]);
    assert_eq!(story.on(readable(CLIENT)), "recv-c");
    assert_eq!(story.on(received(CLIENT, 10)), "release-c recv-c");
}

#[test]
fn a_broken_server_may_still_respond() {
    let mut story = Story::sending();
    let failed = send_failed(SERVER, Fault::Reset);
    assert_eq!(story.on(failed), "release-c");
    assert_eq!(story.on(received(SERVER, 60)), "read-s");
    let whole = whole_head(60);
    assert_eq!(story.on(whole), "send-c:60 recv-s");
    assert_eq!(story.on(sent(CLIENT, 60)), "release-s");
    // The client may still be sending: it is read until it leaves.
    assert_eq!(story.on(ended(SERVER)), "leave end-c");
    assert_eq!(story.on(received(CLIENT, 10)), "release-c recv-c");
    assert_eq!(story.code(), "SH", "it took less than the whole request");
    // Or not.
    let mut story = Story::sending().after(&[failed]);
    assert_eq!(story.on(ended(SERVER)), "leave error-502");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_client_that_leaves_while_the_server_is_closed_gets_nothing() {
    let failed = receive_failed(CLIENT);
    let mut story = Story::sending().after(&[ended(SERVER)]);
    assert_eq!(story.on(failed), "", "the server's side is being cancelled");
    assert_eq!(story.on(canceled(SERVER, Use::Write)), "");
    assert_eq!(story.on(canceled(SERVER, Use::Cancel)), "reset");
    assert_eq!(story.code(), "SH");
}

#[test]
fn a_watched_client_is_let_go_like_any_other() {
    // Watched since it was in the queue.
    let queued = || Story::requested().after(&[NO_SLOT, TIMED_OUT, NO_BACKUP]);
    let mut story = queued();
    assert_eq!(story.on(GONE), "reset");
    // The watch itself may have to be ended.
    let mut story = queued();
    assert_eq!(story.on(GONE_BUT_WATCHED), "cancel-c");
    assert_eq!(story.code(), "sQ");
    let mut story = queued().after(&[prepared(100)]);
    assert_eq!(story.on(GONE), "cancel-c");
    let mut story = queued().after(&[prepared(100), sent(CLIENT, 100)]);
    assert_eq!(story.on(ended(CLIENT)), "cancel-c");
    assert_eq!(story.on(canceled(CLIENT, Use::Watch)), "");
    assert_eq!(story.on(canceled(CLIENT, Use::Cancel)), "free");
}
