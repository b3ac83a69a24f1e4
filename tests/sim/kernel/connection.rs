//! A socket as the kernel knows it, and the peer behind it.

use std::net::SocketAddr;
use std::rc::Rc;

use ringway::io::{Chunk, Fault, HEADROOM_BYTES};

use super::readiness::Edges;
use crate::random::Random;
use crate::stream::{Arrival, Content, Piece, letter};

/// What the peer behind a socket wants to do.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its stream to the worker.
    pub stream: u64,
    /// Bytes that it will send.
    pub to_send: u64,
    /// Then it ends its stream; otherwise it stays silent.
    pub ends: bool,
    /// Its first step is a reset when so many bytes were sent.
    pub resets_at: Option<u64>,
    /// It does not read before so many steps of the world.
    pub stalls: u64,
    /// It takes so many bytes that it has not read.
    pub window: u64,
    /// It sends what is before this offset by itself, as a server does with interim answers.
    pub pauses_at: u64,
    /// The beginning of its stream, in HTTP mode or with a PROXY head; letters follow.
    pub head: Rc<[u8]>,
}

impl Peer {
    /// Its stream begins with this; sometimes it ends inside.
    pub fn begin(&mut self, head: Vec<u8>, random: &mut Random) {
        self.to_send = if random.chance(8) {
            random.below(head.len() as u64)
        } else {
            self.to_send + head.len() as u64
        };
        self.head = head.into();
        if self.resets_at.is_some() {
            self.resets_at = Some(random.below(self.to_send + 1));
        }
    }

    /// The byte of its stream at this offset.
    pub fn byte(&self, offset: u64) -> u8 {
        let in_head = self.head.get(offset as usize).copied();
        in_head.unwrap_or_else(|| letter(self.stream, offset))
    }
}

/// A socket as the kernel knows it.
#[derive(Debug)]
pub struct Connection {
    pub peer: Peer,
    /// Bytes of the peer that have arrived and were not read.
    pub readable: u64,
    /// Bytes of the peer that were read.
    pub read: u64,
    /// The peer's end has arrived.
    pub peer_ended: bool,
    /// The peer has reset the connection.
    pub peer_reset: bool,
    /// The worker was told of that: the kernel tells it once.
    pub told: bool,
    /// What has arrived at the peer.
    pub arrival: Arrival,
    /// Of that, what it has not read: the window is what may be.
    pub unread: u64,
    /// What has left for the peer and may still be lost by a reset: it counts as arrived already.
    pub unsent: u64,
    pub connected: bool,
    /// What was sent is kept for the end that follows at once: for so many waits.
    pub held_back: Option<u32>,
    /// An address that never answers.
    pub silent: bool,
    pub address: Option<SocketAddr>,
    /// How many configurations there were beside the first when it was accepted, by a worker that
    /// had the newest.
    pub configuration: Option<u64>,
    pub edges: Edges,
}

impl Connection {
    pub fn new(peer: Peer) -> Self {
        Connection {
            peer,
            readable: 0,
            read: 0,
            peer_ended: false,
            peer_reset: false,
            told: false,
            arrival: Arrival::default(),
            unread: 0,
            unsent: 0,
            connected: true,
            held_back: None,
            silent: false,
            address: None,
            configuration: None,
            edges: Edges::default(),
        }
    }

    /// The peer does something.
    pub fn step(&mut self, random: &mut Random) {
        if !self.connected || self.peer_reset {
            return;
        }
        let sent = self.read + self.readable;
        if self.peer.resets_at.is_some_and(|at| sent >= at) && random.chance(10) {
            self.peer_reset = true;
            self.unsent = 0;
            return;
        }
        let room = 200_000u64.saturating_sub(self.readable);
        let part = match self.peer.pauses_at.saturating_sub(sent) {
            0 => self.peer.to_send,
            before => self.peer.to_send.min(sent + before),
        };
        let left = (part - sent).min(room);
        if left > 0 {
            self.readable += random.up_to(left);
        } else if sent == self.peer.to_send && self.peer.ends {
            self.peer_ended = true;
        }
        if self.peer.stalls > 0 {
            self.peer.stalls -= 1;
        } else if self.unread > 0 {
            self.unread -= random.up_to(self.unread);
        } else if self.unsent > 0 {
            self.unsent -= random.up_to(self.unsent);
        }
    }

    pub fn can_read(&self) -> bool {
        self.readable > 0 || self.peer_ended || self.peer_reset
    }

    /// Why a send fails, as Linux says it.
    pub fn send_fault(&mut self) -> Option<Fault> {
        let told = self.peer_reset && std::mem::replace(&mut self.told, true);
        match (self.peer_reset, told || self.peer_ended) {
            (false, _) => None,
            (true, false) => Some(Fault::Reset),
            (true, true) => Some(Fault::Closed),
        }
    }

    /// What a receive brings when nothing is left to read: the end of the stream, a fault, or
    /// nothing yet.
    pub fn end(&mut self) -> Option<Result<(), Fault>> {
        if self.peer_reset && !self.peer_ended && !std::mem::replace(&mut self.told, true) {
            return Some(Err(Fault::Reset));
        }
        (self.peer_reset || self.peer_ended).then_some(Ok(()))
    }

    pub fn room(&self) -> u64 {
        // The kernel takes the first bytes of a connection in any case.
        self.peer.window.saturating_sub(self.unread)
    }

    pub fn take(&mut self, len: u64) -> Piece {
        let piece = Piece {
            stream: self.peer.stream,
            offset: self.read,
            len,
        };
        self.readable -= len;
        self.read += len;
        piece
    }

    pub fn give(&mut self, piece: Piece) {
        self.arrival.accept(piece);
        self.unread += piece.len;
        self.unsent += piece.len;
    }

    /// The next bytes of the peer, as they lie in a buffer.
    pub fn take_text(&mut self, len: u64) -> Content {
        let Piece { stream, offset, .. } = self.take(len);
        let mut memory = vec![0; HEADROOM_BYTES as usize];
        memory.extend((offset..offset + len).map(|offset| self.peer.byte(offset)));
        Content {
            stream: Some(stream),
            memory: Rc::new(memory),
            piece: Piece::default(),
        }
    }

    /// Bytes of the worker's own.
    pub fn give_text(&mut self, bytes: &[u8]) {
        self.arrival.accept_text(None, bytes);
        self.unread += bytes.len() as u64;
        self.unsent += bytes.len() as u64;
    }

    pub fn give_part(&mut self, content: &Content, chunk: Chunk) {
        if content.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            self.give(content.piece.part(start, u64::from(chunk.len)));
        } else {
            self.arrival
                .accept_text(content.stream, &content.memory[range(chunk)]);
            self.unread += u64::from(chunk.len);
            self.unsent += u64::from(chunk.len);
        }
    }
}

/// The part of a buffer's memory that a chunk is.
pub fn range(chunk: Chunk) -> std::ops::Range<usize> {
    chunk.start as usize..(chunk.start + chunk.len) as usize
}
