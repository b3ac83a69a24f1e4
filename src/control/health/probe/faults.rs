//! What errors of a probe's connection say of the server.

use std::io::{Error, ErrorKind};

use rustix::io::Errno;

use crate::logic::health::Cause;

/// The connection could not be made.
pub fn connect_failed(error: &Error) -> Cause {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => return Cause::Socket("out of file descriptors"),
        Some(Errno::NOMEM | Errno::NOBUFS) => return Cause::Socket("out of memory for sockets"),
        Some(Errno::ADDRNOTAVAIL) => return Cause::L4Connect("no local address or port"),
        _ => {}
    }
    match error.kind() {
        // The kernel gave up before we did.
        ErrorKind::TimedOut => Cause::L4Timeout,
        kind => Cause::L4Connect(words(kind)),
    }
}

/// The connection broke after it was made.
pub fn answer_failed(error: &Error) -> Cause {
    Cause::L7Response(words(error.kind()))
}

pub fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::NetworkUnreachable => "network unreachable",
        ErrorKind::PermissionDenied => "not permitted by this host",
        ErrorKind::TimedOut => "connection timed out",
        _ => "connection failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortages_of_this_host_are_not_held_against_a_server() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
            assert_eq!(connect_failed(&errno.into()).passed(), None, "{errno:?}");
        }
        let text = |errno: Errno| connect_failed(&errno.into()).to_string();
        assert_eq!(text(Errno::CONNREFUSED), "L4CON connection refused");
        assert_eq!(text(Errno::HOSTUNREACH), "L4CON host unreachable");
        assert_eq!(text(Errno::TIMEDOUT), "L4TOUT");
        let text = text(Errno::ADDRNOTAVAIL);
        assert_eq!(text, "L4CON no local address or port");
    }
}
