//! Operations as entries of the submission queue, and the list of those that a ring may carry out.

use io_uring::register::Restriction;
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{opcode, squeue};
use socket2::SockAddr;

use super::buffer_ring::BUFFER_GROUP;
use super::features::Features;
use crate::io::buffer::{BUFFER_BYTES, RECEIVE_BYTES};
use crate::io::listener::Listener;
use crate::io::operation::{Interest, Receive, SendHint};
use crate::io::socket::Socket;
use crate::io::waker::Waker;

/// A multishot receive ends once it has received so many bytes. The kernel compares after each
/// piece, which has at most [`RECEIVE_BYTES`], so that all pieces fit into one buffer.
const ARMED_BYTES: u32 = BUFFER_BYTES - RECEIVE_BYTES;

fn fd(socket: &Socket) -> Fd {
    Fd(socket.raw())
}

/// Accepting one connection, or with `multi` one after the other.
pub fn accept(listener: &Listener, multi: bool) -> squeue::Entry {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let fd = Fd(listener.raw());
    if multi {
        return opcode::AcceptMulti::new(fd).flags(flags).build();
    }
    let no_address = std::ptr::null_mut();
    opcode::Accept::new(fd, no_address, std::ptr::null_mut())
        .flags(flags)
        .build()
}

/// A connect, which reads `address` during the submission.
pub fn connect(socket: &Socket, address: &SockAddr) -> squeue::Entry {
    opcode::Connect::new(fd(socket), address.as_ptr().cast(), address.len()).build()
}

/// A receive into provided buffers, see [`Engine::receive`](crate::io::Engine::receive).
pub fn receive(
    socket: &Socket,
    how: Receive,
    poll_first: bool,
    features: Features,
) -> squeue::Entry {
    /// `ioprio` of a receive: poll before the first try.
    const POLL_FIRST: u16 = 1 << 0;
    /// `ioprio` of a receive: go on after the first.
    const MULTISHOT: u16 = 1 << 1;
    /// Where an entry has `optlen`, the bytes after which a multishot receive ends. The crate
    /// does not know it yet. A single piece may exceed it, up to the entry's length.
    const OPTLEN_OFFSET: usize = 44;

    let poll_first = if poll_first { POLL_FIRST } else { 0 };
    let receive = |len, ioprio| {
        opcode::Recv::new(fd(socket), std::ptr::null_mut(), len)
            .ioprio(ioprio)
            .buf_group(BUFFER_GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT)
    };
    match how {
        Receive::Once(len) => return receive(len, poll_first),
        Receive::Stream if features < Features::Linux6_17 => {
            return receive(RECEIVE_BYTES, poll_first);
        }
        Receive::Stream => {}
    }
    let mut entry = receive(RECEIVE_BYTES, poll_first | MULTISHOT);
    const { assert!(size_of::<squeue::Entry>() == 64) };
    let optlen = (&raw mut entry).cast::<u8>().wrapping_add(OPTLEN_OFFSET);
    // SAFETY: (M) the entry is not lent yet. It is the kernel's 64 bytes, of which these four are
    // `optlen`, 4-byte aligned like the whole.
    unsafe { optlen.cast::<u32>().write(ARMED_BYTES) };
    entry
}

/// A send of `len` bytes from `start`, tried once.
///
/// With both flags of `AT_ONCE` a send never waits, and counts as failed unless it took everything:
/// the kernel then posts completions of failed ones only. One without a completion costs neither
/// writing nor reaping it.
pub fn send(socket: &Socket, start: *const u8, len: u32, hint: SendHint) -> squeue::Entry {
    const AT_ONCE: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL;

    let more = match hint {
        SendHint::MoreToCome => 0,
        SendHint::ShutdownFollows => libc::MSG_MORE,
    };
    opcode::Send::new(fd(socket), start, len)
        .flags(libc::MSG_NOSIGNAL | AT_ONCE | more)
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
}

/// A poll that ends once.
pub fn poll(socket: &Socket, interest: Interest) -> squeue::Entry {
    let events = match interest {
        Interest::Read => libc::POLLIN | libc::POLLRDHUP,
        Interest::Write => libc::POLLOUT,
    };
    opcode::PollAdd::new(fd(socket), events as u32).build()
}

/// A poll for a reset or the end of both directions. Every poll of io_uring also waits for the end
/// of the peer's stream (Linux, `IO_POLL_UNMASK`); a multishot one reports it once and still
/// reports a reset.
pub fn watch(socket: &Socket) -> squeue::Entry {
    opcode::PollAdd::new(fd(socket), 0).multi(true).build()
}

/// Whether the events of a [`watch`] are a reset, or the end of both directions.
pub fn is_gone(events: u32) -> bool {
    events & (libc::POLLERR | libc::POLLHUP) as u32 != 0
}

/// A poll for a call of the waker.
pub fn watch_waker(waker: &Waker) -> squeue::Entry {
    opcode::PollAdd::new(Fd(waker.raw()), libc::POLLIN as u32).build()
}

/// The cancellation of one operation. The kernel finds it by its user data; by descriptor it would
/// search all operations of the ring.
pub fn cancel(user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(user_data).build()
}

/// The cancellation of all operations with this user data.
pub fn cancel_all(user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel2::new(CancelBuilder::user_data(user_data).all()).build()
}

/// All that a ring may do once it is enabled: the operations of this file, and what
/// [`Ring::shut_down`](super::ring::Ring::shut_down) needs.
pub fn restrictions() -> [Restriction; 10] {
    /// `io_uring_register_op` of <linux/io_uring.h>, which the crate keeps to itself.
    const UNREGISTER_RING_FDS: u8 = 21;
    const UNREGISTER_PBUF_RING: u8 = 23;
    const SYNC_CANCEL: u8 = 24;
    let flags = squeue::Flags::BUFFER_SELECT | squeue::Flags::SKIP_SUCCESS;
    [
        Restriction::sqe_op(opcode::Accept::CODE),
        Restriction::sqe_op(opcode::AsyncCancel::CODE),
        Restriction::sqe_op(opcode::Connect::CODE),
        Restriction::sqe_op(opcode::PollAdd::CODE),
        Restriction::sqe_op(opcode::Recv::CODE),
        Restriction::sqe_op(opcode::Send::CODE),
        Restriction::sqe_flags_allowed(flags.bits()),
        Restriction::register_op(UNREGISTER_RING_FDS),
        Restriction::register_op(UNREGISTER_PBUF_RING),
        Restriction::register_op(SYNC_CANCEL),
    ]
}
