//! Stream sockets: opening one for a connect, and what is done with a connected one.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use socket2::{SockAddr, Type};

use super::fault::Fault;

/// A connection that is over, as `tcpi_state` says it (`include/net/tcp_states.h`).
const TCP_CLOSE: u8 = 7;

/// A connected or connecting stream socket, closed when dropped.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Of a non-blocking stream socket.
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        Socket(descriptor)
    }

    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// A non-blocking socket for connecting to `address`, which sends small segments at once.
    pub(super) fn open(address: &SockAddr) -> Result<Self, Fault> {
        let family = AddressFamily::from_raw(address.family());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        if !address.is_unix() {
            sockopt::set_tcp_nodelay(&socket, true)?;
        }
        Ok(Socket(socket))
    }

    /// Lets the last packet of the handshake wait for the first bytes, up to the kernel's 200 ms
    /// (Linux, `tcp_rcv_synsent_state_process`). From then on the kernel expects that bytes of ours
    /// can carry the acknowledgements, and has each wait up to 40 ms for some, until
    /// [`Socket::acknowledge`] is called or one waited in vain (`tcp_delack_timer_handler`).
    pub(super) fn speak_first(&self) {
        // It only saves a packet.
        let _ = sockopt::set_tcp_quickack(&self.0, false);
    }

    /// The address of the peer, if the kernel still knows it.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let address = rustix::net::getpeername(&self.0).ok()??;
        SocketAddr::try_from(address).ok()
    }

    /// Our own address, if the kernel still knows it.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        let address = rustix::net::getsockname(&self.0).ok()?;
        SocketAddr::try_from(address).ok()
    }

    /// Sends the first bytes of a connection, all of them. `more`: they wait for those that follow.
    pub(super) fn send_first(&self, bytes: &[u8], more: bool) -> Result<(), Fault> {
        let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more);
        match rustix::net::send(&self.0, bytes, flags)? {
            sent if sent == bytes.len() => Ok(()),
            // Nothing was sent before, so there is room for them, unless the kernel is short of memory.
            _ => Err(Fault::NoMemory),
        }
    }

    /// How much of what was sent the peer has not acknowledged (tcp(7), `SIOCOUTQ`). Nothing once the connection has
    /// ended: the kernel goes on counting what it has dropped then.
    pub(super) fn unsent(&self) -> u32 {
        let mut bytes: libc::c_int = 0;
        // SAFETY: (M) the kernel writes one number to `bytes` during the call.
        let asked = unsafe { libc::ioctl(self.raw(), libc::TIOCOUTQ, &raw mut bytes) };
        let bytes = if asked < 0 { 0 } else { bytes.max(0) as u32 };
        if bytes > 0 && self.has_ended() {
            0
        } else {
            bytes
        }
    }

    /// Whether a TCP connection is over, by a reset or since both sides have ended it.
    fn has_ended(&self) -> bool {
        // The first byte of `struct tcp_info`.
        let mut state = 0_u8;
        let mut length: libc::socklen_t = 1;
        // SAFETY: (M) the kernel writes at most `length` bytes to `state`, and to `length`, during the call.
        let asked = unsafe {
            libc::getsockopt(
                self.raw(),
                libc::SOL_TCP,
                libc::TCP_INFO,
                (&raw mut state).cast(),
                &raw mut length,
            )
        };
        asked == 0 && state == TCP_CLOSE
    }

    /// Acknowledges what was received now. A peer that holds a small packet back until the one
    /// before it is acknowledged (RFC 896) then sends it.
    pub(super) fn acknowledge(&self) {
        // It only saves time.
        let _ = sockopt::set_tcp_quickack(&self.0, true);
    }

    /// Ends our direction of the stream.
    pub(super) fn shutdown_write(&self) {
        // It fails when the peer has gone, which then needs no end of the stream.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }

    /// Closes with a reset.
    pub(super) fn reset(self) {
        // If it fails, the socket is closed with the end of the stream.
        let _ = sockopt::set_socket_linger(&self.0, Some(Duration::ZERO));
    }
}

/// Whether this host has an address from which it could connect to this one. Connecting a datagram
/// socket shows it: that sends nothing, and its ports are not those of streams.
pub(super) fn has_source_for(address: &SockAddr) -> bool {
    let socket = socket2::Socket::new(address.domain(), Type::DGRAM.cloexec(), None);
    let connected = socket.and_then(|socket| socket.connect(address));
    let Err(error) = connected else {
        return true;
    };
    // Other errors say nothing of addresses.
    !matches!(
        Errno::from_io_error(&error),
        Some(Errno::ADDRNOTAVAIL | Errno::NETUNREACH | Errno::AFNOSUPPORT)
    )
}
