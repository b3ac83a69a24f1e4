//! Every state and every event, against a table written by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

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
        Event::Killed(KillReason::Operator),
    ];
    let fault = Fault::Reset;
    let flushing = [Event::ReceiveFailed {
        from: SERVER,
        fault,
    }];
    vec![
        Story::new(),
        Story::new().after(&queued),
        Story::new().after(&short),
        Story::new().after(&connecting),
        Story::new().after(&abandoned),
        Story::relaying(),
        Story::new().after(&closing),
        Story::relaying().after(&flushing),
        Story::new().after(&[Event::Accepted, Event::AllTried]),
        Story::new().after(&queued).after(&[Event::TimedOut]),
    ]
}

/// The columns: choosing, queued, short, connecting, connecting and given up, relaying with
/// nothing but two receives in flight, closing with two receives and two cancels in flight, flushing
/// towards the client with its receive in flight, pausing, choosing a backup.
/// `!`: impossible. `.`: nothing to do, the state stays.
const TABLE: &[(&str, Event, [&str; 10])] = &[
    (
        "accepted",
        Event::Accepted,
        [
            "choosing: choose",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "chosen",
        Event::Chosen,
        [
            "connecting: connect",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "connecting: connect",
        ],
    ),
    (
        "full",
        Event::Full,
        [
            "queued: enqueue watch",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "closing: cancel-c",
        ],
    ),
    (
        "no server",
        Event::NoServer,
        [
            "closing: reset",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "shortage",
        Event::Shortage,
        // What was given up stays given up, until the cancellation comes back.
        [
            "!",
            "!",
            "!",
            "short:",
            "connecting:",
            "!",
            ".",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "a head",
        head(CLIENT, Head::Partial),
        // In TCP mode nobody looks for one.
        ["!", "!", "!", "!", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "answered",
        Event::ErrorPrepared { len: 100 },
        ["!", "!", "!", "!", "!", "!", "!", "!", "!", "!"],
    ),
    (
        "spliced in",
        Event::SplicedIn {
            from: SERVER,
            moved: SpliceResult::Bytes(1000),
        },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying: out-s:1000",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "spliced out",
        Event::SplicedOut {
            from: SERVER,
            moved: SpliceResult::WouldBlock,
        },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying: pollout-c",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
    (
        "place freed",
        Event::SlotFreed,
        [
            "!",
            "choosing: choose",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
        ],
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
            "!",
            "!",
            "!",
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
            "!",
            "!",
            "!",
        ],
    ),
    (
        "received",
        Event::Received {
            from: CLIENT,
            info: ReceivedInfo {
                len: 10,
                full: false,
                more: false,
                armed: false,
            },
        },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying: send-s:10 recv-c",
            ".",
            "flushing: release-c recv-c",
            "!",
            "!",
        ],
    ),
    (
        "ended",
        Event::Ended { from: CLIENT },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying: end-s",
            ".",
            "flushing:",
            "!",
            "!",
        ],
    ),
    (
        "receive failed",
        Event::ReceiveFailed {
            from: CLIENT,
            fault: Fault::Reset,
        },
        // Nothing of the client's is held, but the kernel may still deliver some.
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "flushing: unsent-s",
            ".",
            "closing: reset",
            "!",
            "!",
        ],
    ),
    (
        "sent",
        sent(SERVER, 10),
        ["!", "!", "!", "!", "!", "!", ".", "flushing:", "!", "!"],
    ),
    (
        "send failed",
        Event::SendFailed {
            to: SERVER,
            fault: Fault::Reset,
        },
        // What the server sent before is still read.
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying:",
            ".",
            "flushing:",
            "!",
            "!",
        ],
    ),
    (
        "readable",
        Event::Readable { from: SERVER },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying: in-s",
            ".",
            "flushing:",
            "!",
            "!",
        ],
    ),
    (
        "writable",
        Event::Writable { to: SERVER },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "relaying:",
            ".",
            "flushing:",
            "!",
            "!",
        ],
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
            "flushing:",
            "pausing:",
            "!",
        ],
    ),
    (
        "client gone",
        GONE,
        [
            "!",
            "closing: dequeue reset",
            "closing: reset",
            "closing: cancel-s",
            // It is being cancelled already.
            "closing:",
            "relaying:",
            ".",
            "closing: cancel-c",
            "closing: reset",
            "!",
        ],
    ),
    (
        "timed out",
        Event::TimedOut,
        [
            "!",
            "choosing-backup: dequeue backup",
            "choosing: choose",
            "connecting: cancel-s",
            "connecting:",
            "closing: cancel-c cancel-s",
            ".",
            "flushing: unsent-c",
            "choosing: forget choose",
            "!",
        ],
    ),
    (
        "killed",
        Event::Killed(KillReason::Down),
        [
            "closing: reset",
            "closing: dequeue cancel-c",
            "closing: reset",
            "closing: cancel-s",
            "closing:",
            "closing: cancel-c cancel-s",
            ".",
            "closing: cancel-c",
            "closing: cancel-c",
            "closing: cancel-c",
        ],
    ),
    (
        "unsent",
        Event::Unsent { len: 0 },
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "closing: cancel-c",
            "!",
            "!",
        ],
    ),
    (
        "all tried",
        Event::AllTried,
        [
            "pausing: watch",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
        ],
    ),
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
    ];
    std::panic::set_hook(hook);
    let wrong = found.concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Cells of the table that are wrong.
fn mistakes() -> Vec<String> {
    let found = TABLE.iter().flat_map(|(name, event, expected)| {
        let columns = states().into_iter().zip(expected).enumerate();
        columns.filter_map(|(column, (story, expected))| {
            differs(name, column, story, *event, expected)
        })
    });
    found.collect()
}

#[test]
fn no_event_is_missing() {
    let rows = TABLE.iter().map(|(_, event, _)| bit(*event));
    assert_eq!(rows.fold(0, |all, bit| all | bit), EVERY_EVENT);
}

/// A bit for each kind of event.
pub fn bit(event: Event) -> u32 {
    1 << match event {
        Event::Accepted => 0,
        Event::Chosen => 1,
        Event::Full => 2,
        Event::NoServer => 3,
        Event::Shortage => 4,
        Event::Head { .. } => 5,
        Event::ErrorPrepared { .. } => 6,
        Event::SplicedIn { .. } => 7,
        Event::SplicedOut { .. } => 8,
        Event::SlotFreed => 9,
        Event::Connected => 10,
        Event::ConnectFailed(_) => 11,
        Event::Received { .. } => 12,
        Event::Ended { .. } => 13,
        Event::ReceiveFailed { .. } => 14,
        Event::Sent { .. } => 15,
        Event::SendFailed { .. } => 16,
        Event::Readable { .. } => 17,
        Event::Writable { .. } => 18,
        Event::Canceled { .. } => 19,
        Event::ClientGone { .. } => 20,
        Event::TimedOut => 21,
        Event::Killed(_) => 22,
        Event::Unsent { .. } => 23,
        Event::AllTried => 24,
    }
}

/// The bits of all.
pub const EVERY_EVENT: u32 = (1 << 25) - 1;

/// Delivers an event and compares what follows with a cell of a table.
pub fn differs(
    name: &str,
    column: usize,
    mut story: Story,
    event: Event,
    expected: &str,
) -> Option<String> {
    let before = state_name(story.session.state);
    let actions = catch_unwind(AssertUnwindSafe(|| story.on(event)));
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
