//! A fake kernel: sockets with peers behind them, operations that complete when they can, in any
//! order, in parts, or with a fault.
//!
//! What it checks by itself: no operation on a closed socket, no close under an operation, no
//! second read or write in flight on a socket, no buffer used by two, bytes in order.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringway::io::{
    BUFFER_BYTES, Chunk, Done, Engine, Fault, HEADROOM_BYTES, Interest, RECEIVE_BYTES, Receive,
    Spliced, Token,
};

use crate::random::Random;
use crate::stream::{Arrival, Piece, Pieces};

/// Steps for which a peer may not read.
const STALL_STEPS_MAX: u64 = 20;

/// Waits without a completion after which nobody is about to do anything: more than the longest
/// stall takes.
const QUIET_WAITS: u64 = 120;

/// A socket of the worker. Dropping it without closing it is a leak.
#[derive(Debug)]
pub struct Socket(u64);

impl Drop for Socket {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("socket {} was dropped, not closed", self.0);
        }
    }
}

#[derive(Debug)]
pub struct Listener(u64);

impl Drop for Listener {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("listener {} was dropped, not closed", self.0);
        }
    }
}

/// A buffer with the piece that was received into it.
#[derive(Debug)]
pub struct Buffer {
    piece: Piece,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.piece.len != u64::MAX {
            panic!("a buffer was dropped, not released");
        }
    }
}

#[derive(Debug)]
pub struct Pipe(u64);

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
}

/// A socket as the kernel knows it.
#[derive(Debug)]
struct Connection {
    peer: Peer,
    /// Bytes of the peer that have arrived and were not read.
    readable: u64,
    /// Bytes of the peer that were read.
    read: u64,
    /// The peer's end has arrived.
    peer_ended: bool,
    /// The peer has reset the connection.
    peer_reset: bool,
    /// What has arrived at the peer.
    arrival: Arrival,
    /// Of that, what it has not read: the window is what may be.
    unread: u64,
    connected: bool,
    /// An address that never answers.
    silent: bool,
    address: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
enum Operation {
    Accept { listener: u64, multi: bool },
    Connect,
    Receive { credit: u64 },
    Send { whole: Piece, start: u64 },
    Poll { interest: Interest },
    Cancel,
    Waker,
}

#[derive(Clone, Debug)]
struct Pending {
    token: Token,
    socket: u64,
    operation: Operation,
    canceled: bool,
}

/// How unfriendly the kernel is, in percent.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Large streams and windows, not small ones.
    pub bulk: bool,
    /// Receives stay armed, as on Linux 6.17.
    pub multishot: bool,
    pub partial: u64,
    pub refuse: u64,
    pub silent: u64,
    pub shortage: u64,
    pub no_pipe: u64,
    pub accept_fault: u64,
    pub buffers_max: usize,
}

/// What all kernels of a run share: time, randomness, what became of connections.
#[derive(Debug)]
pub struct World {
    pub now: u64,
    pub random: Random,
    pub weather: Weather,
    /// Clients that have not been accepted.
    pub backlog: VecDeque<Peer>,
    /// Closed client connections: what they had sent, and what had arrived.
    pub clients: Vec<Ended>,
    /// The same of servers.
    pub servers: Vec<Ended>,
    /// Open connections by server address.
    pub open_by_address: HashMap<SocketAddr, u32>,
    pub open_max_by_address: HashMap<SocketAddr, u32>,
    next_id: u64,
    next_stream: u64,
    /// Operations that failed on purpose.
    pub faults: u64,
    pub spliced: u64,
    /// Waits in a row without a completion.
    quiet: u64,
}

/// A connection that the worker has closed.
#[derive(Debug)]
pub struct Ended {
    pub peer: Peer,
    pub arrival: Arrival,
    /// Bytes of the peer that were read.
    pub read: u64,
    /// Everything that the peer sent was read, its end too.
    pub read_to_the_end: bool,
    pub peer_reset: bool,
    pub by_reset: bool,
}

impl World {
    pub fn new(random: Random, weather: Weather) -> Self {
        World {
            now: 1_000_000_000,
            random,
            weather,
            backlog: VecDeque::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            open_by_address: HashMap::new(),
            open_max_by_address: HashMap::new(),
            next_id: 1,
            next_stream: 1,
            faults: 0,
            spliced: 0,
            quiet: 0,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A peer with plans of its own.
    pub fn peer(&mut self) -> Peer {
        self.next_stream += 1;
        let random = &mut self.random;
        // Either much at a time or little in all, or a run would take for ever.
        let (to_send, window) = if self.weather.bulk {
            let to_send = match random.below(3) {
                0 => 2_000_000,
                1 => random.up_to(300_000),
                _ => random.below(3_000),
            };
            (to_send, 30_000 + random.below(1_000_000))
        } else {
            (random.below(2_000), 100 + random.up_to(2_000))
        };
        Peer {
            stream: self.next_stream,
            to_send,
            ends: random.chance(85),
            resets_at: random.chance(10).then(|| random.below(to_send + 1)),
            stalls: if random.chance(20) {
                random.below(STALL_STEPS_MAX)
            } else {
                0
            },
            window,
        }
    }

    fn fault(&mut self, percent: u64) -> bool {
        let fault = self.random.chance(percent);
        self.faults += u64::from(fault);
        fault
    }

    fn amount(&mut self, max: u64) -> u64 {
        let partial = self.weather.partial;
        if self.random.chance(partial) {
            self.random.up_to(max)
        } else {
            max
        }
    }
}

impl Connection {
    fn new(peer: Peer) -> Self {
        Connection {
            peer,
            readable: 0,
            read: 0,
            peer_ended: false,
            peer_reset: false,
            arrival: Arrival::default(),
            unread: 0,
            connected: true,
            silent: false,
            address: None,
        }
    }

    /// The peer does something.
    fn step(&mut self, random: &mut Random) {
        if !self.connected || self.peer_reset {
            return;
        }
        let sent = self.read + self.readable;
        if self.peer.resets_at.is_some_and(|at| sent >= at) && random.chance(10) {
            self.peer_reset = true;
            return;
        }
        let room = 200_000u64.saturating_sub(self.readable);
        let left = (self.peer.to_send - sent).min(room);
        if left > 0 {
            self.readable += random.up_to(left);
        } else if sent == self.peer.to_send && self.peer.ends {
            self.peer_ended = true;
        }
        if self.peer.stalls > 0 {
            self.peer.stalls -= 1;
        } else if self.unread > 0 {
            self.unread -= random.up_to(self.unread);
        }
    }

    fn can_read(&self) -> bool {
        self.readable > 0 || self.peer_ended || self.peer_reset
    }

    fn room(&self) -> u64 {
        self.peer.window - self.unread
    }

    fn take(&mut self, len: u64) -> Piece {
        let piece = Piece {
            stream: self.peer.stream,
            offset: self.read,
            len,
        };
        self.readable -= len;
        self.read += len;
        piece
    }

    fn give(&mut self, piece: Piece) {
        self.arrival.accept(piece);
        self.unread += piece.len;
    }
}

/// The kernel of one worker.
pub struct Kernel {
    pub world: Rc<RefCell<World>>,
    connections: HashMap<u64, Connection>,
    listeners: Vec<u64>,
    pending: Vec<Pending>,
    done: VecDeque<(Token, Done<Kernel>)>,
    pipes: HashMap<u64, Pieces>,
    idle_pipes: Vec<u64>,
    buffers_out: usize,
    pub buffers_out_max: usize,
    /// The worker was woken.
    pub woken: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Kernel {
    pub fn new(world: Rc<RefCell<World>>) -> Self {
        Kernel {
            world,
            connections: HashMap::new(),
            listeners: Vec::new(),
            pending: Vec::new(),
            done: VecDeque::new(),
            pipes: HashMap::new(),
            idle_pipes: Vec::new(),
            buffers_out: 0,
            buffers_out_max: 0,
            woken: std::sync::Arc::default(),
        }
    }

    pub fn listener(&mut self) -> Listener {
        let id = self.world.borrow_mut().id();
        self.listeners.push(id);
        Listener(id)
    }

    /// Nothing is left: the end of a run.
    pub fn assert_clean(&self) {
        assert!(self.connections.is_empty(), "connections are left");
        assert!(self.listeners.is_empty(), "listeners are left");
        assert_eq!(self.buffers_out, 0, "buffers are left");
        assert_eq!(self.pipes.len(), self.idle_pipes.len(), "pipes are left");
        assert!(
            self.pending
                .iter()
                .all(|pending| matches!(pending.operation, Operation::Waker)),
            "operations are left: {:?}",
            self.pending
        );
    }

    /// What is open and in flight.
    pub fn describe(&self) -> String {
        let pending: Vec<String> = self.pending.iter().map(|p| format!("  {p:?}")).collect();
        let open: Vec<String> = self
            .connections
            .iter()
            .map(|(id, connection)| format!("  {id}: {connection:?}"))
            .collect();
        format!(
            "in flight:\n{}\nopen:\n{}\n",
            pending.join("\n"),
            open.join("\n")
        )
    }

    fn submit(&mut self, token: Token, socket: u64, operation: Operation) {
        let reads = |operation: &Operation| {
            matches!(
                operation,
                Operation::Receive { .. }
                    | Operation::Poll {
                        interest: Interest::Read
                    }
            )
        };
        let writes = |operation: &Operation| {
            matches!(
                operation,
                Operation::Send { .. }
                    | Operation::Connect
                    | Operation::Poll {
                        interest: Interest::Write
                    }
            )
        };
        for other in &self.pending {
            let same = other.socket == socket
                && (reads(&other.operation) && reads(&operation)
                    || writes(&other.operation) && writes(&operation));
            assert!(!same, "two of a kind on a socket: {other:?}, {operation:?}");
            assert_ne!(other.token, token, "two operations with one token");
        }
        self.pending.push(Pending {
            token,
            socket,
            operation,
            canceled: false,
        });
    }

    /// Tries to complete one pending operation.
    fn try_complete(&mut self, pending: &mut Pending) -> Option<(Done<Kernel>, bool)> {
        let world = &mut *self.world.borrow_mut();
        let canceled = pending.canceled && world.random.chance(80);
        match &mut pending.operation {
            Operation::Waker => {
                let woken = self.woken.swap(false, std::sync::atomic::Ordering::SeqCst);
                woken.then_some((Done::Woken, true))
            }
            Operation::Accept { listener, multi } => {
                assert!(
                    self.listeners.contains(listener),
                    "accept on a closed listener"
                );
                let accepted = |socket, more| (Done::Accepted { socket, more }, !more);
                if canceled {
                    return Some(accepted(Err(Fault::Canceled), false));
                }
                let peer = world.backlog.pop_front()?;
                if world.fault(world.weather.accept_fault) {
                    world.backlog.push_front(peer);
                    return Some(accepted(Err(Fault::NoDescriptors), false));
                }
                let id = world.id();
                self.connections.insert(id, Connection::new(peer));
                Some(accepted(Ok(Socket(id)), *multi))
            }
            Operation::Connect => {
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if canceled {
                    return Some((Done::Connected(Err(Fault::Canceled)), true));
                }
                if connection.silent {
                    return None;
                }
                if world.fault(world.weather.refuse) {
                    return Some((Done::Connected(Err(Fault::Refused)), true));
                }
                if world.fault(world.weather.shortage) {
                    return Some((Done::Connected(Err(Fault::NoPorts)), true));
                }
                connection.connected = true;
                Some((Done::Connected(Ok(())), true))
            }
            Operation::Receive { credit } => {
                let received = |bytes, more| {
                    let armed = false;
                    (Done::Received { bytes, more, armed }, true)
                };
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if canceled {
                    return Some(received(Err(Fault::Canceled), false));
                }
                if self.buffers_out >= world.weather.buffers_max {
                    return Some(received(Err(Fault::NoBuffers), false));
                }
                if connection.readable > 0 {
                    let len = world.amount(connection.readable.min(u64::from(RECEIVE_BYTES)));
                    let piece = connection.take(len);
                    // Looked at after each piece only, as in Linux.
                    *credit = credit.saturating_sub(len);
                    self.buffers_out += 1;
                    self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
                    let bytes = Ok((Some(Buffer { piece }), len as u32));
                    let more = connection.readable > 0;
                    let armed = *credit > 0 && world.weather.multishot;
                    return Some((Done::Received { bytes, more, armed }, !armed));
                }
                if connection.peer_reset {
                    return Some(received(Err(Fault::Reset), false));
                }
                connection
                    .peer_ended
                    .then(|| received(Ok((None, 0)), false))
            }
            Operation::Cancel => Some((Done::Canceled, true)),
            Operation::Send { whole, start } => {
                let piece = whole.part(*start, whole.len - *start);
                let sent = |len| {
                    let buffer = Buffer { piece: *whole };
                    (Done::Sent { buffer, len }, true)
                };
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if connection.peer_reset {
                    return Some(sent(Err(Fault::Reset)));
                }
                if canceled {
                    return Some(sent(Err(Fault::Canceled)));
                }
                if world.random.chance(world.weather.partial / 10) {
                    return Some(sent(Err(Fault::WouldBlock)));
                }
                let room = connection.room().min(piece.len);
                if room == 0 {
                    return None;
                }
                let len = world.amount(room);
                connection.give(piece.part(0, len));
                Some(sent(Ok(len as u32)))
            }
            Operation::Poll { interest } => {
                let connection = &self.connections[&pending.socket];
                if canceled {
                    return Some((Done::Polled(Err(Fault::Canceled)), true));
                }
                let ready = match interest {
                    Interest::Read => connection.can_read(),
                    Interest::Write => connection.room() > 0 || connection.peer_reset,
                    Interest::Gone => connection.peer_reset,
                };
                ready.then_some((Done::Polled(Ok(())), true))
            }
        }
    }

    fn remove(&mut self, id: u64, by_reset: bool) {
        let connection = self.connections.remove(&id).expect("closed twice");
        assert!(
            self.pending.iter().all(|pending| pending.socket != id),
            "closed under an operation: {:?}",
            self.pending
        );
        let world = &mut *self.world.borrow_mut();
        let read_to_the_end = connection.peer_ended && connection.readable == 0;
        let mut arrival = connection.arrival;
        arrival.ended |= !by_reset;
        let ended = Ended {
            peer: connection.peer,
            arrival,
            read: connection.read,
            read_to_the_end,
            peer_reset: connection.peer_reset,
            by_reset,
        };
        match connection.address {
            Some(address) => {
                *world.open_by_address.entry(address).or_default() -= 1;
                world.servers.push(ended);
            }
            None => world.clients.push(ended),
        }
    }
}

impl Engine for Kernel {
    type Socket = Socket;
    type Listener = Listener;
    type Buffer = Buffer;
    type Pipe = Pipe;

    fn now(&mut self) -> u64 {
        self.world.borrow().now
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        assert!(self.done.is_empty(), "completions were left lying");
        let mut ids: Vec<u64> = self.connections.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let random = &mut self.world.borrow_mut().random;
            if random.chance(60) {
                let connection = self.connections.get_mut(&id).expect("listed");
                connection.step(random);
            }
        }
        // In any order, and not all that could.
        let mut order: Vec<usize> = (0..self.pending.len()).collect();
        for i in (1..order.len()).rev() {
            let j = self.world.borrow_mut().random.below(i as u64 + 1) as usize;
            order.swap(i, j);
        }
        let mut ended = Vec::new();
        for index in order {
            if self.world.borrow_mut().random.chance(25) {
                continue;
            }
            let mut pending = self.pending[index].clone();
            while let Some((done, last)) = self.try_complete(&mut pending) {
                self.done.push_back((pending.token, done));
                if last {
                    ended.push(index);
                    break;
                }
                if self.world.borrow_mut().random.chance(30) {
                    break;
                }
            }
            self.pending[index] = pending;
        }
        ended.sort_unstable();
        for index in ended.into_iter().rev() {
            self.pending.remove(index);
        }
        let world = &mut *self.world.borrow_mut();
        world.quiet = if self.done.is_empty() {
            world.quiet + 1
        } else {
            0
        };
        let step = match timeout {
            // Nothing happens before the next timer: jump to it, a little late.
            Some(timeout) if world.quiet > QUIET_WAITS => {
                timeout.as_nanos() as u64 + world.random.below(2_000_000)
            }
            _ => world.random.below(500_000),
        };
        world.now += step;
    }

    fn next(&mut self) -> Option<(Token, Done<Self>)> {
        self.done.pop_front()
    }

    fn accept(&mut self, listener: &Listener, multi: bool, token: Token) {
        let operation = Operation::Accept {
            listener: listener.0,
            multi,
        };
        self.submit(token, listener.0, operation);
    }

    fn cancel_accept(&mut self, accepting: Token) {
        for pending in &mut self.pending {
            pending.canceled |= pending.token == accepting;
        }
    }

    fn watch_waker(&mut self, token: Token) {
        self.submit(token, 0, Operation::Waker);
    }

    fn connect(&mut self, socket: &Socket, _address: &SocketAddr, token: Token) {
        self.submit(token, socket.0, Operation::Connect);
    }

    fn receive(&mut self, socket: &Socket, how: Receive, _poll_first: bool, token: Token) {
        assert_eq!(how, Receive::Stream, "nothing reads heads here");
        assert!(self.connections[&socket.0].connected);
        let credit = u64::from(BUFFER_BYTES - RECEIVE_BYTES);
        self.submit(token, socket.0, Operation::Receive { credit });
    }

    fn send(&mut self, socket: &Socket, mut buffer: Buffer, chunk: Chunk, token: Token) {
        let whole = buffer.piece;
        let start = u64::from(chunk.start - HEADROOM_BYTES);
        assert_eq!(
            start + u64::from(chunk.len),
            whole.len,
            "a send of something else than what is left of a chunk"
        );
        buffer.piece.len = u64::MAX;
        self.submit(token, socket.0, Operation::Send { whole, start });
    }

    fn poll(&mut self, socket: &Socket, interest: Interest, token: Token) {
        self.submit(token, socket.0, Operation::Poll { interest });
    }

    fn cancel(&mut self, socket: &Socket, token: Token) {
        for pending in &mut self.pending {
            pending.canceled |= pending.socket == socket.0;
        }
        self.submit(token, socket.0, Operation::Cancel);
    }

    fn open(&mut self, address: &SocketAddr) -> Result<Socket, Fault> {
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.shortage) {
            return Err(Fault::NoDescriptors);
        }
        let peer = world.peer();
        let mut connection = Connection::new(peer);
        connection.connected = false;
        connection.silent = world.fault(world.weather.silent);
        connection.address = Some(*address);
        let open = world.open_by_address.entry(*address).or_default();
        *open += 1;
        let most = world.open_max_by_address.entry(*address).or_default();
        *most = (*most).max(world.open_by_address[address]);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }

    fn peer(&mut self, socket: &Socket) -> Option<SocketAddr> {
        let port = 1024 + (socket.0 % 60_000) as u16;
        Some(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        let connection = self.connections.get_mut(&socket.0).expect("open");
        assert!(!connection.arrival.ended, "ended twice");
        connection.arrival.ended = true;
    }

    fn close(&mut self, socket: Socket) {
        self.remove(socket.0, false);
        std::mem::forget(socket);
    }

    fn reset(&mut self, socket: Socket) {
        self.remove(socket.0, true);
        std::mem::forget(socket);
    }

    fn release(&mut self, mut buffer: Buffer) {
        buffer.piece.len = u64::MAX;
        self.buffers_out -= 1;
    }

    fn take_buffer(&mut self) -> Option<Buffer> {
        None
    }

    fn bytes<'b>(&'b self, _buffer: &'b Buffer, _chunk: Chunk) -> &'b [u8] {
        &[]
    }

    fn write(&mut self, _buffer: &mut Buffer, _at: u32, _bytes: &[u8]) {
        unreachable!("nothing is written in TCP mode");
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        let at = u64::from(at - HEADROOM_BYTES);
        assert_eq!(to.piece.len, at, "copied to the wrong place");
        assert_eq!(chunk.start, HEADROOM_BYTES);
        assert_eq!(from.piece.len, u64::from(chunk.len));
        assert_eq!(
            to.piece.stream, from.piece.stream,
            "bytes of another stream"
        );
        assert_eq!(to.piece.offset + to.piece.len, from.piece.offset);
        to.piece.len += from.piece.len;
        assert!(
            to.piece.len <= u64::from(BUFFER_BYTES),
            "a buffer overflows"
        );
    }

    fn has_buffers(&self) -> bool {
        self.buffers_out < self.world.borrow().weather.buffers_max
    }

    fn take_pipe(&mut self) -> Option<Pipe> {
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.no_pipe) {
            return None;
        }
        let id = self.idle_pipes.pop().unwrap_or_else(|| {
            let id = world.id();
            self.pipes.insert(id, Pieces::default());
            id
        });
        assert_eq!(self.pipes[&id].len(), 0, "a used pipe was not empty");
        Some(Pipe(id))
    }

    fn return_pipe(&mut self, pipe: Pipe, empty: bool) {
        if empty {
            assert_eq!(
                self.pipes[&pipe.0].len(),
                0,
                "returned as empty, but is not"
            );
            self.idle_pipes.push(pipe.0);
        } else {
            self.pipes.remove(&pipe.0);
        }
    }

    fn splice_in(&mut self, from: &Socket, pipe: &Pipe, len: u32) -> Spliced {
        let connection = self.connections.get_mut(&from.0).expect("open");
        let world = &mut *self.world.borrow_mut();
        if connection.readable > 0 {
            let len = world.amount(connection.readable.min(u64::from(len)));
            let piece = connection.take(len);
            self.pipes.get_mut(&pipe.0).expect("open").push(piece);
            world.spliced += len;
            return Ok(len as u32);
        }
        if connection.peer_reset {
            return Err(Fault::Reset);
        }
        if connection.peer_ended {
            return Ok(0);
        }
        Err(Fault::WouldBlock)
    }

    fn splice_out(&mut self, pipe: &Pipe, to: &Socket, len: u32) -> Spliced {
        let connection = self.connections.get_mut(&to.0).expect("open");
        if connection.peer_reset {
            return Err(Fault::Reset);
        }
        let pieces = self.pipes.get_mut(&pipe.0).expect("open");
        assert_eq!(
            pieces.len(),
            u64::from(len),
            "the pipe holds something else"
        );
        let room = connection.room().min(u64::from(len));
        if room == 0 {
            return Err(Fault::WouldBlock);
        }
        let wanted = self.world.borrow_mut().amount(room);
        let mut moved = 0;
        while moved < wanted {
            let piece = pieces.pop(wanted - moved).expect("counted");
            moved += piece.len;
            connection.give(piece);
        }
        Ok(moved as u32)
    }

    fn close_listener(&mut self, listener: Listener) {
        assert!(
            self.pending
                .iter()
                .all(|pending| pending.socket != listener.0),
            "a listener was closed under its accept"
        );
        self.listeners.retain(|id| *id != listener.0);
        std::mem::forget(listener);
    }

    fn accept_now(&mut self, _listener: &Listener) -> Option<Socket> {
        let world = &mut *self.world.borrow_mut();
        let peer = world.backlog.pop_front()?;
        let id = world.id();
        self.connections.insert(id, Connection::new(peer));
        Some(Socket(id))
    }
}
