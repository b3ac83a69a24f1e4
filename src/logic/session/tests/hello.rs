//! TLS mode: the ClientHello before a server is chosen.

use super::*;

fn tls() -> Story {
    Story::with(Policy {
        protocol: Protocol::Tls,
        ..policy()
    })
}

#[test]
fn a_hello_in_pieces_is_sent_whole_and_then_it_is_tcp_mode() {
    let mut story = tls();
    assert_eq!(story.on(ACCEPTED), "recv-c");
    for _ in 0..3 {
        assert_eq!(story.on(received(CLIENT, 600)), "read-c");
        assert!(story.session.is_reading_head(CLIENT));
        assert_eq!(story.on(INCOMPLETE), "recv-c");
    }
    assert_eq!(story.on(received(CLIENT, 10)), "read-c");
    assert_eq!(story.on(preface(1810)), "choose");
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.on(CONNECTED), "send-s:1810 recv-c recv-s");
    // No head is looked for in what the server sends.
    assert_eq!(story.on(received(SERVER, 90)), "send-c:90 recv-s");
    assert_eq!(story.session.bytes(CLIENT), 1810);
    // A reset is passed on, as in TCP mode.
    assert_eq!(story.on(receive_failed(SERVER)), "");
}

#[test]
fn the_hello_has_its_time_and_its_codes() {
    let mut story = tls().after(&[ACCEPTED]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    story.now = at(10);
    assert_eq!(story.on(TIMED_OUT), "cancel-c");
    assert_eq!(story.code(), "cT");
    let mut story = tls().after(&[ACCEPTED, received(CLIENT, 3)]);
    assert_eq!(story.on(refused(Refusal::Close)), "free");
    assert_eq!(story.code(), "PT");
    let mut story = tls().after(&[ACCEPTED]);
    assert_eq!(story.on(ended(CLIENT)), "free");
    assert_eq!(story.code(), "CT");
}

#[test]
fn a_name_that_nobody_serves_gets_an_alert_which_can_be_read() {
    let mut story = tls().after(&[ACCEPTED, received(CLIENT, 300)]);
    let alert = Refusal::Respond(ErrorAnswer::UnrecognizedName);
    assert_eq!(story.on(refused(alert)), "release-c leave alert");
    assert_eq!(story.code(), "PR");
}

#[test]
fn without_a_server_it_is_reset_and_not_answered() {
    let mut story = tls().after(&[ACCEPTED, received(CLIENT, 300), preface(300)]);
    assert_eq!(story.on(NO_SERVER), "reset");
    assert_eq!(story.code(), "SC");
}

#[test]
fn a_proxy_head_comes_before_the_hello() {
    let mut story = Story::behind_proxy(Protocol::Tls, true).after(&[ACCEPTED]);
    story.now = at(4);
    assert_eq!(story.on(received(CLIENT, 328)), "read-c");
    assert_eq!(story.on(settled(300)), "read-c");
    // Its time begins now.
    assert_eq!(story.session.deadline(&story.policy), Some(at(14)));
    assert_eq!(story.on(preface(300)), "choose");
}
