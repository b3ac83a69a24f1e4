//! Who the client of a session is: the peer of its connection, unless a PROXY head says otherwise.

use std::net::SocketAddr;

use super::slot::Slot;
use crate::io::Engine;
use crate::logic::network::canonical;
use crate::logic::session::Side;

/// What a PROXY head said, beside who the client is.
pub struct Announced {
    /// Who sent it: the peer of the client's connection.
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// TLVs that are passed on.
    pub tlvs: Box<[u8]>,
}

/// The peer of a connection, if the kernel still knows it. An IPv4 address is never mapped into IPv6.
pub fn peer<E: Engine>(engine: &mut E, socket: &E::Socket) -> Option<SocketAddr> {
    engine.peer(socket).map(canonical)
}

impl<E: Engine> Slot<E> {
    /// Finds out who the client is, unless that is known.
    pub fn find_client(&mut self, engine: &mut E) -> Option<SocketAddr> {
        if self.client.is_none() {
            let socket = self.sockets[Side::Client.index()].as_ref()?;
            self.client = peer(engine, socket);
        }
        self.client
    }
}
