//! HTTP mode: from accept to the end of the head of the first request.

use super::action::{Action, Actions, Event, Farewell, Head, Refusal, Side};
use super::answer::Answer;
use super::outcome::{Phase, Who};
use super::{Session, State};
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_reading_head(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            // A client that connected has mostly sent its request by now.
            Event::Accepted => self.pipe(Side::Client).start(true, out),
            Event::Received { from, news } => {
                self.pipe(from).received(news, out);
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
                Head::Refused(Refusal::Answer(answer)) => {
                    self.answer(now, Who::Proxy, Phase::Request, answer, out);
                }
                Head::Refused(Refusal::Close) => {
                    self.end(Who::Proxy, Phase::Request, Farewell::Finish, out);
                }
                Head::Interim { .. } => self.impossible(event, out),
            },
            Event::Ended { from } => {
                self.pipe(from).reading = false;
                self.end(Who::Client, Phase::Request, Farewell::Finish, out);
            }
            Event::ReceiveFailed { from, .. } => {
                self.pipe(from).reading = false;
                self.end(Who::Client, Phase::Request, Farewell::Reset, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut => {
                let (who, answer) = (Who::ClientTimeout, Answer::RequestTimeout);
                self.answer(now, who, Phase::Request, answer, out);
            }
            Event::Killed(killer) => {
                self.end(killer.who(), Phase::Request, Farewell::Reset, out);
            }
            Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
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
