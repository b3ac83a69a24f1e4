//! What the engine needs of a kernel that tells when a descriptor is ready: a small set of system calls.
//! The real kernel is in `system.rs`; tests have one of their own.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use socket2::SockAddr;

use super::key::Key;
use super::ready::Ready;
use crate::io::buffer::Chunk;
use crate::io::calls::{Memory, Pipes, Sockets};
use crate::io::fault::Fault;
use crate::io::operation::SendHint;

/// A descriptor became ready for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it was registered with.
    pub key: Key,
    /// What it is ready for now; what is missing here may have been told before.
    pub ready: Ready,
}

/// System calls of a kernel that reports readiness by edges (epoll(7), `EPOLLET`). None waits, but for
/// [`Readiness::wait`].
///
/// An edge is reported at least once after each change: when bytes or the end of the stream have arrived,
/// when there is room again after a send or splice that took less than it was given, when a connect has
/// ended, when the connection was reset. A registration reports what holds at that time. A socket is not
/// writable before its connect has succeeded (Linux, `tcp_poll`), and has all bytes of a stream before the end
/// of it is reported.
pub trait Readiness: Sockets + Memory + Pipes {
    /// Names an open socket or listener, as long as it is open.
    type Id: Copy + Debug + Eq + Hash;

    /// Nanoseconds on a monotonic clock.
    fn now(&mut self) -> u64;

    /// Names a socket.
    fn socket_id(&self, socket: &Self::Socket) -> Self::Id;

    /// Names a listener.
    fn listener_id(&self, listener: &Self::Listener) -> Self::Id;

    /// Reports all edges of a socket, from now until it is closed.
    fn register_socket(&mut self, socket: Self::Id, key: Key) -> Result<(), Fault>;

    /// Reports no more of a socket, which stays open.
    fn unregister_socket(&mut self, socket: Self::Id);

    /// Reports connections in the queue of a listener, until [`Readiness::unregister`].
    fn register_listener(&mut self, listener: Self::Id, key: Key) -> Result<(), Fault>;

    /// Reports no more of a listener. Closing it would not be enough, since other processes may have
    /// it too (epoll(7), Q6).
    fn unregister(&mut self, listener: Self::Id);

    /// Waits for an edge, at most `timeout` (`None`: without a limit), and appends those that there are.
    /// It may return early without one.
    fn wait(&mut self, timeout: Option<Duration>, edges: &mut Vec<Edge>);

    /// Makes the waker report an edge when it is called the next time.
    fn clear_waker(&mut self);

    /// Accepts a connection. [`Fault::WouldBlock`]: there is none.
    fn accept(&mut self, listener: Self::Id) -> Result<Self::Socket, Fault>;

    /// Begins a connect; true: it has succeeded already.
    fn connect(&mut self, socket: &Self::Socket, address: &SockAddr) -> Result<bool, Fault>;

    /// How a connect ended whose socket has failed or was reset.
    fn connected(&mut self, socket: Self::Id) -> Result<(), Fault>;

    /// Receives up to `len` bytes into a free buffer. `None`: the end of the stream.
    /// [`Fault::NoBuffers`]: no buffer is free, and nothing was received.
    fn receive(&mut self, socket: Self::Id, len: u32)
    -> Result<Option<(Self::Buffer, u32)>, Fault>;

    /// Sends a part of a buffer, as far as there is room; returns how many bytes of it.
    fn send(
        &mut self,
        socket: &Self::Socket,
        buffer: &Self::Buffer,
        chunk: Chunk,
        hint: SendHint,
    ) -> Result<u32, Fault>;
}
