//! What can be read of a session, for queues, counters, logs and operators.

use std::time::Duration;

use super::proxy_stage::ProxyFault;
use super::side::Side;
use super::termination::TerminationState;
use super::{Protocol, Session, State};
use crate::logic::time::Instant;

/// What is known of a session when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How it ended.
    pub outcome: TerminationState,
    /// What was wrong with the PROXY head, if that ended it.
    pub proxy_fault: Option<ProxyFault>,
    /// Time spent in the queue.
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
    /// Bytes read from `from` so far, without a PROXY head, which is not the client's.
    pub fn bytes(&self, from: Side) -> u64 {
        match self.is_reading_proxy_head() {
            true => 0,
            false => self.pipes[from.index()].bytes,
        }
    }

    /// What it reads of the bytes that it relays.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// When it was accepted.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Since when it is in the queue, if it is.
    pub fn queued_since(&self) -> Option<Instant> {
        match self.state {
            State::Queued { since } => Some(since),
            _ => None,
        }
    }

    /// Whether it relays bytes.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Relaying)
    }

    /// Whether it only waits for the end of operations that the kernel still holds.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// What it waits for, as operators see it.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            State::ReadingProxyHead { .. } | State::ReadingPreface { .. } => "reading",
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

    /// When a byte or an end of a stream was relayed last, or was acknowledged before a reset.
    pub fn last_activity(&self) -> Instant {
        self.last_activity
    }

    /// What counters and logs need of it at its end.
    pub fn summary(&self, now: Instant) -> Summary {
        Summary {
            outcome: self.outcome.unwrap_or(TerminationState::NORMAL),
            proxy_fault: self.proxy_fault,
            waited: (self.rare_times.as_ref()).map_or(Duration::ZERO, |times| times.waited),
            connect: self
                .connected_at
                .get()
                .zip(self.chosen_at.get())
                .map(|(connected, chosen)| connected.duration_since(chosen)),
            total: now.duration_since(self.started),
            retries: self.attempts.saturating_sub(1),
            bytes: [self.pipes[0].bytes, self.pipes[1].bytes],
        }
    }
}
