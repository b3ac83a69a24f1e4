//! The engine on io_uring.
//!
//! | File | What of the kernel's interface |
//! | --- | --- |
//! | `ring.rs` | the ring: set-up, submission and completion queue, shut-down |
//! | `features.rs` | what kernels differ in, and the trial that shows it |
//! | `entries.rs` | entries of the submission queue, and the restriction to them |
//! | `user_data.rs` | what an operation carries and its completion returns |
//! | `buffer_ring.rs` | the ring of provided buffers |
//! | `sends.rs` | sends, which mostly have no completion |
//! | `probe.rs` | why this host refuses io_uring |

mod buffer_ring;
mod entries;
mod features;
pub mod probe;
mod ring;
mod sends;
mod user_data;

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use io_uring::{cqueue, squeue};
use socket2::SockAddr;

use super::engine::Engine;
use super::fault::Fault;
use super::listener::Listener;
use super::operation::{
    Cancelable, Done, Interest, Receive, SendBuffer, SendHint, SendResult, Token,
};
use super::resources::{HasResources, Resources};
use super::setup::{ResourceLimits, SetupError};
use super::socket::Socket;
use super::waker::Waker;
use buffer_ring::BufferRing;
pub use features::Features;
use ring::{Ring, SQ_ENTRIES};
use sends::Sends;
use user_data::{Kind, decode, encode, encode_lending};

/// The engine of one worker thread.
pub struct Uring {
    // Dropped in this order, after everything in the ring has ended (O).
    ring: Ring,
    buffer_ring: BufferRing,
    resources: Resources,
    /// Addresses of connects that the kernel may not have read yet. It never grows beyond its
    /// capacity, so they do not move.
    addresses: Vec<SockAddr>,
    waker: Waker,
    sends: Sends,
    /// Completions of this turn, and how many of them were handed out.
    completions: Vec<cqueue::Entry>,
    handed_out: usize,
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("features", &self.features())
            .finish_non_exhaustive()
    }
}

/// What it is and what it makes use of, for the log.
impl fmt::Display for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io_uring ({})", self.features())
    }
}

impl Uring {
    /// An engine for the calling thread, which uses at most the features `best`.
    ///
    /// # Errors
    ///
    /// The kernel refuses a ring or its buffers; see [`probe::explain`].
    pub fn new(best: Features, limits: &ResourceLimits, waker: Waker) -> Result<Self, SetupError> {
        let ring = Ring::new(best)?;
        let resources = Resources::new(limits)?;
        let buffer_ring = BufferRing::new(&resources.pool)
            .map_err(SetupError::new("mapping the ring of buffers"))?;
        let mut uring = Uring {
            ring,
            buffer_ring,
            resources,
            addresses: Vec::with_capacity(SQ_ENTRIES as usize),
            waker,
            sends: Sends::default(),
            completions: Vec::new(),
            handed_out: 0,
        };
        // SAFETY: (O) the buffer ring takes buffers of this pool only, and `Uring` unmaps both after
        // the ring was shut down, or never.
        unsafe { uring.ring.register_buffers(&uring.buffer_ring) }
            .map_err(SetupError::new("io_uring_register(PBUF_RING)"))?;
        (uring.ring.enable()).map_err(SetupError::new("io_uring_register(ENABLE_RINGS)"))?;
        if best >= Features::Linux6_17 && uring.features() >= Features::Linux6_6 {
            uring.ring.features = best;
            if !features::receives_stay_armed(&mut uring) {
                uring.ring.features = Features::Linux6_6;
            }
        }
        Ok(uring)
    }

    /// What it makes use of.
    pub fn features(&self) -> Features {
        self.ring.features
    }

    fn push(&mut self, entry: squeue::Entry, user_data: u64) {
        let entry = entry.user_data(user_data);
        // SAFETY: (M) the callers lend only memory whose `Buffer` they were given, and addresses that
        // are kept until everything is submitted.
        unsafe { self.ring.push(&entry) };
    }

    fn done(&mut self, kind: Kind, entry: &cqueue::Entry) -> Option<Done<Self>> {
        let result = outcome(entry.result());
        let flags = entry.flags();
        Some(match kind {
            Kind::Accept => Done::Accepted {
                // SAFETY: (D) the kernel has just made this descriptor for us.
                socket: result.map(|fd| Socket::new(unsafe { OwnedFd::from_raw_fd(fd as i32) })),
                more: cqueue::more(flags),
            },
            Kind::Connect => Done::Connected(result.map(drop)),
            Kind::Receive => {
                let pool = &mut self.resources.pool;
                // SAFETY: (M) the kernel returns a buffer with one completion.
                let taken = cqueue::buffer_select(flags).map(|id| unsafe { pool.received(id) });
                let bytes = match (result, taken) {
                    (Ok(len), Some(buffer)) if len > 0 => Ok((Some(buffer), len)),
                    (result, taken) => {
                        // At the end of a stream the kernel may hand out a buffer all the same.
                        if let Some(buffer) = taken {
                            pool.release(buffer);
                        }
                        result.map(|_| (None, 0))
                    }
                };
                Done::Received {
                    bytes,
                    more: cqueue::sock_nonempty(flags),
                    armed: cqueue::more(flags),
                }
            }
            Kind::Poll => Done::Polled(result.map(drop)),
            Kind::Watch => match (result, cqueue::more(flags)) {
                (Ok(events), armed) if entries::is_gone(events) => Done::Gone { armed },
                (Ok(_), true) => return None,
                (Ok(_) | Err(_), _) => Done::Unwatched,
            },
            Kind::Cancel => Done::Canceled,
            Kind::Wake => {
                self.waker.clear();
                Done::Woken
            }
            Kind::Send | Kind::Silent => return None,
        })
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.ring.shut_down().is_err() {
            // The kernel may still write there.
            self.resources.pool.leak();
            self.buffer_ring.leak();
        }
    }
}

/// What an operation returned, or why it failed.
fn outcome(result: i32) -> Result<u32, Fault> {
    u32::try_from(result).map_err(|_| Fault::from_errno(-result))
}

impl HasResources for Uring {
    fn resources(&self) -> &Resources {
        &self.resources
    }

    fn resources_mut(&mut self) -> &mut Resources {
        &mut self.resources
    }
}

impl Engine for Uring {
    fn wait(&mut self, timeout: Option<Duration>) {
        debug_assert_eq!(self.handed_out, self.completions.len());
        debug_assert!(self.sends.are_handed_out(), "sends were not fetched");
        self.completions.clear();
        self.handed_out = 0;
        self.buffer_ring.fill(&mut self.resources.pool);
        let timeout = if self.sends.is_left() {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.ring.enter(timeout);
        self.ring.reap(&mut self.completions);
        while self.ring.overflowed() {
            self.ring.enter(Some(Duration::ZERO));
            self.ring.reap(&mut self.completions);
        }
        let submitted = self.ring.submitted();
        if submitted == self.ring.queued() {
            self.addresses.clear();
        }
        self.sends.settle(submitted, &self.completions);
    }

    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)> {
        let (user_data, result) = self.sends.next()?;
        let (token, _, buffer) = decode(user_data);
        // SAFETY: (M) `send` took this buffer for this send, which has ended.
        let buffer = unsafe { self.resources.pool.returned(buffer) };
        let len = outcome(result);
        Some((token, SendResult { buffer, len }))
    }

    fn next(&mut self) -> Option<(Token, Done<Self>)> {
        while let Some(entry) = self.completions.get(self.handed_out).cloned() {
            self.handed_out += 1;
            let (token, kind, _) = decode(entry.user_data());
            if let Some(done) = self.done(kind, &entry) {
                return Some((token, done));
            }
        }
        None
    }

    fn accept(&mut self, listener: &Listener, multi: bool, token: Token) {
        let entry = entries::accept(listener, multi);
        self.push(entry, encode(token, Kind::Accept));
    }

    fn cancel_accept(&mut self, _listener: &Listener, accepting: Token) {
        let entry = entries::cancel_all(encode(accepting, Kind::Accept));
        self.push(entry, encode(accepting, Kind::Silent));
    }

    fn watch_waker(&mut self, token: Token) {
        let entry = entries::watch_waker(&self.waker);
        self.push(entry, encode(token, Kind::Wake));
    }

    fn connect(&mut self, socket: &Socket, address: &SockAddr, token: Token) {
        if self.addresses.len() == self.addresses.capacity() {
            // There is room for as many as the queue has entries, so this happens only when a refused
            // enter has left connects in the queue.
            while self.ring.submitted() < self.ring.queued() {
                self.ring.enter(Some(Duration::ZERO));
            }
            self.addresses.clear();
        }
        self.addresses.push(address.clone());
        let address = &self.addresses[self.addresses.len() - 1];
        let entry = entries::connect(socket, address);
        self.push(entry, encode(token, Kind::Connect));
    }

    fn receive(&mut self, socket: &Socket, how: Receive, poll_first: bool, token: Token) {
        let entry = entries::receive(socket, how, poll_first, self.features());
        self.push(entry, encode(token, Kind::Receive));
    }

    fn send(&mut self, socket: &Socket, lent: SendBuffer<Self>, hint: SendHint, token: Token) {
        let SendBuffer { buffer, chunk } = lent;
        let start = self.resources.pool.part(&buffer, chunk).as_ptr();
        let entry = entries::send(socket, start, chunk.len, hint);
        let user_data = encode_lending(token, Kind::Send, buffer.id());
        self.sends.push(user_data, self.ring.queued(), chunk.len);
        self.push(entry, user_data);
    }

    fn poll(&mut self, socket: &Socket, interest: Interest, token: Token) {
        let entry = entries::poll(socket, interest);
        self.push(entry, encode(token, Kind::Poll));
    }

    fn watch(&mut self, socket: &Socket, token: Token) {
        let entry = entries::watch(socket);
        self.push(entry, encode(token, Kind::Watch));
    }

    fn cancel(&mut self, _socket: &Socket, these: &[(Cancelable, Token)], token: Token) {
        debug_assert!(!these.is_empty(), "a cancellation of nothing never ends");
        for (index, (kind, target)) in these.iter().enumerate() {
            let kind = match kind {
                Cancelable::Receive => Kind::Receive,
                Cancelable::Poll => Kind::Poll,
                Cancelable::Watch => Kind::Watch,
                Cancelable::Connect => Kind::Connect,
            };
            // The kernel carries them out in this order: the completion of the last one is enough.
            let is_last = index + 1 == these.len();
            let own_kind = if is_last { Kind::Cancel } else { Kind::Silent };
            let entry = entries::cancel(encode(*target, kind));
            self.push(entry, encode(token, own_kind));
        }
    }
}

#[cfg(test)]
mod tests;
