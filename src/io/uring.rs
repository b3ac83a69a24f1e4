//! The engine on io_uring: [`Engine`] in terms of a ring, a buffer pool and sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use rustix::pipe::{SpliceFlags, splice};
use rustix::time::{ClockId, clock_gettime};
use socket2::SockAddr;

use super::buffers::{BUFFER_BYTES, Buffer, BufferId, Memory, Pool};
use super::engine::{
    Cancelable, Chunk, Done, Engine, Interest, Receive, SendBuffer, SendHint, SendResult,
    SpliceResult, Token,
};
use super::fault::Fault;
use super::kernel_pipe::{KernelPipe, KernelPipes};
use super::ring::{Features, Ring, SQ_ENTRIES, SetupError};
use super::socket::{Listener, Socket};

/// What an operation is, in bits 16..20 of its user data; below it the index of a buffer that it
/// lent, above it the worker's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Accept,
    Connect,
    Receive,
    Send,
    Poll,
    Cancel,
    Wake,
    /// Its completion is of no interest.
    Silent,
    Watch,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Accept,
        Kind::Connect,
        Kind::Receive,
        Kind::Send,
        Kind::Poll,
        Kind::Cancel,
        Kind::Wake,
        Kind::Silent,
        Kind::Watch,
    ];
}

/// The code of [`Kind::Send`] in user data if the buffer is memory of its size.
const SEND_SIZED: u64 = 15;

/// What the user data of an operation says that lends no buffer.
const NO_BUFFER: BufferId = BufferId {
    memory: Memory::Block,
    index: 0,
};

fn user_data(token: Token, kind: Kind, buffer: BufferId) -> u64 {
    debug_assert!(token.0 < 1 << Token::BITS);
    let code = match (kind, buffer.memory) {
        (Kind::Send, Memory::Sized) => SEND_SIZED,
        _ => kind as u64,
    };
    (token.0 << 20) | (code << 16) | u64::from(buffer.index)
}

fn decode(user_data: u64) -> (Token, Kind, BufferId) {
    let (kind, memory) = match (user_data >> 16) & 15 {
        SEND_SIZED => (Kind::Send, Memory::Sized),
        code => {
            let kind = Kind::ALL.get(code as usize).copied();
            (kind.unwrap_or(Kind::Silent), Memory::Block)
        }
    };
    let index = user_data as u16;
    (Token(user_data >> 20), kind, BufferId { memory, index })
}

/// Wakes a worker that waits in its ring. Any thread may hold one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new() -> std::io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Waker(Arc::new(eventfd(0, flags)?)))
    }

    /// Ends the worker's wait, now or the next one.
    pub fn wake(&self) {
        // It fails only when 2^64 - 1 calls are pending, which wake just as well.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// What a [`Uring`] is made from.
#[derive(Clone, Debug)]
pub struct UringOptions {
    /// The best kernel to make use of.
    pub features: Features,
    /// Most buffers, in bytes.
    pub buffer_bytes_max: u64,
    /// Most kernel pipes.
    pub pipes_max: usize,
}

/// A send that was queued and whose end nobody was told yet.
struct Queued {
    user_data: u64,
    /// How many operations were queued before it.
    before: u64,
    /// Bytes that the kernel took, or a negative errno: all bytes, unless a completion says
    /// otherwise.
    result: i32,
}

/// The engine of one worker thread.
pub struct Uring {
    // Declared first, dropped first, after everything in it has ended (O).
    ring: Ring,
    pool: Pool,
    /// Addresses of connects that the kernel has not read yet; never grows beyond its capacity.
    addresses: Vec<SockAddr>,
    pipes: KernelPipes,
    waker: Waker,
    /// Sends in the order in which they were queued, and how many of them have ended.
    sends: VecDeque<Queued>,
    sends_ended: usize,
    /// The kernel did not take all sends in the last wait.
    sends_left: bool,
    /// Completions of this turn, and how many of them were handed out.
    completions: Vec<cqueue::Entry>,
    handed_out: usize,
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring")
            .field("features", &self.features())
            .finish_non_exhaustive()
    }
}

impl Uring {
    /// An engine for the calling thread.
    ///
    /// # Errors
    ///
    /// The kernel refuses a ring or its buffers; see [`super::probe::explain`].
    pub fn new(options: &UringOptions, waker: Waker) -> Result<Self, SetupError> {
        let ring = Ring::new(options.features)?;
        let buffers = options.buffer_bytes_max / u64::from(BUFFER_BYTES);
        let pool = Pool::new(usize::try_from(buffers).unwrap_or(usize::MAX))
            .map_err(SetupError::new("mapping buffers"))?;
        let mut uring = Uring {
            ring,
            pool,
            addresses: Vec::with_capacity(SQ_ENTRIES as usize),
            pipes: KernelPipes::new(options.pipes_max),
            waker,
            sends: VecDeque::new(),
            sends_ended: 0,
            sends_left: false,
            completions: Vec::new(),
            handed_out: 0,
        };
        // SAFETY: (O) the pool has room for that many entries, and `Uring` unmaps it after the ring
        // was shut down, or never.
        unsafe { uring.ring.register_buffers(uring.pool.ring_address()) }
            .map_err(SetupError::new("io_uring_register(PBUF_RING)"))?;
        (uring.ring.enable()).map_err(SetupError::new("io_uring_register(ENABLE_RINGS)"))?;
        let best = options.features;
        if best >= Features::Linux6_17 && uring.features() >= Features::Linux6_6 {
            uring.ring.features = best;
            if !uring.receives_stay_armed() {
                uring.ring.features = Features::Linux6_6;
            }
        }
        Ok(uring)
    }

    /// Whether the kernel knows bounded multishot receives, which only trying tells.
    fn receives_stay_armed(&mut self) -> bool {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let Ok((ours, theirs)) = pair else {
            return false;
        };
        let ours = Socket::new(ours);
        if rustix::io::write(&theirs, &[0]) != Ok(1) {
            return false;
        }
        self.receive(&ours, Receive::Stream, false, Token(0));
        let mut stayed = false;
        loop {
            self.wait(None);
            while let Some((_, done)) = self.next() {
                let Done::Received { bytes, armed, .. } = done else {
                    continue;
                };
                stayed |= armed;
                if let Ok((Some(buffer), _)) = bytes {
                    self.release(buffer);
                }
                if !armed {
                    return stayed;
                }
                // The end of the stream ends the receive.
                let _ = rustix::net::shutdown(&theirs, Shutdown::Write);
            }
        }
    }

    /// What the kernel's ring has.
    pub fn features(&self) -> Features {
        self.ring.features
    }

    fn push(&mut self, entry: squeue::Entry, token: Token, kind: Kind) {
        self.push_lending(entry, token, kind, NO_BUFFER);
    }

    fn push_lending(&mut self, entry: squeue::Entry, token: Token, kind: Kind, buffer: BufferId) {
        let entry = entry.user_data(user_data(token, kind, buffer));
        // SAFETY: (M) the callers lend only pool memory whose `Buffer` they took, and addresses
        // that are kept until everything is submitted.
        unsafe { self.ring.push(&entry) };
    }

    /// Finds out how sends ended. Since they never wait, those that the kernel has taken have
    /// ended, and only those that did not take all their bytes have a completion, in this order.
    fn settle_sends(&mut self) {
        let submitted = self.ring.submitted();
        self.sends_ended = self.sends.partition_point(|send| send.before < submitted);
        self.sends_left = self.sends_ended < self.sends.len();
        let is_send = |entry: &&cqueue::Entry| decode(entry.user_data()).1 == Kind::Send;
        let mut place = 0;
        for short in self.completions.iter().filter(is_send) {
            let is_meant = |send: &Queued| send.user_data == short.user_data();
            let behind = self.sends.range(place..).position(is_meant);
            let found = behind.map(|index| place + index);
            // Another order is not expected, and does no harm.
            let found = found.or_else(|| self.sends.iter().position(is_meant));
            debug_assert!(found.is_some(), "a send that nobody made");
            if let Some(index) = found {
                self.sends[index].result = short.result();
                place = index + 1;
            }
        }
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
                let taken = cqueue::buffer_select(flags).map(|id| self.pool.taken(id));
                let bytes = match (result, taken) {
                    (Ok(len), Some(buffer)) if len > 0 => Ok((Some(buffer), len)),
                    (result, taken) => {
                        // At the end of a stream the kernel may hand out a buffer all the same.
                        if let Some(buffer) = taken {
                            self.pool.release(buffer);
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
                (Ok(events), armed) if is_gone(events) => Done::Gone { armed },
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

/// Whether a poll has found a reset, or both directions closed.
fn is_gone(events: u32) -> bool {
    events & (libc::POLLERR | libc::POLLHUP) as u32 != 0
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.ring.shut_down().is_err() {
            // The kernel may still write there.
            self.pool.leak();
        }
    }
}

/// What an operation brought, or why it failed.
fn outcome(result: i32) -> Result<u32, Fault> {
    u32::try_from(result).map_err(|_| Fault::from_errno(-result))
}

impl Engine for Uring {
    type Socket = Socket;
    type Listener = Listener;
    type Buffer = Buffer;
    type Pipe = KernelPipe;

    fn now(&mut self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        debug_assert_eq!(self.handed_out, self.completions.len());
        self.completions.clear();
        self.handed_out = 0;
        self.pool.top_up();
        debug_assert_eq!(self.sends_ended, 0, "sends that nobody asked for");
        let timeout = if self.sends_left {
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
        if self.ring.submitted() == self.ring.queued() {
            self.addresses.clear();
        }
        self.settle_sends();
    }

    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)> {
        self.sends_ended = self.sends_ended.checked_sub(1)?;
        let send = self.sends.pop_front()?;
        let (token, _, buffer) = decode(send.user_data);
        let buffer = self.pool.returned(buffer);
        let len = outcome(send.result);
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
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let fd = Fd(listener.raw());
        let entry = if multi {
            opcode::AcceptMulti::new(fd).flags(flags).build()
        } else {
            opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut())
                .flags(flags)
                .build()
        };
        self.push(entry, token, Kind::Accept);
    }

    fn cancel_accept(&mut self, accepting: Token) {
        let target = CancelBuilder::user_data(user_data(accepting, Kind::Accept, NO_BUFFER)).all();
        let entry = opcode::AsyncCancel2::new(target).build();
        self.push(entry, accepting, Kind::Silent);
    }

    fn watch_waker(&mut self, token: Token) {
        let fd = Fd(self.waker.0.as_raw_fd());
        let entry = opcode::PollAdd::new(fd, libc::POLLIN as u32).build();
        self.push(entry, token, Kind::Wake);
    }

    fn connect(&mut self, socket: &Socket, address: &SocketAddr, token: Token) {
        if self.addresses.len() == self.addresses.capacity() {
            // Room for as many as the queue has entries: this only happens when connects were
            // left queued by a refused enter.
            while self.ring.submitted() < self.ring.queued() {
                self.ring.enter(Some(Duration::ZERO));
            }
            self.addresses.clear();
        }
        self.addresses.push(SockAddr::from(*address));
        let address = &self.addresses[self.addresses.len() - 1];
        let entry =
            opcode::Connect::new(Fd(socket.raw()), address.as_ptr().cast(), address.len()).build();
        self.push(entry, token, Kind::Connect);
    }

    fn receive(&mut self, socket: &Socket, how: Receive, poll_first: bool, token: Token) {
        let entry = self.ring.receive(Fd(socket.raw()), how, poll_first);
        self.push(entry, token, Kind::Receive);
    }

    fn send(&mut self, socket: &Socket, lent: SendBuffer<Self>, hint: SendHint, token: Token) {
        // With both, a send ends at once, and counts as failed unless it took everything: the
        // kernel tells of failures only. What has no completion is neither written nor reaped.
        const AT_ONCE: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL;

        let SendBuffer { buffer, chunk } = lent;
        let start = self.pool.part(&buffer, chunk).as_ptr();
        let more = match hint {
            SendHint::MoreToCome => 0,
            SendHint::ShutdownFollows => libc::MSG_MORE,
        };
        let entry = opcode::Send::new(Fd(socket.raw()), start, chunk.len)
            .flags(libc::MSG_NOSIGNAL | AT_ONCE | more)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.sends.push_back(Queued {
            user_data: user_data(token, Kind::Send, buffer.id()),
            before: self.ring.queued(),
            result: chunk.len as i32,
        });
        self.push_lending(entry, token, Kind::Send, buffer.id());
    }

    fn poll(&mut self, socket: &Socket, interest: Interest, token: Token) {
        let events = match interest {
            Interest::Read => libc::POLLIN | libc::POLLRDHUP,
            Interest::Write => libc::POLLOUT,
        };
        let entry = opcode::PollAdd::new(Fd(socket.raw()), events as u32).build();
        self.push(entry, token, Kind::Poll);
    }

    fn watch(&mut self, socket: &Socket, token: Token) {
        // Every poll of io_uring also waits for the end of the peer's stream (Linux,
        // `IO_POLL_UNMASK`). One that goes on tells of it once and still tells of a reset.
        let poll = opcode::PollAdd::new(Fd(socket.raw()), 0).multi(true);
        self.push(poll.build(), token, Kind::Watch);
    }

    fn cancel(&mut self, _socket: &Socket, these: &[(Cancelable, Token)], token: Token) {
        // Carried out in this order, so the last tells of all. By what names them: looking for a
        // descriptor, the kernel would look at every operation of the ring.
        for (index, (kind, target)) in these.iter().enumerate() {
            let kind = match kind {
                Cancelable::Receive => Kind::Receive,
                Cancelable::Poll => Kind::Poll,
                Cancelable::Watch => Kind::Watch,
                Cancelable::Connect => Kind::Connect,
            };
            let entry = opcode::AsyncCancel::new(user_data(*target, kind, NO_BUFFER)).build();
            let is_last = index + 1 == these.len();
            self.push(
                entry,
                token,
                if is_last { Kind::Cancel } else { Kind::Silent },
            );
        }
        debug_assert!(!these.is_empty(), "a cancellation of nothing never ends");
    }

    fn open(&mut self, address: &SocketAddr) -> Result<Socket, Fault> {
        Socket::open(address)
    }

    fn has_source_for(&mut self, address: &SocketAddr) -> bool {
        super::socket::has_source_for(*address)
    }

    fn speak_first(&mut self, socket: &Socket) {
        socket.speak_first();
    }

    fn acknowledge(&mut self, socket: &Socket) {
        socket.acknowledge();
    }

    fn peer(&mut self, socket: &Socket) -> Option<SocketAddr> {
        let address = rustix::net::getpeername(socket.descriptor()).ok()??;
        SocketAddr::try_from(address).ok()
    }

    fn unsent(&mut self, socket: &Socket) -> u32 {
        socket.unsent()
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        socket.shutdown_write();
    }

    fn close(&mut self, socket: Socket) {
        drop(socket);
    }

    fn reset(&mut self, socket: Socket) {
        socket.reset();
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.release(buffer);
    }

    fn take_buffer(&mut self) -> Option<Buffer> {
        self.pool.take()
    }

    fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        self.pool.bytes(buffer, chunk)
    }

    fn write(&mut self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        self.pool.write(buffer, at, bytes);
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        self.pool.copy(from, chunk, to, at);
    }

    fn prepend(&mut self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        self.pool.prepend(from, part, to, behind);
    }

    fn buffers_left(&self) -> usize {
        self.pool.left()
    }

    fn is_short_of_buffers(&self) -> bool {
        self.pool.is_short()
    }

    fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        self.pool.shrink(buffer, chunk)
    }

    fn take_pipe(&mut self) -> Option<KernelPipe> {
        self.pipes.take()
    }

    fn return_pipe(&mut self, pipe: KernelPipe, empty: bool) {
        self.pipes.put(pipe, empty);
    }

    fn splice_in(&mut self, from: &Socket, pipe: &KernelPipe, len: u32) -> SpliceResult {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let source = from.descriptor();
        let moved = splice(source, None, &pipe.writer, None, len as usize, flags)?;
        Ok(moved as u32)
    }

    fn splice_out(&mut self, pipe: &KernelPipe, to: &Socket, len: u32) -> SpliceResult {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let sink = to.descriptor();
        let moved = splice(&pipe.reader, None, sink, None, len as usize, flags)?;
        Ok(moved as u32)
    }

    fn close_listener(&mut self, listener: Listener) {
        drop(listener);
    }

    fn accept_now(&mut self, listener: &Listener) -> Result<Socket, Fault> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = || rustix::net::accept_with(listener.descriptor(), flags);
        Ok(Socket::new(rustix::io::retry_on_intr(accept)?))
    }
}

#[cfg(test)]
mod tests;
