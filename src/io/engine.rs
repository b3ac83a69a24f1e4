//! The interface between the worker and the kernel.
//!
//! An [`Engine`] queues operations and returns their completions: the only part in which engines
//! differ. What ends at once stands in its supertraits, [`Sockets`], [`Memory`] and [`Pipes`]. Every
//! engine on the real kernel gets these three by lending its
//! [`Resources`](super::resources::Resources): `resources.rs` implements them for all such engines.
//! The simulation implements them itself, since its handles are numbers and its buffers mostly hold
//! no bytes.
//!
//! They are supertraits and neither functions of the handles nor a field of the worker, because a
//! simulated handle can do nothing without its kernel, and because the worker then needs one type
//! parameter with one bound. All calls are resolved at compile time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use socket2::SockAddr;

use super::calls::{Memory, Pipes, Sockets};
use super::operation::{
    Cancelable, Done, Interest, Receive, SendBuffer, SendHint, SendResult, Token,
};

/// Nanoseconds on the kernel's monotonic clock.
pub fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Operations on sockets, for one worker thread.
///
/// The next [`Engine::wait`] hands queued operations to the kernel. A send ends with exactly one
/// [`SendResult`], any other operation with exactly one [`Done`]; an operation that completes
/// several times ends with the one whose `more` or `armed` is false. At most one read (receive or
/// poll) and one write (send, connect or poll) may be queued or in flight for a socket. Every
/// operation on a socket must have ended before the socket is closed.
///
/// A send is tried once, during the submission in `wait`, and never stays in flight. One that took
/// all its bytes does not end the wait: if a session has work after it, wait with timeout 0.
pub trait Engine: Sockets + Memory + Pipes {
    /// Nanoseconds on a monotonic clock, by default the kernel's. Read once per turn of the loop.
    fn now(&mut self) -> u64 {
        monotonic_nanos()
    }

    /// Hands everything queued to the kernel and waits for a completion, at most `timeout`
    /// (`None`: without a limit). It may return early without one.
    fn wait(&mut self, timeout: Option<Duration>);

    /// The next send that the last wait ended, in the order in which they were queued.
    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)>;

    /// The next completion of this turn. All sends must have been fetched before.
    fn next(&mut self) -> Option<(Token, Done<Self>)>;

    /// Queues accepting: one connection, or with `multi` connections until a fault or a
    /// cancellation.
    fn accept(&mut self, listener: &Self::Listener, multi: bool, token: Token);

    /// Queues the cancellation of accepting on this listener; it has no completion of its own.
    fn cancel_accept(&mut self, listener: &Self::Listener, accepting: Token);

    /// Queues a wait for the next call of the engine's waker.
    fn watch_waker(&mut self, token: Token);

    /// Queues a connect of a socket that [`Sockets::open`] made for this address.
    fn connect(&mut self, socket: &Self::Socket, address: &SockAddr, token: Token);

    /// Queues receiving into free buffers. `poll_first`: probably nothing can be read yet.
    fn receive(&mut self, socket: &Self::Socket, how: Receive, poll_first: bool, token: Token);

    /// Queues a send of a part of a buffer.
    fn send(&mut self, socket: &Self::Socket, lent: SendBuffer<Self>, hint: SendHint, token: Token);

    /// Queues a poll that ends once.
    fn poll(&mut self, socket: &Self::Socket, interest: Interest, token: Token);

    /// Queues watching for a reset, or for the end of both directions. The end of the peer's
    /// stream alone, after which the peer may still read, is not reported.
    fn watch(&mut self, socket: &Self::Socket, token: Token);

    /// Queues the cancellation of those of these operations on this socket that exist, queued ones
    /// included; ends with [`Done::Canceled`]. At least one must be named.
    fn cancel(&mut self, socket: &Self::Socket, these: &[(Cancelable, Token)], token: Token);
}
