//! Every state with every event and every reply, against a table written by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

// The columns: sessions in these states.
const CHOOSING: usize = 0;
const QUEUED: usize = 1;
const BACKOFF: usize = 2;
const CONNECTING: usize = 3;
/// Connecting, after the attempt has timed out.
const ABANDONED: usize = 4;
/// Relaying with nothing but two receives in flight.
const RELAYING: usize = 5;
/// Closing with two receives and two cancels in flight.
const CLOSING: usize = 6;
/// Flushing towards the client with its receive in flight.
const FLUSHING: usize = 7;
const PAUSING: usize = 8;
const CHOOSING_BACKUP: usize = 9;

/// One session in each state, freshly made, in the order of the columns.
fn states() -> Vec<Story> {
    let queued = [ACCEPTED, NO_SLOT];
    let connecting = [ACCEPTED, CHOSEN];
    vec![
        Story::new(),
        Story::new().after(&queued),
        Story::new().after(&connecting).after(&[SHORTAGE]),
        Story::new().after(&connecting),
        Story::new().after(&connecting).after(&[TIMED_OUT]),
        Story::relaying(),
        Story::relaying().after(&[killed(KillReason::Operator)]),
        Story::relaying().after(&[receive_failed(SERVER)]),
        Story::new().after(&[ACCEPTED, ALL_TRIED]),
        Story::new().after(&queued).after(&[TIMED_OUT]),
    ]
}

/// What a state makes of it: the state then and the actions. `.`: nothing to do, the state stays.
/// Where there is no cell it is impossible.
pub type Cells = &'static [(usize, &'static str)];

const TABLE: &[(&str, Step, Cells)] = &[
    ("accepted", ACCEPTED, &[(CHOOSING, "choosing: choose")]),
    ("chosen", CHOSEN, &[(CHOOSING, "connecting: connect")]),
    ("full", NO_SLOT, &[(CHOOSING, "queued: enqueue watch")]),
    (
        "a backup",
        BACKUP,
        &[(CHOOSING_BACKUP, "connecting: connect")],
    ),
    (
        "no backup",
        NO_BACKUP,
        &[(CHOOSING_BACKUP, "closing: cancel-c")],
    ),
    ("no server", NO_SERVER, &[(CHOOSING, "closing: reset")]),
    ("shortage at once", SHORTAGE, &[(CONNECTING, "backoff:")]),
    // An abandoned attempt stays abandoned, until the cancellation has ended.
    (
        "shortage",
        SHORTAGE_LATER,
        &[
            (CONNECTING, "backoff:"),
            (ABANDONED, "connecting:"),
            (CLOSING, "."),
        ],
    ),
    // In TCP mode nothing is looked for.
    ("a PROXY head", settled(0), &[]),
    ("a part of a preface", INCOMPLETE, &[]),
    ("a part of a head", PARTIAL, &[]),
    ("error prepared", prepared(100), &[]),
    // Nothing is being sent.
    ("send refused", SEND_REFUSED, &[]),
    (
        "spliced in",
        spliced_in(SERVER, SpliceResult::Bytes(1000)),
        &[(RELAYING, "relaying: out-s:1000")],
    ),
    (
        "spliced out",
        spliced_out(SERVER, SpliceResult::WouldBlock),
        &[(RELAYING, "relaying: pollout-c")],
    ),
    (
        "slot freed",
        SLOT_FREED,
        &[(QUEUED, "choosing: choose-woken")],
    ),
    (
        "connected",
        CONNECTED,
        &[
            (CONNECTING, "relaying: recv-c recv-s"),
            (ABANDONED, "relaying: recv-c recv-s"),
            (CLOSING, "."),
        ],
    ),
    (
        "connect failed",
        connect_failed(Fault::Refused),
        &[
            (CONNECTING, "choosing: choose-other"),
            (ABANDONED, "connecting:"),
            (CLOSING, "."),
        ],
    ),
    (
        "received",
        received(CLIENT, 10),
        &[
            (RELAYING, "relaying: send-s:10 recv-c"),
            (CLOSING, "."),
            (FLUSHING, "flushing: release-c recv-c"),
        ],
    ),
    (
        "ended",
        ended(CLIENT),
        &[
            (RELAYING, "relaying: end-s"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "receive failed",
        receive_failed(CLIENT),
        &[
            (RELAYING, "flushing: unsent-s"),
            (CLOSING, "."),
            (FLUSHING, "closing: reset"),
        ],
    ),
    (
        "sent",
        sent(SERVER, 10),
        &[(CLOSING, "."), (FLUSHING, "flushing:")],
    ),
    (
        "send failed",
        send_failed(SERVER, Fault::Reset),
        &[
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "readable",
        readable(SERVER),
        &[
            (RELAYING, "relaying: in-s"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "writable",
        writable(SERVER),
        &[
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "read canceled",
        canceled(SERVER, Use::Read),
        &[
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "write canceled",
        canceled(SERVER, Use::Write),
        &[
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "watch ended",
        canceled(CLIENT, Use::Watch),
        &[
            (QUEUED, "queued:"),
            (BACKOFF, "backoff:"),
            (CONNECTING, "connecting:"),
            (ABANDONED, "connecting:"),
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "flushing:"),
            (PAUSING, "pausing:"),
        ],
    ),
    // It came before what is still in flight.
    (
        "cancellation ended",
        canceled(SERVER, Use::Cancel),
        &[
            (CONNECTING, "connecting:"),
            (ABANDONED, "connecting:"),
            (RELAYING, "relaying:"),
            (CLOSING, "closing: cancel-s"),
            (FLUSHING, "flushing:"),
        ],
    ),
    (
        "client gone",
        GONE,
        &[
            (QUEUED, "closing: dequeue reset"),
            (BACKOFF, "closing: reset"),
            (CONNECTING, "closing: cancel-s"),
            (ABANDONED, "closing:"),
            (RELAYING, "relaying:"),
            (CLOSING, "."),
            (FLUSHING, "closing: cancel-c"),
            (PAUSING, "closing: reset"),
        ],
    ),
    (
        "timed out",
        TIMED_OUT,
        &[
            (QUEUED, "choosing-backup: dequeue backup"),
            (BACKOFF, "choosing: choose"),
            (CONNECTING, "connecting: cancel-s"),
            (ABANDONED, "connecting:"),
            (RELAYING, "closing: cancel-c cancel-s"),
            (CLOSING, "."),
            (FLUSHING, "flushing: unsent-c"),
            (PAUSING, "choosing: forget choose"),
        ],
    ),
    (
        "killed",
        killed(KillReason::Down),
        &[
            (CHOOSING, "closing: reset"),
            (QUEUED, "closing: dequeue cancel-c"),
            (BACKOFF, "closing: reset"),
            (CONNECTING, "closing: cancel-s"),
            (ABANDONED, "closing:"),
            (RELAYING, "closing: cancel-c cancel-s"),
            (CLOSING, "."),
            (FLUSHING, "closing: cancel-c"),
            (PAUSING, "closing: cancel-c"),
            (CHOOSING_BACKUP, "closing: cancel-c"),
        ],
    ),
    ("unsent", unsent(0), &[(FLUSHING, "closing: cancel-c")]),
    ("all tried", ALL_TRIED, &[(CHOOSING, "pausing: watch")]),
];

#[test]
fn every_state_and_every_event() {
    // All in one test: the hook is that of the process.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = [
        mistakes(),
        http_table::mistakes(),
        http_table::mistakes_in_heads(),
        proxy_head::mistakes(),
        accepted_miscounts(),
    ];
    std::panic::set_hook(hook);
    let wrong = found.concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Cells of the table that are wrong.
fn mistakes() -> Vec<String> {
    let found = TABLE.iter().flat_map(|(name, step, cells)| {
        let columns = states().into_iter().enumerate();
        columns.filter_map(|(column, story)| differs(name, column, story, *step, cells))
    });
    found.collect()
}

/// What does not agree with what a session has buffered, but does not end it.
fn accepted_miscounts() -> Vec<String> {
    let sending = || Story::relaying().after(&[received(CLIENT, 10)]);
    let splicing = [
        received(SERVER, FULL),
        sent(CLIENT, FULL),
        spliced_in(SERVER, SpliceResult::Bytes(1000)),
    ];
    let cases = [
        (
            "more spliced out than in",
            Story::relaying().after(&splicing),
            spliced_out(SERVER, SpliceResult::Bytes(1001)),
        ),
        ("readable past buffered bytes", sending(), readable(CLIENT)),
        ("no chunk to send", sending(), SEND_REFUSED),
    ];
    let cases = cases.into_iter().enumerate();
    cases
        .filter_map(|(case, (name, story, step))| differs(name, case, story, step, &[]))
        .collect()
}

#[test]
fn no_event_and_no_reply_is_missing() {
    let rows = TABLE.iter().map(|(_, step, _)| bit(*step));
    assert_eq!(rows.fold(0, |all, bit| all | bit), EVERY_STEP);
}

/// A bit for each kind of event and of reply.
pub fn bit(step: Step) -> u32 {
    1 << match step {
        Step::Event(event) => match event {
            Event::Accepted => 0,
            Event::SlotFreed => 1,
            Event::Connected => 2,
            Event::ConnectFailed(_) => 3,
            Event::Read { event, .. } => match event {
                ReadEvent::Received(_) => 4,
                ReadEvent::Ended => 5,
                ReadEvent::Failed => 6,
                ReadEvent::Readable => 7,
                ReadEvent::Canceled => 8,
            },
            Event::Write { event, .. } => match event {
                WriteEvent::Sent { .. } => 9,
                WriteEvent::Failed(_) => 10,
                WriteEvent::Writable => 11,
                WriteEvent::Canceled => 12,
            },
            Event::Watch(WatchEvent::Gone { .. }) => 13,
            Event::Watch(WatchEvent::Ended) => 14,
            Event::CancelEnded { .. } => 15,
            Event::TimedOut => 16,
            Event::Killed(_) => 17,
        },
        Step::Reply(reply) | Step::Chunk(reply, _) => match reply {
            Reply::Choice(Choice::Chosen) => 18,
            Reply::Choice(Choice::Full) => 19,
            Reply::Choice(Choice::NoServer) => 20,
            Reply::Choice(Choice::AllTried) => 21,
            Reply::BackupChoice { .. } => 22,
            Reply::ConnectFailed(_) => 23,
            Reply::Preface(_) => 24,
            Reply::ResponseHead(_) => 25,
            Reply::ErrorPrepared { .. } => 26,
            Reply::SplicedIn { .. } => 27,
            Reply::SplicedOut { .. } => 28,
            Reply::Unsent { .. } => 29,
            Reply::SendRefused { .. } => 30,
            Reply::ProxyHead(_) => 31,
        },
    }
}

/// The bits of all.
pub const EVERY_STEP: u32 = u32::MAX;

/// Delivers an event or a reply and compares what follows with the cell of this column.
pub fn differs(
    name: &str,
    column: usize,
    mut story: Story,
    step: Step,
    cells: Cells,
) -> Option<String> {
    let cell = cells.iter().find(|(of, _)| *of == column);
    let expected = cell.map_or("!", |(_, expected)| *expected);
    let before = state_name(story.session.state);
    let actions = catch_unwind(AssertUnwindSafe(|| story.on(step)));
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
    (found != expected)
        .then(|| format!("{name} in column {column} ({before}): {found:?}, expected {expected:?}"))
}
