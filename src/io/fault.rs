//! What an errno means to the worker. Each is translated here only.

use rustix::io::Errno;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer refused the connection.
    Refused,
    /// No route to the peer.
    Unreachable,
    /// The kernel gave up waiting for the peer.
    TimedOut,
    /// The peer reset the connection, or it no longer exists.
    Reset,
    /// A send to a peer that had ended its stream before it reset the connection (Linux,
    /// `tcp_reset`), or whose reset was reported before.
    Closed,
    /// The operation was cancelled.
    Canceled,
    /// Nothing can be done now: try again when the descriptor is ready.
    WouldBlock,
    /// No provided buffer was left for a receive.
    NoBuffers,
    /// The process or the system is out of descriptors.
    NoDescriptors,
    /// The kernel is out of memory for this.
    NoMemory,
    /// No local port is left for this destination, or no local address leads there.
    NoPorts,
    /// Anything else, with its errno.
    Other(i32),
}

impl Fault {
    /// Translates a positive errno.
    pub fn from_errno(errno: i32) -> Fault {
        match Errno::from_raw_os_error(errno) {
            // The last is that of a Unix socket whose file does not exist.
            Errno::CONNREFUSED | Errno::NOENT => Fault::Refused,
            // The last is the answer of a kernel that was built or started without IPv6.
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::AFNOSUPPORT => Fault::Unreachable,
            Errno::TIMEDOUT => Fault::TimedOut,
            Errno::CONNRESET | Errno::CONNABORTED | Errno::NOTCONN => Fault::Reset,
            Errno::PIPE => Fault::Closed,
            Errno::CANCELED => Fault::Canceled,
            Errno::AGAIN | Errno::INTR => Fault::WouldBlock,
            Errno::NOBUFS => Fault::NoBuffers,
            Errno::MFILE | Errno::NFILE => Fault::NoDescriptors,
            Errno::NOMEM => Fault::NoMemory,
            Errno::ADDRNOTAVAIL => Fault::NoPorts,
            _ => Fault::Other(errno),
        }
    }

    /// Whether this process lacks a resource, whatever the peer. [`Fault::NoPorts`] does not count:
    /// it concerns one destination.
    pub fn is_shortage(self) -> bool {
        match self {
            Fault::NoDescriptors | Fault::NoMemory | Fault::NoBuffers => true,
            Fault::Refused
            | Fault::Unreachable
            | Fault::TimedOut
            | Fault::Reset
            | Fault::Closed
            | Fault::Canceled
            | Fault::WouldBlock
            | Fault::NoPorts
            | Fault::Other(_) => false,
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Fault::from_errno(errno.raw_os_error())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Fault::from_errno(error.raw_os_error().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_fault() {
        for (errno, fault) in [
            (libc::ECONNREFUSED, Fault::Refused),
            (libc::ENOENT, Fault::Refused),
            (libc::EHOSTUNREACH, Fault::Unreachable),
            (libc::EAFNOSUPPORT, Fault::Unreachable),
            (libc::ETIMEDOUT, Fault::TimedOut),
            (libc::ECONNRESET, Fault::Reset),
            (libc::EPIPE, Fault::Closed),
            (libc::ECANCELED, Fault::Canceled),
            (libc::EAGAIN, Fault::WouldBlock),
            (libc::ENOBUFS, Fault::NoBuffers),
            (libc::EMFILE, Fault::NoDescriptors),
            (libc::ENFILE, Fault::NoDescriptors),
            (libc::ENOMEM, Fault::NoMemory),
            (libc::EADDRNOTAVAIL, Fault::NoPorts),
            (libc::EINVAL, Fault::Other(libc::EINVAL)),
        ] {
            assert_eq!(Fault::from_errno(errno), fault, "errno {errno}");
        }
    }
}
