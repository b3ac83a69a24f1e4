//! What a worker keeps for one session beside its state machine: connections, buffers, its server.

use std::net::SocketAddr;
use std::sync::Arc;

use super::attempt::Attempt;
use super::chunks::Chunks;
use super::client;
use super::config_generations::Route;
use super::extras::Extras;
use super::http_state::Http;
use super::optional_address::OptionalAddress;
use super::pipes::Pipes;
use super::tried::Tried;
use crate::io::Engine;
use crate::logic::session::{Protocol, Session, Side};
use crate::snapshot::ServerShared;
use crate::sync::ClientPlace;

/// What a receive waits for that the session has ordered and the kernel does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveWait {
    /// There is none.
    #[default]
    Nothing,
    /// A free buffer, in the queue of the starved.
    Buffer,
    /// The end of the send of what its direction has buffered: while buffers are few, none reads
    /// ahead.
    Send,
    /// The end of the cancellation of the side's other operations: it will not be made.
    Canceled,
}

/// A server, by the last 32 bits of its [`ServerShared::id`]; 0: none. Two servers in four billion look the same,
/// which would leave one attempt uncounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedFor(u32);

impl CountedFor {
    /// This server.
    pub fn of(server: Option<&Arc<ServerShared>>) -> Self {
        CountedFor(server.map_or(0, |server| server.id as u32))
    }
}

/// A session and what belongs to it.
pub struct Slot<E: Engine> {
    pub session: Session,
    pub generation: u16,
    /// Its frontend, and the configuration that it began with.
    pub route: Route,
    /// The chosen server.
    pub server: Option<Arc<ServerShared>>,
    /// It occupies a slot of that server.
    pub has_server_slot: bool,
    /// What a receive waits for, by side.
    pub receive_waits: [ReceiveWait; 2],
    /// Whether it is in the list of stalled directions, by the side that bytes come from.
    pub stalled: [bool; 2],
    /// The two connections, by side.
    pub sockets: [Option<E::Socket>; 2],
    /// Whether a connection is that of a Unix socket, by side.
    pub unix: [bool; 2],
    /// Bytes that were received and not yet sent, by the side they come from.
    pub chunks: [Chunks<E::Buffer>; 2],
    /// Kernel pipes, by the side that bytes come from.
    pub pipes: Pipes<E::Pipe>,
    /// Servers whose connect failed, in order.
    pub tried: Tried,
    /// The newest attempt to connect.
    pub attempt: Attempt,
    /// The server whose counters have the current attempt.
    pub counted_for: CountedFor,
    /// The last attempt failed for a shortage, so the next one may, too. It is counted once it has
    /// ended otherwise.
    pub short: bool,
    /// The client's address, if it is needed: the one that counts.
    pub client: OptionalAddress,
    /// Its place among the open sessions of its client, if these are limited.
    pub client_place: Option<ClientPlace>,
    /// It gets no line in the access log: its client was refused.
    pub unlogged: bool,
    /// Bytes that are counted already, by the side they come from.
    pub counted: [u64; 2],
    /// What only some sessions keep.
    pub extras: Extras,
}

// A worker has one for each open session, nearly all of them idle.
const _: () = assert!(size_of::<Slot<crate::io::Uring>>() <= 304);
const _: () = assert!(size_of::<Slot<crate::io::Epoll>>() <= 312);

impl<E: Engine> Slot<E> {
    /// The server that its cookie names and that it has to use.
    pub fn pinned_server(&self) -> Option<&Arc<ServerShared>> {
        self.extras.http()?.pinned_server.as_ref()
    }

    /// How many bytes of a head, or another preface, of this side are kept: in the newest chunk, or beside the
    /// chunks.
    pub fn head_len(&self, from: Side) -> u32 {
        let preface = self.extras.preface().filter(|_| from == Side::Client);
        match (preface, self.chunks[from.index()].newest()) {
            _ if !self.session.has_head_part(from) => 0,
            (Some(preface), _) => preface.kept.bytes().len() as u32,
            (None, Some((_, chunk))) => chunk.len,
            (None, None) => 0,
        }
    }

    /// Index of its backend; `None`: no ClientHello has chosen one.
    pub fn backend(&self) -> Option<u32> {
        let is_chosen = match self.session.protocol() {
            Protocol::Tcp | Protocol::Http => true,
            Protocol::Tls => {
                let hello = self.extras.hello_info();
                hello.is_some_and(|hello| hello.is_routed)
            }
        };
        is_chosen.then_some(self.route.backend)
    }

    /// Finds out who the client is, unless that is known.
    pub fn find_client(&mut self, engine: &mut E) -> Option<SocketAddr> {
        let known = self.client.get();
        if known.is_some() || self.unix[Side::Client.index()] {
            return known;
        }
        let socket = self.sockets[Side::Client.index()].as_ref()?;
        let found = client::peer(engine, socket);
        self.client = found.into();
        found
    }

    /// The peer of the client's connection, if it is known.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self.extras.announced() {
            Some(announced) => announced.peer,
            None => self.client.get(),
        }
    }

    /// Whether all that the client has to say to the server first is there: a request without a body, or a
    /// ClientHello.
    pub fn speaks_first(&self) -> bool {
        let http = self.extras.http();
        self.extras.hello_info().is_some() || http.is_some_and(Http::is_bodiless)
    }

    /// The connection of this side, if it is open.
    pub fn socket(&self, side: Side) -> Option<&E::Socket> {
        self.sockets[side.index()].as_ref()
    }
}
