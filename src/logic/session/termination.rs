//! How a session ended: its cause, its phase, and the two letters that logs show for them.

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
    /// The server went down, and its backend closes the sessions of such servers.
    Down,
    /// The operator, or the end of the time to stop.
    Operator,
    /// It had reached its greatest age.
    Age,
    /// The client did not read or write for too long.
    ClientTimeout,
    /// The server did not read, write or respond for too long.
    ServerTimeout,
}

/// What the session was doing then; the second letter of the end code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TerminationPhase {
    /// Reading a PROXY head.
    ProxyHead,
    /// Waiting for a PROXY head or, in HTTP mode, for the head of the request; or it was refused by what that, or
    /// a ClientHello, asks for.
    Request,
    /// TLS mode: waiting for the ClientHello.
    Hello,
    /// Waiting in the queue for a slot of a server.
    Queue,
    /// Connecting to a server.
    Connect,
    /// HTTP mode: waiting for the head of the response.
    Headers,
    /// Relaying.
    Data,
    /// Relaying the last bytes to the client: the server had ended its stream.
    Last,
    /// It had ended: both directions were relayed to their ends.
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

    /// Whether it ended because its server did not answer the request: HTTP mode.
    pub const fn is_answer_failure(self) -> bool {
        matches!(
            self.who,
            TerminationCause::Server | TerminationCause::ServerTimeout
        ) && matches!(self.phase, TerminationPhase::Headers)
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
            TerminationCause::Age => b'A',
            TerminationCause::ClientTimeout => b'c',
            TerminationCause::ServerTimeout => b's',
        };
        let phase = match self.phase {
            TerminationPhase::ProxyHead => b'P',
            TerminationPhase::Request => b'R',
            TerminationPhase::Hello => b'T',
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

/// Why a session is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// The operator, or the end of the time to stop.
    Operator,
    /// Its server went down.
    Down,
    /// An error of ours, contained to this session.
    Internal,
    /// The worker has no buffers left, and the bytes of this session have been waiting longest.
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
