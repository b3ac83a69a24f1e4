//! The life of a session: read what the client must send first, choose a server, connect, relay in
//! both directions, close. In HTTP and TLS mode it may end with an error answer of our own.
//!
//! ```text
//!   ReadingProxyHead (a peer that may send one)
//!     | settled
//!     v
//!   ReadingPreface (HTTP and TLS mode)
//!     | Complete
//!     v       Full
//!   Choosing ------> Queued --timed out--> ChoosingBackup --Chosen--> (Connecting), or it ends
//!     | ^ ^            |
//!     | | +-SlotFreed--+
//!     | |
//!     | +--pause over-- Pausing <--AllTried-- (Choosing)
//!     | +--pause over-- Backoff <--Shortage-- (Connecting)
//!     | +--retry------------------------------(Connecting)
//!     | Chosen
//!     v
//!   Connecting --Connected--> Relaying --both directions ended--> Closing --> (slot freed)
//!
//!   HTTP mode: what ends a session before the response of a server has begun; TLS mode: a name that nobody
//!   serves. Both lead to
//!   ClosingServer --nothing of the server in flight--> SendingError --sent--> Lingering --> Closing
//!
//!   A server that has ended and reads no more: Relaying --all sent--> Lingering --> Closing
//!   A side that was reset:  Relaying --all sent--> Flushing --acknowledged--> Closing
//!   A client that leaves, a kill, a timeout: any state --> Closing
//! ```
//!
//! A session does no I/O and reads no clock. The worker delivers each event with
//! [`Session::handle`], carries out the [`Action`]s it gets, in order, delivers the result of an
//! action that has one at once with [`Session::reply`], and asks for its [`Session::deadline`]. A
//! slot is freed exactly when the session is closing and the kernel holds no operation for it: then
//! it orders [`Action::Free`].

mod action;
mod age;
mod closing;
mod error_answer;
mod error_response;
mod event;
mod flushing;
mod opening;
mod pipe;
mod policy;
mod preface;
mod proxy_head;
mod proxy_stage;
mod rare_times;
mod relaying;
mod reply;
mod report;
mod sending_error;
mod side;
mod termination;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::time::{Instant, OptionalInstant};
pub use action::{Action, Actions, AfterSend, ChooseReason, CloseMode};
pub use error_answer::ErrorAnswer;
pub use error_response::ErrorResponse;
pub use event::{ConnectFault, Event, Fault, ReadEvent, ReceivedInfo, WatchEvent, WriteEvent};
pub use pipe::PIPE_BYTES_MAX;
use pipe::Pipe;
pub use policy::{Policy, Protocol, ProxyHeads};
pub use proxy_stage::ProxyFault;
use proxy_stage::ProxyStage;
use rare_times::RareTimes;
pub use reply::{
    Choice, PrefaceDecision, ProxyDecision, Refusal, Reply, ResponseHead, SpliceResult,
};
pub use report::Summary;
pub use side::{Side, Use};
pub use termination::{KillReason, TerminationCause, TerminationPhase, TerminationState};

/// How long a session pauses when the machine is out of descriptors, memory or ports.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// How long a session pauses before it tries a server again that failed; at most as long as a
/// connect may take.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a client may take to read an error response, and to close once it was sent everything;
/// how long the peer may acknowledge nothing of what was sent before a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The PROXY head of a peer that may send one, until then.
    ReadingProxyHead {
        deadline: Instant,
        stage: ProxyStage,
    },
    /// What the client must send before a server is chosen, until then.
    ReadingPreface { deadline: Instant },
    /// The reply to [`Action::Choose`].
    Choosing,
    /// A free slot of a server, since then.
    Queued { since: Instant },
    /// The end of a pause for a shortage.
    Backoff { until: Instant },
    /// The end of the pause before a server is tried a second time.
    Pausing { until: Instant },
    /// The reply to [`Action::ChooseBackup`], after its time in the queue.
    ChoosingBackup,
    /// The connection to the server, since then. `abandoned`: the attempt has timed out and the
    /// operation is being cancelled.
    Connecting { since: Instant, abandoned: bool },
    /// Bytes from either side.
    Relaying,
    /// The end of all operations on the server's connection, before it is closed and the client
    /// gets `answer`.
    ClosingServer { since: Instant, answer: ErrorAnswer },
    /// The client to take an error answer.
    SendingError { since: Instant },
    /// The client to close: everything was sent to it.
    Lingering { since: Instant },
    /// The peer of side `to` to acknowledge what was sent to it, before it is reset. `unsent` bytes
    /// were not acknowledged when the kernel was asked last; they became fewer at the last activity. It
    /// is asked again at `next`.
    Flushing {
        to: Side,
        unsent: u32,
        next: Instant,
    },
    /// The end of the operations that the kernel still holds.
    Closing { mode: CloseMode },
}

/// One accepted client and its way to a server.
#[derive(Debug)]
pub struct Session {
    state: State,
    protocol: Protocol,
    /// The two directions, by the index of the side that their bytes come from.
    pipes: [Pipe; 2],
    /// A connect is in flight.
    connecting: bool,
    /// A poll that watches the client is in flight.
    watching: bool,
    /// A cancellation is in flight, by side.
    canceling: [bool; 2],
    /// Why the connect failed, while its cancellation is still in flight.
    connect_fault: Option<Fault>,
    /// The idle timeout is that of a tunnel: the server's response had status 101.
    is_tunnel: bool,
    started: Instant,
    /// When a byte or an end of a stream was relayed last, or was acknowledged before a reset.
    last_activity: Instant,
    /// `None`: it has none of them.
    rare_times: Option<Box<RareTimes>>,
    /// When the first server was chosen.
    chosen_at: OptionalInstant,
    /// When the connection to the server was established.
    connected_at: OptionalInstant,
    /// Connect attempts that were begun.
    attempts: u32,
    /// How it ended, or how it will have ended once the remaining direction has ended.
    outcome: Option<TerminationState>,
    /// What was wrong with the PROXY head, if that ended it.
    proxy_fault: Option<ProxyFault>,
}

const _: () = assert!(size_of::<Session>() <= 120);

impl Session {
    /// A session that was accepted at `now`.
    pub fn new(now: Instant, policy: &Policy) -> Self {
        let protocol = policy.protocol;
        Session {
            state: match protocol {
                Protocol::Tcp => State::Choosing,
                Protocol::Http | Protocol::Tls => State::ReadingPreface {
                    deadline: now + policy.preface_timeout,
                },
            },
            protocol,
            pipes: Side::BOTH.map(|from| Pipe::new(from, protocol)),
            connecting: false,
            watching: false,
            canceling: [false; 2],
            connect_fault: None,
            is_tunnel: false,
            started: now,
            last_activity: now,
            rare_times: None,
            chosen_at: OptionalInstant::NONE,
            connected_at: OptionalInstant::NONE,
            attempts: 0,
            outcome: None,
            proxy_fault: None,
        }
    }

    /// Advances the session by one event.
    ///
    /// The caller carries out every action in `out`, in order, before it delivers the next event
    /// for this session. `now` never goes backwards.
    pub fn handle(&mut self, now: Instant, event: Event, policy: &Policy, out: &mut Actions) {
        match self.state {
            State::ReadingProxyHead { stage, .. } => {
                self.on_reading_proxy_head(stage, event, policy, out);
            }
            State::ReadingPreface { .. } => self.on_reading_preface(now, event, out),
            State::Choosing => self.on_choosing(TerminationPhase::Connect, event, out),
            State::Queued { since } => self.on_queued(now, since, event, out),
            State::ChoosingBackup => self.on_choosing(TerminationPhase::Queue, event, out),
            State::Pausing { .. } | State::Backoff { .. } => {
                self.on_pausing(now, event, policy, out);
            }
            State::Connecting { since, abandoned } => {
                self.on_connecting(now, since, abandoned, event, policy, out);
            }
            State::Relaying => self.on_relaying(now, event, out),
            State::ClosingServer { since, answer } => {
                self.on_closing_server(since, answer, event, out);
            }
            State::SendingError { since } => self.on_sending_error(since, event, out),
            State::Lingering { .. } => self.on_lingering(event, out),
            State::Flushing { to, .. } => self.on_flushing(now, to, event, out),
            State::Closing { mode } => self.on_closing(mode, event, out),
        }
    }

    /// Advances the session by the reply to the last action of the list that it gave out last.
    ///
    /// The caller delivers it when the list was carried out, before any event, and carries out the
    /// actions in `out` as after [`Session::handle`].
    pub fn reply(&mut self, now: Instant, reply: Reply, policy: &Policy, out: &mut Actions) {
        if !self.awaits(reply) {
            return self.impossible(reply, out);
        }
        match reply {
            Reply::Choice(choice) => self.on_choice(now, choice, policy, out),
            Reply::BackupChoice { chosen } => self.on_backup_choice(now, chosen, out),
            Reply::ConnectFailed(fault) => self.connect_failed(now, fault, policy, out),
            Reply::ProxyHead(decision) => self.on_proxy_head(now, decision, policy, out),
            Reply::Preface(decision) => self.on_preface(now, decision, out),
            Reply::ResponseHead(head) => self.on_response_head(now, head, out),
            Reply::ErrorPrepared { ready } => self.on_error_prepared(ready, out),
            Reply::SplicedIn { from, result } => self.on_spliced_in(now, from, result, out),
            Reply::SplicedOut { from, result } => self.on_spliced_out(now, from, result, out),
            Reply::Unsent { len } => self.on_unsent(now, len, out),
            Reply::SendRefused { to } => {
                self.pipe(to.other()).writing = false;
                self.impossible(reply, out);
            }
        }
    }

    /// Whether the last list of actions can have led to this reply: the state has not changed since.
    fn awaits(&self, reply: Reply) -> bool {
        let [from_client, from_server] = &self.pipes;
        match reply {
            Reply::Choice(_) => self.state == State::Choosing,
            Reply::BackupChoice { .. } => self.state == State::ChoosingBackup,
            Reply::ConnectFailed(_) => matches!(
                self.state,
                State::Connecting {
                    abandoned: false,
                    ..
                }
            ),
            Reply::ProxyHead(_) => {
                self.is_reading_proxy_head() && from_client.awaits_head() && !from_client.reading
            }
            Reply::Preface(_) => {
                matches!(self.state, State::ReadingPreface { .. }) && from_client.awaits_head()
            }
            Reply::ResponseHead(_) => self.is_connected() && from_server.awaits_head(),
            Reply::ErrorPrepared { .. } => matches!(self.state, State::SendingError { .. }),
            Reply::SplicedIn { .. } | Reply::SplicedOut { .. } => self.is_connected(),
            Reply::Unsent { .. } => matches!(self.state, State::Flushing { .. }),
            Reply::SendRefused { to } => self.pipes[to.other().index()].writing,
        }
    }

    /// When [`Event::TimedOut`] is due, unless something happens before.
    pub fn deadline(&self, policy: &Policy) -> Option<Instant> {
        match self.state {
            State::ReadingProxyHead {
                stage: ProxyStage::Over,
                ..
            } => None,
            State::ReadingProxyHead { deadline, .. } | State::ReadingPreface { deadline } => {
                Some(deadline)
            }
            State::Choosing | State::ChoosingBackup | State::Closing { .. } => None,
            State::ClosingServer { since, .. }
            | State::SendingError { since }
            | State::Lingering { since } => Some(since + LINGER_TIMEOUT),
            State::Queued { since } => Some(since + policy.queue_timeout),
            State::Backoff { until } | State::Pausing { until } => Some(until),
            State::Flushing { next, .. } => Some(next),
            State::Connecting {
                abandoned: true, ..
            } => None,
            State::Connecting { since, .. } => Some(since + policy.connect_timeout),
            State::Relaying => {
                let half_closed = self
                    .pipes
                    .iter()
                    .any(|pipe| pipe.has_ended() || pipe.is_finished());
                let timeout = if half_closed {
                    if self.pipes.iter().any(|pipe| pipe.was_reset()) {
                        LINGER_TIMEOUT.min(policy.half_closed_timeout)
                    } else {
                        policy.half_closed_timeout
                    }
                } else if self.is_tunnel {
                    policy.tunnel_timeout
                } else {
                    policy.idle_timeout
                };
                Some((self.last_activity + timeout).min(self.age_ends()))
            }
        }
    }

    /// Whether its connect attempt has timed out.
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
            State::ReadingProxyHead { .. }
            | State::ReadingPreface { .. }
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

    /// Whether a head, or another preface, of this side is being read. What is buffered of it is in one
    /// piece.
    pub fn is_reading_head(&self, from: Side) -> bool {
        self.pipes[from.index()].in_head()
    }

    /// Whether a part of a head that is being read is buffered.
    pub fn has_head_part(&self, from: Side) -> bool {
        self.pipes[from.index()].has_head_part()
    }

    fn rare_times(&mut self) -> &mut RareTimes {
        self.rare_times.get_or_insert_default()
    }

    fn pipe(&mut self, from: Side) -> &mut Pipe {
        &mut self.pipes[from.index()]
    }
}
