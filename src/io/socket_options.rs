//! What the kernel does for a connection whose peer is silent, or acknowledges nothing.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;

use super::fault::Fault;

/// Options of a stream socket. A listening socket passes them on to the connections that come to it (Linux,
/// `inet_csk_clone_lock`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Probes of the kernel; `None`: none are sent.
    pub keepalive: Option<KeepaliveProbes>,
    /// How long sent bytes may stay without an acknowledgement, at most 24 days; `None`: as long as the kernel
    /// tries.
    pub user_timeout: Option<Duration>,
}

/// When the kernel asks a silent peer whether it is there (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepaliveProbes {
    /// Silence before the first probe: whole seconds, at most 32,767.
    pub idle: Duration,
    /// From one probe to the next: whole seconds, at most 32,767.
    pub interval: Duration,
    /// Probes without an answer after which the connection is lost, 1..=127.
    pub count: u8,
}

impl SocketOptions {
    /// Whether a new socket has them already.
    pub fn is_default(&self) -> bool {
        *self == SocketOptions::default()
    }

    /// Sets them. What the kernel refuses stays as it is: a connection without probes is better than none.
    pub(super) fn set(&self, socket: impl AsFd) {
        let _ = sockopt::set_socket_keepalive(&socket, self.keepalive.is_some());
        if let Some(probes) = self.keepalive {
            let _ = sockopt::set_tcp_keepidle(&socket, probes.idle);
            let _ = sockopt::set_tcp_keepintvl(&socket, probes.interval);
            let _ = sockopt::set_tcp_keepcnt(&socket, probes.count.into());
        }
        let timeout = self.user_timeout.unwrap_or_default().as_millis();
        let timeout = u32::try_from(timeout).unwrap_or(u32::MAX);
        let _ = sockopt::set_tcp_user_timeout(&socket, timeout);
    }
}

/// Binds a socket to a local address before its connect. The port is chosen by connect(2), so that each pair of
/// local and remote address has all ports (Linux 4.2, `IP_BIND_ADDRESS_NO_PORT`).
///
/// # Errors
///
/// [`Fault::Unreachable`]: this host does not have the address.
pub(super) fn bind(socket: &OwnedFd, source: IpAddr) -> Result<(), Fault> {
    let on: libc::c_int = 1;
    // SAFETY: (D) this option is an integer, which the kernel only reads, during the call.
    let _ = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match rustix::net::bind(socket, &SocketAddr::new(source, 0)) {
        Ok(()) => Ok(()),
        Err(Errno::ADDRNOTAVAIL) => Err(Fault::Unreachable),
        Err(errno) => Err(errno.into()),
    }
}
