//! The end of a session: it is decided, the kernel gives back every operation, the slot is freed.

use std::fmt::Debug;

use super::action::{Action, Actions, CloseMode};
use super::error_response::ErrorResponse;
use super::event::{Event, WatchEvent};
use super::side::{Side, Use};
use super::termination::{KillReason, TerminationCause, TerminationPhase, TerminationState};
use super::{Protocol, Session, State};
use crate::logic::time::Instant;

impl Session {
    /// Decides to close: cancels what the kernel holds; frees the slot at once if it holds nothing.
    pub(super) fn end(
        &mut self,
        who: TerminationCause,
        phase: TerminationPhase,
        mode: CloseMode,
        out: &mut Actions,
    ) {
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.state = State::Closing { mode };
        let mut idle = true;
        for side in Side::BOTH {
            if self.in_flight(side) {
                idle = false;
                self.cancel(side, out);
            }
        }
        if idle {
            out.push(Action::Free(mode));
        }
    }

    pub(super) fn on_closing(&mut self, mode: CloseMode, event: Event, out: &mut Actions) {
        match event {
            Event::Read { from, event } => self.pipe(from).reading = event.is_armed(),
            Event::Write { to, .. } => self.pipe(to.other()).writing = false,
            Event::Connected | Event::ConnectFailed(_) => self.connecting = false,
            Event::Watch(WatchEvent::Gone { armed }) => self.watching = armed,
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::CancelEnded { side } => {
                self.canceling[side.index()] = false;
                if self.in_flight(side) {
                    // It was queued before the operations that are left: the connection of an
                    // abandoned attempt was established in the same moment.
                    self.cancel(side, out);
                }
            }
            // It is ending already.
            Event::TimedOut | Event::Killed(_) => return,
            Event::Accepted | Event::SlotFreed => {
                debug_assert!(false, "{event:?} while closing");
                return;
            }
        }
        if Side::BOTH.iter().all(|side| !self.in_flight(*side)) {
            out.push(Action::Free(mode));
        }
    }

    /// Ends a session whose client has received nothing from a server: by a reset, or in HTTP mode with
    /// an error response. Nothing is being sent to the client.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        who: TerminationCause,
        phase: TerminationPhase,
        response: ErrorResponse,
        out: &mut Actions,
    ) {
        match self.protocol {
            Protocol::Tcp | Protocol::Tls => self.end(who, phase, CloseMode::Reset, out),
            Protocol::Http => self.respond(now, who, phase, response.into(), out),
        }
    }

    pub(super) fn cancel(&mut self, side: Side, out: &mut Actions) {
        if !std::mem::replace(&mut self.canceling[side.index()], true) {
            out.push(Action::Cancel { side });
        }
    }

    /// Closes with the outcome that was noted when the end was decided.
    pub(super) fn close(&mut self, mode: CloseMode, out: &mut Actions) {
        let outcome = self.outcome.unwrap_or(TerminationState::NORMAL);
        self.end(outcome.who, outcome.phase, mode, out);
    }

    /// The client has left before there was a connection to a server.
    pub(super) fn client_gone(&mut self, armed: bool, phase: TerminationPhase, out: &mut Actions) {
        self.watching = armed;
        self.end(TerminationCause::Client, phase, CloseMode::Reset, out);
    }

    pub(super) fn kill(&mut self, reason: KillReason, phase: TerminationPhase, out: &mut Actions) {
        self.end(reason.who(), phase, CloseMode::Reset, out);
    }

    /// An error of ours: an event or a reply that cannot come in this state, or one that says
    /// something else of the buffered bytes than the session counts. It ends this session alone.
    pub(super) fn impossible(&mut self, what: impl Debug, out: &mut Actions) {
        debug_assert!(false, "{what:?} in {:?}", self.state);
        out.clear();
        let phase = self.data_phase();
        self.end(TerminationCause::Internal, phase, CloseMode::Reset, out);
    }

    /// Whether the kernel holds an operation on this side.
    pub(super) fn in_flight(&self, side: Side) -> bool {
        let uses = [Use::Read, Use::Write, Use::Watch, Use::Cancel];
        uses.into_iter().any(|used| self.holds(side, used))
    }

    /// Whether the kernel holds an operation of this use on this side.
    pub fn holds(&self, side: Side, used: Use) -> bool {
        match (used, side) {
            (Use::Read, _) => self.pipes[side.index()].reading,
            (Use::Write, Side::Client) => self.pipes[Side::Server.index()].writing,
            (Use::Write, Side::Server) => {
                self.connecting || self.pipes[Side::Client.index()].writing
            }
            (Use::Watch, Side::Client) => self.watching,
            (Use::Watch, Side::Server) => false,
            (Use::Cancel, _) => self.canceling[side.index()],
        }
    }

    pub(super) fn data_phase(&self) -> TerminationPhase {
        if self.pipes[Side::Server.index()].in_head() {
            TerminationPhase::Headers
        } else if self.pipes[Side::Server.index()].has_ended() {
            TerminationPhase::Last
        } else {
            TerminationPhase::Data
        }
    }
}
