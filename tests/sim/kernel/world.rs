//! What all kernels of a run share: time, randomness, what became of connections.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::connection::Peer;
use crate::heads::Heads;
use crate::proxy;
use crate::random::Random;
use crate::stream::Arrival;
use crate::tls;

/// Steps for which a peer may not read.
const STALL_STEPS_MAX: u64 = 20;

/// Waits without a completion after which nobody is about to do anything: more than the longest
/// stall takes.
const QUIET_WAITS: u64 = 120;

/// Waits between two jumps of the clock: some turns of every worker.
const TURNS_BETWEEN_JUMPS: u64 = 8;

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
    /// Memory in the size of some bytes can't be had.
    pub no_memory: u64,
    /// The system has memory for all buffers only at times.
    pub memory_refused: bool,
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
    /// Chunks that were moved to memory of their size.
    pub shrunk: u64,
    /// Waits in a row without a completion.
    quiet: u64,
    /// When each kernel has something to do at the latest.
    due: HashMap<u64, u64>,
    /// What streams begin with, in HTTP mode.
    pub heads: Option<Heads>,
    /// Clients begin with PROXY heads.
    pub proxied: bool,
    /// Clients begin with ClientHellos.
    pub hellos: bool,
    /// Buffers that were wanted for bytes of the worker's own, and not to be had.
    pub buffers_refused: u64,
    /// Addresses to which a connect failed.
    pub refused: HashSet<SocketAddr>,
    /// How many configurations workers were told to take.
    pub ordered: u64,
    /// Connections that went from one worker to another.
    pub handed_over: u64,
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
    /// Bytes that had come from the peer and were not read.
    pub unread: u64,
    /// Bytes for the peer that were lost because the worker has reset the connection.
    pub lost: u64,
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

/// Where the client behind this socket comes from.
pub(super) fn client_address(id: u64) -> SocketAddr {
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
            shrunk: 0,
            quiet: 0,
            due: HashMap::new(),
            heads: None,
            proxied: false,
            hellos: false,
            buffers_refused: 0,
            refused: HashSet::new(),
            ordered: 0,
            handed_over: 0,
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A client with plans of its own.
    pub fn client(&mut self) -> Peer {
        let mut peer = self.peer();
        if let Some(heads) = &self.heads {
            peer.begin(heads.request(&mut self.random), &mut self.random);
        }
        if self.hellos {
            peer.begin(tls::beginning(&mut self.random), &mut self.random);
        }
        if self.proxied {
            let head = proxy::beginning(&mut self.random);
            if !head.is_empty() {
                peer.begin(head, &mut self.random);
            }
        }
        peer
    }

    /// A server with plans of its own.
    pub(super) fn server(&mut self) -> Peer {
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
    pub(super) fn newest(&self, adopted: &AtomicU64) -> Option<u64> {
        let adopted = adopted.load(Ordering::SeqCst);
        (adopted == self.ordered).then_some(adopted)
    }

    pub(super) fn fault(&mut self, percent: u64) -> bool {
        let fault = self.random.chance(percent);
        self.faults += u64::from(fault);
        fault
    }

    pub(super) fn amount(&mut self, max: u64) -> u64 {
        let partial = self.weather.partial;
        if self.random.chance(partial) {
            self.random.up_to(max)
        } else {
            max
        }
    }

    /// A worker has ended, whose timers are none any more: the others tell theirs when they wait again.
    pub fn worker_is_done(&mut self) {
        self.due.clear();
        self.quiet = 0;
    }

    /// Time passes for everybody, while this kernel waits and has info or not.
    pub(super) fn pass_time(&mut self, kernel: u64, timeout: Option<Duration>, quiet: bool) {
        self.quiet = if quiet { self.quiet + 1 } else { 0 };
        let due = timeout.map_or(u64::MAX, |timeout| self.now + timeout.as_nanos() as u64);
        self.due.insert(kernel, due);
        let next = self.due.values().copied().min().unwrap_or(u64::MAX);
        // A kernel whose time has come is called first.
        let is_ahead = next >= self.now && next < u64::MAX;
        let step = match self.quiet > QUIET_WAITS && is_ahead {
            // Nothing happens before the next timer of anybody: jump to it, a little late.
            true => {
                // Not again before everybody has seen what time it is.
                self.quiet = QUIET_WAITS - TURNS_BETWEEN_JUMPS;
                next - self.now + self.random.below(2_000_000)
            }
            false => self.random.below(500_000),
        };
        self.now += step;
    }
}
