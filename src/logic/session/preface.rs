//! Before a server is chosen: reading what the client must send first.
//!
//! In HTTP mode that is the head of its first request. The bytes stay in one piece until all is
//! there; what it says, and how it is edited, is for the worker to find out.

use super::action::{Action, Actions, ChooseReason, CloseMode};
use super::error_response::ErrorResponse;
use super::event::{Event, ReadEvent};
use super::reply::{PrefaceDecision, Refusal};
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Session, State};
use crate::logic::time::Instant;

/// In which a session ends whose preface was not complete.
const PHASE: TerminationPhase = TerminationPhase::Request;

impl Session {
    pub(super) fn on_reading_preface(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            // A client that connected has mostly sent its request by now.
            Event::Accepted => self.pipe(Side::Client).start(true, out),
            Event::Read { from, event: read } => match read {
                ReadEvent::Received(info) => {
                    self.pipe(from).received(info, out);
                }
                ReadEvent::Ended => self.client_left(CloseMode::Graceful, out),
                ReadEvent::Failed => self.client_left(CloseMode::Reset, out),
                ReadEvent::Readable | ReadEvent::Canceled => self.impossible(event, out),
            },
            Event::TimedOut => {
                let cause = TerminationCause::ClientTimeout;
                self.respond(now, cause, PHASE, ErrorResponse::RequestTimeout, out);
            }
            Event::Killed(reason) => self.kill(reason, PHASE, out),
            Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Write { .. }
            | Event::Watch(_)
            | Event::CancelEnded { .. } => self.impossible(event, out),
        }
    }

    /// The client has ended its stream, or was reset, before all had come that it must send first.
    pub(super) fn client_left(&mut self, mode: CloseMode, out: &mut Actions) {
        self.pipe(Side::Client).reading = false;
        self.end(TerminationCause::Client, PHASE, mode, out);
    }

    pub(super) fn on_preface(
        &mut self,
        now: Instant,
        decision: PrefaceDecision,
        out: &mut Actions,
    ) {
        match decision {
            PrefaceDecision::Incomplete => self.pipe(Side::Client).receive(out),
            PrefaceDecision::Complete => {
                self.pipe(Side::Client).head_whole();
                self.state = State::Choosing;
                out.push(Action::Choose(ChooseReason::New));
            }
            PrefaceDecision::Refused(Refusal::Respond(response)) => {
                self.respond(now, TerminationCause::Proxy, PHASE, response, out);
            }
            PrefaceDecision::Refused(Refusal::Close) => {
                self.end(TerminationCause::Proxy, PHASE, CloseMode::Graceful, out);
            }
        }
    }
}
