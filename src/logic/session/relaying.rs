//! Both directions at work, and how they end: half-close, reset, idleness, closing.

use super::action::{Action, Actions, CloseMode};
use super::error_response::ErrorResponse;
use super::event::{Event, Fault, ReadEvent, WatchEvent, WriteEvent};
use super::pipe::Progress;
use super::reply::{ResponseHead, SpliceResult};
use super::side::Side;
use super::termination::{TerminationCause, TerminationPhase, TerminationState};
use super::{Protocol, Session};
use crate::logic::time::Instant;

impl Session {
    pub(super) fn on_relaying(&mut self, now: Instant, event: Event, out: &mut Actions) {
        match event {
            Event::Read { from, event } => self.on_read(now, from, event, out),
            Event::Write { to, event } => self.on_written(now, to, event, out),
            // The receive that is in flight reports the same, after what came before it.
            Event::Watch(WatchEvent::Gone { armed }) => self.watching = armed,
            Event::Watch(WatchEvent::Ended) => self.watching = false,
            Event::CancelEnded { side } => self.canceling[side.index()] = false,
            Event::TimedOut if now >= self.age_ends() => self.end_of_age(out),
            Event::TimedOut
                if self.pipes[Side::Server.index()].awaits_head()
                    && !self.pipes[Side::Client.index()].was_reset() =>
            {
                let cause = TerminationCause::ServerTimeout;
                let response = ErrorResponse::GatewayTimeout;
                self.respond(now, cause, TerminationPhase::Headers, response.into(), out);
            }
            Event::TimedOut => self.idle_too_long(out),
            Event::Killed(reason) => self.kill(reason, self.data_phase(), out),
            Event::Accepted | Event::SlotFreed | Event::Connected | Event::ConnectFailed(_) => {
                self.impossible(event, out);
            }
        }
    }

    fn on_read(&mut self, now: Instant, from: Side, event: ReadEvent, out: &mut Actions) {
        match event {
            ReadEvent::Received(info) => {
                if self.pipe(from).received(info, out) {
                    self.last_activity = now;
                }
            }
            ReadEvent::Ended => {
                self.last_activity = now;
                let progress = self.pipe(from).ended();
                self.go_on(now, from, progress, out);
            }
            ReadEvent::Failed => self.source_failed(now, from, out),
            ReadEvent::Readable => {
                let progress = self.pipe(from).readable(out);
                self.go_on(now, from, progress, out);
            }
            ReadEvent::Canceled => self.pipe(from).reading = false,
        }
    }

    fn on_written(&mut self, now: Instant, to: Side, event: WriteEvent, out: &mut Actions) {
        match event {
            WriteEvent::Sent { len, left } => {
                if len > 0 {
                    self.last_activity = now;
                }
                let progress = self.pipe(to.other()).sent(left, out);
                self.go_on(now, to.other(), progress, out);
            }
            WriteEvent::Failed(fault) => self.sink_failed(now, to, fault, out),
            WriteEvent::Writable => self.pipe(to.other()).writable(out),
            WriteEvent::Canceled => self.pipe(to.other()).writing = false,
        }
    }

    pub(super) fn on_response_head(&mut self, now: Instant, head: ResponseHead, out: &mut Actions) {
        match head {
            ResponseHead::Partial => {
                let progress = self.pipe(Side::Server).head_partial(out);
                self.go_on(now, Side::Server, progress, out);
            }
            ResponseHead::Interim { more } => {
                let progress = self.pipe(Side::Server).head_interim(more, out);
                self.go_on(now, Side::Server, progress, out);
            }
            ResponseHead::Whole | ResponseHead::Upgrade => {
                self.is_tunnel = head == ResponseHead::Upgrade;
                let pipe = self.pipe(Side::Server);
                pipe.head_whole();
                pipe.send_and_receive(out);
            }
        }
    }

    pub(super) fn on_spliced_in(
        &mut self,
        now: Instant,
        from: Side,
        result: SpliceResult,
        out: &mut Actions,
    ) {
        let progress = self.pipe(from).spliced_in(result, out);
        self.note_in_pipe(from);
        match result {
            SpliceResult::Failed(_) => self.source_failed(now, from, out),
            SpliceResult::Bytes(_) | SpliceResult::End => {
                self.last_activity = now;
                self.go_on(now, from, progress, out);
            }
            SpliceResult::WouldBlock | SpliceResult::NoPipe => {}
        }
    }

    pub(super) fn on_spliced_out(
        &mut self,
        now: Instant,
        from: Side,
        result: SpliceResult,
        out: &mut Actions,
    ) {
        let progress = self.pipe(from).spliced_out(result, out);
        self.note_in_pipe(from);
        match result {
            SpliceResult::Failed(fault) => self.sink_failed(now, from.other(), fault, out),
            SpliceResult::Bytes(_) => {
                self.last_activity = now;
                self.go_on(now, from, progress, out);
            }
            SpliceResult::WouldBlock | SpliceResult::End | SpliceResult::NoPipe => {}
        }
    }

    /// Lets the other direction know whether the kernel pipe of this one has bytes.
    fn note_in_pipe(&mut self, from: Side) {
        let has_bytes = self.pipe(from).in_pipe > 0;
        self.pipe(from.other()).note_other_pipe(has_bytes);
    }

    /// After an event in the direction from `from`: passes on its end, or closes when both
    /// directions have ended.
    fn go_on(&mut self, now: Instant, from: Side, progress: Progress, out: &mut Actions) {
        if progress == Progress::Inconsistent {
            return self.impossible(progress, out);
        }
        if self.pipe(from).is_finished() {
            return;
        }
        match progress {
            Progress::Going | Progress::Inconsistent => return,
            Progress::HeadTruncated => {
                let (cause, response) = (TerminationCause::Server, ErrorResponse::BadGateway);
                return self.respond(now, cause, TerminationPhase::Headers, response.into(), out);
            }
            Progress::Finished => {}
        }
        self.pipe(from).finish();
        let to = from.other();
        if self.pipe(from).was_reset() {
            self.flush(now, to, out);
        } else if self.pipe(to).lost_its_sink() {
            self.all_sent(now, to, Some(Action::ShutdownWrite { to }), out);
        } else if self.pipe(to).is_finished() {
            self.close(CloseMode::Graceful, out);
        } else {
            out.push(Action::ShutdownWrite { to });
        }
    }

    /// Everything that side `to` gets was sent, but for the end of the stream if that was not passed
    /// on yet (`end`). It may still be sending; what it sends is not needed any more.
    fn all_sent(&mut self, now: Instant, to: Side, end: Option<Action>, out: &mut Actions) {
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

    /// A side cannot be read any more: it was reset. The reset is passed on after the bytes that it
    /// sent before.
    fn source_failed(&mut self, now: Instant, from: Side, out: &mut Actions) {
        let (who, phase) = (cause_of(from), self.data_phase());
        if self.pipe(from).is_finished() {
            // The other side cannot be written either.
            self.pipe(from).reading = false;
            return self.end(who, phase, CloseMode::Reset, out);
        }
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.last_activity = now;
        let progress = self.pipe(from).source_failed(out);
        self.go_on(now, from, progress, out);
        if self.is_connected() {
            self.stop_writing(from, out);
        }
    }

    /// A side cannot be written any more. What it sent before may still be on its way to us, so
    /// the opposite direction goes on to its end.
    fn sink_failed(&mut self, now: Instant, to: Side, fault: Fault, out: &mut Actions) {
        let (who, phase) = (cause_of(to), self.data_phase());
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.pipe(to.other()).lose_sink(out);
        if self.pipe(to).is_finished() {
            return self.all_sent(now, to.other(), None, out);
        }
        // The kernel reports a reset only once: what is read then looks like an end. In HTTP mode a
        // server that refuses the rest of a request has mostly answered; the client is to read that,
        // whatever it still sends.
        let is_passed_on = match to {
            Side::Client => true,
            Side::Server => self.protocol != Protocol::Http,
        };
        if is_passed_on && fault != Fault::Closed && !self.pipe(to).has_ended() {
            self.pipe(to).note_reset();
        }
        self.pipe(to.other()).receive_to_discard(out);
    }

    /// No byte was relayed for too long: the side that has bytes to take is the cause, else the one
    /// that could have sent some.
    fn idle_too_long(&mut self, out: &mut Actions) {
        let from_client = &self.pipes[Side::Client.index()];
        let from_server = &self.pipes[Side::Server.index()];
        let client_is_silent = !from_client.has_ended() && !from_client.has_buffered();
        let who = if from_server.has_buffered() || client_is_silent {
            TerminationCause::ClientTimeout
        } else {
            TerminationCause::ServerTimeout
        };
        let (phase, mode) = (self.data_phase(), self.mode_when_idle());
        self.end(who, phase, mode, out);
    }

    /// How a session is closed that has not come to its end.
    pub(super) fn mode_when_idle(&self) -> CloseMode {
        if self.pipes.iter().any(|pipe| pipe.has_buffered()) {
            // An ordinary close would look like the end of the stream to a peer that lost bytes.
            CloseMode::Reset
        } else {
            CloseMode::Graceful
        }
    }
}

/// The cause of the end when the connection of this side fails.
fn cause_of(side: Side) -> TerminationCause {
    match side {
        Side::Client => TerminationCause::Client,
        Side::Server => TerminationCause::Server,
    }
}
