//! The words between a session and the worker that drives it: events in, actions out.

use super::error_response::ErrorResponse;
use super::termination::KillReason;

/// One of the two connections of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The connection that was accepted.
    Client,
    /// The connection that was made to the chosen server.
    Server,
}

impl Side {
    /// Both sides, in the order of their indexes.
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// The opposite side.
    pub const fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// 0 for the client, 1 for the server.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A use of a connection that the kernel can hold: at most one of each for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// A receive, or a poll for bytes to come.
    Read,
    /// A send, a connect, or a poll for room.
    Write,
    /// A poll for a peer that gives up while it has to wait.
    Watch,
    /// The cancellation of the others.
    Cancel,
}

/// Why an operation on a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer refused the connection.
    Refused,
    /// No route to the peer.
    Unreachable,
    /// The kernel gave up waiting for the peer.
    TimedOut,
    /// The peer reset the connection, or is gone.
    Reset,
    /// The peer takes nothing any more, and had ended its stream before that or failed already.
    Closed,
    /// Anything else the kernel said.
    Other,
}

/// What happened. Those that answer an action come at once, the others when they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client was accepted; the first event of every session.
    Accepted,
    /// Answer to [`Action::Choose`] and [`Action::ChooseBackup`]: a server was chosen and a place on
    /// it taken.
    Chosen,
    /// Answer to [`Action::Choose`]: usable servers exist, none has a place. Answer to
    /// [`Action::ChooseBackup`]: none helps out.
    Full,
    /// Answer to [`Action::Choose`]: no server is usable.
    NoServer,
    /// Answer to [`Action::Choose`]: of the usable servers, only those could be had that were tried
    /// already.
    AllTried,
    /// Answer to [`Action::Connect`], at once or when the operation ends: out of descriptors,
    /// memory or ports.
    Shortage,
    /// Answer to [`Action::ReadHead`].
    Head {
        /// The side that it comes from.
        from: Side,
        /// What was found.
        found: Head,
    },
    /// Answer to [`Action::PrepareError`]: it is the oldest chunk from the server now.
    ErrorPrepared {
        /// Its bytes; 0: there was no buffer for it.
        len: u32,
    },
    /// Answer to [`Action::SpliceIn`]: bytes that moved into the kernel pipe.
    SplicedIn {
        /// The side that was read.
        from: Side,
        /// What moved.
        moved: SpliceResult,
    },
    /// Answer to [`Action::SpliceOut`]: bytes that moved out of the kernel pipe.
    SplicedOut {
        /// The side that was read.
        from: Side,
        /// What moved.
        moved: SpliceResult,
    },
    /// Answer to [`Action::CountUnsent`].
    Unsent {
        /// Bytes; at the end of the stream, 1 more.
        len: u32,
    },

    /// A waiting session was called: a place may be free.
    SlotFreed,
    /// The connection to the server stands.
    Connected,
    /// The connect operation ended without a connection; it is no longer in flight.
    ConnectFailed(Fault),
    /// Bytes were received into a buffer.
    Received {
        /// The side that sent them.
        from: Side,
        /// What came.
        info: ReceivedInfo,
    },
    /// The end of the stream from this side.
    Ended {
        /// The side that sends no more.
        from: Side,
    },
    /// Receiving failed for good.
    ReceiveFailed {
        /// The side that was read.
        from: Side,
        /// Why.
        fault: Fault,
    },
    /// `len` bytes of the oldest chunk were taken by the kernel.
    Sent {
        /// The side that gets them.
        to: Side,
        /// How many; 0: the kernel had no room after all.
        len: u32,
    },
    /// Sending failed for good.
    SendFailed {
        /// The side that was written.
        to: Side,
        /// Why.
        fault: Fault,
    },
    /// A poll ended: bytes, an end or an error can be read.
    Readable {
        /// The side that was polled.
        from: Side,
    },
    /// A poll ended: there is room, or an error.
    Writable {
        /// The side that was polled.
        to: Side,
    },
    /// An operation was given back by the kernel without effect.
    Canceled {
        /// Its side.
        side: Side,
        /// Its use.
        used: Use,
    },
    /// The watched client has reset its connection, or both directions of it are closed.
    ClientGone {
        /// The watch is still in flight.
        armed: bool,
    },
    /// The session's deadline passed.
    TimedOut,
    /// The session is to end now.
    Killed(KillReason),
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedInfo {
    /// How many bytes, at least 1.
    pub len: u32,
    /// It brought all that a receive may bring.
    pub full: bool,
    /// The kernel knows of more bytes that wait.
    pub more: bool,
    /// The receive is still in flight: it brings at most a buffer's worth in all.
    pub armed: bool,
}

/// What was found at the beginning of a stream, in HTTP mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Not the end of the head yet.
    Partial,
    /// From the server: interim answers, so many bytes, after which the next head begins. They
    /// are the oldest chunk now, and what follows them is the one behind.
    Interim {
        /// Bytes of the oldest chunk.
        len: u32,
    },
    /// A whole head, edited as it had to be, or something that passes as it is.
    Whole {
        /// Bytes of the chunk now: the head and what came after it.
        len: u32,
    },
    /// From the client: no request that is passed on.
    Refused(Refusal),
}

/// What to do with a client whose request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Answer it.
    Respond(ErrorResponse),
    /// Close without a word: it would not understand one.
    Close,
}

/// Result of one splice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceResult {
    /// So many bytes, at least 1.
    Bytes(u32),
    /// Nothing now.
    WouldBlock,
    /// The end of the stream (only into the pipe).
    End,
    /// No kernel pipe could be had (only into the pipe).
    NoPipe,
    /// The connection failed.
    Failed(Fault),
}

/// What a session does when a send has taken all its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSend {
    /// Nothing but giving back the buffer.
    Nothing,
    /// Something: it sends or receives more, or closes.
    More,
    /// It passes on the end of the stream.
    End,
}

/// How connections are closed at the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// An ordinary close.
    Graceful,
    /// A reset, on both sides.
    Reset,
}

/// What the worker has to do, in order, before the next event for this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give back the server and its place, if one is held, then choose again. Answered at once.
    Choose {
        /// The server that is held could not be reached.
        failed: bool,
    },
    /// Choose a backup if all other servers are full. Answered at once.
    ChooseBackup,
    /// The servers that were tried may be tried again.
    ForgetTried,
    /// Connect to the chosen server. Answered at once only by [`Event::Shortage`].
    Connect,
    /// Wait for a place: the session is called with [`Event::SlotFreed`].
    Enqueue,
    /// Stop waiting for a place.
    Dequeue,
    /// Watch the client for a reset. The end of its stream is no reason to give it up: it may
    /// still read.
    WatchClient,
    /// Receive into fresh buffers, at most one buffer's worth in all, which are appended to the
    /// chunks from this side; behind the part of a head that is held, if there
    /// is one ([`Session::head_held`](super::Session::head_held)).
    Receive {
        /// The side to read.
        from: Side,
        /// Bytes are unlikely to be there already: wait for them before trying.
        poll_first: bool,
    },
    /// HTTP mode: look for a head at the beginning of the newest chunk from this side, and edit
    /// it. Answered at once by [`Event::Head`].
    ReadHead {
        /// The side that it comes from.
        from: Side,
    },
    /// Close the connection to the server and give its place back, if there is one: nothing of it
    /// is in flight, and it is not needed any more.
    LeaveServer,
    /// HTTP mode: make an answer of our own the only chunk from the server. Answered at once by
    /// [`Event::ErrorPrepared`].
    PrepareError(ErrorResponse),
    /// Send the next `len` bytes of the oldest chunk from the other side.
    Send {
        /// The side to write.
        to: Side,
        /// What remains of the oldest chunk.
        len: u32,
    },
    /// Give back the buffer of the oldest chunk: it was sent, or is not needed.
    Release {
        /// The side it came from.
        from: Side,
    },
    /// Take a kernel pipe if none is held for this direction, and move bytes into it.
    SpliceIn {
        /// The side to read.
        from: Side,
        /// At most so many.
        len: u32,
    },
    /// Move bytes from the kernel pipe to the other side.
    SpliceOut {
        /// The side they came from.
        from: Side,
        /// So many are in it.
        len: u32,
    },
    /// The kernel pipe is not needed now. If it is not `empty` it can't be used again.
    ReturnPipe {
        /// The side its bytes came from.
        from: Side,
        /// Nothing is left in it.
        empty: bool,
    },
    /// Poll for bytes, an end or an error.
    PollRead {
        /// The side to poll.
        from: Side,
    },
    /// Poll for room.
    PollWrite {
        /// The side to poll.
        to: Side,
    },
    /// Ask the kernel how much of what was sent to this side its peer has not got yet. Answered at
    /// once by [`Event::Unsent`].
    CountUnsent {
        /// The side that gets it.
        to: Side,
    },
    /// Pass on the end of the stream.
    ShutdownWrite {
        /// The side that gets it.
        to: Side,
    },
    /// Make every operation in flight on this side end soon. It is an operation itself, which ends
    /// with [`Event::Canceled`] for [`Use::Cancel`].
    Cancel {
        /// The side.
        side: Side,
    },
    /// Nothing is in flight: close what is open and free the slot. Always the last action.
    Free(CloseMode),
}

/// The most actions that one event can lead to: both directions give back two chunks and a pipe,
/// then both sides are cancelled or the slot is freed.
const ACTIONS_MAX: usize = 10;

/// A bounded list of actions, in the order in which they are to be carried out.
#[derive(Debug)]
pub struct Actions {
    list: [Action; ACTIONS_MAX],
    len: usize,
}

impl Actions {
    /// An empty list.
    pub fn new() -> Self {
        Actions {
            list: [Action::Dequeue; ACTIONS_MAX],
            len: 0,
        }
    }

    /// Appends one action.
    pub(super) fn push(&mut self, action: Action) {
        self.list[self.len] = action;
        self.len += 1;
    }

    /// The actions, oldest first.
    pub fn as_slice(&self) -> &[Action] {
        &self.list[..self.len]
    }

    /// Empties the list.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}
