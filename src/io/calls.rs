//! Calls that end at once, without being queued: on descriptors ([`Sockets`]), on buffer memory
//! ([`Memory`]) and on kernel pipes ([`Pipes`]). The worker makes them through its
//! [`Engine`](super::Engine), which has all three.

use std::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

use super::buffer::Chunk;
use super::fault::Fault;
use super::socket_options::SocketOptions;

/// Calls on descriptors. None waits for a peer.
pub trait Sockets {
    /// A stream socket, connected or connecting.
    type Socket;
    /// A listening socket.
    type Listener;
    /// A connection of no engine, which any engine of the same kernel can attach.
    type Detached;

    /// A new non-blocking stream socket for connecting to `address`, an IP address or a Unix socket.
    fn open(&mut self, address: &SockAddr) -> Result<Self::Socket, Fault>;

    /// Sets options of a socket that is not connected yet.
    fn set_options(&mut self, socket: &Self::Socket, options: &SocketOptions);

    /// Binds a socket to a local address, before its connect chooses a port. [`Fault::Unreachable`]: this host
    /// does not have the address.
    fn bind(&mut self, socket: &Self::Socket, source: IpAddr) -> Result<(), Fault>;

    /// Whether this host has an address from which it could connect to `address`, whether or not
    /// that address has a free port.
    fn has_source_for(&mut self, address: &SockAddr) -> bool;

    /// Announces, before the connect, that bytes will be sent as soon as the connection is
    /// established: the last packet of the handshake may wait for them.
    fn speak_first(&mut self, socket: &Self::Socket);

    /// Ends the delay of acknowledgements that [`Sockets::speak_first`] causes.
    fn acknowledge(&mut self, socket: &Self::Socket);

    /// The address of the peer, if the kernel still knows it.
    fn peer(&mut self, socket: &Self::Socket) -> Option<SocketAddr>;

    /// Our own address of a connection, if the kernel still knows it.
    fn local(&mut self, socket: &Self::Socket) -> Option<SocketAddr>;

    /// Sends the first bytes of a connection that was just established, at most 17 KiB, all of them.
    /// `more`: others follow at once, and they travel together.
    fn send_first(&mut self, socket: &Self::Socket, bytes: &[u8], more: bool) -> Result<(), Fault>;

    /// Bytes sent that the peer has not acknowledged; the end of the stream counts as one. None if the connection is
    /// over.
    fn unsent(&mut self, socket: &Self::Socket) -> u32;

    /// Ends our direction of the stream: the peer reads an end after all bytes sent before.
    fn shutdown_write(&mut self, socket: &Self::Socket);

    /// Closes with the end of the stream.
    fn close(&mut self, socket: Self::Socket);

    /// Closes with a reset; unsent bytes are dropped.
    fn reset(&mut self, socket: Self::Socket);

    /// Accepts one connection from the queue at once, to empty the queue of a listener before it is
    /// closed. [`Fault::WouldBlock`]: it is empty.
    fn accept_now(&mut self, listener: &Self::Listener) -> Result<Self::Socket, Fault>;

    /// Gives up an accepted connection on which nothing was queued yet, so that another engine can attach it.
    fn detach(&mut self, socket: Self::Socket) -> Self::Detached;

    /// Takes a connection that another engine has given up. If that fails, it is reset.
    fn attach(&mut self, socket: Self::Detached) -> Result<Self::Socket, Fault>;

    /// Closes a listening socket for which no accepting is in flight.
    fn close_listener(&mut self, listener: Self::Listener);
}

/// Buffer memory, bounded as a whole.
pub trait Memory {
    /// Memory for [`BUFFER_BYTES`](super::BUFFER_BYTES) in transit, behind
    /// [`HEADROOM_BYTES`](super::HEADROOM_BYTES) of free room.
    type Buffer;

    /// A buffer for bytes of our own, if one is free.
    fn take_buffer(&mut self) -> Option<Self::Buffer>;

    /// Gives a buffer back.
    fn release(&mut self, buffer: Self::Buffer);

    /// The bytes of a part of a buffer.
    ///
    /// # Panics
    ///
    /// The part is not inside.
    fn bytes<'b>(&'b self, buffer: &'b Self::Buffer, chunk: Chunk) -> &'b [u8];

    /// Writes into a buffer, from offset `at`.
    ///
    /// # Panics
    ///
    /// The bytes do not fit.
    fn write(&mut self, buffer: &mut Self::Buffer, at: u32, bytes: &[u8]);

    /// Copies a part of `from` into `to`, from offset `at`.
    ///
    /// # Panics
    ///
    /// The part is not inside, or does not fit.
    fn copy(&mut self, from: &Self::Buffer, chunk: Chunk, to: &mut Self::Buffer, at: u32);

    /// Inserts a part of `from` before the bytes `behind` of `to`. These move: the whole begins
    /// where they began.
    ///
    /// # Panics
    ///
    /// A part is not inside, or they do not fit.
    fn prepend(&mut self, from: &Self::Buffer, part: Chunk, to: &mut Self::Buffer, behind: Chunk);

    /// Moves a part of a buffer to memory of exactly its size, from which it can be read or sent,
    /// and gives the buffer back. `Err`: it stays in its buffer, because little would be gained, there
    /// is no memory, or such memory has its part of the bound, so that some buffers remain.
    ///
    /// # Panics
    ///
    /// The part is not inside.
    fn shrink(
        &mut self,
        buffer: Self::Buffer,
        chunk: Chunk,
    ) -> Result<(Self::Buffer, Chunk), Self::Buffer>;

    /// How many receives would find a buffer now.
    fn buffers_left(&self) -> usize;

    /// Few are left.
    fn is_short_of_buffers(&self) -> bool;
}

/// Result of a splice: bytes moved (0 into a pipe: the end of the stream), or why none were.
pub type SpliceResult = Result<u32, Fault>;

/// Kernel pipes, through which bytes are spliced without being copied.
pub trait Pipes: Sockets {
    /// A kernel pipe.
    type Pipe;

    /// An empty kernel pipe, if the bound and the kernel allow one.
    fn take_pipe(&mut self) -> Option<Self::Pipe>;

    /// Gives a kernel pipe back; one that is not `empty` is closed.
    fn return_pipe(&mut self, pipe: Self::Pipe, empty: bool);

    /// Moves up to `len` bytes from a socket into a pipe without waiting.
    fn splice_in(&mut self, from: &Self::Socket, pipe: &Self::Pipe, len: u32) -> SpliceResult;

    /// Moves up to `len` bytes from a pipe to a socket without waiting.
    fn splice_out(&mut self, pipe: &Self::Pipe, to: &Self::Socket, len: u32) -> SpliceResult;
}
