//! A close that lets the client read everything; in HTTP mode, an answer of our own before it.
//!
//! A connection that is closed while bytes of the client are unread is reset by the kernel, and
//! the reset may overtake what was sent before. So our direction is ended, and what the client still
//! sends is read and dropped until it leaves, within [`LINGER_TIMEOUT`](super::LINGER_TIMEOUT). The
//! server is not kept for that.

use super::action::{Action, Actions, CloseMode, Event, Side, Use};
use super::error_response::ErrorResponse;
use super::termination::{TerminationCause, TerminationPhase, TerminationState};
use super::{Session, State};
use crate::logic::time::Instant;

impl Session {
    /// Gives up the server, if there is one, and answers the client. Nothing is in flight on the
    /// way to it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        who: TerminationCause,
        phase: TerminationPhase,
        answer: ErrorResponse,
        out: &mut Actions,
    ) {
        self.outcome.get_or_insert(TerminationState { who, phase });
        if !self.pipe(Side::Client).writing {
            self.pipe(Side::Client).break_off(out);
        }
        self.pipe(Side::Server).drop_head(out);
        self.state = State::ClosingServer { since: now, answer };
        if self.in_flight(Side::Server) {
            self.cancel(Side::Server, out);
        } else {
            self.give(now, answer, out);
        }
    }

    fn give(&mut self, since: Instant, answer: ErrorResponse, out: &mut Actions) {
        self.state = State::SendingError { since };
        out.push(Action::LeaveServer);
        out.push(Action::PrepareError(answer));
    }

    pub(super) fn on_closing_server(
        &mut self,
        since: Instant,
        answer: ErrorResponse,
        event: Event,
        out: &mut Actions,
    ) {
        match event {
            Event::Received { from, info } => {
                self.pipe(from).discard(info, out);
            }
            Event::Ended { from } => {
                self.pipe(from).reading = false;
                self.pipe(from).ended = true;
            }
            Event::ReceiveFailed { from: side, .. } if side == Side::Client => {
                self.pipe(side).reading = false;
                return self.give_up(out);
            }
            Event::ReceiveFailed { from, .. } | Event::Readable { from } => {
                self.pipe(from).reading = false;
            }
            Event::Sent { to, .. } | Event::SendFailed { to, .. } | Event::Writable { to } => {
                self.pipe(to.other()).break_off(out);
            }
            Event::Canceled { side, used } => {
                self.gave_back(side, used);
                match used {
                    Use::Write => self.pipe(side.other()).break_off(out),
                    Use::Cancel if self.in_flight(side) => self.cancel(side, out),
                    Use::Read | Use::Watch | Use::Cancel => {}
                }
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                return self.give_up(out);
            }
            Event::TimedOut | Event::Killed(_) => return self.give_up(out),
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
            | Event::Unsent { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_) => return self.impossible(event, out),
        }
        if !self.in_flight(Side::Server) {
            self.give(since, answer, out);
        }
    }

    pub(super) fn on_sending_error(&mut self, since: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::ErrorPrepared { len: 0 } => self.give_up(out),
            Event::ErrorPrepared { len } => self.pipe(Side::Server).answer(len, out),
            Event::Sent { to, len } => {
                if self.pipe(to.other()).answer_sent(len, out) {
                    out.push(Action::ShutdownWrite { to });
                    self.linger(since, out);
                }
            }
            Event::SendFailed { to, .. } => {
                self.pipe(to.other()).writing = false;
                self.give_up(out);
            }
            Event::Writable { to } => self.pipe(to.other()).writable(out),
            Event::Received { from, info } => {
                self.pipe(from).discard(info, out);
            }
            Event::Ended { from } => {
                self.pipe(from).reading = false;
                self.pipe(from).ended = true;
            }
            Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.give_up(out);
            }
            Event::Readable { from } => self.pipe(from).reading = false,
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.give_up(out);
            }
            Event::TimedOut | Event::Killed(_) => self.give_up(out),
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_) => self.impossible(event, out),
        }
    }

    /// The last byte for the client and the end behind it are on their way, and the server is not
    /// there any more: waits for the client to leave.
    pub(super) fn linger(&mut self, since: Instant, out: &mut Actions) {
        if self.pipe(Side::Client).ended {
            self.leave(CloseMode::Graceful, out);
            return;
        }
        self.state = State::Lingering { since };
        if !self.pipe(Side::Client).reading {
            self.pipe(Side::Client).receive_rest(out);
        }
    }

    pub(super) fn on_lingering(&mut self, event: Event, out: &mut Actions) {
        match event {
            Event::Received { from, info } => {
                self.pipe(from).discard(info, out);
                if !info.armed {
                    self.pipe(from).receive_rest(out);
                }
            }
            Event::Readable { from } => self.pipe(from).receive_rest(out),
            Event::Ended { from } | Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.leave(CloseMode::Graceful, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            // The receive that is in flight tells the same.
            Event::ClientGone { armed } => self.watching = armed,
            Event::TimedOut | Event::Killed(_) => self.leave(CloseMode::Graceful, out),
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
            | Event::Unsent { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Writable { .. } => self.impossible(event, out),
        }
    }

    /// The client does not get its answer.
    fn give_up(&mut self, out: &mut Actions) {
        self.leave(CloseMode::Reset, out);
    }

    /// Closes; how it ended was noted when the answer was decided on.
    fn leave(&mut self, mode: CloseMode, out: &mut Actions) {
        let outcome = self.outcome.unwrap_or(TerminationState::NORMAL);
        self.end(outcome.who, outcome.phase, mode, out);
    }
}
