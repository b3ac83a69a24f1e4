//! Before a server is chosen: reading what the client must send first.
//!
//! In HTTP mode that is the head of its first request, in TLS mode its ClientHello. The bytes stay in one piece
//! until all is there; what it says, and how it is edited, is for the worker to find out.

use super::action::{Action, Actions, ChooseReason, CloseMode};
use super::error_response::ErrorResponse;
use super::event::{Event, ReadEvent};
use super::reply::{PrefaceDecision, Refusal};
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Protocol, Session, State};
use crate::logic::time::Instant;

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
                let (cause, phase) = (TerminationCause::ClientTimeout, self.preface_phase());
                match self.protocol {
                    Protocol::Http | Protocol::Tcp => {
                        let response = ErrorResponse::RequestTimeout.into();
                        self.respond(now, cause, phase, response, out);
                    }
                    Protocol::Tls => self.end(cause, phase, CloseMode::Graceful, out),
                }
            }
            Event::Killed(reason) => self.kill(reason, self.preface_phase(), out),
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
        self.end(TerminationCause::Client, self.preface_phase(), mode, out);
    }

    /// In which a session ends whose preface was not complete.
    fn preface_phase(&self) -> TerminationPhase {
        match self.protocol {
            Protocol::Tls if !self.is_reading_proxy_head() => TerminationPhase::Hello,
            Protocol::Tcp | Protocol::Http | Protocol::Tls => TerminationPhase::Request,
        }
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
            PrefaceDecision::Refused(Refusal::Respond(answer)) => {
                let phase = TerminationPhase::Request;
                self.respond(now, TerminationCause::Proxy, phase, answer, out);
            }
            PrefaceDecision::Refused(Refusal::Close) => {
                let phase = self.preface_phase();
                self.end(TerminationCause::Proxy, phase, CloseMode::Graceful, out);
            }
        }
    }
}
