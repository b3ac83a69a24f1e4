//! How a session ended: who ended it, in which phase, and the two letters that logs show for it.

/// Who or what ended a session; the first letter of the end code, as HAProxy uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TerminationCause {
    /// Both directions ended in order.
    Nobody,
    /// The client left or reset the connection.
    Client,
    /// The server refused, reset or could not be reached.
    Server,
    /// A limit of ours.
    Proxy,
    /// A shortage of descriptors, memory, buffers or ports.
    Resource,
    /// An error of ours.
    Internal,
    /// The server was found down and its sessions are cut.
    Down,
    /// The operator, or the end of the time to stop.
    Operator,
    /// The client did not read or write for too long.
    ClientTimeout,
    /// The server did not read, write or answer for too long.
    ServerTimeout,
}

/// What the session was doing then; the second letter of the end code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TerminationPhase {
    /// HTTP mode: reading the head of the request.
    Request,
    /// Waiting for a place on a server.
    Queue,
    /// Connecting to a server.
    Connect,
    /// HTTP mode: waiting for the head of the answer.
    Headers,
    /// Relaying.
    Data,
    /// Relaying the last bytes to the client: the server had ended its stream.
    Last,
    /// Everything was done.
    Done,
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminationState {
    /// Who ended it.
    pub who: TerminationCause,
    /// What it was doing.
    pub phase: TerminationPhase,
}

impl TerminationState {
    /// Both directions ended in order.
    pub const NORMAL: TerminationState = TerminationState {
        who: TerminationCause::Nobody,
        phase: TerminationPhase::Done,
    };

    /// Whether it ended because its server could not be connected to.
    pub const fn is_connect_failure(self) -> bool {
        matches!(
            self.who,
            TerminationCause::Server | TerminationCause::ServerTimeout
        ) && matches!(self.phase, TerminationPhase::Connect)
    }

    /// The two letters of HAProxy's logs, for example `--`, `CD` or `sC`.
    pub const fn code(self) -> [u8; 2] {
        let who = match self.who {
            TerminationCause::Nobody => b'-',
            TerminationCause::Client => b'C',
            TerminationCause::Server => b'S',
            TerminationCause::Proxy => b'P',
            TerminationCause::Resource => b'R',
            TerminationCause::Internal => b'I',
            TerminationCause::Down => b'D',
            TerminationCause::Operator => b'K',
            TerminationCause::ClientTimeout => b'c',
            TerminationCause::ServerTimeout => b's',
        };
        let phase = match self.phase {
            TerminationPhase::Request => b'R',
            TerminationPhase::Queue => b'Q',
            TerminationPhase::Connect => b'C',
            TerminationPhase::Headers => b'H',
            TerminationPhase::Data => b'D',
            TerminationPhase::Last => b'L',
            TerminationPhase::Done => b'-',
        };
        [who, phase]
    }
}

/// Who may end a session from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// The operator, or the end of the time to stop.
    Operator,
    /// The health checker, for a server that is down.
    Down,
    /// An error of ours that concerns this session alone.
    Internal,
    /// The worker, which is out of buffers while the bytes of this session wait longest.
    Shortage,
}

impl KillReason {
    pub(super) const fn who(self) -> TerminationCause {
        match self {
            KillReason::Operator => TerminationCause::Operator,
            KillReason::Down => TerminationCause::Down,
            KillReason::Internal => TerminationCause::Internal,
            KillReason::Shortage => TerminationCause::Resource,
        }
    }
}
