//! Who the client of a session is: the peer of its connection, unless a PROXY head says otherwise.

use std::net::SocketAddr;

use crate::io::Engine;
use crate::logic::network::canonical;

/// What a PROXY head said, beside who the client is.
pub struct Announced {
    /// Who sent it: the peer of the client's connection; `None`: by a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// TLVs that are passed on.
    pub tlvs: Box<[u8]>,
}

/// The peer of a connection, if the kernel still knows it. An IPv4 address is never mapped into IPv6.
pub fn peer<E: Engine>(engine: &mut E, socket: &E::Socket) -> Option<SocketAddr> {
    engine.peer(socket).map(canonical)
}
