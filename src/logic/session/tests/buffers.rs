//! Relaying through buffers: backpressure, the end of a stream, resets.

use super::*;

#[test]
fn small_messages_go_back_and_forth_through_one_buffer_each() {
    let mut story = Story::relaying();
    for _ in 0..100 {
        assert_eq!(story.on(received(CLIENT, 40)), "send-s:40 recv-c");
        assert_eq!(story.on(sent(SERVER, 40)), "release-c");
        assert_eq!(story.on(received(SERVER, 100)), "send-c:100 recv-s");
        assert_eq!(story.on(sent(CLIENT, 100)), "release-s");
    }
    assert_eq!(story.session.bytes(CLIENT), 4_000);
    assert_eq!(story.session.bytes(SERVER), 10_000);
    assert_eq!(story.buffered(CLIENT) + story.buffered(SERVER), 0);
}

#[test]
fn what_follows_a_send_is_known_before_it_ends() {
    use AfterSend::{End, More, Nothing};

    let came = |len, armed| {
        let info = ReceivedInfo {
            len,
            more: false,
            armed,
        };
        received_info(SERVER, info)
    };

    let killed = killed(KillReason::Operator);
    let cases: [(&[Step], AfterSend); 6] = [
        // The next receive is in flight, and tells of anything else.
        (&[came(100, false)], Nothing),
        (&[came(100, true)], Nothing),
        // There is a chunk behind.
        (&[came(100, false), came(50, true)], More),
        (&[came(100, true), came(50, true), ended(SERVER)], More),
        (&[came(100, false), ended(SERVER)], End),
        (&[came(100, false), killed], More),
    ];
    for (events, after) in cases {
        let story = Story::relaying().after(events);
        assert_eq!(story.session.after_send(CLIENT), after, "{events:?}");
    }
    // The last of two chunks is the end.
    let events = [
        came(100, true),
        came(50, true),
        ended(SERVER),
        sent(CLIENT, 100),
    ];
    let story = Story::relaying().after(&events);
    assert_eq!(story.session.after_send(CLIENT), End);
    // An interim response behind which the server ended leads to an error response.
    let story = Story::awaiting().after(&[received(SERVER, 30), interim(30), ended(SERVER)]);
    assert_eq!(story.session.after_send(CLIENT), More);
    // An error response is the last.
    let no_server = [NO_SERVER, prepared(90)];
    let story = Story::requested().after(&no_server);
    assert_eq!(story.session.after_send(CLIENT), End);
}

#[test]
fn a_slow_sink_stops_the_source_at_two_chunks() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(SERVER, 100)), "send-c:100 recv-s");
    assert_eq!(story.on(received(SERVER, 200)), "", "no third receive");
    assert_eq!(story.buffered(SERVER), 300);
    // A part is taken, so there is no more room: wait for it, then send the rest.
    assert_eq!(story.on(sent(CLIENT, 60)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "send-c:40");
    // No room after all.
    assert_eq!(story.on(sent(CLIENT, 0)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "send-c:40");
    assert_eq!(story.on(sent(CLIENT, 40)), "release-s send-c:200 recv-s");
    assert_eq!(story.on(sent(CLIENT, 200)), "release-s");
}

#[test]
fn a_receive_that_stays_armed_is_not_made_again() {
    let mut story = Story::relaying();
    let piece = |len, armed| {
        received_info(
            CLIENT,
            ReceivedInfo {
                len,
                more: false,
                armed,
            },
        )
    };
    assert_eq!(story.on(piece(10, true)), "send-s:10");
    // Pieces that come behind the chunk that is being sent are joined.
    assert_eq!(story.on(piece(20, true)), "");
    assert_eq!(story.on(piece(30, true)), "");
    assert_eq!(story.on(sent(SERVER, 10)), "release-c send-s:50");
    assert_eq!(story.on(piece(5, false)), "", "its share is used up");
    assert_eq!(story.on(sent(SERVER, 50)), "release-c send-s:5 recv-c");
}

#[test]
fn the_end_is_passed_on_after_every_byte_before_it() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 10));
    assert_eq!(story.on(ended(CLIENT)), "", "not yet");
    assert_eq!(story.on(sent(SERVER, 10)), "release-c end-s");
    // The other direction goes on.
    assert_eq!(story.on(received(SERVER, 7)), "send-c:7 recv-s");
    assert_eq!(story.on(sent(CLIENT, 7)), "release-s");
    // Both are through: closing says the same as another shutdown.
    assert_eq!(story.on(ended(SERVER)), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn a_reset_is_passed_on() {
    for (from, code) in [(CLIENT, "CD"), (SERVER, "SD")] {
        let mut story = Story::relaying();
        let next = story.on(receive_failed(from));
        assert_eq!(next, format!("unsent-{}", side(from.other())));
        let cancel = story.on(unsent(0));
        assert_eq!(cancel, format!("cancel-{}", side(from.other())));
        let side = from.other();
        let used = Use::Read;
        assert_eq!(story.on(canceled(side, used)), "");
        let used = Use::Cancel;
        assert_eq!(story.on(canceled(side, used)), "reset");
        assert_eq!(story.code(), code);
    }
}

#[test]
fn a_broken_sink_does_not_lose_what_it_said_before() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 10));
    // The server refuses the rest of the request, but has responded.
    let failed = send_failed(SERVER, Fault::Reset);
    assert_eq!(story.on(failed), "release-c");
    assert_eq!(story.on(received(SERVER, 99)), "send-c:99 recv-s");
    assert_eq!(story.on(sent(CLIENT, 99)), "release-s");
    // More from the client goes nowhere, but is taken: it may read only after it.
    assert_eq!(story.on(received(CLIENT, 10)), "release-c recv-c");
    // It was reset, which is passed on when the client has all that was sent before.
    assert_eq!(story.on(ended(SERVER)), "unsent-c");
    assert_eq!(story.on(received(CLIENT, 10)), "release-c recv-c");
    assert_eq!(story.on(unsent(0)), "cancel-c");
    assert_eq!(story.code(), "SD");
}

#[test]
fn a_server_that_has_closed_lets_the_client_read_to_the_end() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 10));
    // Its end came before its reset, and waits to be read.
    assert_eq!(story.on(send_failed(SERVER, Fault::Closed)), "release-c");
    // A close would be met by what the client still sends, and the reset could overtake the response.
    assert_eq!(story.on(ended(SERVER)), "leave end-c");
    assert_eq!(story.on(received(CLIENT, 10)), "release-c recv-c");
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "SD");
}
