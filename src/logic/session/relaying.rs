//! Both directions at work, and the way to the end: half-close, reset, idleness, closing.

use super::{Protocol, Session};
use super::action::{Action, Actions, CloseMode, Event, Fault, Head, Side, SpliceResult, Use};
use super::error_response::ErrorResponse;
use super::pipe::Progress;
use super::termination::{TerminationCause, TerminationPhase, TerminationState};
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_relaying(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::Received { from, info } => {
                if self.pipe(from).received(info, out) {
                    self.last_activity = now;
                }
            }
            Event::Head { from, found } => match found {
                Head::Partial => {
                    let progress = self.pipe(from).head_partial(out);
                    self.settle(now, from, progress, out);
                }
                Head::Interim { len } => self.pipe(from).head_interim(len, out),
                Head::Whole { len } => {
                    self.pipe(from).head_whole(len);
                    self.pipe(from).go_on(out);
                }
                Head::Refused(_) => self.impossible(event, out),
            },
            Event::Sent { to, len } => {
                if len > 0 {
                    self.last_activity = now;
                }
                let progress = self.pipe(to.other()).sent(len, out);
                self.settle(now, to.other(), progress, out);
            }
            Event::Ended { from } => {
                self.last_activity = now;
                let progress = self.pipe(from).ended();
                self.settle(now, from, progress, out);
            }
            Event::SplicedIn { from, moved } => {
                let progress = self.pipe(from).spliced_in(moved, out);
                match moved {
                    SpliceResult::Failed(_) => self.source_failed(now, from, out),
                    SpliceResult::Bytes(_) | SpliceResult::End => {
                        self.last_activity = now;
                        self.settle(now, from, progress, out);
                    }
                    SpliceResult::WouldBlock | SpliceResult::NoPipe => {}
                }
            }
            Event::SplicedOut { from, moved } => {
                let progress = self.pipe(from).spliced_out(moved, out);
                match moved {
                    SpliceResult::Failed(fault) => self.sink_failed(now, from.other(), fault, out),
                    SpliceResult::Bytes(_) => {
                        self.last_activity = now;
                        self.settle(now, from, progress, out);
                    }
                    SpliceResult::WouldBlock | SpliceResult::End | SpliceResult::NoPipe => {}
                }
            }
            Event::Readable { from } => self.pipe(from).readable(out),
            Event::Writable { to } => self.pipe(to.other()).writable(out),
            Event::ReceiveFailed { from, .. } => self.source_failed(now, from, out),
            Event::SendFailed { to, fault } => self.sink_failed(now, to, fault, out),
            // The receive that is in flight tells the same, with what came before it.
            Event::ClientGone { armed } => self.watching = armed,
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut
                if self.pipes[Side::Server.index()].awaits_head()
                    && !self.pipes[Side::Client.index()].reset =>
            {
                let (who, answer) = (
                    TerminationCause::ServerTimeout,
                    ErrorResponse::GatewayTimeout,
                );
                self.answer(now, who, TerminationPhase::Headers, answer, out);
            }
            Event::TimedOut => self.idle_too_long(out),
            Event::Killed(reason) => {
                let phase = self.data_phase();
                self.end(reason.who(), phase, CloseMode::Reset, out);
            }
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::ErrorPrepared { .. }
            | Event::Unsent { .. }
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_) => self.impossible(event, out),
        }
    }

    pub(super) fn on_closing(&mut self, mode: CloseMode, event: Event, out: &mut Actions) {
        match event {
            Event::Received { from, info } => self.pipe(from).reading = info.armed,
            Event::Ended { from }
            | Event::ReceiveFailed { from, .. }
            | Event::Readable { from } => self.pipe(from).reading = false,
            Event::Sent { to, .. } | Event::SendFailed { to, .. } | Event::Writable { to } => {
                self.pipe(to.other()).writing = false;
            }
            Event::Connected | Event::ConnectFailed(_) | Event::Shortage => {
                self.connecting = false;
            }
            Event::ClientGone { armed } => self.watching = armed,
            Event::Canceled { side, used } => {
                self.gave_back(side, used);
                if used == Use::Cancel && self.in_flight(side) {
                    // It was queued before the operations that are left: a connect that was
                    // given up and stood in the same moment.
                    self.cancel(side, out);
                }
            }
            // It ends already.
            Event::TimedOut | Event::Killed(_) => return,
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Head { .. }
            | Event::ErrorPrepared { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::SlotFreed => {
                debug_assert!(false, "{event:?} while closing");
                return;
            }
        }
        if Side::BOTH.iter().all(|side| !self.in_flight(*side)) {
            out.push(Action::Free(mode));
        }
    }

    /// After an event in one direction: pass on its end, or close when both are through.
    fn settle(&mut self, now: Instant, from: Side, progress: Progress, out: &mut Actions) {
        if self.pipe(from).finished {
            return;
        }
        match progress {
            Progress::Going => return,
            Progress::HeadTruncated => {
                let (who, answer) = (TerminationCause::Server, ErrorResponse::BadGateway);
                return self.answer(now, who, TerminationPhase::Headers, answer, out);
            }
            Progress::Finished => {}
        }
        self.pipe(from).finished = true;
        let to = from.other();
        if self.pipe(from).reset {
            self.flush(now, to, out);
        } else if self.pipe(to).is_broken_off() {
            self.part(now, to, Some(Action::ShutdownWrite { to }), out);
        } else if self.pipe(to).finished {
            let outcome = self.outcome.unwrap_or(TerminationState::NORMAL);
            self.end(outcome.who, outcome.phase, CloseMode::Graceful, out);
        } else {
            out.push(Action::ShutdownWrite { to });
        }
    }

    /// A side gets no more than was sent to it, but for the end of the stream if that was not passed
    /// on yet; it may still be sending what nobody takes any more.
    fn part(&mut self, now: Instant, to: Side, end: Option<Action>, out: &mut Actions) {
        if to == Side::Client && !self.in_flight(Side::Server) {
            out.push(Action::LeaveServer);
        }
        if let Some(end) = end {
            out.push(end);
        }
        match to {
            Side::Client => self.linger(now, out),
            Side::Server => self.flush(now, to, out),
        }
    }

    /// A side can't be read any more: it was reset. That is passed on after what it sent before.
    fn source_failed(&mut self, now: Instant, from: Side, out: &mut Actions) {
        let (who, phase) = (blame(from), self.data_phase());
        if self.pipe(from).finished {
            // The other side takes nothing either.
            self.pipe(from).reading = false;
            return self.end(who, phase, CloseMode::Reset, out);
        }
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.last_activity = now;
        let progress = self.pipe(from).source_failed(out);
        self.settle(now, from, progress, out);
        if self.is_connected() {
            self.take_no_more(from, out);
        }
    }

    /// A side can't be written any more. What it sent before may still be on its way to us, so
    /// the opposite direction goes on to its end.
    fn sink_failed(&mut self, now: Instant, to: Side, fault: Fault, out: &mut Actions) {
        let (who, phase) = (blame(to), self.data_phase());
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.pipe(to.other()).break_off(out);
        if self.pipe(to).finished {
            return self.part(now, to.other(), None, out);
        }
        // The kernel tells of a reset once only: what is read then looks like an end. In HTTP mode a
        // server that refuses the rest of a request has mostly answered; the client is to read that,
        // whatever it still sends.
        let is_passed_on = match to {
            Side::Client => true,
            Side::Server => self.protocol == Protocol::Tcp,
        };
        if is_passed_on && fault != Fault::Closed && !self.pipe(to).ended {
            self.pipe(to).reset = true;
        }
        self.pipe(to.other()).drop_rest(out);
    }

    /// Nothing moved for too long: the side that has something to take is to blame, else the one
    /// that could have spoken.
    fn idle_too_long(&mut self, out: &mut Actions) {
        let from_client = &self.pipes[Side::Client.index()];
        let from_server = &self.pipes[Side::Server.index()];
        let who = if from_server.held() > 0 || !from_client.ended && from_client.held() == 0 {
            TerminationCause::ClientTimeout
        } else {
            TerminationCause::ServerTimeout
        };
        let mode = if from_client.held() + from_server.held() > 0 {
            // An ordinary close would look like the end of the stream to a peer that lost bytes.
            CloseMode::Reset
        } else {
            CloseMode::Graceful
        };
        let phase = self.data_phase();
        self.end(who, phase, mode, out);
    }
}

/// Who is to blame when the connection of this side fails.
fn blame(side: Side) -> TerminationCause {
    match side {
        Side::Client => TerminationCause::Client,
        Side::Server => TerminationCause::Server,
    }
}
