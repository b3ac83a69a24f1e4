//! The states of HTTP mode and every event, against tables written by hand.

use super::table::{EVERY_EVENT, bit, differs};
use super::*;

/// The sides that matter in a state.
#[derive(Clone, Copy)]
struct Ends {
    /// Whose receive is in flight.
    from: Side,
    /// Whose send is in flight.
    to: Side,
    /// Whose bytes may have been waited for by a poll.
    polled: Side,
}

/// One session in each state, freshly made, and its sides.
fn states() -> Vec<(Story, Ends)> {
    let ends = |from, to, polled| Ends { from, to, polled };
    let interim = [
        received(SERVER, 25),
        head(SERVER, Head::Interim { len: 25 }),
    ];
    let answering = [
        Event::Accepted,
        Event::TimedOut,
        Event::ErrorPrepared { len: 100 },
    ];
    let clearing = || Story::sending().after(&[Event::TimedOut]);
    vec![
        (Story::http(), ends(CLIENT, SERVER, CLIENT)),
        (Story::awaiting(), ends(SERVER, SERVER, CLIENT)),
        (
            Story::awaiting().after(&interim),
            ends(SERVER, CLIENT, CLIENT),
        ),
        (clearing(), ends(CLIENT, SERVER, CLIENT)),
        (clearing(), ends(SERVER, SERVER, SERVER)),
        (
            Story::http().after(&answering),
            ends(CLIENT, CLIENT, CLIENT),
        ),
        (
            Story::http().after(&answering).after(&[sent(CLIENT, 100)]),
            ends(CLIENT, CLIENT, CLIENT),
        ),
    ]
}

type Row = (&'static str, fn(Ends) -> Event, [&'static str; 7]);

const NEVER: [&str; 7] = ["!", "!", "!", "!", "!", "!", "!"];

/// The columns: reading the head; relaying while the head of the answer is awaited, with two
/// receives in flight; the same with an interim answer of 25 bytes on its way; clearing with two
/// receives, a send of 40 bytes to the server and a cancel in flight, what the client does and what
/// the server does; answering with 100 bytes on their way and a receive in flight; lingering with a
/// receive in flight. `!`: impossible.
const TABLE: &[Row] = &[
    (
        "accepted",
        |_| Event::Accepted,
        ["reading: recv-c", "!", "!", "!", "!", "!", "!"],
    ),
    ("chosen", |_| Event::Chosen, NEVER),
    ("full", |_| Event::Full, NEVER),
    ("no server", |_| Event::NoServer, NEVER),
    ("all tried", |_| Event::AllTried, NEVER),
    ("shortage", |_| Event::Shortage, NEVER),
    (
        "answered",
        |_| Event::ErrorPrepared { len: 100 },
        ["!", "!", "!", "!", "!", "answering: send-c:100", "!"],
    ),
    (
        "a whole head",
        |ends| head(ends.from, Head::Whole { len: 30 }),
        [
            "choosing: choose",
            "relaying: send-c:30",
            // It is read when the interim answer is through.
            "!",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "spliced in",
        |_| Event::SplicedIn {
            from: CLIENT,
            moved: SpliceResult::Bytes(1000),
        },
        [
            "!",
            "relaying: out-c:1000",
            "relaying: out-c:1000",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "spliced out",
        |_| Event::SplicedOut {
            from: CLIENT,
            moved: SpliceResult::WouldBlock,
        },
        [
            "!",
            "relaying: pollout-s",
            "relaying: pollout-s",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    ("unsent", |_| Event::Unsent { len: 0 }, NEVER),
    ("place freed", |_| Event::SlotFreed, NEVER),
    ("connected", |_| Event::Connected, NEVER),
    (
        "connect failed",
        |_| Event::ConnectFailed(Fault::Refused),
        NEVER,
    ),
    (
        "received",
        |ends| received(ends.from, 10),
        [
            "reading: read-c",
            "relaying: read-s",
            "relaying:",
            // SendHint the chunk that the kernel still has.
            "clearing:",
            "clearing: release-s",
            "answering: release-c",
            "lingering: release-c recv-c",
        ],
    ),
    (
        "ended",
        |ends| Event::Ended { from: ends.from },
        [
            "closing: free",
            "answering: leave answer-502",
            // First the interim answer.
            "relaying:",
            "clearing:",
            "clearing:",
            "answering:",
            "closing: free",
        ],
    ),
    (
        "receive failed",
        |ends| Event::ReceiveFailed {
            from: ends.from,
            fault: Fault::Reset,
        },
        [
            "closing: reset",
            "answering: leave answer-502",
            // First the interim answer.
            "relaying:",
            "closing:",
            "clearing:",
            "closing: cancel-c",
            "closing: free",
        ],
    ),
    (
        "sent",
        |ends| sent(ends.to, 10),
        [
            "!",
            // Nothing was on its way.
            "!",
            "relaying: pollout-c",
            "clearing: release-c",
            "clearing: release-c",
            "answering: pollout-c",
            "!",
        ],
    ),
    (
        "send failed",
        |ends| Event::SendFailed {
            to: ends.to,
            fault: Fault::Reset,
        },
        [
            "!",
            // The server may have answered before it broke.
            "relaying:",
            "relaying: release-s",
            "clearing: release-c",
            "clearing: release-c",
            "closing: cancel-c",
            "!",
        ],
    ),
    (
        "readable",
        |ends| Event::Readable { from: ends.polled },
        [
            "!",
            "relaying: in-c",
            "relaying: in-c",
            "clearing:",
            "clearing:",
            "answering:",
            "lingering: recv-c",
        ],
    ),
    (
        "writable",
        |ends| Event::Writable { to: ends.to },
        [
            "!",
            "relaying:",
            "relaying: send-c:25",
            "clearing: release-c",
            "clearing: release-c",
            "answering: send-c:100",
            "!",
        ],
    ),
    (
        "a read came back",
        |ends| canceled(ends.from, Use::Read),
        [
            "reading:",
            "relaying:",
            "relaying:",
            "clearing:",
            "clearing:",
            "answering:",
            "lingering:",
        ],
    ),
    (
        "a send came back",
        |ends| canceled(ends.to, Use::Write),
        [
            "reading:",
            "relaying:",
            "relaying:",
            "clearing: release-c",
            "clearing: release-c",
            "answering:",
            "lingering:",
        ],
    ),
    (
        "a cancellation came back",
        |_| canceled(SERVER, Use::Cancel),
        [
            "reading:",
            "relaying:",
            "relaying:",
            // It came before what is still in flight.
            "clearing: cancel-s",
            "clearing: cancel-s",
            "answering:",
            "lingering:",
        ],
    ),
    (
        "client gone",
        |_| GONE,
        [
            // It is not watched while it is read.
            "!",
            "relaying:",
            "relaying:",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
            "lingering:",
        ],
    ),
    (
        "timed out",
        |_| Event::TimedOut,
        [
            "answering: leave answer-408",
            "clearing: cancel-s",
            "closing: cancel-c cancel-s",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
        ],
    ),
    (
        "killed",
        |_| Event::Killed(KillReason::Operator),
        [
            "closing: reset",
            "closing: cancel-c cancel-s",
            "closing: cancel-c cancel-s",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
        ],
    ),
];

/// Cells of the table that are wrong.
pub fn mistakes() -> Vec<String> {
    let found = TABLE.iter().flat_map(|(name, event, expected)| {
        let columns = states().into_iter().zip(expected).enumerate();
        columns.filter_map(|(column, ((story, ends), expected))| {
            differs(name, column, story, event(ends), expected)
        })
    });
    found.collect()
}

#[test]
fn no_event_is_missing() {
    let (_, ends) = states().swap_remove(0);
    let rows = TABLE.iter().map(|(_, event, _)| bit(event(ends)));
    assert_eq!(rows.fold(0, |all, bit| all | bit), EVERY_EVENT);
}

/// What may be found at the beginning of a stream. The columns: a request of which 10 bytes came,
/// an answer of which 10 bytes came while the request is still on its way.
const FOUND: &[(&str, Head, [&str; 2])] = &[
    (
        "a part",
        Head::Partial,
        ["reading: recv-c", "relaying: recv-s"],
    ),
    (
        "an interim answer and more",
        Head::Interim { len: 4 },
        ["!", "relaying: send-c:4"],
    ),
    (
        "an interim answer",
        Head::Interim { len: 10 },
        ["!", "relaying: send-c:10 recv-s"],
    ),
    (
        "all",
        Head::Whole { len: 9 },
        ["choosing: choose", "relaying: send-c:9 recv-s"],
    ),
    (
        "something to answer",
        Head::Refused(Refusal::Respond(ErrorResponse::HeadTooLarge)),
        ["answering: release-c leave answer-431", "!"],
    ),
    (
        "something to close",
        Head::Refused(Refusal::Close),
        ["closing: free", "!"],
    ),
];

/// Cells of the table of heads that are wrong.
pub fn mistakes_in_heads() -> Vec<String> {
    let found = FOUND.iter().flat_map(|(name, found, expected)| {
        let request = Story::http().after(&[Event::Accepted, received(CLIENT, 10)]);
        let answer = Story::sending().after(&[received(SERVER, 10)]);
        let cells = [(request, CLIENT), (answer, SERVER)];
        let columns = cells.into_iter().zip(expected).enumerate();
        columns.filter_map(|(column, ((story, from), expected))| {
            differs(name, column, story, head(from, *found), expected)
        })
    });
    found.collect()
}
