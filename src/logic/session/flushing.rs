//! The reset of a side whose peer is gone: it waits until what was sent to that side is acknowledged.
//!
//! A reset drops what the kernel has not delivered yet. So the kernel is asked, at growing intervals,
//! how much that is, as long as it becomes less within [`LINGER_TIMEOUT`]. What the side
//! still sends is received and discarded meanwhile: it may not read before it has written.

use std::time::Duration;

use super::action::{Action, Actions, CloseMode};
use super::event::{Event, ReadEvent, WatchEvent};
use super::side::Side;
use super::{LINGER_TIMEOUT, Session, State};
use crate::logic::time::Instant;

/// The shortest and the longest time between two questions.
const PERIODS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl Session {
    /// All bytes for this side were sent, and the other side is gone.
    pub(super) fn flush(&mut self, now: Instant, to: Side, out: &mut Actions) {
        self.stop_writing(to.other(), out);
        self.last_activity = now;
        self.state = State::Flushing {
            to,
            unsent: u32::MAX,
            next: now,
        };
        out.push(Action::CountUnsent { to });
    }

    /// What comes for this side is discarded from now on.
    pub(super) fn stop_writing(&mut self, to: Side, out: &mut Actions) {
        let pipe = self.pipe(to.other());
        // A write to a connection that is gone ends by itself.
        if !pipe.writing {
            pipe.lose_sink(out);
            pipe.receive_to_discard(out);
        }
    }

    pub(super) fn on_unsent(&mut self, now: Instant, len: u32, out: &mut Actions) {
        if len == 0 {
            return self.close(CloseMode::Reset, out);
        }
        if let State::Flushing { unsent, next, .. } = &mut self.state {
            if len < *unsent {
                self.last_activity = now;
            }
            *unsent = len;
            let period = now.duration_since(self.last_activity) / 4;
            *next = now + period.clamp(PERIODS.0, PERIODS.1);
        }
    }

    pub(super) fn on_flushing(&mut self, now: Instant, to: Side, event: Event, out: &mut Actions) {
        match event {
            Event::TimedOut if now >= self.last_activity + LINGER_TIMEOUT => {
                self.close(CloseMode::Reset, out);
            }
            Event::TimedOut => out.push(Action::CountUnsent { to }),
            Event::Read { from, event } => match event {
                ReadEvent::Received(info) => {
                    self.pipe(from).discard(info, out);
                    self.pipe(from).receive_to_discard(out);
                }
                ReadEvent::Readable => {
                    self.pipe(from).reading = false;
                    self.pipe(from).receive_to_discard(out);
                }
                // It may go on reading.
                ReadEvent::Ended => {
                    self.pipe(from).reading = false;
                    self.pipe(from).note_end();
                }
                ReadEvent::Failed => {
                    self.pipe(from).reading = false;
                    self.close(CloseMode::Reset, out);
                }
                ReadEvent::Canceled => self.pipe(from).reading = false,
            },
            Event::Write { to, .. } => {
                self.pipe(to.other()).writing = false;
                self.stop_writing(to, out);
            }
            Event::CancelEnded { side } => self.canceling[side.index()] = false,
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.watching = armed;
                if to == Side::Client {
                    self.close(CloseMode::Reset, out);
                }
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::Killed(_) => self.close(CloseMode::Reset, out),
            Event::Accepted | Event::SlotFreed | Event::Connected | Event::ConnectFailed(_) => {
                self.impossible(event, out);
            }
        }
    }
}
