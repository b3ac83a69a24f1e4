//! From accept to the connection with a server: choosing, waiting for a place, connecting, trying
//! elsewhere.

use super::action::{Action, Actions, CloseMode, Event, Fault, Side, Use};
use super::error_response::ErrorResponse;
use super::termination::{TerminationCause, TerminationPhase};
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
                let since = self.woken_since.take().unwrap_or(now);
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
                self.fail(
                    now,
                    TerminationCause::Server,
                    TerminationPhase::Connect,
                    ErrorResponse::Unavailable,
                    out,
                );
            }
            Event::Killed(reason) => self.end(
                reason.who(),
                TerminationPhase::Connect,
                CloseMode::Reset,
                out,
            ),
            Event::Shortage
            | Event::Head { .. }
            | Event::ErrorPrepared { .. }
            | Event::SplicedIn { .. }
            | Event::SplicedOut { .. }
            | Event::Unsent { .. }
            | Event::SlotFreed
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
            Event::SlotFreed => {
                self.woken_since = Some(since);
                self.state = State::Choosing;
                out.push(Action::Choose { failed: false });
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.leave_queue(now, since, out);
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Queue,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::TimedOut => {
                self.leave_queue(now, since, out);
                self.state = State::ChoosingBackup;
                out.push(Action::ChooseBackup);
            }
            Event::Killed(reason) => {
                self.leave_queue(now, since, out);
                self.end(reason.who(), TerminationPhase::Queue, CloseMode::Reset, out);
            }
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
                let (who, answer) = (TerminationCause::ServerTimeout, ErrorResponse::Unavailable);
                self.fail(now, who, TerminationPhase::Queue, answer, out);
            }
            Event::Killed(reason) => {
                self.end(reason.who(), TerminationPhase::Queue, CloseMode::Reset, out)
            }
            Event::Accepted
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
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Connect,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::Killed(reason) => self.end(
                reason.who(),
                TerminationPhase::Connect,
                CloseMode::Reset,
                out,
            ),
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
        if let Some(since) = self.woken_since.take() {
            self.waited += now.duration_since(since);
        }
    }

    fn leave_queue(&mut self, now: Instant, since: Instant, out: &mut Actions) {
        self.waited += now.duration_since(since);
        out.push(Action::Dequeue);
    }

    pub(super) fn on_backoff(
        &mut self,
        now: Instant,
        since: Instant,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match event {
            Event::TimedOut if now >= since + policy.connect_timeout => {
                let (who, answer) = (TerminationCause::Resource, ErrorResponse::Unavailable);
                self.fail(now, who, TerminationPhase::Connect, answer, out);
            }
            Event::TimedOut => {
                self.short_since = Some(since);
                self.state = State::Choosing;
                out.push(Action::Choose { failed: false });
            }
            Event::ClientGone { armed } => {
                self.watching = armed;
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Connect,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Canceled { side, used } => self.gave_back(side, used),
            Event::Killed(reason) => self.end(
                reason.who(),
                TerminationPhase::Connect,
                CloseMode::Reset,
                out,
            ),
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
                self.state = State::Backoff {
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
                self.end(
                    TerminationCause::Client,
                    TerminationPhase::Connect,
                    CloseMode::Reset,
                    out,
                );
            }
            Event::Canceled { side, used } => {
                self.gave_back(side, used);
                if used == Use::Cancel
                    && let Some(fault) = self.connect_fault.take()
                {
                    self.retry(now, fault, policy, out);
                }
            }
            Event::Killed(reason) => self.end(
                reason.who(),
                TerminationPhase::Connect,
                CloseMode::Reset,
                out,
            ),
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
            | Event::SlotFreed
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
            TerminationCause::ServerTimeout
        } else {
            TerminationCause::Server
        };
        self.fail(
            now,
            who,
            TerminationPhase::Connect,
            ErrorResponse::Unavailable,
            out,
        );
    }
}
