//! HTTP mode: from accept to the end of the head of the first request.

use super::action::{Action, Actions, CloseMode, Event, Head, Refusal, Side};
use super::error_response::ErrorResponse;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Session, State};
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_reading_head(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            // A client that connected has mostly sent its request by now.
            Event::Accepted => self.pipe(Side::Client).start(true, out),
            Event::Received { from, info } => {
                self.pipe(from).received(info, out);
            }
            Event::Head { from, found } => match found {
                Head::Partial => {
                    // The session ends with the end of its request.
                    let _ = self.pipe(from).head_partial(out);
                }
                Head::Whole { len } => {
                    self.pipe(from).head_whole(len);
                    self.state = State::Choosing;
                    out.push(Action::Choose { failed: false });
                }
                Head::Refused(Refusal::Respond(answer)) => {
                    self.answer(
                        now,
                        TerminationCause::Proxy,
                        TerminationPhase::Request,
                        answer,
                        out,
                    );
                }
                Head::Refused(Refusal::Close) => {
                    self.end(
                        TerminationCause::Proxy,
                        TerminationPhase::Request,
                        CloseMode::Graceful,
                        out,
                    );
                }
                Head::Interim { .. } => self.impossible(event, out),
            },
            Event::Ended { from } => {
                self.pipe(from).reading = false;
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Request,
                    CloseMode::Graceful,
                    out,
                );
            }
            Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Request,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut => {
                let (who, answer) = (
                    TerminationCause::ClientTimeout,
                    ErrorResponse::RequestTimeout,
                );
                self.answer(now, who, TerminationPhase::Request, answer, out);
            }
            Event::Killed(reason) => {
                self.end(
                    reason.who(),
                    TerminationPhase::Request,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::ErrorPrepared { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. }
            | Event::ClientGone { .. } => self.impossible(event, out),
        }
    }
}
