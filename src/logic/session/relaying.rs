//! Both directions at work, and the way to the end: half-close, reset, idleness, closing.

use super::Session;
use super::action::{Action, Actions, Event, Farewell, Head, Moved, Side, Use};
use super::answer::Answer;
use super::outcome::{Outcome, Phase, Who};
use super::pipe::Progress;
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_relaying(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::Received { from, news } => {
                self.last_activity = now;
                self.pipe(from).received(news, out);
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
                    Moved::Failed(_) => self.source_failed(now, from, out),
                    Moved::Bytes(_) | Moved::End => {
                        self.last_activity = now;
                        self.settle(now, from, progress, out);
                    }
                    Moved::WouldBlock | Moved::NoPipe => {}
                }
            }
            Event::SplicedOut { from, moved } => {
                let progress = self.pipe(from).spliced_out(moved, out);
                match moved {
                    Moved::Failed(_) => self.sink_failed(from.other(), out),
                    Moved::Bytes(_) => {
                        self.last_activity = now;
                        self.settle(now, from, progress, out);
                    }
                    Moved::WouldBlock | Moved::End | Moved::NoPipe => {}
                }
            }
            Event::Readable { from } => self.pipe(from).readable(out),
            Event::Writable { to } => self.pipe(to.other()).writable(out),
            Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.source_failed(now, from, out);
            }
            Event::SendFailed { to, .. } => self.sink_failed(to, out),
            // The receive that is in flight tells the same, with what came before it.
            Event::ClientGone { armed } => self.watching = armed,
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut if self.pipes[Side::Server.index()].awaits_head() => {
                let (who, answer) = (Who::ServerTimeout, Answer::GatewayTimeout);
                self.answer(now, who, Phase::Headers, answer, out);
            }
            Event::TimedOut => self.idle_too_long(out),
            Event::Killed(killer) => {
                let phase = self.data_phase();
                self.end(killer.who(), phase, Farewell::Reset, out);
            }
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::Shortage
            | Event::Answered { .. }
            | Event::PlaceFreed
            | Event::Connected
            | Event::ConnectFailed(_) => self.impossible(event, out),
        }
    }

    pub(super) fn on_closing(&mut self, farewell: Farewell, event: Event, out: &mut Actions) {
        match event {
            Event::Received { from, news } => self.pipe(from).reading = news.armed,
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
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::PlaceFreed => {
                debug_assert!(false, "{event:?} while closing");
                return;
            }
        }
        if Side::BOTH.iter().all(|side| !self.in_flight(*side)) {
            out.push(Action::Free(farewell));
        }
    }

    /// After an event in one direction: pass on its end, or close when both are through.
    fn settle(&mut self, now: Instant, from: Side, progress: Progress, out: &mut Actions) {
        if self.pipe(from).finished {
            return;
        }
        match progress {
            Progress::Going => return,
            Progress::Cut => {
                let (who, answer) = (Who::Server, Answer::BadGateway);
                return self.answer(now, who, Phase::Headers, answer, out);
            }
            Progress::Finished => {}
        }
        self.pipe(from).finished = true;
        if from == Side::Server && self.pipe(Side::Client).is_broken_off() {
            // The client may still be sending what nobody takes any more.
            out.push(Action::LeaveServer);
            self.linger(now, out);
        } else if self.pipe(from.other()).finished {
            let outcome = self.outcome.unwrap_or(Outcome::NORMAL);
            self.end(outcome.who, outcome.phase, Farewell::Finish, out);
        } else {
            out.push(Action::ShutdownWrite { to: from.other() });
        }
    }

    /// A side can't be read any more: it was reset, which is passed on.
    fn source_failed(&mut self, now: Instant, from: Side, out: &mut Actions) {
        if from == Side::Server && self.pipe(from).awaits_head() {
            let (who, answer) = (Who::Server, Answer::BadGateway);
            return self.answer(now, who, Phase::Headers, answer, out);
        }
        let phase = self.data_phase();
        self.end(blame(from), phase, Farewell::Reset, out);
    }

    /// A side can't be written any more. What it sent before may still be on its way to us, so
    /// the opposite direction goes on to its end.
    fn sink_failed(&mut self, to: Side, out: &mut Actions) {
        let phase = self.data_phase();
        if self.pipe(to).finished {
            self.pipe(to.other()).writing = false;
            self.end(blame(to), phase, Farewell::Reset, out);
        } else {
            let who = blame(to);
            self.outcome.get_or_insert(Outcome { who, phase });
            self.pipe(to.other()).break_off(out);
        }
    }

    /// Nothing moved for too long: the side that has something to take is to blame, else the one
    /// that could have spoken.
    fn idle_too_long(&mut self, out: &mut Actions) {
        let from_client = &self.pipes[Side::Client.index()];
        let from_server = &self.pipes[Side::Server.index()];
        let who = if from_server.held() > 0 || !from_client.ended && from_client.held() == 0 {
            Who::ClientTimeout
        } else {
            Who::ServerTimeout
        };
        let farewell = if from_client.held() + from_server.held() > 0 {
            // An ordinary close would look like the end of the stream to a peer that lost bytes.
            Farewell::Reset
        } else {
            Farewell::Finish
        };
        let phase = self.data_phase();
        self.end(who, phase, farewell, out);
    }
}

/// Who is to blame when the connection of this side fails.
fn blame(side: Side) -> Who {
    match side {
        Side::Client => Who::Client,
        Side::Server => Who::Server,
    }
}
