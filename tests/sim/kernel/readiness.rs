//! The fake kernel as one that tells when sockets are ready, by edges: late, in any order, sometimes
//! without a reason. Each call may find less than there is; an edge follows then, as if the rest had
//! come a moment later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringway::io::{
    Chunk, Edge, Fault, HEADROOM_BYTES, Key, Memory as _, RECEIVE_BYTES, Readiness, Ready,
    SendHint, Token,
};
use socket2::SockAddr;

use super::connection::Connection;
use super::sending::Sending;
use super::{Buffer, Kernel, Listener, Socket};

/// What is to be told of a socket, and when.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// What it is registered with.
    key: Option<Key>,
    /// There is something to tell.
    pub pending: bool,
    /// A send has found no room: it is told when there is some.
    no_room: bool,
    /// A connect was begun.
    connecting: bool,
    /// How it ended.
    connect: Option<Result<(), Fault>>,
}

/// A registered listener.
#[derive(Debug)]
pub struct Queue {
    listener: u64,
    key: Key,
    /// How many connections were in the queue when it was told last, at most.
    told: usize,
}

/// What a peer's step can change.
#[derive(Clone, Copy)]
pub struct Before {
    readable: u64,
    ended: bool,
    reset: bool,
    room: u64,
}

impl Connection {
    pub fn before(&self) -> Before {
        Before {
            readable: self.readable,
            ended: self.peer_ended,
            reset: self.peer_reset,
            room: self.room(),
        }
    }

    /// Tells what has changed.
    pub fn note(&mut self, before: Before) {
        let has_room = self.edges.no_room && self.room() > before.room;
        self.edges.no_room &= !has_room;
        self.edges.pending |= has_room
            || self.readable > before.readable
            || self.peer_ended != before.ended
            || self.peer_reset != before.reset;
    }

    /// A send or splice took `len` of `wanted` bytes.
    pub fn note_sent(&mut self, wanted: u64, len: u64) {
        if len < wanted {
            self.edges.no_room = true;
            // Room that was not found has come meanwhile.
            self.edges.pending |= self.room() > 0;
        }
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::default();
        let failed = matches!(self.edges.connect, Some(Err(_)));
        let facts = [
            (self.can_read() || failed, Ready::READABLE),
            (
                (self.connected && self.room() > 0) || self.peer_reset || failed,
                Ready::WRITABLE,
            ),
            (self.peer_ended || self.peer_reset || failed, Ready::ENDED),
            (
                self.peer_reset || failed || (self.peer_ended && self.arrival.ended),
                Ready::GONE,
            ),
        ];
        for (holds, what) in facts {
            if holds {
                ready.insert(what);
            }
        }
        ready
    }
}

impl Kernel {
    /// Ends connects that were begun, some of them.
    fn end_connects(&mut self) {
        let world = &mut *self.world.borrow_mut();
        for connection in self.connections.values_mut() {
            let edges = &mut connection.edges;
            if !edges.connecting || connection.silent || !world.random.chance(50) {
                continue;
            }
            edges.connecting = false;
            edges.pending = true;
            let result = if world.fault(world.weather.refuse) {
                world.refused.extend(connection.address);
                Err(Fault::Refused)
            } else {
                connection.connected = true;
                Ok(())
            };
            edges.connect = Some(result);
        }
    }

    /// The edges that are told now. Returns whether any has a reason.
    fn edges(&mut self, told: &mut Vec<Edge>) -> bool {
        let mut has_reason = false;
        let world = &mut *self.world.borrow_mut();
        for connection in self.connections.values_mut() {
            let Some(key) = connection.edges.key else {
                continue;
            };
            let mut ready = connection.ready();
            if connection.edges.pending && world.random.chance(75) {
                connection.edges.pending = false;
                has_reason = true;
            } else if world.random.chance(3) {
                // It may be over when the worker looks.
                ready.insert(Ready::READABLE);
                if connection.connected {
                    ready.insert(Ready::WRITABLE);
                }
            } else {
                continue;
            }
            told.push(Edge { key, ready });
        }
        for queue in &mut self.queues {
            let len = world.backlog.len();
            has_reason |= len > queue.told;
            if len > queue.told || world.random.chance(3) {
                let ready = Ready::READABLE;
                let key = queue.key;
                told.push(Edge { key, ready });
            }
            queue.told = len;
        }
        // Of sockets that are closed.
        while let Some(key) = self.stale.pop() {
            let ready = Ready::READABLE | Ready::WRITABLE | Ready::GONE;
            told.push(Edge { key, ready });
        }
        for i in (1..told.len()).rev() {
            told.swap(i, world.random.below(i as u64 + 1) as usize);
        }
        has_reason
    }

    /// A socket is closed: sometimes something of it is told all the same.
    pub(super) fn note_closed(&mut self, connection: &Connection) {
        let world = &mut *self.world.borrow_mut();
        if let Some(key) = connection.edges.key {
            if world.random.chance(10) {
                self.stale.push(key);
            }
            if !connection.connected {
                world.refused.extend(connection.address);
            }
        }
    }
}

impl Readiness for Kernel {
    type Id = u64;

    fn now(&mut self) -> u64 {
        self.world.borrow().now
    }

    fn socket_id(&self, socket: &Socket) -> u64 {
        socket.0
    }

    fn listener_id(&self, listener: &Listener) -> u64 {
        listener.0
    }

    fn register_socket(&mut self, socket: u64, key: Key) -> Result<(), Fault> {
        let connection = self.connections.get_mut(&socket).expect("open");
        assert!(connection.edges.key.is_none(), "registered twice");
        let world = &mut *self.world.borrow_mut();
        // An accepted one would be lost.
        if connection.address.is_some() && world.fault(world.weather.shortage / 2) {
            return Err(Fault::NoMemory);
        }
        connection.edges.key = Some(key);
        connection.edges.pending = true;
        Ok(())
    }

    fn unregister_socket(&mut self, socket: u64) {
        let connection = self.connections.get_mut(&socket).expect("open");
        let key = connection.edges.key.take();
        assert!(key.is_some(), "it was not registered");
    }

    fn register_listener(&mut self, listener: u64, key: Key) -> Result<(), Fault> {
        assert!(self.listeners.contains(&listener), "it is closed");
        let is_other = |queue: &Queue| queue.listener != listener;
        assert!(self.queues.iter().all(is_other), "registered twice");
        let told = 0;
        self.queues.push(Queue {
            listener,
            key,
            told,
        });
        Ok(())
    }

    fn unregister(&mut self, listener: u64) {
        let before = self.queues.len();
        self.queues.retain(|queue| queue.listener != listener);
        assert_eq!(self.queues.len() + 1, before, "it was not registered");
    }

    fn wait(&mut self, timeout: Option<Duration>, edges: &mut Vec<Edge>) {
        self.step_peers();
        self.end_connects();
        self.count_waits();
        let quiet = !self.edges(edges) && timeout != Some(Duration::ZERO);
        if self.woken.swap(false, Ordering::SeqCst) {
            let key = Key::WAKER;
            let ready = Ready::READABLE;
            edges.push(Edge { key, ready });
        }
        let mut world = self.world.borrow_mut();
        world.pass_time(self.id, timeout, quiet);
    }

    fn clear_waker(&mut self) {}

    fn accept(&mut self, listener: u64) -> Result<Socket, Fault> {
        let queue = self.queues.iter_mut();
        let mut queue = queue.filter(|queue| queue.listener == listener);
        let queue = queue.next().expect("registered");
        let world = &mut *self.world.borrow_mut();
        let nothing = world.backlog.is_empty() || world.random.chance(5);
        if nothing {
            queue.told = 0;
            return Err(Fault::WouldBlock);
        }
        if world.fault(world.weather.accept_fault) {
            return Err(Fault::NoDescriptors);
        }
        let peer = world.backlog.pop_front().expect("there is one");
        queue.told = queue.told.min(world.backlog.len());
        let mut connection = Connection::new(peer);
        connection.configuration = world.newest(&self.adopted);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }

    fn connect(&mut self, socket: &Socket, _address: &SockAddr) -> Result<bool, Fault> {
        let connection = self.connections.get_mut(&socket.0).expect("open");
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.shortage) {
            world.refused.extend(connection.address);
            return Err(Fault::NoPorts);
        }
        if !connection.silent && world.random.chance(5) {
            connection.connected = true;
            connection.edges.connect = Some(Ok(()));
            return Ok(true);
        }
        connection.edges.connecting = true;
        Ok(false)
    }

    fn connected(&mut self, socket: u64) -> Result<(), Fault> {
        let connection = &self.connections[&socket];
        connection.edges.connect.expect("its connect has ended")
    }

    fn receive(&mut self, socket: u64, len: u32) -> Result<Option<(Buffer, u32)>, Fault> {
        assert!(len > 0, "a receive of nothing looks like an end");
        if self.buffers_left() == 0 {
            return Err(Fault::NoBuffers);
        }
        let world = &mut *self.world.borrow_mut();
        let connection = self.connections.get_mut(&socket).expect("open");
        assert!(connection.connected, "it is not connected");
        if world.random.chance(world.weather.partial / 10) {
            connection.edges.pending = true;
            return Err(Fault::WouldBlock);
        }
        if connection.readable == 0 {
            let end = connection.end().unwrap_or(Err(Fault::WouldBlock));
            return end.map(|()| None);
        }
        let asked = u64::from(len);
        let mut taken = connection.readable.min(asked);
        if !connection.peer_ended {
            taken = world.amount(taken);
        }
        let buffer = if len == RECEIVE_BYTES {
            Buffer::of(connection.take(taken))
        } else {
            // A head.
            Buffer::with(connection.take_text(taken))
        };
        // What is left came only now, unless as many as asked were taken.
        connection.edges.pending |= taken < asked && connection.readable > 0;
        self.buffers_out += 1;
        self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
        Ok(Some((buffer, taken as u32)))
    }

    fn send(
        &mut self,
        socket: &Socket,
        buffer: &Buffer,
        chunk: Chunk,
        hint: SendHint,
    ) -> Result<u32, Fault> {
        let content = buffer.content().clone();
        if content.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            let whole = start + u64::from(chunk.len) == content.piece.len;
            assert!(whole, "a send of something else than what is left");
        }
        assert!(chunk.len > 0, "a send of nothing");
        let token = Token(0);
        let result = self.carry_out(&Sending {
            token,
            socket: socket.0,
            content,
            sized: None,
            chunk,
            hint,
        });
        let connection = self.connections.get_mut(&socket.0).expect("open");
        match result {
            Ok(len) => connection.note_sent(chunk.len.into(), len.into()),
            Err(Fault::WouldBlock) => connection.note_sent(chunk.len.into(), 0),
            Err(_) => {}
        }
        result
    }
}
