//! What io_uring offers on different kernels, as far as the engine makes use of it.

use std::fmt;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::io::engine::Engine;
use crate::io::operation::{Done, Receive, Token};
use crate::io::socket::Socket;

/// The kernel version whose features a ring uses, or may use at best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Features {
    /// Linux 6.1: `SINGLE_ISSUER`, `DEFER_TASKRUN`.
    Linux6_1,
    /// Linux 6.6: also `NO_SQARRAY`.
    Linux6_6,
    /// Linux 6.17: also multishot receives that end by themselves after a number of bytes. Without
    /// that bound they could take all buffers of a worker while a peer does not read.
    #[default]
    Linux6_17,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Features::Linux6_17 => {
                "single issuer, deferred task work, no submission array, bounded multishot receives"
            }
            Features::Linux6_6 => "single issuer, deferred task work, no submission array",
            Features::Linux6_1 => "single issuer, deferred task work",
        })
    }
}

/// Whether the kernel knows bounded multishot receives, which only a trial shows.
pub fn receives_stay_armed(engine: &mut impl Engine<Socket = Socket>) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let Ok((ours, theirs)) = pair else {
        return false;
    };
    let ours = Socket::new(ours);
    if rustix::io::write(&theirs, &[0]) != Ok(1) {
        return false;
    }
    engine.receive(&ours, Receive::Stream, false, Token(0));
    let mut stayed = false;
    loop {
        engine.wait(None);
        while let Some((_, done)) = engine.next() {
            let Done::Received { bytes, armed, .. } = done else {
                continue;
            };
            stayed |= armed;
            if let Ok((Some(buffer), _)) = bytes {
                engine.release(buffer);
            }
            if !armed {
                return stayed;
            }
            // The end of the stream ends the receive.
            let _ = rustix::net::shutdown(&theirs, Shutdown::Write);
        }
    }
}
