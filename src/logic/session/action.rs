//! What a session orders the worker to do: [`Action`].

use super::error_answer::ErrorAnswer;
use super::side::Side;

/// What the worker has to do, in order, before the next event for this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave the server, if there is one, and give its slot back, then choose again. Replied to by
    /// [`Reply::Choice`](super::Reply::Choice).
    Choose(ChooseReason),
    /// Choose a backup if all other servers are full. Replied to by
    /// [`Reply::BackupChoice`](super::Reply::BackupChoice).
    ChooseBackup,
    /// The servers that were tried may be tried again.
    ForgetTried,
    /// Connect to the chosen server. Replied to by
    /// [`Reply::ConnectFailed`](super::Reply::ConnectFailed) only if that fails at once.
    Connect,
    /// Enter the queue for a slot: [`Event::SlotFreed`](super::Event::SlotFreed) wakes the session.
    Enqueue,
    /// Leave the queue.
    Dequeue,
    /// Watch the client for a reset. The end of its stream is no reason to end the session: it may
    /// still read.
    WatchClient,
    /// Receive into fresh buffers, at most one buffer's worth in all, which are appended to the
    /// chunks from this side. The rest of a head goes behind the part of it that is buffered
    /// ([`Session::has_head_part`](super::Session::has_head_part)).
    Receive {
        /// The side to read.
        from: Side,
        /// Bytes are unlikely to be there already: wait for them before trying.
        poll_first: bool,
    },
    /// Examine what the client has sent so far, and edit it once it is complete. Replied to by
    /// [`Reply::ProxyHead`](super::Reply::ProxyHead) or [`Reply::Preface`](super::Reply::Preface),
    /// by what the session reads.
    ReadPreface,
    /// HTTP mode: look for a head at the beginning of the newest chunk from the server, and edit
    /// it. Replied to by [`Reply::ResponseHead`](super::Reply::ResponseHead).
    ReadResponseHead,
    /// Close the connection to the server and give its slot back, if there is one: no operation on
    /// it is in flight.
    LeaveServer,
    /// Make this answer of ours the only chunk from the server. Replied to by
    /// [`Reply::ErrorPrepared`](super::Reply::ErrorPrepared).
    PrepareError(ErrorAnswer),
    /// Send the rest of the oldest chunk from the other side. Replied to by
    /// [`Reply::SendRefused`](super::Reply::SendRefused) only if there is none.
    Send {
        /// The side to write.
        to: Side,
    },
    /// Release the buffer of the oldest chunk: it was sent, or is not needed.
    Release {
        /// The side it came from.
        from: Side,
    },
    /// Take a kernel pipe if this direction has none, and move bytes into it. Replied to by
    /// [`Reply::SplicedIn`](super::Reply::SplicedIn).
    SpliceIn {
        /// The side to read.
        from: Side,
        /// At most so many.
        len: u32,
    },
    /// Move bytes from the kernel pipe to the other side. Replied to by
    /// [`Reply::SplicedOut`](super::Reply::SplicedOut).
    SpliceOut {
        /// The side they came from.
        from: Side,
        /// So many are in it.
        len: u32,
    },
    /// The kernel pipe is not needed now. If it is not `empty` it cannot be used again.
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
    /// Ask the kernel how many bytes that were sent to this side its peer has not acknowledged.
    /// Replied to by [`Reply::Unsent`](super::Reply::Unsent).
    CountUnsent {
        /// The side they were sent to.
        to: Side,
    },
    /// Pass on the end of the stream.
    ShutdownWrite {
        /// The side that gets it.
        to: Side,
    },
    /// Make every operation in flight on this side end soon. It is an operation itself, which ends
    /// with [`Event::CancelEnded`](super::Event::CancelEnded).
    Cancel {
        /// The side.
        side: Side,
    },
    /// Nothing is in flight: close what is open and free the slot. Always the last action.
    Free(CloseMode),
}

/// Why a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChooseReason {
    /// The session has none yet, or was short of something of ours. Those that are queued go first.
    New,
    /// It was woken in the queue.
    Woken,
    /// The server that it has could not be connected to.
    Failed,
}

/// What a session does when a send has taken all its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSend {
    /// It only releases the buffer.
    Nothing,
    /// It sends or receives more, or closes.
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

/// The most actions that one event can lead to: both directions release two chunks and a pipe,
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
