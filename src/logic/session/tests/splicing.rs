//! Relaying through kernel pipes: the way there and back.

use super::*;

#[test]
fn a_large_receive_leads_to_splicing_and_small_moves_lead_back() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(SERVER, 100)), "send-c:100 recv-s");
    assert_eq!(
        story.on(received(SERVER, FULL)),
        "",
        "what is buffered is sent first"
    );
    assert_eq!(story.on(sent(CLIENT, 100)), "release-s send-c:65536");
    assert_eq!(story.on(sent(CLIENT, FULL)), "release-s in-s");
    let in_pipe = |len| spliced_in(SERVER, SpliceResult::Bytes(len));
    let out_of_pipe = |len| spliced_out(SERVER, SpliceResult::Bytes(len));
    // A full pipe means that more is there; the sink takes it in two pieces.
    assert_eq!(story.on(in_pipe(PIPE_BYTES_MAX)), "out-s:262144");
    assert_eq!(story.on(out_of_pipe(200_000)), "pollout-c");
    assert_eq!(story.on(writable(CLIENT)), "out-s:62144");
    assert_eq!(story.on(out_of_pipe(62_144)), "in-s");
    // A pipe that did not fill means that the source is empty: the pipe is given back.
    assert_eq!(story.on(in_pipe(70_000)), "out-s:70000");
    assert_eq!(story.on(out_of_pipe(70_000)), "pipe-s pollin-s");
    for _ in 0..SMALL_BEFORE_BUFFERS {
        assert_eq!(story.on(readable(SERVER)), "in-s");
        assert_eq!(story.on(in_pipe(100)), "out-s:100");
        assert_eq!(story.on(out_of_pipe(100)), "pipe-s pollin-s");
    }
    assert_eq!(story.on(readable(SERVER)), "in-s");
    assert_eq!(story.on(in_pipe(100)), "out-s:100");
    assert_eq!(story.on(out_of_pipe(100)), "pipe-s recv-s");
    // The end of a spliced stream.
    assert_eq!(story.on(received(SERVER, 5)), "send-c:5 recv-s");
}

/// Small moves that leave a direction splicing.
const SMALL_BEFORE_BUFFERS: usize = 3;

#[test]
fn a_spliced_stream_ends_like_any_other() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(CLIENT, FULL)), "send-s:65536");
    assert_eq!(story.on(sent(SERVER, FULL)), "release-c in-c");
    let end = spliced_in(CLIENT, SpliceResult::End);
    assert_eq!(story.on(end), "pipe-c end-s");
    assert_eq!(story.on(ended(SERVER)), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn without_a_kernel_pipe_buffers_go_on() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, FULL));
    let _ = story.on(sent(SERVER, FULL));
    let none = spliced_in(CLIENT, SpliceResult::NoPipe);
    assert_eq!(story.on(none), "recv-c");
    assert_eq!(story.on(received(CLIENT, 9)), "send-s:9 recv-c");
}

#[test]
fn a_long_transfer_lets_others_have_their_turn() {
    let mut story = Story::relaying();
    let _ = story.on(received(SERVER, FULL));
    let _ = story.on(sent(CLIENT, FULL));
    let mut moved = 0u32;
    loop {
        let _ = story.on(spliced_in(SERVER, SpliceResult::Bytes(PIPE_BYTES_MAX)));
        let next = story.on(spliced_out(SERVER, SpliceResult::Bytes(PIPE_BYTES_MAX)));
        moved += PIPE_BYTES_MAX;
        if next == "pipe-s pollin-s" {
            break;
        }
        assert!(moved <= 1024 * 1024, "no pause after {moved} bytes");
    }
    assert_eq!(moved, 1024 * 1024);
}

#[test]
fn beside_bytes_in_the_other_kernel_pipe_a_direction_fills_half_of_its_own() {
    let mut story = Story::relaying();
    for side in [CLIENT, SERVER] {
        let _ = story.on(received(side, FULL));
        let _ = story.on(sent(side.other(), FULL));
        let nothing = spliced_in(side, SpliceResult::WouldBlock);
        let _ = story.on(nothing);
    }
    assert_eq!(story.on(readable(CLIENT)), "in-c");
    let _ = story.on(spliced_in(CLIENT, SpliceResult::Bytes(PIPE_BYTES_MAX)));
    let stuck = spliced_out(CLIENT, SpliceResult::WouldBlock);
    assert_eq!(story.on(stuck), "pollout-s");
    assert_eq!(story.on(readable(SERVER)), "in-s:131072");
    // It filled that, so that more is there; once the other is empty it takes more.
    let _ = story.on(spliced_in(SERVER, SpliceResult::Bytes(131_072)));
    let out = spliced_out(SERVER, SpliceResult::Bytes(131_072));
    assert_eq!(story.on(out), "in-s:131072");
    let _ = story.on(spliced_in(SERVER, SpliceResult::WouldBlock));
    let _ = story.on(writable(SERVER));
    let _ = story.on(spliced_out(CLIENT, SpliceResult::Bytes(PIPE_BYTES_MAX)));
    assert_eq!(story.on(readable(SERVER)), "in-s");
}

#[test]
fn a_receive_of_less_than_16_kib_stays_in_buffers() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(SERVER, 16_383)), "send-c:16383 recv-s");
    assert_eq!(story.on(sent(CLIENT, 16_383)), "release-s");
    assert_eq!(story.on(received(SERVER, 16_384)), "send-c:16384");
    assert_eq!(story.on(sent(CLIENT, 16_384)), "release-s in-s");
}
