//! The reset of a side whose peer is gone: it waits until what was taken for that side has left.
//!
//! A reset drops what the kernel has not delivered yet. So the kernel is asked, at growing intervals,
//! how much that is, as long as it becomes less within [`LINGER_TIMEOUT`]. What the side
//! still sends is read and dropped meanwhile: it may not read before it has written.

use std::time::Duration;

use super::action::{Action, Actions, CloseMode, Event, Side};
use super::termination::TerminationState;
use super::{LINGER_TIMEOUT, Session, State};
use crate::logic::time::Instant;

/// The shortest and the longest time from one question to the next.
const PERIODS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl Session {
    /// All that is to reach this side was given to the kernel, and the other side is gone.
    pub(super) fn flush(&mut self, now: Instant, to: Side, out: &mut Actions) {
        self.take_no_more(to.other(), out);
        self.state = State::Flushing {
            to,
            unsent: u32::MAX,
            since: now,
            next: now,
        };
        out.push(Action::CountUnsent { to });
    }

    /// What comes for this side is dropped from now on.
    pub(super) fn take_no_more(&mut self, to: Side, out: &mut Actions) {
        let pipe = self.pipe(to.other());
        // A write to a connection that is gone ends by itself.
        if !pipe.writing {
            pipe.break_off(out);
            pipe.drop_rest(out);
        }
    }

    pub(super) fn on_flushing(&mut self, now: Instant, event: Event, out: &mut Actions) {
        let State::Flushing {
            to,
            unsent,
            since,
            next,
        } = self.state
        else {
            return self.impossible(event, out);
        };
        match event {
            Event::Unsent { len: 0 } => self.reset_both(out),
            Event::Unsent { len } => {
                let since = if len < unsent { now } else { since };
                let period = now.duration_since(since) / 4;
                self.state = State::Flushing {
                    to,
                    unsent: len,
                    since,
                    next: now + period.clamp(PERIODS.0, PERIODS.1),
                };
            }
            Event::TimedOut if now >= since + LINGER_TIMEOUT => self.reset_both(out),
            Event::TimedOut => {
                debug_assert!(now >= next, "it is early");
                out.push(Action::CountUnsent { to });
            }
            Event::Received { from, info } => {
                self.pipe(from).discard(info, out);
                self.pipe(from).drop_rest(out);
            }
            Event::Readable { from } => {
                self.pipe(from).reading = false;
                self.pipe(from).drop_rest(out);
            }
            // It may go on reading.
            Event::Ended { from } => {
                self.pipe(from).reading = false;
                self.pipe(from).ended = true;
            }
            Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.reset_both(out);
            }
            Event::Sent { to, .. } | Event::SendFailed { to, .. } | Event::Writable { to } => {
                self.pipe(to.other()).writing = false;
                self.take_no_more(to, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::ClientGone { armed } => {
                self.watching = armed;
                if to == Side::Client {
                    self.reset_both(out);
                }
            }
            Event::Killed(_) => self.reset_both(out),
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::ErrorPrepared { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_) => self.impossible(event, out),
        }
    }

    /// Closes; how it ended was noted when the first side failed.
    fn reset_both(&mut self, out: &mut Actions) {
        let outcome = self.outcome.unwrap_or(TerminationState::NORMAL);
        self.end(outcome.who, outcome.phase, CloseMode::Reset, out);
    }
}
