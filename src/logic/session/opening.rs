//! From accept to the connection with a server: choosing, waiting for a place, connecting, trying
//! elsewhere.

use super::action::{Action, Actions, Event, Farewell, Fault, Side, Use};
use super::answer::Answer;
use super::outcome::{Phase, Who};
use super::{Policy, RETRY_PAUSE, SHORTAGE_PAUSE, Session, State};
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_choosing(
        &mut self,
        now: Instant,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match event {
            Event::Accepted => out.push(Action::Choose { failed: false }),
            Event::Chosen => self.connect(now, out),
            Event::Full => {
                let since = self.called_since.take().unwrap_or(now);
                self.state = State::Queued { since };
                out.push(Action::Enqueue);
                self.watch_client(out);
            }
            Event::AllTried => {
                self.stop_waiting(now);
                self.state = State::Pausing {
                    until: now + RETRY_PAUSE.min(policy.connect_timeout),
                };
                self.watch_client(out);
            }
            Event::NoServer => {
                self.stop_waiting(now);
                self.fail(now, Who::Server, Phase::Connect, Answer::Unavailable, out);
            }
            Event::Killed(killer) => self.end(killer.who(), Phase::Connect, Farewell::Reset, out),
            Event::Shortage
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. }
            | Event::Canceled { .. }
            | Event::ClientGone { .. }
            | Event::TimedOut => self.impossible(event, out),
        }
    }

    pub(super) fn on_queued(
        &mut self,
        now: Instant,
        since: Instant,
        event: Event,
        out: &mut Actions,
    ) {
        match event {
            Event::PlaceFreed => {
                self.called_since = Some(since);
                self.state = State::Choosing;
                out.push(Action::Choose { failed: false });
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.leave_queue(now, since, out);
                self.end(Who::Client, Phase::Queue, Farewell::Reset, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut => {
                self.leave_queue(now, since, out);
                self.state = State::ChoosingBackup;
                out.push(Action::ChooseBackup);
            }
            Event::Killed(killer) => {
                self.leave_queue(now, since, out);
                self.end(killer.who(), Phase::Queue, Farewell::Reset, out);
            }
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. } => self.impossible(event, out),
        }
    }

    pub(super) fn on_choosing_backup(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::Chosen => self.connect(now, out),
            Event::Full => {
                let (who, answer) = (Who::ServerTimeout, Answer::Unavailable);
                self.fail(now, who, Phase::Queue, answer, out);
            }
            Event::Killed(killer) => self.end(killer.who(), Phase::Queue, Farewell::Reset, out),
            Event::Accepted
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. }
            | Event::Canceled { .. }
            | Event::ClientGone { .. }
            | Event::TimedOut => self.impossible(event, out),
        }
    }

    pub(super) fn on_pausing(&mut self, event: Event, out: &mut Actions) {
        match event {
            Event::TimedOut => {
                self.state = State::Choosing;
                out.push(Action::ForgetTried);
                out.push(Action::Choose { failed: false });
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.end(Who::Client, Phase::Connect, Farewell::Reset, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::Killed(killer) => self.end(killer.who(), Phase::Connect, Farewell::Reset, out),
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. } => self.impossible(event, out),
        }
    }

    /// A server was chosen.
    fn connect(&mut self, now: Instant, out: &mut Actions) {
        self.stop_waiting(now);
        self.chosen_at.get_or_insert(now);
        self.attempts += 1;
        self.connecting = true;
        self.state = State::Connecting {
            since: now,
            abandoned: false,
        };
        out.push(Action::Connect);
    }

    fn watch_client(&mut self, out: &mut Actions) {
        if !self.watching {
            self.watching = true;
            out.push(Action::WatchClient);
        }
    }

    /// A session that was called from the queue has its answer.
    fn stop_waiting(&mut self, now: Instant) {
        if let Some(since) = self.called_since.take() {
            self.waited += now.duration_since(since);
        }
    }

    fn leave_queue(&mut self, now: Instant, since: Instant, out: &mut Actions) {
        self.waited += now.duration_since(since);
        out.push(Action::Dequeue);
    }

    pub(super) fn on_short(
        &mut self,
        now: Instant,
        since: Instant,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match event {
            Event::TimedOut if now >= since + policy.connect_timeout => {
                let (who, answer) = (Who::Resource, Answer::Unavailable);
                self.fail(now, who, Phase::Connect, answer, out);
            }
            Event::TimedOut => {
                self.short_since = Some(since);
                self.state = State::Choosing;
                out.push(Action::Choose { failed: false });
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.end(Who::Client, Phase::Connect, Farewell::Reset, out);
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::Killed(killer) => self.end(killer.who(), Phase::Connect, Farewell::Reset, out),
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Shortage
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. } => self.impossible(event, out),
        }
    }

    pub(super) fn on_connecting(
        &mut self,
        now: Instant,
        since: Instant,
        abandoned: bool,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match event {
            Event::Connected => {
                self.connecting = false;
                self.connected_at = Some(now);
                self.last_activity = now;
                self.state = State::Relaying;
                // A client that speaks first has spoken by now; a server rarely has. In HTTP mode
                // the head of the request goes out.
                self.pipes[Side::Client.index()].start(true, out);
                self.pipes[Side::Server.index()].start(false, out);
            }
            Event::ConnectFailed(fault) => {
                self.connecting = false;
                let fault = if abandoned { Fault::TimedOut } else { fault };
                if self.canceling[Side::Server.index()] {
                    self.connect_fault = Some(fault);
                } else {
                    self.retry(now, fault, policy, out);
                }
            }
            Event::Shortage if self.canceling[Side::Server.index()] => {
                // Its time was up in any case, and the cancellation still names the socket.
                self.connecting = false;
                self.connect_fault = Some(Fault::TimedOut);
            }
            Event::Shortage => {
                self.connecting = false;
                // It was no attempt on the server.
                self.attempts -= 1;
                self.state = State::Short {
                    since: self.short_since.unwrap_or(now),
                    until: now + SHORTAGE_PAUSE,
                };
            }
            Event::TimedOut => {
                self.state = State::Connecting {
                    since,
                    abandoned: true,
                };
                self.cancel(Side::Server, out);
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.end(Who::Client, Phase::Connect, Farewell::Reset, out);
            }
            Event::Canceled { side, used } => {
                self.gave_back(side, used);
                if used == Use::Cancel
                    && let Some(fault) = self.connect_fault.take()
                {
                    self.retry(now, fault, policy, out);
                }
            }
            Event::Killed(killer) => self.end(killer.who(), Phase::Connect, Farewell::Reset, out),
            Event::Accepted
            | Event::Chosen
            | Event::Full
            | Event::NoServer
            | Event::AllTried
            | Event::Head { .. }
            | Event::Answered { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::PlaceFreed
            | Event::Received { .. }
            | Event::Ended { .. }
            | Event::ReceiveFailed { .. }
            | Event::Sent { .. }
            | Event::SendFailed { .. }
            | Event::Readable { .. }
            | Event::Writable { .. } => self.impossible(event, out),
        }
    }

    /// A connect attempt is over, and nothing of it is in flight.
    fn retry(&mut self, now: Instant, fault: Fault, policy: &Policy, out: &mut Actions) {
        if self.attempts <= policy.retries {
            self.state = State::Choosing;
            out.push(Action::Choose { failed: true });
            return;
        }
        let who = if fault == Fault::TimedOut {
            Who::ServerTimeout
        } else {
            Who::Server
        };
        self.fail(now, who, Phase::Connect, Answer::Unavailable, out);
    }
}
