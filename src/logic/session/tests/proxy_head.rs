//! A PROXY head before all else: the state and every event and reply, against a table written by hand, and the
//! ways through it.

use super::table::{Cells, EVERY_STEP, bit, differs};
use super::*;

const MALFORMED: Step = Step::Reply(Reply::ProxyHead(ProxyDecision::Wrong));
const DENIED: Step = Step::Reply(Reply::ProxyHead(ProxyDecision::Denied));
const UNSIGNED: Step = Step::Reply(Reply::ProxyHead(ProxyDecision::Incomplete {
    signed: false,
}));
const SIGNED: Step = Step::Reply(Reply::ProxyHead(ProxyDecision::Incomplete { signed: true }));
const NO_BUFFER: Step = Step::Reply(Reply::ProxyHead(ProxyDecision::NoBuffer));

impl Story {
    /// One whose peer may send a PROXY head, before anything happened.
    pub(super) fn behind_proxy(protocol: Protocol, required: bool) -> Self {
        let timeout = Duration::from_secs(4);
        let policy = Policy {
            protocol,
            proxy_heads: Some(ProxyHeads { required, timeout }),
            ..policy()
        };
        let session = Session::behind_proxy(at(0), &policy);
        Story {
            session,
            ..Story::with(policy)
        }
    }

    /// The same, accepted and with a part of a signature.
    fn unsigned(protocol: Protocol, required: bool) -> Self {
        Story::behind_proxy(protocol, required).after(&[ACCEPTED, received(CLIENT, 3), UNSIGNED])
    }
}

// The columns.

/// A head is required, and nothing came.
const REQUIRED: usize = 0;
/// A head is not required, and a part of a signature came.
const OPTIONAL: usize = 1;
/// A head is not required, and a signature came.
const BEGUN: usize = 2;
/// None came in time, and the receive is being cancelled.
const OVER: usize = 3;
/// HTTP mode, not required, nothing came.
const HTTP: usize = 4;
/// Bytes came that are being examined.
const EXAMINED: usize = 5;

fn states() -> Vec<Story> {
    let (tcp, http) = (Protocol::Tcp, Protocol::Http);
    let begun = [received(CLIENT, 20), SIGNED];
    vec![
        Story::behind_proxy(tcp, true).after(&[ACCEPTED]),
        Story::unsigned(tcp, false),
        Story::unsigned(tcp, false).after(&begun),
        Story::unsigned(tcp, false).after(&[TIMED_OUT]),
        Story::behind_proxy(http, false).after(&[ACCEPTED]),
        Story::behind_proxy(tcp, false).after(&[ACCEPTED, received(CLIENT, 28)]),
    ]
}

const TABLE: &[(&str, Step, Cells)] = &[
    // In fact it is the first of all.
    (
        "accepted",
        ACCEPTED,
        &[
            (REQUIRED, "reading-proxy: recv-c"),
            (OPTIONAL, "reading-proxy: recv-c"),
            (BEGUN, "reading-proxy: recv-c"),
            (OVER, "reading-proxy: recv-c"),
            (HTTP, "reading-proxy: recv-c"),
            (EXAMINED, "reading-proxy: recv-c"),
        ],
    ),
    (
        "received",
        received(CLIENT, 10),
        &[
            (REQUIRED, "reading-proxy: read-c"),
            (OPTIONAL, "reading-proxy: read-c"),
            (BEGUN, "reading-proxy: read-c"),
            (OVER, "reading-proxy:"),
            (HTTP, "reading-proxy: read-c"),
            (EXAMINED, "reading-proxy: read-c"),
        ],
    ),
    (
        "ended",
        ended(CLIENT),
        &[
            (REQUIRED, "closing: free"),
            (OPTIONAL, "reading-proxy: read-c"),
            (BEGUN, "closing: free"),
            (OVER, "reading-proxy:"),
            (HTTP, "reading-proxy: read-c"),
            (EXAMINED, "reading-proxy: read-c"),
        ],
    ),
    (
        "receive failed",
        receive_failed(CLIENT),
        &[
            (REQUIRED, "closing: reset"),
            (OPTIONAL, "closing: reset"),
            (BEGUN, "closing: reset"),
            (OVER, "closing:"),
            (HTTP, "closing: reset"),
            (EXAMINED, "closing: reset"),
        ],
    ),
    ("readable", readable(CLIENT), &[]),
    (
        "read canceled",
        canceled(CLIENT, Use::Read),
        &[(OVER, "reading-proxy:")],
    ),
    // The receive that it cancels ends later.
    (
        "cancellation ended",
        canceled(CLIENT, Use::Cancel),
        &[(OVER, "reading-proxy:")],
    ),
    (
        "timed out",
        TIMED_OUT,
        &[
            (REQUIRED, "closing: cancel-c"),
            (OPTIONAL, "reading-proxy: cancel-c"),
            (BEGUN, "closing: cancel-c"),
            (OVER, "reading-proxy:"),
            (HTTP, "reading-proxy: cancel-c"),
            (EXAMINED, "reading-proxy: cancel-c"),
        ],
    ),
    (
        "killed",
        killed(KillReason::Operator),
        &[
            (REQUIRED, "closing: cancel-c"),
            (OPTIONAL, "closing: cancel-c"),
            (BEGUN, "closing: cancel-c"),
            (OVER, "closing:"),
            (HTTP, "closing: cancel-c"),
            (EXAMINED, "closing: reset"),
        ],
    ),
    ("unsigned", UNSIGNED, &[(EXAMINED, "reading-proxy: recv-c")]),
    ("signed", SIGNED, &[(EXAMINED, "reading-proxy: recv-c")]),
    (
        "a head alone",
        settled(0),
        &[(EXAMINED, "choosing: choose")],
    ),
    (
        "a head and data",
        settled(9),
        &[(EXAMINED, "choosing: choose")],
    ),
    ("malformed", MALFORMED, &[(EXAMINED, "closing: free")]),
    ("denied", DENIED, &[(EXAMINED, "closing: reset")]),
    ("no buffer", NO_BUFFER, &[(EXAMINED, "closing: reset")]),
    ("slot freed", SLOT_FREED, &[]),
    ("connected", CONNECTED, &[]),
    ("connect failed", connect_failed(Fault::Refused), &[]),
    ("sent", sent(SERVER, 10), &[]),
    ("send failed", send_failed(SERVER, Fault::Reset), &[]),
    ("writable", writable(SERVER), &[]),
    ("write canceled", canceled(SERVER, Use::Write), &[]),
    ("client gone", GONE, &[]),
    ("watch ended", canceled(CLIENT, Use::Watch), &[]),
    ("chosen", CHOSEN, &[]),
    ("full", NO_SLOT, &[]),
    ("no server", NO_SERVER, &[]),
    ("all tried", ALL_TRIED, &[]),
    ("a backup", BACKUP, &[]),
    ("shortage at once", SHORTAGE, &[]),
    ("a part of a request", INCOMPLETE, &[]),
    ("a part of a response", PARTIAL, &[]),
    ("error prepared", prepared(100), &[]),
    (
        "spliced in",
        spliced_in(CLIENT, SpliceResult::Bytes(9)),
        &[],
    ),
    (
        "spliced out",
        spliced_out(CLIENT, SpliceResult::WouldBlock),
        &[],
    ),
    ("unsent", unsent(0), &[]),
    ("send refused", SEND_REFUSED, &[]),
];

/// Cells of the table that are wrong.
pub fn mistakes() -> Vec<String> {
    let found = TABLE.iter().flat_map(|(name, step, cells)| {
        let columns = states().into_iter().enumerate();
        columns.filter_map(|(column, story)| differs(name, column, story, *step, cells))
    });
    found.collect()
}

#[test]
fn no_event_and_no_reply_is_missing() {
    let rows = TABLE.iter().map(|(_, step, _)| bit(*step));
    assert_eq!(rows.fold(0, |all, bit| all | bit), EVERY_STEP);
}

#[test]
fn what_follows_a_head_is_sent_first() {
    let mut story = Story::behind_proxy(Protocol::Tcp, true);
    assert_eq!(story.on(ACCEPTED), "recv-c");
    assert_eq!(story.on(received(CLIENT, 40)), "read-c");
    assert_eq!(story.on(settled(12)), "choose");
    assert_eq!(story.buffered(CLIENT), 12);
    assert_eq!(story.session.bytes(CLIENT), 12);
    assert_eq!(story.on(CHOSEN), "connect");
    assert_eq!(story.on(CONNECTED), "send-s:12 recv-c recv-s");
    // Nothing followed it.
    let mut story = Story::behind_proxy(Protocol::Tcp, true).after(&[ACCEPTED]);
    assert_eq!(story.on(received(CLIENT, 28)), "read-c");
    assert_eq!(story.on(settled(0)), "choose");
    assert_eq!(story.after(&[CHOSEN]).on(CONNECTED), "recv-c recv-s");
}

#[test]
fn a_request_may_follow_a_head_at_once_or_later() {
    let mut story = Story::behind_proxy(Protocol::Http, true).after(&[ACCEPTED]);
    assert_eq!(story.on(received(CLIENT, 40)), "read-c");
    assert_eq!(story.on(settled(12)), "read-c");
    assert_eq!(story.session.deadline(&story.policy), Some(at(10)));
    assert_eq!(story.on(INCOMPLETE), "recv-c");
    assert_eq!(story.on(received(CLIENT, 8)), "read-c");
    assert_eq!(story.on(preface(20)), "choose");
    let mut story = Story::behind_proxy(Protocol::Http, true).after(&[ACCEPTED]);
    story.now = at(3);
    assert_eq!(story.on(received(CLIENT, 28)), "read-c");
    assert_eq!(story.on(settled(0)), "recv-c");
    assert_eq!(story.session.deadline(&story.policy), Some(at(13)));
    assert_eq!(story.on(received(CLIENT, 20)), "read-c");
    assert_eq!(story.on(preface(20)), "choose");
}

#[test]
fn a_head_that_is_wrong_or_late_ends_the_session_with_its_code() {
    let ends = |required, steps: &[Step]| {
        let story = Story::behind_proxy(Protocol::Tcp, required).after(&[ACCEPTED]);
        let story = story.after(steps);
        (story.code(), story.session.summary(at(0)).proxy_fault)
    };
    let wrong = ("PP".to_string(), Some(ProxyFault::Wrong));
    let late = ("cR".to_string(), Some(ProxyFault::Late));
    let left = ("CR".to_string(), None);
    let part = received(CLIENT, 9);
    for required in [true, false] {
        assert_eq!(ends(required, &[part, MALFORMED]), wrong);
        assert_eq!(ends(required, &[part, SIGNED, ended(CLIENT)]), wrong);
        assert_eq!(ends(required, &[part, SIGNED, TIMED_OUT]), late);
        assert_eq!(ends(required, &[part, DENIED]).0, "PR");
        assert_eq!(ends(required, &[receive_failed(CLIENT)]), left);
    }
    assert_eq!(ends(true, &[TIMED_OUT]), late);
    assert_eq!(ends(true, &[ended(CLIENT)]), left);
    assert_eq!(ends(true, &[part, UNSIGNED, ended(CLIENT)]), wrong);
}

#[test]
fn without_a_head_that_is_not_required_the_session_goes_on() {
    let over = [canceled(CLIENT, Use::Read), canceled(CLIENT, Use::Cancel)];
    let reversed = [canceled(CLIENT, Use::Cancel), canceled(CLIENT, Use::Read)];
    for ends in [over, reversed] {
        // Nothing came.
        let mut story = Story::behind_proxy(Protocol::Tcp, false).after(&[ACCEPTED]);
        assert_eq!(story.session.deadline(&story.policy), Some(at(4)));
        assert_eq!(story.on(TIMED_OUT), "cancel-c");
        assert_eq!(story.session.deadline(&story.policy), None);
        assert_eq!(story.on(ends[0]), "");
        assert_eq!(story.on(ends[1]), "read-c");
        assert_eq!(story.on(settled(0)), "choose");
        // A part of a signature.
        let mut story = Story::unsigned(Protocol::Tcp, false).after(&[TIMED_OUT]);
        assert_eq!(story.on(ends[0]), "");
        assert_eq!(story.on(ends[1]), "read-c");
        assert_eq!(story.on(settled(3)), "choose");
        assert_eq!(
            story.after(&[CHOSEN]).on(CONNECTED),
            "send-s:3 recv-c recv-s"
        );
    }
    // Bytes come in the same moment: they are examined when nothing is in flight.
    let mut story = Story::unsigned(Protocol::Tcp, false).after(&[TIMED_OUT]);
    assert_eq!(story.on(received(CLIENT, 7)), "");
    assert_eq!(story.on(canceled(CLIENT, Use::Cancel)), "read-c");
    assert_eq!(story.on(settled(10)), "choose");
    // The client has ended its stream, and may wait for an answer.
    let mut story = Story::behind_proxy(Protocol::Tcp, false).after(&[ACCEPTED]);
    assert_eq!(story.on(ended(CLIENT)), "read-c");
    assert_eq!(story.on(settled(0)), "choose");
    assert_eq!(story.after(&[CHOSEN]).on(CONNECTED), "recv-c recv-s");
    // In HTTP mode a request follows, whose time begins then.
    for (story, part) in [
        (Story::unsigned(Protocol::Http, false), 3),
        (
            Story::behind_proxy(Protocol::Http, false).after(&[ACCEPTED]),
            0,
        ),
    ] {
        let mut story = story.after(&[TIMED_OUT]);
        story.now = at(4);
        assert_eq!(story.on(over[0]), "");
        assert_eq!(story.on(over[1]), "read-c");
        let next = if part > 0 { "read-c" } else { "recv-c" };
        assert_eq!(story.on(settled(part)), next);
        assert_eq!(story.session.deadline(&story.policy), Some(at(14)));
    }
}
