//! Every state and every event, against a table written by hand; then the stories that matter.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// A buffer's worth of bytes.
const FULL: u32 = 64 * 1024;

fn policy() -> Policy {
    Policy {
        protocol: Protocol::Tcp,
        request_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(300),
        half_closed_timeout: Duration::from_secs(30),
        queue_timeout: Duration::from_secs(3),
        retries: 1,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A session and the time, for stories.
struct Story {
    session: Session,
    policy: Policy,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Story {
            session: Session::new(at(0), Protocol::Tcp),
            policy: policy(),
            now: at(0),
        }
    }

    /// Delivers one event; the actions in short form.
    fn on(&mut self, event: Event) -> String {
        let mut out = Actions::new();
        self.session.handle(self.now, event, &self.policy, &mut out);
        let actions: Vec<String> = out.as_slice().iter().map(short).collect();
        actions.join(" ")
    }

    /// Delivers events whose actions are of no interest.
    fn after(mut self, events: &[Event]) -> Self {
        for event in events {
            let _ = self.on(*event);
        }
        self
    }

    fn relaying() -> Self {
        Story::new().after(&[Event::Accepted, Event::Chosen, Event::Connected])
    }

    fn code(&self) -> String {
        let summary = self.session.summary(self.now);
        String::from_iter(summary.outcome.code().map(char::from))
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "c",
        Side::Server => "s",
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Choose { failed: false } => "choose".to_string(),
        Action::Choose { failed: true } => "choose-other".to_string(),
        Action::Connect => "connect".to_string(),
        Action::Enqueue => "enqueue".to_string(),
        Action::Dequeue => "dequeue".to_string(),
        Action::WatchClient => "watch".to_string(),
        Action::Receive { from, .. } => format!("recv-{}", side(*from)),
        Action::ReadHead { from } => format!("read-{}", side(*from)),
        Action::Answer(answer) => format!("answer-{}", answer.status()),
        Action::Send { to, len } => format!("send-{}:{len}", side(*to)),
        Action::Release { from } => format!("release-{}", side(*from)),
        Action::SpliceIn { from, .. } => format!("in-{}", side(*from)),
        Action::SpliceOut { from, len } => format!("out-{}:{len}", side(*from)),
        Action::ReturnPipe { from, empty: true } => format!("pipe-{}", side(*from)),
        Action::ReturnPipe { from, .. } => format!("drop-pipe-{}", side(*from)),
        Action::PollRead { from } => format!("pollin-{}", side(*from)),
        Action::PollWrite { to } => format!("pollout-{}", side(*to)),
        Action::ShutdownWrite { to } => format!("end-{}", side(*to)),
        Action::Cancel { side: of } => format!("cancel-{}", side(*of)),
        Action::Free(Farewell::Finish) => "free".to_string(),
        Action::Free(Farewell::Reset) => "reset".to_string(),
    }
}

fn received(from: Side, len: u32) -> Event {
    let news = Received {
        len,
        full: len == FULL,
        more: false,
        armed: false,
    };
    Event::Received { from, news }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::ReadingHead => "reading",
        State::Choosing => "choosing",
        State::Queued { .. } => "queued",
        State::Short { .. } => "short",
        State::Connecting { .. } => "connecting",
        State::Relaying => "relaying",
        State::Clearing { .. } => "clearing",
        State::Answering { .. } => "answering",
        State::Lingering { .. } => "lingering",
        State::Closing { .. } => "closing",
    }
}

/// One session in each state, freshly made.
fn states() -> Vec<Story> {
    let queued = [Event::Accepted, Event::Full];
    let connecting = [Event::Accepted, Event::Chosen];
    let short = [Event::Accepted, Event::Chosen, Event::Shortage];
    let abandoned = [Event::Accepted, Event::Chosen, Event::TimedOut];
    let closing = [
        Event::Accepted,
        Event::Chosen,
        Event::Connected,
        Event::Killed(Killer::Operator),
    ];
    vec![
        Story::new(),
        Story::new().after(&queued),
        Story::new().after(&short),
        Story::new().after(&connecting),
        Story::new().after(&abandoned),
        Story::relaying(),
        Story::new().after(&closing),
    ]
}

/// The columns: choosing, queued, short, connecting, connecting and given up, relaying with
/// nothing but two receives in flight, closing with two receives and two cancels in flight.
/// `!`: impossible. `.`: nothing to do, the state stays.
const TABLE: &[(&str, Event, [&str; 7])] = &[
    (
        "accepted",
        Event::Accepted,
        ["choosing: choose", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "chosen",
        Event::Chosen,
        ["connecting: connect", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "full",
        Event::Full,
        ["queued: enqueue watch", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "no server",
        Event::NoServer,
        ["closing: reset", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "shortage",
        Event::Shortage,
        // What was given up stays given up, until the cancellation comes back.
        ["!", "!", "!", "short:", "connecting:", "!", "."],
    ),
    (
        "spliced in",
        Event::SplicedIn {
            from: SERVER,
            moved: Moved::Bytes(1000),
        },
        ["!", "!", "!", "!", "!", "relaying: out-s:1000", "!"],
    ),
    (
        "spliced out",
        Event::SplicedOut {
            from: SERVER,
            moved: Moved::WouldBlock,
        },
        ["!", "!", "!", "!", "!", "relaying: pollout-c", "!"],
    ),
    (
        "place freed",
        Event::PlaceFreed,
        ["!", "choosing: choose", "!", "!", "!", "!", "!"],
    ),
    (
        "connected",
        Event::Connected,
        [
            "!",
            "!",
            "!",
            "relaying: recv-c recv-s",
            "relaying: recv-c recv-s",
            "!",
            ".",
        ],
    ),
    (
        "connect failed",
        Event::ConnectFailed(Fault::Refused),
        [
            "!",
            "!",
            "!",
            "choosing: choose-other",
            // The cancellation has to come back first.
            "connecting:",
            "!",
            ".",
        ],
    ),
    (
        "received",
        Event::Received {
            from: CLIENT,
            news: Received {
                len: 10,
                full: false,
                more: false,
                armed: false,
            },
        },
        ["!", "!", "!", "!", "!", "relaying: send-s:10 recv-c", "."],
    ),
    (
        "ended",
        Event::Ended { from: CLIENT },
        ["!", "!", "!", "!", "!", "relaying: end-s", "."],
    ),
    (
        "receive failed",
        Event::ReceiveFailed {
            from: CLIENT,
            fault: Fault::Reset,
        },
        // The receive from the server is still in flight.
        ["!", "!", "!", "!", "!", "closing: cancel-s", "."],
    ),
    (
        "send failed",
        Event::SendFailed {
            to: SERVER,
            fault: Fault::Reset,
        },
        // What the server sent before is still read.
        ["!", "!", "!", "!", "!", "relaying:", "."],
    ),
    (
        "readable",
        Event::Readable { from: SERVER },
        ["!", "!", "!", "!", "!", "relaying: in-s", "."],
    ),
    (
        "writable",
        Event::Writable { to: SERVER },
        ["!", "!", "!", "!", "!", "relaying:", "."],
    ),
    (
        "a read came back",
        Event::Canceled {
            side: SERVER,
            used: Use::Read,
        },
        [
            "!",
            "queued:",
            "short:",
            "connecting:",
            "connecting:",
            "relaying:",
            ".",
        ],
    ),
    (
        "client gone",
        Event::ClientGone,
        [
            "!",
            "closing: dequeue reset",
            "closing: reset",
            "closing: cancel-s",
            // It is being cancelled already.
            "closing:",
            "relaying:",
            ".",
        ],
    ),
    (
        "timed out",
        Event::TimedOut,
        [
            "!",
            "closing: dequeue cancel-c",
            "choosing: choose",
            "connecting: cancel-s",
            "connecting:",
            "closing: cancel-c cancel-s",
            ".",
        ],
    ),
    (
        "killed",
        Event::Killed(Killer::Down),
        [
            "closing: reset",
            "closing: dequeue cancel-c",
            "closing: reset",
            "closing: cancel-s",
            "closing:",
            "closing: cancel-c cancel-s",
            ".",
        ],
    ),
];

#[test]
fn every_state_and_every_event() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut wrong = Vec::new();
    for (name, event, expected) in TABLE {
        for (column, (mut story, expected)) in states().into_iter().zip(expected).enumerate() {
            let before = state_name(story.session.state);
            let actions = catch_unwind(AssertUnwindSafe(|| story.on(*event)));
            let found = match actions {
                Err(_) => "!".to_string(),
                Ok(actions) => {
                    let after = state_name(story.session.state);
                    if before == "closing" && actions.is_empty() {
                        ".".to_string()
                    } else {
                        format!("{after}: {actions}").trim_end().to_string()
                    }
                }
            };
            if found != *expected {
                wrong.push(format!(
                    "{name} in column {column} ({before}): {found:?}, expected {expected:?}"
                ));
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn small_messages_go_back_and_forth_through_one_buffer_each() {
    let mut story = Story::relaying();
    for _ in 0..100 {
        assert_eq!(story.on(received(CLIENT, 40)), "send-s:40 recv-c");
        assert_eq!(
            story.on(Event::Sent {
                to: SERVER,
                len: 40
            }),
            "release-c"
        );
        assert_eq!(story.on(received(SERVER, 100)), "send-c:100 recv-s");
        assert_eq!(
            story.on(Event::Sent {
                to: CLIENT,
                len: 100
            }),
            "release-s"
        );
    }
    assert_eq!(story.session.bytes(CLIENT), 4_000);
    assert_eq!(story.session.bytes(SERVER), 10_000);
    assert_eq!(story.session.held(CLIENT) + story.session.held(SERVER), 0);
}

#[test]
fn a_slow_sink_stops_the_source_at_two_chunks() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(SERVER, 100)), "send-c:100 recv-s");
    assert_eq!(story.on(received(SERVER, 200)), "", "no third receive");
    assert_eq!(story.session.held(SERVER), 300);
    // A part is taken: the rest goes next, and there is no room yet.
    assert_eq!(
        story.on(Event::Sent {
            to: CLIENT,
            len: 60
        }),
        "send-c:40"
    );
    // No room after all: wait for it, then try again.
    assert_eq!(story.on(Event::Sent { to: CLIENT, len: 0 }), "pollout-c");
    assert_eq!(story.on(Event::Writable { to: CLIENT }), "send-c:40");
    assert_eq!(
        story.on(Event::Sent {
            to: CLIENT,
            len: 40
        }),
        "release-s send-c:200 recv-s"
    );
    assert_eq!(
        story.on(Event::Sent {
            to: CLIENT,
            len: 200
        }),
        "release-s"
    );
}

#[test]
fn a_receive_that_stays_armed_is_not_made_again() {
    let mut story = Story::relaying();
    let piece = |len, armed| Event::Received {
        from: CLIENT,
        news: Received {
            len,
            full: false,
            more: false,
            armed,
        },
    };
    assert_eq!(story.on(piece(10, true)), "send-s:10");
    // Behind the chunk on its way out, pieces are joined.
    assert_eq!(story.on(piece(20, true)), "");
    assert_eq!(story.on(piece(30, true)), "");
    assert_eq!(
        story.on(Event::Sent {
            to: SERVER,
            len: 10
        }),
        "release-c send-s:50"
    );
    assert_eq!(story.on(piece(5, false)), "", "its share is used up");
    assert_eq!(
        story.on(Event::Sent {
            to: SERVER,
            len: 50
        }),
        "release-c send-s:5 recv-c"
    );
}

#[test]
fn the_end_is_passed_on_after_every_byte_before_it() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 10));
    assert_eq!(story.on(Event::Ended { from: CLIENT }), "", "not yet");
    assert_eq!(
        story.on(Event::Sent {
            to: SERVER,
            len: 10
        }),
        "release-c end-s"
    );
    // The other direction goes on.
    assert_eq!(story.on(received(SERVER, 7)), "send-c:7 recv-s");
    assert_eq!(story.on(Event::Sent { to: CLIENT, len: 7 }), "release-s");
    // Both are through: closing says the same as another shutdown.
    assert_eq!(story.on(Event::Ended { from: SERVER }), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn two_full_buffers_lead_to_splicing_and_small_moves_lead_back() {
    let mut story = Story::relaying();
    assert_eq!(story.on(received(SERVER, FULL)), "send-c:65536 recv-s");
    assert_eq!(
        story.on(received(SERVER, FULL)),
        "",
        "what is held goes out first"
    );
    let sent = Event::Sent {
        to: CLIENT,
        len: FULL,
    };
    assert_eq!(story.on(sent), "release-s send-c:65536");
    assert_eq!(story.on(sent), "release-s in-s");
    let in_pipe = |len| Event::SplicedIn {
        from: SERVER,
        moved: Moved::Bytes(len),
    };
    let out_of_pipe = |len| Event::SplicedOut {
        from: SERVER,
        moved: Moved::Bytes(len),
    };
    // A full pipe means that more is there; the sink takes it in two pieces.
    assert_eq!(story.on(in_pipe(PIPE_BYTES_MAX)), "out-s:131072");
    assert_eq!(story.on(out_of_pipe(100_000)), "pollout-c");
    assert_eq!(story.on(Event::Writable { to: CLIENT }), "out-s:31072");
    assert_eq!(story.on(out_of_pipe(31_072)), "in-s");
    // A pipe that did not fill means that the source is empty: the pipe is given back.
    assert_eq!(story.on(in_pipe(70_000)), "out-s:70000");
    assert_eq!(story.on(out_of_pipe(70_000)), "pipe-s pollin-s");
    for _ in 0..SMALL_BEFORE_BUFFERS {
        assert_eq!(story.on(Event::Readable { from: SERVER }), "in-s");
        assert_eq!(story.on(in_pipe(100)), "out-s:100");
        assert_eq!(story.on(out_of_pipe(100)), "pipe-s pollin-s");
    }
    assert_eq!(story.on(Event::Readable { from: SERVER }), "in-s");
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
    for _ in 0..2 {
        let _ = story.on(received(CLIENT, FULL));
    }
    let sent = Event::Sent {
        to: SERVER,
        len: FULL,
    };
    let _ = story.on(sent);
    assert_eq!(story.on(sent), "release-c in-c");
    let ended = Event::SplicedIn {
        from: CLIENT,
        moved: Moved::End,
    };
    assert_eq!(story.on(ended), "pipe-c end-s");
    assert_eq!(story.on(Event::Ended { from: SERVER }), "free");
    assert_eq!(story.code(), "--");
}

#[test]
fn without_a_kernel_pipe_buffers_go_on() {
    let mut story = Story::relaying();
    for _ in 0..2 {
        let _ = story.on(received(CLIENT, FULL));
    }
    let sent = Event::Sent {
        to: SERVER,
        len: FULL,
    };
    let _ = story.on(sent);
    let _ = story.on(sent);
    let none = Event::SplicedIn {
        from: CLIENT,
        moved: Moved::NoPipe,
    };
    assert_eq!(story.on(none), "recv-c");
    assert_eq!(story.on(received(CLIENT, 9)), "send-s:9 recv-c");
}

#[test]
fn a_long_transfer_lets_others_have_their_turn() {
    let mut story = Story::relaying();
    for _ in 0..2 {
        let _ = story.on(received(SERVER, FULL));
    }
    let sent = Event::Sent {
        to: CLIENT,
        len: FULL,
    };
    let _ = story.on(sent);
    let _ = story.on(sent);
    let mut moved = 0u32;
    loop {
        let _ = story.on(Event::SplicedIn {
            from: SERVER,
            moved: Moved::Bytes(PIPE_BYTES_MAX),
        });
        let next = story.on(Event::SplicedOut {
            from: SERVER,
            moved: Moved::Bytes(PIPE_BYTES_MAX),
        });
        moved += PIPE_BYTES_MAX;
        if next == "pipe-s pollin-s" {
            break;
        }
        assert!(moved <= 1024 * 1024, "no pause after {moved} bytes");
    }
    assert_eq!(moved, 1024 * 1024);
}

#[test]
fn a_reset_is_passed_on() {
    for (from, code) in [(CLIENT, "CD"), (SERVER, "SD")] {
        let mut story = Story::relaying();
        let fault = Fault::Reset;
        let cancel = story.on(Event::ReceiveFailed { from, fault });
        assert_eq!(cancel, format!("cancel-{}", side(from.other())));
        let side = from.other();
        let used = Use::Read;
        assert_eq!(story.on(Event::Canceled { side, used }), "");
        let used = Use::Cancel;
        assert_eq!(story.on(Event::Canceled { side, used }), "reset");
        assert_eq!(story.code(), code);
    }
}

#[test]
fn a_broken_sink_does_not_lose_what_it_said_before() {
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 10));
    // The server refuses the rest of the request, but has answered.
    let failed = Event::SendFailed {
        to: SERVER,
        fault: Fault::Reset,
    };
    assert_eq!(story.on(failed), "release-c");
    assert_eq!(story.on(received(SERVER, 99)), "send-c:99 recv-s");
    assert_eq!(
        story.on(Event::Sent {
            to: CLIENT,
            len: 99
        }),
        "release-s"
    );
    // More from the client goes nowhere.
    assert_eq!(story.on(received(CLIENT, 10)), "release-c");
    assert_eq!(story.on(Event::Ended { from: SERVER }), "free");
    assert_eq!(story.code(), "SD");
}

#[test]
fn a_failed_connect_is_tried_elsewhere_as_often_as_allowed() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Chosen]);
    let refused = Event::ConnectFailed(Fault::Refused);
    assert_eq!(story.on(refused), "choose-other");
    assert_eq!(story.on(Event::Chosen), "connect");
    assert_eq!(story.on(refused), "reset", "one retry is allowed");
    assert_eq!(story.code(), "SC");
    assert_eq!(story.session.summary(story.now).retries, 1);
}

#[test]
fn a_connect_that_takes_too_long_is_cancelled_and_tried_elsewhere() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Chosen]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(5)));
    story.now = at(5);
    assert_eq!(story.on(Event::TimedOut), "cancel-s");
    assert_eq!(story.session.deadline(&story.policy), None);
    let gone = Event::ConnectFailed(Fault::TimedOut);
    assert_eq!(
        story.on(gone),
        "",
        "the cancellation still names the socket"
    );
    let canceled = Event::Canceled {
        side: SERVER,
        used: Use::Cancel,
    };
    assert_eq!(story.on(canceled), "choose-other");
    assert_eq!(story.on(Event::Chosen), "connect");
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    assert_eq!(story.on(Event::TimedOut), "cancel-s");
    assert_eq!(story.on(canceled), "", "the connect is still out");
    assert_eq!(story.on(gone), "reset");
    assert_eq!(story.code(), "sC");
}

#[test]
fn a_connect_that_stands_at_the_last_moment_is_used_and_can_still_be_ended() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Chosen, Event::TimedOut]);
    assert_eq!(story.on(Event::Connected), "recv-c recv-s");
    // The late cancellation is still out; the kill needs one that comes after the receives.
    assert_eq!(story.on(Event::Killed(Killer::Operator)), "cancel-c");
    let canceled = Event::Canceled {
        side: SERVER,
        used: Use::Cancel,
    };
    assert_eq!(story.on(canceled), "cancel-s");
}

#[test]
fn waiting_counts_from_the_first_moment_through_vain_calls() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Full]);
    assert_eq!(story.session.deadline(&story.policy), Some(at(3)));
    story.now = at(2);
    assert_eq!(story.on(Event::PlaceFreed), "choose");
    assert_eq!(story.on(Event::Full), "enqueue");
    assert_eq!(story.session.queued_since(), Some(at(0)));
    assert_eq!(story.session.deadline(&story.policy), Some(at(3)));
    assert_eq!(story.on(Event::PlaceFreed), "choose");
    assert_eq!(story.on(Event::Chosen), "connect");
    assert_eq!(
        story.session.summary(story.now).waited,
        Duration::from_secs(2)
    );
}

#[test]
fn nobody_waits_for_ever() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Full]);
    story.now = at(3);
    assert_eq!(story.on(Event::TimedOut), "dequeue cancel-c");
    assert_eq!(story.code(), "sQ");
    assert_eq!(
        story.session.summary(story.now).waited,
        Duration::from_secs(3)
    );
}

#[test]
fn a_shortage_pauses_and_ends_with_the_connect_timeout() {
    let mut story = Story::new().after(&[Event::Accepted, Event::Chosen, Event::Shortage]);
    let mut pauses = 0;
    while let Some(deadline) = story.session.deadline(&story.policy) {
        story.now = deadline;
        let actions = story.on(Event::TimedOut);
        if actions == "reset" {
            break;
        }
        assert_eq!(actions, "choose");
        assert_eq!(story.on(Event::Chosen), "connect");
        assert_eq!(story.on(Event::Shortage), "");
        pauses += 1;
    }
    assert_eq!(story.code(), "RC");
    assert_eq!(pauses, 49, "a tenth of a second each, five seconds in all");
    assert_eq!(story.session.summary(story.now).retries, 0);
}

#[test]
fn idle_sessions_end_and_say_who_was_slow() {
    // Nobody speaks.
    let mut story = Story::relaying();
    assert_eq!(story.session.deadline(&story.policy), Some(at(300)));
    assert_eq!(story.on(Event::TimedOut), "cancel-c cancel-s");
    assert_eq!(story.code(), "cD");
    // The client does not read.
    let mut story = Story::relaying();
    let _ = story.on(received(SERVER, 5));
    let _ = story.on(Event::TimedOut);
    assert_eq!(story.code(), "cD");
    // The server does not read.
    let mut story = Story::relaying();
    let _ = story.on(received(CLIENT, 5));
    let _ = story.on(Event::TimedOut);
    assert_eq!(story.code(), "sD");
    // The server does not answer a client that has ended.
    let mut story = Story::relaying();
    let _ = story.on(Event::Ended { from: CLIENT });
    assert_eq!(story.session.deadline(&story.policy), Some(at(30)));
    let _ = story.on(Event::TimedOut);
    assert_eq!(story.code(), "sD");
    // The client does not end after the server has.
    let mut story = Story::relaying();
    let _ = story.on(Event::Ended { from: SERVER });
    let _ = story.on(Event::TimedOut);
    assert_eq!(story.code(), "cL");
}

#[test]
fn activity_moves_the_deadline() {
    let mut story = Story::relaying();
    story.now = at(100);
    let _ = story.on(received(CLIENT, 5));
    assert_eq!(story.session.deadline(&story.policy), Some(at(400)));
    story.now = at(200);
    let _ = story.on(Event::Sent { to: SERVER, len: 5 });
    assert_eq!(story.session.deadline(&story.policy), Some(at(500)));
}

#[test]
fn a_summary_tells_the_times() {
    let mut story = Story::new();
    let _ = story.on(Event::Accepted);
    let _ = story.on(Event::Full);
    story.now = at(1);
    let _ = story.on(Event::PlaceFreed);
    let _ = story.on(Event::Chosen);
    story.now = at(3);
    let _ = story.on(Event::Connected);
    story.now = at(10);
    let summary = story.session.summary(story.now);
    assert_eq!(summary.waited, Duration::from_secs(1));
    assert_eq!(summary.connect, Some(Duration::from_secs(2)));
    assert_eq!(summary.total, Duration::from_secs(10));
}
