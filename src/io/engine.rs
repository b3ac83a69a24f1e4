//! The seam between the worker and the kernel: what a worker may ask for, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use super::Fault;

/// The worker's own number on an operation; it comes back with the completion. 44 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

impl Token {
    /// Bits that a token may use.
    pub const BITS: u32 = 44;
}

/// A part of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of its first byte. Received bytes begin at
    /// [`HEADROOM_BYTES`](super::HEADROOM_BYTES).
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// A kind of operation that can be found by its token.
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
    /// At most [`RECEIVE_BYTES`](super::RECEIVE_BYTES) at a time: once, or where the kernel can
    /// bound it, as long as all that came still fits into one buffer.
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

/// A completed operation.
#[derive(Debug)]
pub enum Done<E: Engine + ?Sized> {
    /// A connection was accepted, or accepting ended with a fault. `more`: it goes on by itself.
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
        /// The bytes: a buffer and how many of them are at its start.
        bytes: Result<(Option<E::Buffer>, u32), Fault>,
        /// The kernel knows that more bytes wait.
        more: bool,
        /// The operation is still in flight.
        armed: bool,
    },
    /// A poll ended; a fault means only that it was cancelled or could not be made.
    Polled(Result<(), Fault>),
    /// The peer of a watched connection is gone: it has reset it, or both directions are closed.
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

/// A buffer for a send, and the part of it that is sent.
#[derive(Debug)]
pub struct SendBuffer<E: Engine + ?Sized> {
    /// The engine's until the send has ended.
    pub buffer: E::Buffer,
    /// What is sent of it.
    pub chunk: Chunk,
}

/// A send that ended; the buffer comes back.
#[derive(Debug)]
pub struct SendResult<E: Engine + ?Sized> {
    /// The buffer that was lent.
    pub buffer: E::Buffer,
    /// Bytes that the kernel took, perhaps fewer than asked.
    pub len: Result<u32, Fault>,
}

/// What follows a send on its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendHint {
    /// Other bytes, perhaps, at some time.
    MoreToCome,
    /// The end of the stream, as soon as this send has ended. The kernel keeps the bytes for that
    /// moment, so that both travel in one packet.
    ShutdownFollows,
}

/// Result of a splice: bytes moved (0 into a pipe: the end of the stream), or why not.
pub type SpliceResult = Result<u32, Fault>;

/// Operations on sockets, buffers and kernel pipes, for one worker thread.
///
/// Operations that are queued are handed to the kernel by the next [`Engine::wait`] and end with
/// exactly one [`Done`] (accepting: one with `more` false; receiving and watching: one with `armed`
/// false), or if they are sends, with one [`Sent`]. At most one read (receive or poll) and one write (send,
/// connect or poll) may be queued for a socket at a time. Every operation on a socket must have
/// ended before it is closed.
///
/// Sends are carried out as they are handed over and never wait for room, so none is in flight
/// after a wait. One that took all its bytes does not end the wait: whoever goes on after it must
/// not wait for anything else.
pub trait Engine {
    /// A stream socket, connected or being connected.
    type Socket;
    /// A listening socket.
    type Listener;
    /// Memory for [`BUFFER_BYTES`](super::BUFFER_BYTES) on their way, behind
    /// [`HEADROOM_BYTES`](super::HEADROOM_BYTES) of free room.
    type Buffer;
    /// A kernel pipe for splicing.
    type Pipe;

    /// Nanoseconds on a monotonic clock. Read once per turn of the loop.
    fn now(&mut self) -> u64;

    /// Hands everything queued to the kernel and waits for a completion, at most `timeout`
    /// (`None`: as long as it takes). Returns early without one when it likes.
    fn wait(&mut self, timeout: Option<Duration>);

    /// The next send that the last wait carried out, at its beginning.
    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)>;

    /// The next completion of this turn; all sends come before.
    fn next(&mut self) -> Option<(Token, Done<Self>)>;

    /// Queues accepting: one connection, or with `multi` one after the other until a fault or a
    /// cancellation.
    fn accept(&mut self, listener: &Self::Listener, multi: bool, token: Token);

    /// Queues the cancellation of accepting; it has no completion of its own.
    fn cancel_accept(&mut self, accepting: Token);

    /// Queues a poll for a call of the waker.
    fn watch_waker(&mut self, token: Token);

    /// Queues a connect of a socket that [`Engine::open`] made for this address.
    fn connect(&mut self, socket: &Self::Socket, address: &SocketAddr, token: Token);

    /// Queues receiving into fresh buffers. `poll_first`: bytes are unlikely to be there already.
    fn receive(&mut self, socket: &Self::Socket, how: Receive, poll_first: bool, token: Token);

    /// Queues a send of a part of a buffer.
    fn send(&mut self, socket: &Self::Socket, lent: SendBuffer<Self>, hint: SendHint, token: Token);

    /// Queues a poll that ends once.
    fn poll(&mut self, socket: &Self::Socket, interest: Interest, token: Token);

    /// Queues watching for a peer that is gone. The end of its stream alone, after which it may
    /// still read, is not told.
    fn watch(&mut self, socket: &Self::Socket, token: Token);

    /// Queues the cancellation of those of these operations on this socket that there are, queued
    /// ones included; ends with [`Done::Canceled`]. At least one must be named.
    fn cancel(&mut self, socket: &Self::Socket, these: &[(Cancelable, Token)], token: Token);

    /// A new non-blocking stream socket for connecting to `address`.
    fn open(&mut self, address: &SocketAddr) -> Result<Self::Socket, Fault>;

    /// Whether this host has an address from which it could connect to `address`, whether or not a
    /// port is free there.
    fn has_source_for(&mut self, address: &SocketAddr) -> bool;

    /// Says, before it is connected, that bytes will be sent at once when the connection stands:
    /// the last packet of the handshake may wait for them.
    fn speak_first(&mut self, socket: &Self::Socket);

    /// Ends what [`Engine::speak_first`] brings with it: what came is acknowledged now, and what
    /// comes as on other sockets.
    fn acknowledge(&mut self, socket: &Self::Socket);

    /// The address of the peer, if the kernel still knows it.
    fn peer(&mut self, socket: &Self::Socket) -> Option<SocketAddr>;

    /// How much of what was sent the peer has not acknowledged, in bytes; the end of the stream
    /// counts as one.
    fn unsent(&mut self, socket: &Self::Socket) -> u32;

    /// Ends our direction of the stream: the peer reads an end after all bytes sent before.
    fn shutdown_write(&mut self, socket: &Self::Socket);

    /// Closes in order.
    fn close(&mut self, socket: Self::Socket);

    /// Closes with a reset; unsent bytes are dropped.
    fn reset(&mut self, socket: Self::Socket);

    /// Gives a buffer back.
    fn release(&mut self, buffer: Self::Buffer);

    /// A buffer for bytes of our own, if one can be had.
    fn take_buffer(&mut self) -> Option<Self::Buffer>;

    /// The bytes of a part of a buffer.
    ///
    /// # Panics
    ///
    /// It is not inside.
    fn bytes<'b>(&'b self, buffer: &'b Self::Buffer, chunk: Chunk) -> &'b [u8];

    /// Writes into a buffer, from offset `at`.
    ///
    /// # Panics
    ///
    /// They do not fit.
    fn write(&mut self, buffer: &mut Self::Buffer, at: u32, bytes: &[u8]);

    /// Copies a part of `from` into `to`, from offset `at`.
    ///
    /// # Panics
    ///
    /// It is not inside, or does not fit.
    fn copy(&mut self, from: &Self::Buffer, chunk: Chunk, to: &mut Self::Buffer, at: u32);

    /// Puts a part of `from` before the bytes `behind` of `to`, which move: both begin where those
    /// began.
    ///
    /// # Panics
    ///
    /// It is not inside, or does not fit.
    fn prepend(&mut self, from: &Self::Buffer, part: Chunk, to: &mut Self::Buffer, behind: Chunk);

    /// How many receives would find a buffer now.
    fn buffers_left(&self) -> usize;

    /// Few are left.
    fn is_short_of_buffers(&self) -> bool;

    /// Moves a part of a buffer to memory of its size, to be sent or read from there, and gives
    /// the buffer back. `Err`: it stays where it is, since that would gain little or there is no
    /// memory for it.
    ///
    /// # Panics
    ///
    /// It is not inside.
    fn shrink(
        &mut self,
        buffer: Self::Buffer,
        chunk: Chunk,
    ) -> Result<(Self::Buffer, Chunk), Self::Buffer>;

    /// An empty kernel pipe, if one can be had.
    fn take_pipe(&mut self) -> Option<Self::Pipe>;

    /// Gives a kernel pipe back; one that is not `empty` is closed.
    fn return_pipe(&mut self, pipe: Self::Pipe, empty: bool);

    /// Moves up to `len` bytes from a socket into a pipe without waiting.
    fn splice_in(&mut self, from: &Self::Socket, pipe: &Self::Pipe, len: u32) -> SpliceResult;

    /// Moves up to `len` bytes from a pipe to a socket without waiting.
    fn splice_out(&mut self, pipe: &Self::Pipe, to: &Self::Socket, len: u32) -> SpliceResult;

    /// Closes a listening socket for which no accepting is in flight.
    fn close_listener(&mut self, listener: Self::Listener);

    /// Accepts one waiting connection at once; for emptying the queue of a listener that is to be
    /// closed. [`Fault::WouldBlock`]: it is empty.
    fn accept_now(&mut self, listener: &Self::Listener) -> Result<Self::Socket, Fault>;
}
