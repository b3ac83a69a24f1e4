//! A fake kernel: sockets with peers behind them, operations that complete when they can, in any
//! order, in parts, or with a fault.
//!
//! What it checks by itself: no operation on a closed socket, no close under an operation, no
//! second read or write in flight on a socket, no buffer used by two, bytes in order.

mod connection;
mod engine;
mod handles;
mod memory;
mod operations;
mod pipes;
mod readiness;
mod sending;
mod sockets;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use ringway::io::{Done, Engine, Epoll, Key, Token};

use crate::stream::Pieces;
use connection::Connection;
pub use connection::Peer;
pub use handles::{Buffer, Detached, Listener, Pipe, Socket};
use operations::{Operation, Pending};
use readiness::Queue;
use sending::{Carried, Sending};
pub use world::{Ended, Weather, World};

/// An engine on a fake kernel.
pub trait Simulated: Engine<Listener = Listener, Detached = Detached> + Sized {
    /// On this kernel.
    fn on(kernel: Kernel) -> Self;

    /// Its kernel.
    fn fake(&mut self) -> &mut Kernel;
}

/// One that tells of completions: the kernel itself is the engine.
impl Simulated for Kernel {
    fn on(kernel: Kernel) -> Self {
        kernel
    }

    fn fake(&mut self) -> &mut Kernel {
        self
    }
}

/// One that tells of readiness.
impl Simulated for Epoll<Kernel> {
    fn on(kernel: Kernel) -> Self {
        Epoll::new(kernel)
    }

    fn fake(&mut self) -> &mut Kernel {
        self.kernel()
    }
}

/// How long the system has memory for all buffers, and then not, by turns.
const REFUSED_NANOS: u64 = 50_000_000;

/// The kernel of one worker.
pub struct Kernel {
    id: u64,
    pub world: Rc<RefCell<World>>,
    /// By descriptor, in an order that a seed draws again.
    connections: BTreeMap<u64, Connection>,
    listeners: Vec<u64>,
    pending: Vec<Pending>,
    done: VecDeque<(Token, Done<Kernel>)>,
    /// Sends that were queued, and those that were carried out.
    sends: Vec<Sending>,
    sent: VecDeque<Carried>,
    /// The worker has learnt of something now that it need not have learnt yet.
    nothing_follows: bool,
    /// Sockets on which nothing has happened in this turn but such sends.
    idle_sockets: HashSet<u64>,
    pipes: HashMap<u64, Pieces>,
    idle_pipes: Vec<u64>,
    buffers_out: usize,
    /// How many came back, over all time.
    pub buffers_released: u64,
    pub buffers_out_max: usize,
    /// Bytes in memory of their size.
    sized_bytes: usize,
    /// Registered listeners.
    queues: Vec<Queue>,
    /// Keys of closed sockets of which something is told all the same.
    stale: Vec<Key>,
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
            connections: BTreeMap::new(),
            listeners: Vec::new(),
            pending: Vec::new(),
            done: VecDeque::new(),
            sends: Vec::new(),
            sent: VecDeque::new(),
            nothing_follows: false,
            idle_sockets: HashSet::new(),
            pipes: HashMap::new(),
            idle_pipes: Vec::new(),
            buffers_out: 0,
            buffers_released: 0,
            buffers_out_max: 0,
            sized_bytes: 0,
            queues: Vec::new(),
            stale: Vec::new(),
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
        assert!(self.queues.is_empty(), "registrations are left");
        assert_eq!(self.buffers_out, 0, "buffers are left");
        assert_eq!(self.sized_bytes, 0, "memory is left");
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

    fn remove(&mut self, id: u64, by_reset: bool) {
        self.check_may_act();
        let connection = self.connections.remove(&id).expect("closed twice");
        assert!(
            self.pending.iter().all(|pending| pending.socket != id)
                && self.sends.iter().all(|send| send.socket != id),
            "closed under an operation: {:?}, {:?}",
            self.pending,
            self.sends
        );
        self.note_closed(&connection);
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
            unread: connection.readable,
            lost: if by_reset { connection.unsent } else { 0 },
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

    /// How many buffers there can be now: fewer, while the system has no memory for more.
    fn buffers_max(&self) -> usize {
        let world = self.world.borrow();
        let weather = &world.weather;
        let refused = world.now / REFUSED_NANOS % 2 == 1;
        if weather.memory_refused && refused {
            weather.buffers_max.div_ceil(2)
        } else {
            weather.buffers_max
        }
    }

    fn step_peers(&mut self) {
        let random = &mut self.world.borrow_mut().random;
        for connection in self.connections.values_mut() {
            if random.chance(60) {
                let before = connection.before();
                connection.step(random);
                connection.note(before);
            }
        }
    }

    /// Lets time pass until something happens, or until the worker wants to be called.
    fn pass_time(&mut self, timeout: Option<Duration>) {
        // To be woken is no info: servers that come and go wake everybody all the time.
        let mut info = self.done.iter();
        let quiet = info.all(|(_, done)| matches!(done, Done::Woken)) && self.sent.is_empty();
        self.world.borrow_mut().pass_time(self.id, timeout, quiet);
    }
}
