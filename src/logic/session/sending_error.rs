//! A close that lets the client read everything; in HTTP and TLS mode, an error answer of our own before
//! it.
//!
//! A connection that is closed while bytes of the client are unread is reset by the kernel, and
//! the reset may overtake what was sent before. So our direction is ended, and what the client still
//! sends is received and discarded until it closes, within
//! [`LINGER_TIMEOUT`](super::LINGER_TIMEOUT). The server's connection is closed before that.

use super::action::{Action, Actions, CloseMode};
use super::error_answer::ErrorAnswer;
use super::event::{Event, ReadEvent, WatchEvent, WriteEvent};
use super::pipe::Progress;
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase, TerminationState};
use super::{Session, State};
use crate::logic::time::Instant;

impl Session {
    /// Leaves the server, if there is one, and sends the client an error answer. Nothing else is
    /// being sent to it.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        who: TerminationCause,
        phase: TerminationPhase,
        answer: ErrorAnswer,
        out: &mut Actions,
    ) {
        self.outcome.get_or_insert(TerminationState { who, phase });
        if !self.pipe(Side::Client).writing {
            self.pipe(Side::Client).lose_sink(out);
        }
        self.pipe(Side::Server).drop_head(out);
        let since = now;
        self.state = State::ClosingServer { since, answer };
        if self.in_flight(Side::Server) {
            self.cancel(Side::Server, out);
        } else {
            self.server_closed(now, answer, out);
        }
    }

    /// No operation on the server's connection is in flight.
    fn server_closed(&mut self, since: Instant, answer: ErrorAnswer, out: &mut Actions) {
        self.state = State::SendingError { since };
        out.push(Action::LeaveServer);
        out.push(Action::PrepareError(answer));
    }

    pub(super) fn on_closing_server(
        &mut self,
        since: Instant,
        answer: ErrorAnswer,
        event: Event,
        out: &mut Actions,
    ) {
        match event {
            Event::Read { from, event } => match event {
                ReadEvent::Received(info) => self.pipe(from).discard(info, out),
                ReadEvent::Ended => {
                    self.pipe(from).reading = false;
                    self.pipe(from).note_end();
                }
                ReadEvent::Failed if from == Side::Client => {
                    self.pipe(from).reading = false;
                    return self.close(CloseMode::Reset, out);
                }
                ReadEvent::Failed | ReadEvent::Readable | ReadEvent::Canceled => {
                    self.pipe(from).reading = false;
                }
            },
            Event::Write { to, .. } => self.pipe(to.other()).lose_sink(out),
            Event::CancelEnded { side } => {
                self.canceling[side.index()] = false;
                if self.in_flight(side) {
                    self.cancel(side, out);
                }
            }
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.watching = armed;
                return self.close(CloseMode::Reset, out);
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::TimedOut | Event::Killed(_) => return self.close(CloseMode::Reset, out),
            Event::Accepted | Event::SlotFreed | Event::Connected | Event::ConnectFailed(_) => {
                return self.impossible(event, out);
            }
        }
        if !self.in_flight(Side::Server) {
            self.server_closed(since, answer, out);
        }
    }

    pub(super) fn on_error_prepared(&mut self, ready: bool, out: &mut Actions) {
        if ready {
            self.pipe(Side::Server).send_only(out);
        } else {
            self.close(CloseMode::Reset, out);
        }
    }

    pub(super) fn on_sending_error(&mut self, since: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::Write { to, event } => match event {
                WriteEvent::Sent { left, .. } => match self.pipe(to.other()).sent_only(left, out) {
                    Progress::Going | Progress::HeadTruncated => {}
                    Progress::Finished => {
                        out.push(Action::ShutdownWrite { to });
                        self.linger(since, out);
                    }
                    Progress::Inconsistent => self.impossible(Progress::Inconsistent, out),
                },
                WriteEvent::Failed(_) => {
                    self.pipe(to.other()).writing = false;
                    self.close(CloseMode::Reset, out);
                }
                WriteEvent::Writable => self.pipe(to.other()).writable(out),
                WriteEvent::Canceled => self.pipe(to.other()).writing = false,
            },
            Event::Read { from, event } => match event {
                ReadEvent::Received(info) => self.pipe(from).discard(info, out),
                ReadEvent::Ended => {
                    self.pipe(from).reading = false;
                    self.pipe(from).note_end();
                }
                ReadEvent::Failed => {
                    self.pipe(from).reading = false;
                    self.close(CloseMode::Reset, out);
                }
                ReadEvent::Readable | ReadEvent::Canceled => self.pipe(from).reading = false,
            },
            Event::CancelEnded { side } => self.canceling[side.index()] = false,
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.watching = armed;
                self.close(CloseMode::Reset, out);
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::TimedOut | Event::Killed(_) => self.close(CloseMode::Reset, out),
            Event::Accepted | Event::SlotFreed | Event::Connected | Event::ConnectFailed(_) => {
                self.impossible(event, out);
            }
        }
    }

    /// Everything was sent to the client, the end of the stream too, and the server's connection is
    /// not needed any more: waits for the client to close.
    pub(super) fn linger(&mut self, since: Instant, out: &mut Actions) {
        if self.pipe(Side::Client).has_ended() {
            self.close(CloseMode::Graceful, out);
            return;
        }
        self.state = State::Lingering { since };
        if !self.pipe(Side::Client).reading {
            self.pipe(Side::Client).receive_rest(out);
        }
    }

    pub(super) fn on_lingering(&mut self, event: Event, out: &mut Actions) {
        match event {
            Event::Read { from, event } => match event {
                ReadEvent::Received(info) => {
                    self.pipe(from).discard(info, out);
                    if !info.armed {
                        self.pipe(from).receive_rest(out);
                    }
                }
                ReadEvent::Readable => self.pipe(from).receive_rest(out),
                ReadEvent::Ended | ReadEvent::Failed => {
                    self.pipe(from).reading = false;
                    self.close(CloseMode::Graceful, out);
                }
                ReadEvent::Canceled => self.pipe(from).reading = false,
            },
            // The receive that is in flight reports the same.
            Event::Watch(WatchEvent::Gone { armed }) => self.watching = armed,
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::CancelEnded { side } => self.canceling[side.index()] = false,
            Event::TimedOut | Event::Killed(_) => self.close(CloseMode::Graceful, out),
            Event::Accepted
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Write { .. } => self.impossible(event, out),
        }
    }
}
