//! The life of a session: choose a server, connect, relay in both directions, close. In HTTP mode
//! it begins by reading the head of the request, and may end with an answer of our own.
//!
//! ```text
//!   ReadingHead (HTTP mode)
//!    |
//!    v
//!               Full                          (time is up, client gone, killed)
//!   Choosing ---------> Queued -----------------------------+
//!    |  ^  ^              |                                 |
//!    |  |  +-- SlotFreed-+                                 |
//!    |  |                                                   |
//!    |  +----- pause over ------ Short <--+                 |
//!    | Chosen                             | Shortage        |
//!    v         retry                      |                 |
//!   Connecting ----------> (Choosing)     |                 |
//!    |                                    |                 |
//!    |  (Choosing) --AllTried--> Pausing --pause over--> (Choosing)
//!    |  Queued --time is up--> ChoosingBackup --Chosen--> (Connecting), or it ends
//!    |                                    |                 |
//!    |   +--------------------------------+                 |
//!    | Connected                                            v
//!    +-------------------> Relaying -------------------> Closing --> (slot freed)
//!
//!   HTTP mode: what ends a session before the answer of a server has begun leads to
//!   Clearing --(nothing of the server in flight)--> Answering --(sent)--> Lingering --> Closing
//!
//!   A server that has ended and takes nothing any more: Relaying --(sent)--> Lingering --> Closing
//!   A side that was reset: Relaying --(sent)--> Flushing --(delivered)--> Closing
//! ```
//!
//! A session does no I/O and reads no clock. The worker tells it what happened with
//! [`Session::handle`], carries out the [`Action`]s it gets, in order, and asks for its
//! [`Session::deadline`]. A slot is freed exactly when the session is closing and the kernel holds
//! no operation for it: that is the one meaning of [`Action::Free`].

mod action;
mod error_response;
mod flushing;
mod opening;
mod pipe;
mod reading;
mod relaying;
mod sending_error;
mod termination;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::time::Instant;
pub use action::{
    Action, Actions, AfterSend, CloseMode, Event, Fault, Head, ReceivedInfo, Refusal, Side,
    SpliceResult, Use,
};
pub use error_response::ErrorResponse;
pub use pipe::PIPE_BYTES_MAX;
use pipe::Pipe;
pub use termination::{KillReason, TerminationCause, TerminationPhase, TerminationState};

/// How long a session pauses when the machine is out of descriptors, memory or ports.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// How long a session pauses before a server is tried that it has tried; at most as long as a
/// connect may take.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a client may take for an answer of ours, and for leaving when it has all that it gets;
/// how long nothing may move of what was sent before a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a session understands of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing.
    Tcp,
    /// The heads of the first request and of its answer.
    Http,
}

/// What the configuration says about sessions of one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What its sessions understand of their bytes.
    pub protocol: Protocol,
    /// HTTP mode: from accept to the end of the request's head.
    pub request_timeout: Duration,
    /// One connect attempt.
    pub connect_timeout: Duration,
    /// No byte in either direction.
    pub idle_timeout: Duration,
    /// One direction ended, the other idle.
    pub half_closed_timeout: Duration,
    /// Waiting for a place.
    pub queue_timeout: Duration,
    /// Further connect attempts after the first.
    pub retries: u32,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head of the request.
    ReadingHead,
    /// The answer to [`Action::Choose`].
    Choosing,
    /// A place on a server, since then.
    Queued { since: Instant },
    /// The end of a shortage: the pause lasts `until`, the first one began at `since`.
    Backoff { since: Instant, until: Instant },
    /// The end of the pause before a server is tried a second time.
    Pausing { until: Instant },
    /// The answer to [`Action::ChooseBackup`], after its time in the queue.
    ChoosingBackup,
    /// The connection to the server, since then. `abandoned`: its time is up and the operation
    /// is being cancelled.
    Connecting { since: Instant, abandoned: bool },
    /// Bytes from either side.
    Relaying,
    /// The end of operations on the server's side, before an answer of ours is given.
    ClosingServer {
        since: Instant,
        answer: ErrorResponse,
    },
    /// The client, which is to take an answer of ours.
    SendingError { since: Instant },
    /// The client, which has all that it gets and is to leave.
    Lingering { since: Instant },
    /// The end of what the kernel has to deliver to a side before that is reset. There were
    /// `unsent` bytes left when it was asked last; it became less at `since`, and is asked at `next`.
    Flushing {
        to: Side,
        unsent: u32,
        since: Instant,
        next: Instant,
    },
    /// Operations that the kernel still holds.
    Closing { mode: CloseMode },
}

/// One accepted client and its way to a server.
#[derive(Debug)]
pub struct Session {
    state: State,
    protocol: Protocol,
    /// Directions, indexed by the side that their bytes come from.
    pipes: [Pipe; 2],
    /// A connect is in flight.
    connecting: bool,
    /// A poll that watches the client is in flight.
    watching: bool,
    /// A cancellation is in flight, by side.
    canceling: [bool; 2],
    /// Why the connect failed, while its cancellation is still in flight.
    connect_fault: Option<Fault>,
    started: Instant,
    last_activity: Instant,
    /// When the first shortage began, if there was one.
    short_since: Option<Instant>,
    /// Since when it waits for a place, while it was called and has none yet.
    woken_since: Option<Instant>,
    /// Time spent waiting for a place, without the wait that goes on.
    waited: Duration,
    /// When the first server was chosen.
    chosen_at: Option<Instant>,
    /// When the connection stood.
    connected_at: Option<Instant>,
    /// Connect attempts that were begun.
    attempts: u32,
    /// How it ended, or how it will have ended once the remaining direction is through.
    outcome: Option<TerminationState>,
}

/// What is known of a session when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How it ended.
    pub outcome: TerminationState,
    /// Time spent waiting for a place.
    pub waited: Duration,
    /// From the first choice of a server to the connection, if it came to that.
    pub connect: Option<Duration>,
    /// From accept to the end.
    pub total: Duration,
    /// Connect attempts after the first.
    pub retries: u32,
    /// Bytes read from each side, by the side's index.
    pub bytes: [u64; 2],
}

impl Session {
    /// A session that was accepted at `now`.
    pub fn new(now: Instant, protocol: Protocol) -> Self {
        Session {
            state: match protocol {
                Protocol::Tcp => State::Choosing,
                Protocol::Http => State::ReadingHead,
            },
            protocol,
            pipes: Side::BOTH.map(|from| Pipe::new(from, protocol)),
            connecting: false,
            watching: false,
            canceling: [false; 2],
            connect_fault: None,
            started: now,
            last_activity: now,
            short_since: None,
            woken_since: None,
            waited: Duration::ZERO,
            chosen_at: None,
            connected_at: None,
            attempts: 0,
            outcome: None,
        }
    }

    /// Advances the session by one event.
    ///
    /// The caller carries out every action in `out`, in order, before it delivers the next event
    /// for this session. `now` never goes backwards.
    pub fn handle(&mut self, now: Instant, event: Event, policy: &Policy, out: &mut Actions) {
        match self.state {
            State::ReadingHead => self.on_reading_head(now, event, out),
            State::Choosing => self.on_choosing(now, event, policy, out),
            State::Queued { since } => self.on_queued(now, since, event, out),
            State::ChoosingBackup => self.on_choosing_backup(now, event, out),
            State::Pausing { .. } => self.on_pausing(event, out),
            State::Backoff { since, .. } => self.on_backoff(now, since, event, policy, out),
            State::Connecting { since, abandoned } => {
                self.on_connecting(now, since, abandoned, event, policy, out);
            }
            State::Relaying => self.on_relaying(now, event, out),
            State::ClosingServer { since, answer } => {
                self.on_closing_server(since, answer, event, out)
            }
            State::SendingError { since } => self.on_sending_error(since, event, out),
            State::Lingering { .. } => self.on_lingering(event, out),
            State::Flushing { .. } => self.on_flushing(now, event, out),
            State::Closing { mode } => self.on_closing(mode, event, out),
        }
    }

    /// When [`Event::TimedOut`] is due, unless something happens before.
    pub fn deadline(&self, policy: &Policy) -> Option<Instant> {
        match self.state {
            State::ReadingHead => Some(self.started + policy.request_timeout),
            State::Choosing | State::ChoosingBackup | State::Closing { .. } => None,
            State::ClosingServer { since, .. }
            | State::SendingError { since }
            | State::Lingering { since } => Some(since + LINGER_TIMEOUT),
            State::Queued { since } => Some(since + policy.queue_timeout),
            State::Backoff { until, .. } | State::Pausing { until } => Some(until),
            State::Flushing { next, .. } => Some(next),
            State::Connecting {
                abandoned: true, ..
            } => None,
            State::Connecting { since, .. } => Some(since + policy.connect_timeout),
            State::Relaying => {
                let half_closed = self.pipes.iter().any(|pipe| pipe.ended || pipe.finished);
                let timeout = if half_closed {
                    if self.pipes.iter().any(|pipe| pipe.reset) {
                        LINGER_TIMEOUT.min(policy.half_closed_timeout)
                    } else {
                        policy.half_closed_timeout
                    }
                } else {
                    policy.idle_timeout
                };
                Some(self.last_activity + timeout)
            }
        }
    }

    /// Whether the kernel holds an operation on this side.
    pub fn in_flight(&self, side: Side) -> bool {
        let uses = [Use::Read, Use::Write, Use::Watch, Use::Cancel];
        uses.into_iter().any(|used| self.holds(side, used))
    }

    /// Whether the kernel holds an operation of this use on this side.
    pub fn holds(&self, side: Side, used: Use) -> bool {
        match (used, side) {
            (Use::Read, _) => self.pipes[side.index()].reading,
            (Use::Write, Side::Client) => self.pipes[Side::Server.index()].writing,
            (Use::Write, Side::Server) => {
                self.connecting || self.pipes[Side::Client.index()].writing
            }
            (Use::Watch, Side::Client) => self.watching,
            (Use::Watch, Side::Server) => false,
            (Use::Cancel, _) => self.canceling[side.index()],
        }
    }

    /// Whether the time for its connect attempt has ended.
    pub fn connect_timed_out(&self) -> bool {
        matches!(
            self.state,
            State::Connecting {
                abandoned: true,
                ..
            }
        )
    }

    /// What it does when all bytes of the send to this side have been taken, unless something
    /// else happens before.
    pub fn after_send(&self, to: Side) -> AfterSend {
        match self.state {
            State::Relaying => self.pipes[to.other().index()].after_send(),
            State::SendingError { .. } => AfterSend::End,
            State::ReadingHead
            | State::Choosing
            | State::ChoosingBackup
            | State::Queued { .. }
            | State::Backoff { .. }
            | State::Pausing { .. }
            | State::Connecting { .. }
            | State::ClosingServer { .. }
            | State::Lingering { .. }
            | State::Flushing { .. }
            | State::Closing { .. } => AfterSend::More,
        }
    }

    /// Bytes read from `from` that the other side has not got yet.
    pub fn held(&self, from: Side) -> u32 {
        self.pipes[from.index()].held()
    }

    /// If what comes from this side belongs to a head that is not whole yet: how much of that is
    /// held, in the newest chunk.
    pub fn head_held(&self, from: Side) -> Option<u32> {
        self.pipes[from.index()].head_held()
    }

    /// Bytes in the kernel pipe of the direction from `from`.
    pub fn in_pipe(&self, from: Side) -> u32 {
        self.pipes[from.index()].in_pipe()
    }

    /// Bytes read from `from` so far.
    pub fn bytes(&self, from: Side) -> u64 {
        self.pipes[from.index()].bytes
    }

    /// When it was accepted.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Since when it waits for a place, if it does.
    pub fn queued_since(&self) -> Option<Instant> {
        match self.state {
            State::Queued { since } => Some(since),
            _ => None,
        }
    }

    /// Whether bytes are relayed.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Relaying)
    }

    /// Whether it is over, but for what the kernel still holds.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// What it waits for, in a word for operators.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            State::ReadingHead => "reading",
            State::Choosing | State::ChoosingBackup => "choosing",
            State::Queued { .. } => "queued",
            State::Backoff { .. } => "short",
            State::Pausing { .. } => "pausing",
            State::Connecting { .. } => "connecting",
            State::Relaying | State::Flushing { .. } => "relaying",
            State::ClosingServer { .. } | State::SendingError { .. } | State::Lingering { .. } => {
                "answering"
            }
            State::Closing { .. } => "closing",
        }
    }

    /// When something of it moved last.
    pub fn last_activity(&self) -> Instant {
        self.last_activity
    }

    /// It was called from the queue and has no answer yet.
    pub fn was_woken_from_queue(&self) -> bool {
        self.woken_since.is_some()
    }

    /// What is known of it at its end.
    pub fn summary(&self, now: Instant) -> Summary {
        Summary {
            outcome: self.outcome.unwrap_or(TerminationState::NORMAL),
            waited: self.waited,
            connect: self
                .connected_at
                .zip(self.chosen_at)
                .map(|(connected, chosen)| connected.duration_since(chosen)),
            total: now.duration_since(self.started),
            retries: self.attempts.saturating_sub(1),
            bytes: [self.pipes[0].bytes, self.pipes[1].bytes],
        }
    }

    fn pipe(&mut self, from: Side) -> &mut Pipe {
        &mut self.pipes[from.index()]
    }

    fn data_phase(&self) -> TerminationPhase {
        if self.pipes[Side::Server.index()].in_head() {
            TerminationPhase::Headers
        } else if self.pipes[Side::Server.index()].ended {
            TerminationPhase::Last
        } else {
            TerminationPhase::Data
        }
    }

    /// Decides to close: cancels what the kernel holds, and frees the slot when it holds nothing.
    fn end(
        &mut self,
        who: TerminationCause,
        phase: TerminationPhase,
        mode: CloseMode,
        out: &mut Actions,
    ) {
        self.outcome.get_or_insert(TerminationState { who, phase });
        self.state = State::Closing { mode };
        let mut idle = true;
        for side in Side::BOTH {
            if self.in_flight(side) {
                idle = false;
                self.cancel(side, out);
            }
        }
        if idle {
            out.push(Action::Free(mode));
        }
    }

    /// Ends a session that has got nothing from a server: by a reset, or in HTTP mode with an
    /// answer. Nothing is in flight on the way to the client.
    fn fail(
        &mut self,
        now: Instant,
        who: TerminationCause,
        phase: TerminationPhase,
        answer: ErrorResponse,
        out: &mut Actions,
    ) {
        match self.protocol {
            Protocol::Tcp => self.end(who, phase, CloseMode::Reset, out),
            Protocol::Http => self.answer(now, who, phase, answer, out),
        }
    }

    fn cancel(&mut self, side: Side, out: &mut Actions) {
        if !std::mem::replace(&mut self.canceling[side.index()], true) {
            out.push(Action::Cancel { side });
        }
    }

    fn gave_back(&mut self, side: Side, used: Use) {
        match (side, used) {
            (_, Use::Read) => self.pipe(side).reading = false,
            (Side::Server, Use::Write) if self.connecting => self.connecting = false,
            (_, Use::Write) => self.pipe(side.other()).writing = false,
            (_, Use::Watch) => self.watching = false,
            (_, Use::Cancel) => self.canceling[side.index()] = false,
        }
    }

    /// An event that can't come in this state is a fault of ours: it ends this session alone.
    fn impossible(&mut self, event: Event, out: &mut Actions) {
        debug_assert!(false, "{event:?} in {:?}", self.state);
        out.clear();
        let phase = self.data_phase();
        self.end(TerminationCause::Internal, phase, CloseMode::Reset, out);
    }
}
