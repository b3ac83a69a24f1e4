//! What happens to a session, as the worker delivers it: [`Event`].

use super::side::Side;
use super::termination::KillReason;

/// Something happened. What the worker replies to an action at once is a
/// [`Reply`](super::Reply) instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client was accepted; the first event of every session.
    Accepted,
    /// A queued session is woken: a server may have a free slot.
    SlotFreed,
    /// The connection to the server is established.
    Connected,
    /// The connect operation ended without a connection; it is no longer in flight.
    ConnectFailed(ConnectFault),
    /// A receive, or a poll for bytes, brought something or ended.
    Read {
        /// The side that is read.
        from: Side,
        /// What it brought.
        event: ReadEvent,
    },
    /// A send, or a poll for room, ended.
    Write {
        /// The side that is written.
        to: Side,
        /// How it ended.
        event: WriteEvent,
    },
    /// The poll that watches the client.
    Watch(WatchEvent),
    /// A cancellation ended. What it cancelled ends with events of its own.
    CancelEnded {
        /// The side whose operations were cancelled.
        side: Side,
    },
    /// The session's deadline passed.
    TimedOut,
    /// The session is to end now.
    Killed(KillReason),
}

/// What a read brought. It is no longer in flight, but for [`ReceivedInfo::armed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEvent {
    /// Bytes were received into a buffer.
    Received(ReceivedInfo),
    /// The end of the stream.
    Ended,
    /// The connection was reset, or cannot be read for another reason.
    Failed,
    /// A poll ended: bytes, the end of the stream or an error can be read.
    Readable,
    /// It ended without effect.
    Canceled,
}

impl ReadEvent {
    /// The receive is still in flight.
    pub(super) const fn is_armed(self) -> bool {
        matches!(self, ReadEvent::Received(ReceivedInfo { armed: true, .. }))
    }
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedInfo {
    /// How many bytes, at least 1.
    pub len: u32,
    /// The kernel reports that more bytes wait in the socket.
    pub more: bool,
    /// The receive is still in flight: it brings at most one buffer's worth in all.
    pub armed: bool,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEvent {
    /// The kernel took bytes of the oldest chunk.
    Sent {
        /// How many; 0: the socket had no room after all.
        len: u32,
        /// How many bytes of the chunk are left.
        left: u32,
    },
    /// The connection was reset, or cannot be written for another reason.
    Failed(Fault),
    /// A poll ended: there is room, or an error.
    Writable,
    /// It ended without effect.
    Canceled,
}

/// What the watch of the client reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The client has reset its connection, or both directions of it are closed.
    Gone {
        /// The watch is still in flight.
        armed: bool,
    },
    /// The watch ended without that.
    Ended,
}

/// Why a connect attempt came to no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// The machine is out of descriptors, memory or ports.
    Shortage,
    /// The server could not be reached.
    Fault(Fault),
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
    /// The peer takes no more bytes, and had ended its stream before that or failed already.
    Closed,
    /// Any other error of the kernel.
    Other,
}
