//! Operations of an engine: what the worker may queue, and what comes back.

use super::buffer::Chunk;
use super::calls::{Memory, Sockets};
use super::fault::Fault;

/// The worker's own number of an operation; its completion returns it. 44 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

impl Token {
    /// Bits that a token may use.
    pub const BITS: u32 = 44;
}

/// A kind of operation that can be cancelled by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelable {
    /// A receive.
    Receive,
    /// A poll.
    Poll,
    /// A watch.
    Watch,
    /// A connect.
    Connect,
}

/// How bytes are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// At most [`RECEIVE_BYTES`](super::RECEIVE_BYTES) at a time: once, or where the engine can
    /// bound it, repeatedly, as long as everything received still fits into one buffer.
    Stream,
    /// Once, at most so many bytes: 1 to [`BUFFER_BYTES`](super::BUFFER_BYTES).
    Once(u32),
}

/// What a poll waits for. An error, a reset and the end of the peer's stream always end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, or the end of the stream.
    Read,
    /// Room for bytes.
    Write,
}

/// What follows a send on its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendHint {
    /// More bytes may follow, at an unknown time.
    MoreToCome,
    /// The end of the stream follows as soon as this send has ended. The kernel holds the bytes
    /// back until then, so that bytes and end travel in one packet.
    ShutdownFollows,
}

/// A buffer for a send, and the part of it that is sent.
#[derive(Debug)]
pub struct SendBuffer<E: Memory + ?Sized> {
    /// Owned by the engine until the send has ended.
    pub buffer: E::Buffer,
    /// The part that is sent.
    pub chunk: Chunk,
}

/// A send that has ended; it returns the buffer.
#[derive(Debug)]
pub struct SendResult<E: Memory + ?Sized> {
    /// The buffer of the [`SendBuffer`].
    pub buffer: E::Buffer,
    /// Bytes that the kernel took, perhaps fewer than asked.
    pub len: Result<u32, Fault>,
}

/// A completed operation, unless it is a send: that is a [`SendResult`].
#[derive(Debug)]
pub enum Done<E: Sockets + Memory + ?Sized> {
    /// A connection was accepted, or accepting ended with a fault.
    Accepted {
        /// The connection.
        socket: Result<E::Socket, Fault>,
        /// The operation is still in flight.
        more: bool,
    },
    /// A connect ended.
    Connected(Result<(), Fault>),
    /// Bytes were received, or receiving ended; length 0 is the end of the stream.
    Received {
        /// The buffer and its number of bytes, which begin at
        /// [`HEADROOM_BYTES`](super::HEADROOM_BYTES).
        bytes: Result<(Option<E::Buffer>, u32), Fault>,
        /// The kernel knows that more bytes can be read.
        more: bool,
        /// The operation is still in flight.
        armed: bool,
    },
    /// A poll ended; a fault means that it was cancelled or could not be made.
    Polled(Result<(), Fault>),
    /// The peer of a watched connection has reset it, or both directions are closed.
    Gone {
        /// The watch is still in flight.
        armed: bool,
    },
    /// A watch ended without that.
    Unwatched,
    /// A cancellation was carried out.
    Canceled,
    /// [`Waker::wake`](super::Waker::wake) was called.
    Woken,
}
