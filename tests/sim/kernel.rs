//! A fake kernel: sockets with peers behind them, operations that complete when they can, in any
//! order, in parts, or with a fault.
//!
//! What it checks by itself: no operation on a closed socket, no close under an operation, no
//! second read or write in flight on a socket, no buffer used by two, bytes in order.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ringway::io::{
    BUFFER_BYTES, Chunk, Done, Engine, Fault, HEADROOM_BYTES, Interest, RECEIVE_BYTES, Receive,
    Spliced, Token,
};

use crate::heads::Heads;
use crate::random::Random;
use crate::stream::{Arrival, Content, Piece, Pieces, letter};

/// Steps for which a peer may not read.
const STALL_STEPS_MAX: u64 = 20;

/// Waits without a completion after which nobody is about to do anything: more than the longest
/// stall takes.
const QUIET_WAITS: u64 = 120;

/// Waits between two jumps of the clock: some turns of every worker.
const TURNS_BETWEEN_JUMPS: u64 = 8;

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

/// A buffer with what was received into it; `None` once it was given back or lent.
#[derive(Debug)]
pub struct Buffer(Option<Content>);

impl Buffer {
    fn content(&self) -> &Content {
        self.0.as_ref().expect("it is here")
    }

    fn content_mut(&mut self) -> &mut Content {
        self.0.as_mut().expect("it is here")
    }

    fn of(piece: Piece) -> Self {
        Buffer(Some(Content {
            piece,
            ..Content::default()
        }))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.0.is_some() {
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
    /// It sends what is before this offset by itself, as a server does with interim answers.
    pub pauses_at: u64,
    /// The beginning of its stream, in HTTP mode; letters follow.
    pub head: Rc<[u8]>,
}

impl Peer {
    /// Its stream begins with this; sometimes it ends inside.
    fn begin(&mut self, head: Vec<u8>, random: &mut Random) {
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
    /// How many configurations there were beside the first when it was accepted, by a worker that
    /// had the newest.
    configuration: Option<u64>,
}

#[derive(Clone, Debug)]
enum Operation {
    Accept { listener: u64, multi: bool },
    Connect,
    Receive { credit: u64, head: Option<u64> },
    Send { content: Content, chunk: Chunk },
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
    /// When each kernel has something to do at the latest.
    due: HashMap<u64, u64>,
    /// What streams begin with, in HTTP mode.
    pub heads: Option<Heads>,
    /// Buffers that were wanted for bytes of the worker's own, and not to be had.
    pub buffers_refused: u64,
    /// Addresses to which a connect failed.
    pub refused: HashSet<SocketAddr>,
    /// How many configurations workers were told to take.
    pub ordered: u64,
}

/// A connection that the worker has closed.
#[derive(Debug)]
pub struct Ended {
    /// Of its socket.
    pub id: u64,
    /// Of the server, if it is one.
    pub address: Option<SocketAddr>,
    pub peer: Peer,
    pub arrival: Arrival,
    /// Bytes of the peer that were read.
    pub read: u64,
    /// Everything that the peer sent was read, its end too.
    pub read_to_the_end: bool,
    pub peer_reset: bool,
    pub by_reset: bool,
    /// There was one configuration only while it was open.
    pub settled: bool,
}

impl Ended {
    /// Where it came from, if it is a client.
    pub fn client_address(&self) -> SocketAddr {
        client_address(self.id)
    }

    /// Its peer wanted to send all that it had, and then to end.
    pub fn is_peaceful(&self) -> bool {
        self.peer.ends && self.peer.resets_at.is_none()
    }
}

fn client_address(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1024 + (id % 60_000) as u16))
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
            due: HashMap::new(),
            heads: None,
            buffers_refused: 0,
            refused: HashSet::new(),
            ordered: 0,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A client with plans of its own.
    pub fn client(&mut self) -> Peer {
        let mut peer = self.peer();
        if let Some(heads) = &self.heads {
            peer.begin(heads.request(&mut self.random), &mut self.random);
        }
        peer
    }

    /// A server with plans of its own.
    fn server(&mut self) -> Peer {
        let mut peer = self.peer();
        if let Some(heads) = &self.heads {
            let (text, interim_len) = heads.answers(&mut self.random);
            peer.begin(text, &mut self.random);
            peer.pauses_at = interim_len as u64;
        }
        peer
    }

    fn peer(&mut self) -> Peer {
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
            pauses_at: 0,
            head: Rc::default(),
        }
    }

    /// The number of the newest configuration, if a worker that has taken so many has it.
    fn newest(&self, adopted: &AtomicU64) -> Option<u64> {
        let adopted = adopted.load(Ordering::SeqCst);
        (adopted == self.ordered).then_some(adopted)
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
            configuration: None,
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

    /// The next bytes of the peer, as they lie in a buffer.
    fn take_text(&mut self, len: u64) -> Content {
        let Piece { stream, offset, .. } = self.take(len);
        let mut memory = vec![0; HEADROOM_BYTES as usize];
        memory.extend((offset..offset + len).map(|offset| self.peer.byte(offset)));
        Content {
            stream: Some(stream),
            memory: Rc::new(memory),
            piece: Piece::default(),
        }
    }

    fn give_part(&mut self, content: &Content, chunk: Chunk) {
        if content.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            self.give(content.piece.part(start, u64::from(chunk.len)));
        } else {
            self.arrival
                .accept_text(content.stream, &content.memory[range(chunk)]);
            self.unread += u64::from(chunk.len);
        }
    }
}

fn range(chunk: Chunk) -> std::ops::Range<usize> {
    chunk.start as usize..(chunk.start + chunk.len) as usize
}

/// The kernel of one worker.
pub struct Kernel {
    id: u64,
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
    pub woken: Arc<AtomicBool>,
    /// How many configurations the worker has taken beside the first.
    pub adopted: Arc<AtomicU64>,
}

impl Kernel {
    pub fn new(world: Rc<RefCell<World>>) -> Self {
        let id = world.borrow_mut().id();
        Kernel {
            id,
            world,
            connections: HashMap::new(),
            listeners: Vec::new(),
            pending: Vec::new(),
            done: VecDeque::new(),
            pipes: HashMap::new(),
            idle_pipes: Vec::new(),
            buffers_out: 0,
            buffers_out_max: 0,
            woken: Arc::default(),
            adopted: Arc::default(),
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
                let woken = self.woken.swap(false, Ordering::SeqCst);
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
                let mut connection = Connection::new(peer);
                connection.configuration = world.newest(&self.adopted);
                let id = world.id();
                self.connections.insert(id, connection);
                Some(accepted(Ok(Socket(id)), *multi))
            }
            Operation::Connect => {
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if canceled {
                    world.refused.extend(connection.address);
                    return Some((Done::Connected(Err(Fault::Canceled)), true));
                }
                if connection.silent {
                    return None;
                }
                if world.fault(world.weather.refuse) {
                    world.refused.extend(connection.address);
                    return Some((Done::Connected(Err(Fault::Refused)), true));
                }
                if world.fault(world.weather.shortage) {
                    return Some((Done::Connected(Err(Fault::NoPorts)), true));
                }
                connection.connected = true;
                Some((Done::Connected(Ok(())), true))
            }
            Operation::Receive { credit, head } => {
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
                if let Some(max) = *head
                    && connection.readable > 0
                {
                    let len = world.amount(connection.readable.min(max));
                    self.buffers_out += 1;
                    self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
                    let buffer = Buffer(Some(connection.take_text(len)));
                    let more = connection.readable > 0;
                    return Some(received(Ok((Some(buffer), len as u32)), more));
                }
                if connection.readable > 0 {
                    let len = world.amount(connection.readable.min(u64::from(RECEIVE_BYTES)));
                    let piece = connection.take(len);
                    // Looked at after each piece only, as in Linux.
                    *credit = credit.saturating_sub(len);
                    self.buffers_out += 1;
                    self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
                    let bytes = Ok((Some(Buffer::of(piece)), len as u32));
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
            Operation::Send { content, chunk } => {
                let sent = |len| {
                    let buffer = Buffer(Some(content.clone()));
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
                let room = connection.room().min(u64::from(chunk.len));
                if room == 0 {
                    return None;
                }
                let len = world.amount(room) as u32;
                let start = chunk.start;
                connection.give_part(content, Chunk { start, len });
                Some(sent(Ok(len)))
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
            id,
            address: connection.address,
            peer: connection.peer,
            arrival,
            read: connection.read,
            read_to_the_end,
            peer_reset: connection.peer_reset,
            by_reset,
            settled: connection.configuration == Some(world.ordered),
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
        // To be woken is no news: servers that come and go wake everybody all the time.
        let mut news = self.done.iter();
        world.quiet = if news.all(|(_, done)| matches!(done, Done::Woken)) {
            world.quiet + 1
        } else {
            0
        };
        let due = timeout.map_or(u64::MAX, |timeout| world.now + timeout.as_nanos() as u64);
        world.due.insert(self.id, due);
        let next = world.due.values().filter(|due| **due >= world.now).min();
        let step = match next {
            // Nothing happens before the next timer of anybody: jump to it, a little late.
            Some(next) if *next < u64::MAX && world.quiet > QUIET_WAITS => {
                // Not again before everybody has seen what time it is.
                world.quiet = QUIET_WAITS - TURNS_BETWEEN_JUMPS;
                next - world.now + world.random.below(2_000_000)
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
        assert!(self.connections[&socket.0].connected);
        let credit = u64::from(BUFFER_BYTES - RECEIVE_BYTES);
        let head = match how {
            Receive::Stream => None,
            Receive::Once(max) => Some(u64::from(max)),
        };
        assert_ne!(head, Some(0), "a receive of nothing looks like an end");
        self.submit(token, socket.0, Operation::Receive { credit, head });
    }

    fn send(&mut self, socket: &Socket, mut buffer: Buffer, chunk: Chunk, token: Token) {
        let content = buffer.0.take().expect("it is here");
        if content.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            assert_eq!(
                start + u64::from(chunk.len),
                content.piece.len,
                "a send of something else than what is left of a chunk"
            );
        }
        assert!(chunk.len > 0, "a send of nothing");
        self.submit(token, socket.0, Operation::Send { content, chunk });
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
        let peer = world.server();
        let mut connection = Connection::new(peer);
        connection.connected = false;
        connection.silent = world.fault(world.weather.silent);
        world.refused.extend(connection.silent.then_some(*address));
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
        Some(client_address(socket.0))
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
        buffer.0 = None;
        self.buffers_out -= 1;
    }

    fn take_buffer(&mut self) -> Option<Buffer> {
        let world = &mut *self.world.borrow_mut();
        if self.buffers_out >= world.weather.buffers_max {
            world.buffers_refused += 1;
            return None;
        }
        self.buffers_out += 1;
        Some(Buffer::of(Piece::default()))
    }

    fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        &buffer.content().memory[range(chunk)]
    }

    fn write(&mut self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        let content = buffer.content_mut();
        assert_eq!(content.piece.len, 0, "the buffer has a piece");
        let memory = Rc::make_mut(&mut content.memory);
        let end = at as usize + bytes.len();
        memory.resize(memory.len().max(end), 0);
        memory[at as usize..end].copy_from_slice(bytes);
        assert!(memory.len() <= (HEADROOM_BYTES + BUFFER_BYTES) as usize);
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        let (from, target) = (from.content(), to.content_mut());
        if !from.memory.is_empty() {
            assert!(
                target.stream.is_none() || target.stream == from.stream,
                "bytes of another stream"
            );
            target.stream = from.stream;
            self.write(to, at, &from.memory[range(chunk)]);
            return;
        }
        let at = u64::from(at - HEADROOM_BYTES);
        let to = &mut target.piece;
        let from = from.piece;
        assert!(target.memory.is_empty(), "a piece behind real bytes");
        assert_eq!(to.len, at, "copied to the wrong place");
        assert_eq!(chunk.start, HEADROOM_BYTES);
        assert_eq!(from.len, u64::from(chunk.len));
        assert_eq!(to.stream, from.stream, "bytes of another stream");
        assert_eq!(to.offset + to.len, from.offset);
        to.len += from.len;
        assert!(to.len <= u64::from(BUFFER_BYTES), "a buffer overflows");
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
        let mut connection = Connection::new(peer);
        connection.configuration = world.newest(&self.adopted);
        let id = world.id();
        self.connections.insert(id, connection);
        Some(Socket(id))
    }
}
