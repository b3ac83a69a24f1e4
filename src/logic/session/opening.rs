//! From the choice of a server to the connection with it: choosing, waiting in the queue, connecting,
//! trying again.

use super::action::{Action, Actions, ChooseReason};
use super::error_response::ErrorResponse;
use super::event::{ConnectFault, Event, Fault, WatchEvent};
use super::reply::Choice;
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase};
use super::{Policy, RETRY_PAUSE, SHORTAGE_PAUSE, Session, State};
use crate::logic::time::Instant;

impl Session {
    /// An event while a server or a backup is chosen, `phase` of the session: the reply comes before any other
    /// event but the first of the session.
    pub(super) fn on_choosing(&mut self, phase: TerminationPhase, event: Event, out: &mut Actions) {
        match event {
            Event::Accepted if self.state == State::Choosing => {
                out.push(Action::Choose(ChooseReason::New));
            }
            Event::Killed(reason) => self.kill(reason, phase, out),
            Event::Accepted
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Read { .. }
            | Event::Write { .. }
            | Event::Watch(_)
            | Event::CancelEnded { .. }
            | Event::TimedOut => self.impossible(event, out),
        }
    }

    pub(super) fn on_choice(
        &mut self,
        now: Instant,
        choice: Choice,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match choice {
            Choice::Chosen => self.connect(now, out),
            Choice::Full => {
                let since = self.take_woken_since().unwrap_or(now);
                self.state = State::Queued { since };
                out.push(Action::Enqueue);
                self.watch_client(out);
            }
            Choice::AllTried => {
                self.stop_waiting(now);
                self.state = State::Pausing {
                    until: now + RETRY_PAUSE.min(policy.connect_timeout),
                };
                self.watch_client(out);
            }
            Choice::NoServer => {
                self.stop_waiting(now);
                let (who, response) = (TerminationCause::Server, ErrorResponse::Unavailable);
                self.fail(now, who, TerminationPhase::Connect, response, out);
            }
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
                self.rare_times().woken_since = Some(since);
                self.state = State::Choosing;
                out.push(Action::Choose(ChooseReason::Woken));
            }
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.leave_queue(now, since, out);
                self.client_gone(armed, TerminationPhase::Queue, out);
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::TimedOut => {
                self.leave_queue(now, since, out);
                self.state = State::ChoosingBackup;
                out.push(Action::ChooseBackup);
            }
            Event::Killed(reason) => {
                self.leave_queue(now, since, out);
                self.kill(reason, TerminationPhase::Queue, out);
            }
            Event::Accepted
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Read { .. }
            | Event::Write { .. }
            | Event::CancelEnded { .. } => self.impossible(event, out),
        }
    }

    pub(super) fn on_backup_choice(&mut self, now: Instant, chosen: bool, out: &mut Actions) {
        if chosen {
            self.connect(now, out);
        } else {
            let (who, response) = (TerminationCause::ServerTimeout, ErrorResponse::Unavailable);
            self.fail(now, who, TerminationPhase::Queue, response, out);
        }
    }

    /// An event during a pause before a server is chosen again.
    pub(super) fn on_pausing(
        &mut self,
        now: Instant,
        event: Event,
        policy: &Policy,
        out: &mut Actions,
    ) {
        match event {
            Event::TimedOut => self.pause_over(now, policy, out),
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.client_gone(armed, TerminationPhase::Connect, out);
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::Killed(reason) => self.kill(reason, TerminationPhase::Connect, out),
            Event::Accepted
            | Event::SlotFreed
            | Event::Connected
            | Event::ConnectFailed(_)
            | Event::Read { .. }
            | Event::Write { .. }
            | Event::CancelEnded { .. } => self.impossible(event, out),
        }
    }

    /// Chooses a server again, unless there has been a shortage for too long.
    fn pause_over(&mut self, now: Instant, policy: &Policy, out: &mut Actions) {
        if let State::Backoff { .. } = self.state {
            let since = self.rare_times().backoff_since.unwrap_or(now);
            if now >= since + policy.connect_timeout {
                let (who, response) = (TerminationCause::Resource, ErrorResponse::Unavailable);
                return self.fail(now, who, TerminationPhase::Connect, response, out);
            }
        } else {
            out.push(Action::ForgetTried);
        }
        self.state = State::Choosing;
        out.push(Action::Choose(ChooseReason::New));
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
                self.connected_at.set(now);
                self.last_activity = now;
                self.state = State::Relaying;
                // A client that speaks first has spoken by now; a server rarely has. In HTTP mode
                // the head of the request is sent.
                self.pipe(Side::Client).start(true, out);
                self.pipe(Side::Server).start(false, out);
            }
            Event::ConnectFailed(_) if abandoned => {
                let fault = ConnectFault::Fault(Fault::TimedOut);
                self.connect_failed(now, fault, policy, out);
            }
            Event::ConnectFailed(fault) => self.connect_failed(now, fault, policy, out),
            Event::TimedOut => {
                self.state = State::Connecting {
                    since,
                    abandoned: true,
                };
                self.cancel(Side::Server, out);
            }
            Event::Watch(WatchEvent::Gone { armed }) => {
                self.client_gone(armed, TerminationPhase::Connect, out);
            }
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::CancelEnded { side } => {
                self.canceling[side.index()] = false;
                if let Some(fault) = self.connect_fault.take() {
                    self.retry(now, fault, policy, out);
                }
            }
            Event::Killed(reason) => self.kill(reason, TerminationPhase::Connect, out),
            Event::Accepted | Event::SlotFreed | Event::Read { .. } | Event::Write { .. } => {
                self.impossible(event, out);
            }
        }
    }

    /// A connect attempt came to no connection. The server is left when no cancellation names its
    /// socket any more.
    pub(super) fn connect_failed(
        &mut self,
        now: Instant,
        fault: ConnectFault,
        policy: &Policy,
        out: &mut Actions,
    ) {
        self.connecting = false;
        match fault {
            ConnectFault::Fault(fault) if self.canceling[Side::Server.index()] => {
                self.connect_fault = Some(fault);
            }
            ConnectFault::Fault(fault) => self.retry(now, fault, policy, out),
            ConnectFault::Shortage => {
                // It was no attempt on the server.
                self.attempts -= 1;
                self.rare_times().backoff_since.get_or_insert(now);
                self.state = State::Backoff {
                    until: now + SHORTAGE_PAUSE,
                };
            }
        }
    }

    /// A connect attempt failed, and no operation of it is in flight.
    fn retry(&mut self, now: Instant, fault: Fault, policy: &Policy, out: &mut Actions) {
        if self.attempts <= policy.retries {
            self.state = State::Choosing;
            out.push(Action::Choose(ChooseReason::Failed));
            return;
        }
        let who = if fault == Fault::TimedOut {
            TerminationCause::ServerTimeout
        } else {
            TerminationCause::Server
        };
        let response = ErrorResponse::Unavailable;
        self.fail(now, who, TerminationPhase::Connect, response, out);
    }

    /// A server was chosen.
    fn connect(&mut self, now: Instant, out: &mut Actions) {
        self.stop_waiting(now);
        self.chosen_at.set_if_none(now);
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

    /// A session that was woken does not go back to the queue.
    fn stop_waiting(&mut self, now: Instant) {
        if let Some(since) = self.take_woken_since() {
            self.count_wait(now, since);
        }
    }

    fn count_wait(&mut self, now: Instant, since: Instant) {
        self.rare_times().waited += now.duration_since(since);
    }

    fn take_woken_since(&mut self) -> Option<Instant> {
        self.rare_times.as_mut()?.woken_since.take()
    }

    fn leave_queue(&mut self, now: Instant, since: Instant, out: &mut Actions) {
        self.count_wait(now, since);
        out.push(Action::Dequeue);
    }
}
