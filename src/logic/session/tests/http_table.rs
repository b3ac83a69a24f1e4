//! The states of HTTP mode and every event, against tables written by hand.

use super::table::{Cells, EVERY_STEP, bit, differs};
use super::*;

// The columns.

/// Reading the preface, which is the head of the request.
const PREFACE: usize = 0;
/// Relaying while the head of the response is awaited, with two receives in flight.
const HEAD: usize = 1;
/// The same while an interim response of 25 bytes is being sent.
const INTERIM: usize = 2;
/// Closing the server's connection with two receives, a send of 40 bytes to the server and a cancel in
/// flight: what the client does.
const CLOSING_CLIENT: usize = 3;
/// The same: what the server does.
const CLOSING_SERVER: usize = 4;
/// Sending an error response of 100 bytes, with a receive in flight.
const SENDING: usize = 5;
/// Lingering with a receive in flight.
const LINGERING: usize = 6;

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

/// One session in each state, freshly made, in the order of the columns, and its sides.
fn states() -> Vec<(Story, Ends)> {
    let ends = |from, to, polled| Ends { from, to, polled };
    let interim = [received(SERVER, 25), interim(25)];
    let sending = [ACCEPTED, TIMED_OUT, prepared(100)];
    let closing = || Story::sending().after(&[TIMED_OUT]);
    vec![
        (Story::http(), ends(CLIENT, SERVER, CLIENT)),
        (Story::awaiting(), ends(SERVER, SERVER, CLIENT)),
        (
            Story::awaiting().after(&interim),
            ends(SERVER, CLIENT, CLIENT),
        ),
        (closing(), ends(CLIENT, SERVER, CLIENT)),
        (closing(), ends(SERVER, SERVER, SERVER)),
        (Story::http().after(&sending), ends(CLIENT, CLIENT, CLIENT)),
        (
            Story::http().after(&sending).after(&[sent(CLIENT, 100)]),
            ends(CLIENT, CLIENT, CLIENT),
        ),
    ]
}

type Row = (&'static str, fn(Ends) -> Step, Cells);

const TABLE: &[Row] = &[
    ("accepted", |_| ACCEPTED, &[(PREFACE, "reading: recv-c")]),
    ("chosen", |_| CHOSEN, &[]),
    ("full", |_| NO_SLOT, &[]),
    ("a backup", |_| BACKUP, &[]),
    ("no backup", |_| NO_BACKUP, &[]),
    ("no server", |_| NO_SERVER, &[]),
    ("all tried", |_| ALL_TRIED, &[]),
    ("shortage at once", |_| SHORTAGE, &[]),
    ("shortage", |_| SHORTAGE_LATER, &[]),
    (
        "error prepared",
        |_| prepared(100),
        &[(SENDING, "sending-error: send-c:100")],
    ),
    (
        "a whole head",
        |ends| head_from(ends.from, 30),
        &[(PREFACE, "choosing: choose"), (HEAD, "relaying: send-c:30")],
    ),
    (
        "spliced in",
        |_| spliced_in(CLIENT, SpliceResult::Bytes(1000)),
        &[
            (HEAD, "relaying: out-c:1000"),
            (INTERIM, "relaying: out-c:1000"),
        ],
    ),
    (
        "spliced out",
        |_| spliced_out(CLIENT, SpliceResult::WouldBlock),
        &[
            (HEAD, "relaying: pollout-s"),
            (INTERIM, "relaying: pollout-s"),
        ],
    ),
    ("unsent", |_| unsent(0), &[]),
    ("a PROXY head", |_| settled(0), &[]),
    // In these a send to the server is in flight, and none that could be refused: it ends with the session.
    ("send refused", |_| SEND_REFUSED, &[]),
    ("slot freed", |_| SLOT_FREED, &[]),
    ("connected", |_| CONNECTED, &[]),
    ("connect failed", |_| connect_failed(Fault::Refused), &[]),
    (
        "received",
        |ends| received(ends.from, 10),
        &[
            (PREFACE, "reading: read-c"),
            (HEAD, "relaying: read-s"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server:"),
            (CLOSING_SERVER, "closing-server: release-s"),
            (SENDING, "sending-error: release-c"),
            (LINGERING, "lingering: release-c recv-c"),
        ],
    ),
    (
        "ended",
        |ends| ended(ends.from),
        &[
            (PREFACE, "closing: free"),
            (HEAD, "sending-error: leave error-502"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server:"),
            (CLOSING_SERVER, "closing-server:"),
            (SENDING, "sending-error:"),
            (LINGERING, "closing: free"),
        ],
    ),
    (
        "receive failed",
        |ends| receive_failed(ends.from),
        &[
            (PREFACE, "closing: reset"),
            (HEAD, "sending-error: leave error-502"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing:"),
            (CLOSING_SERVER, "closing-server:"),
            (SENDING, "closing: cancel-c"),
            (LINGERING, "closing: free"),
        ],
    ),
    (
        "sent",
        |ends| sent(ends.to, 10),
        &[
            (INTERIM, "relaying: pollout-c"),
            (CLOSING_CLIENT, "closing-server: release-c"),
            (CLOSING_SERVER, "closing-server: release-c"),
            (SENDING, "sending-error: pollout-c"),
        ],
    ),
    (
        "send failed",
        |ends| send_failed(ends.to, Fault::Reset),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying: release-s"),
            (CLOSING_CLIENT, "closing-server: release-c"),
            (CLOSING_SERVER, "closing-server: release-c"),
            (SENDING, "closing: cancel-c"),
        ],
    ),
    (
        "readable",
        |ends| readable(ends.polled),
        &[
            (HEAD, "relaying: in-c"),
            (INTERIM, "relaying: in-c"),
            (CLOSING_CLIENT, "closing-server:"),
            (CLOSING_SERVER, "closing-server:"),
            (SENDING, "sending-error:"),
            (LINGERING, "lingering: recv-c"),
        ],
    ),
    (
        "writable",
        |ends| writable(ends.to),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying: send-c:25"),
            (CLOSING_CLIENT, "closing-server: release-c"),
            (CLOSING_SERVER, "closing-server: release-c"),
            (SENDING, "sending-error: send-c:100"),
        ],
    ),
    (
        "read canceled",
        |ends| canceled(ends.from, Use::Read),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server:"),
            (CLOSING_SERVER, "closing-server:"),
            (SENDING, "sending-error:"),
            (LINGERING, "lingering:"),
        ],
    ),
    (
        "write canceled",
        |ends| canceled(ends.to, Use::Write),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server: release-c"),
            (CLOSING_SERVER, "closing-server: release-c"),
            (SENDING, "sending-error:"),
        ],
    ),
    (
        "watch ended",
        |_| canceled(CLIENT, Use::Watch),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server:"),
            (CLOSING_SERVER, "closing-server:"),
            (SENDING, "sending-error:"),
            (LINGERING, "lingering:"),
        ],
    ),
    // It came before what is still in flight.
    (
        "cancellation ended",
        |_| canceled(SERVER, Use::Cancel),
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing-server: cancel-s"),
            (CLOSING_SERVER, "closing-server: cancel-s"),
            (SENDING, "sending-error:"),
            (LINGERING, "lingering:"),
        ],
    ),
    (
        "client gone",
        |_| GONE,
        &[
            (HEAD, "relaying:"),
            (INTERIM, "relaying:"),
            (CLOSING_CLIENT, "closing: cancel-c"),
            (CLOSING_SERVER, "closing: cancel-c"),
            (SENDING, "closing: cancel-c"),
            (LINGERING, "lingering:"),
        ],
    ),
    (
        "timed out",
        |_| TIMED_OUT,
        &[
            (PREFACE, "sending-error: leave error-408"),
            (HEAD, "closing-server: cancel-s"),
            (INTERIM, "closing: cancel-c cancel-s"),
            (CLOSING_CLIENT, "closing: cancel-c"),
            (CLOSING_SERVER, "closing: cancel-c"),
            (SENDING, "closing: cancel-c"),
            (LINGERING, "closing: cancel-c"),
        ],
    ),
    (
        "killed",
        |_| killed(KillReason::Operator),
        &[
            (PREFACE, "closing: reset"),
            (HEAD, "closing: cancel-c cancel-s"),
            (INTERIM, "closing: cancel-c cancel-s"),
            (CLOSING_CLIENT, "closing: cancel-c"),
            (CLOSING_SERVER, "closing: cancel-c"),
            (SENDING, "closing: cancel-c"),
            (LINGERING, "closing: cancel-c"),
        ],
    ),
];

/// What a client's preface or a server's head of `len` bytes leads to.
fn head_from(from: Side, len: u32) -> Step {
    match from {
        Side::Client => preface(len),
        Side::Server => whole_head(len),
    }
}

/// Cells of the table that are wrong.
pub fn mistakes() -> Vec<String> {
    let found = TABLE.iter().flat_map(|(name, step, cells)| {
        let columns = states().into_iter().enumerate();
        columns
            .filter_map(|(column, (story, ends))| differs(name, column, story, step(ends), cells))
    });
    found.collect()
}

#[test]
fn no_event_and_no_reply_is_missing() {
    let (_, ends) = states().swap_remove(HEAD);
    let rows = TABLE.iter().map(|(_, step, _)| bit(step(ends)));
    let preface = bit(INCOMPLETE);
    assert_eq!(rows.fold(preface, |all, bit| all | bit), EVERY_STEP);
}

// The columns of what may be found at the beginning of a stream.

/// A request of which 10 bytes came.
const REQUEST: usize = 0;
/// A response of which 10 bytes came while the request is still being sent.
const RESPONSE: usize = 1;

const FOUND: &[(&str, Step, Cells)] = &[
    (
        "a part of a request",
        INCOMPLETE,
        &[(REQUEST, "reading: recv-c")],
    ),
    ("a request", preface(9), &[(REQUEST, "choosing: choose")]),
    (
        "something to refuse",
        refused(Refusal::Respond(ErrorAnswer::Http(
            ErrorResponse::HeadTooLarge,
        ))),
        &[(REQUEST, "sending-error: release-c leave error-431")],
    ),
    (
        "something to close",
        refused(Refusal::Close),
        &[(REQUEST, "closing: free")],
    ),
    (
        "a part of a response",
        PARTIAL,
        &[(RESPONSE, "relaying: recv-s")],
    ),
    (
        "an interim response and more",
        interim(4),
        &[(RESPONSE, "relaying: send-c:4")],
    ),
    (
        "an interim response",
        interim(10),
        &[(RESPONSE, "relaying: send-c:10 recv-s")],
    ),
    (
        "a response",
        whole_head(9),
        &[(RESPONSE, "relaying: send-c:9 recv-s")],
    ),
];

/// Cells of the table of heads that are wrong.
pub fn mistakes_in_heads() -> Vec<String> {
    let found = FOUND.iter().flat_map(|(name, step, cells)| {
        let request = Story::http().after(&[ACCEPTED, received(CLIENT, 10)]);
        let response = Story::sending().after(&[received(SERVER, 10)]);
        let columns = [request, response].into_iter().enumerate();
        columns.filter_map(|(column, story)| differs(name, column, story, *step, cells))
    });
    found.collect()
}
