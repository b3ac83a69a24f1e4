//! A worker on a kernel in which nothing happens by itself: clients come and send, and servers leave, when
//! they are told to; connects succeed at once, and so do sends, unless servers do not read.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use ringway::config;
use ringway::io::{
    BUFFER_BYTES, Cancelable, Chunk, Done, Engine, Fault, Interest, Memory, Pipes, Receive,
    SendBuffer, SendHint, SendResult, SocketOptions, Sockets, SpliceResult, Token,
};
use ringway::shared::Shared;
use ringway::snapshot::{Registry, Snapshot, Source};
use ringway::worker::{Command, HandOvers, Listening, LogSink, Setup, Worker};
use socket2::SockAddr;

/// What an operation in flight is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Receive,
    Poll,
    Watch,
}

/// Where bytes are: none are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Buffer,
    /// Memory of their size.
    Sized,
}

/// The kernel of one worker. Sockets are numbers, those of clients in the order of their arrival.
#[derive(Default)]
pub struct Still {
    now: u64,
    done: VecDeque<(Token, Done<Still>)>,
    pending: HashMap<Token, (u32, Kind)>,
    receiving: HashMap<u32, Token>,
    /// Sends that the next wait carries out.
    sends: VecDeque<(Token, SendBuffer<Still>)>,
    sent: VecDeque<(Token, SendResult<Still>)>,
    /// Accepts in flight, and whether they go on, by number of the listener.
    accepting: HashMap<usize, (Token, bool)>,
    /// Open connections to each server, by its port, the newest last.
    servers: HashMap<u16, Vec<u32>>,
    /// Clients whose bytes were waited for first, in this order, over all workers.
    pub served: Rc<RefCell<Vec<u32>>>,
    sockets: u32,
    /// How many buffers there are; `None`: without limit.
    pub buffers_max: Option<usize>,
    buffers_out: usize,
    /// No send finds room.
    pub is_deaf: bool,
    waker: Option<Token>,
    /// The last wait brought nothing, and the worker would have waited for something.
    quiet: bool,
    woken: Arc<AtomicBool>,
}

impl Still {
    /// A client comes to a listener, which must be accepting.
    pub fn arrive(&mut self, listener: usize, client: u32) {
        let (token, more) = self.accepting[&listener];
        if !more {
            self.accepting.remove(&listener);
        }
        let socket = Ok(client);
        self.done
            .push_back((token, Done::Accepted { socket, more }));
    }

    /// A client sends so many bytes, for which its session must be waiting. False: there is no buffer for them.
    pub fn bring(&mut self, client: u32, len: u32) -> bool {
        let token = self.receiving[&client];
        let is_pending = self.pending.remove(&token).is_some();
        assert!(is_pending, "nobody waits for the bytes of {client}");
        let finds_buffer = self.buffers_left() > 0;
        self.buffers_out += usize::from(finds_buffer);
        let done = Done::Received {
            bytes: match finds_buffer {
                true => Ok((Some(Place::Buffer), len)),
                false => Err(Fault::NoBuffers),
            },
            more: false,
            armed: false,
        };
        self.done.push_back((token, done));
        finds_buffer
    }

    /// Whether this client's connection is open.
    pub fn is_open(&self, client: u32) -> bool {
        self.receiving.contains_key(&client)
    }

    /// Ports of servers with open connections, one for each connection.
    pub fn connected(&self) -> Vec<u16> {
        let servers = self.servers.iter();
        servers
            .flat_map(|(port, sockets)| sockets.iter().map(|_| *port))
            .collect()
    }

    /// The newest connection to a server is reset by it.
    pub fn end(&mut self, port: u16) {
        let newest = self.servers.get_mut(&port).and_then(Vec::pop);
        let token = self.receiving[&newest.expect("there is one")];
        self.complete(token, Fault::Reset);
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        self.now += time.as_nanos() as u64;
    }

    fn complete(&mut self, token: Token, fault: Fault) {
        let Some((_, kind)) = self.pending.remove(&token) else {
            return;
        };
        let done = match kind {
            Kind::Receive => Done::Received {
                bytes: Err(fault),
                more: false,
                armed: false,
            },
            Kind::Poll => Done::Polled(Err(fault)),
            Kind::Watch => Done::Unwatched,
        };
        self.done.push_back((token, done));
    }

    /// Whether nothing is left for the worker to do.
    pub fn is_idle(&self) -> bool {
        let is_done = self.done.is_empty() && self.sends.is_empty();
        self.quiet && is_done && !self.woken.load(Ordering::SeqCst)
    }
}

impl Engine for Still {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let is_deaf = self.is_deaf;
        let sent = |(token, lent): (Token, SendBuffer<Still>)| {
            let SendBuffer { buffer, chunk } = lent;
            let len = match is_deaf {
                true => Err(Fault::WouldBlock),
                false => Ok(chunk.len),
            };
            (token, SendResult { buffer, len })
        };
        self.sent.extend(self.sends.drain(..).map(sent));
        if let Some(token) = self.waker
            && self.woken.swap(false, Ordering::SeqCst)
        {
            self.waker = None;
            self.done.push_back((token, Done::Woken));
        }
        let has_nothing = self.done.is_empty() && self.sent.is_empty();
        self.quiet = has_nothing && timeout != Some(Duration::ZERO);
    }

    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)> {
        self.sent.pop_front()
    }

    fn next(&mut self) -> Option<(Token, Done<Self>)> {
        self.done.pop_front()
    }

    fn accept(&mut self, listener: &usize, multi: bool, token: Token) {
        self.accepting.insert(*listener, (token, multi));
    }

    fn cancel_accept(&mut self, _listener: &Self::Listener, accepting: Token) {
        self.accepting.retain(|_, (token, _)| *token != accepting);
        let socket = Err(Fault::Canceled);
        let more = false;
        self.done
            .push_back((accepting, Done::Accepted { socket, more }));
    }

    fn watch_waker(&mut self, token: Token) {
        self.waker = Some(token);
    }

    fn connect(&mut self, socket: &u32, address: &SockAddr, token: Token) {
        let port = address.as_socket().expect("an IP address").port();
        self.servers.entry(port).or_default().push(*socket);
        self.done.push_back((token, Done::Connected(Ok(()))));
    }

    fn receive(&mut self, socket: &u32, _how: Receive, _poll_first: bool, token: Token) {
        let is_client = *socket < CLIENTS_MAX;
        if is_client && self.receiving.insert(*socket, token).is_none() {
            self.served.borrow_mut().push(*socket);
        }
        self.receiving.insert(*socket, token);
        self.pending.insert(token, (*socket, Kind::Receive));
    }

    fn send(&mut self, _socket: &u32, lent: SendBuffer<Self>, _behind: SendHint, token: Token) {
        self.sends.push_back((token, lent));
    }

    fn poll(&mut self, socket: &u32, _interest: Interest, token: Token) {
        self.pending.insert(token, (*socket, Kind::Poll));
    }

    fn watch(&mut self, socket: &u32, token: Token) {
        self.pending.insert(token, (*socket, Kind::Watch));
    }

    fn cancel(&mut self, socket: &u32, these: &[(Cancelable, Token)], token: Token) {
        for (_, named) in these {
            if self.pending.get(named).is_some_and(|(of, _)| of == socket) {
                self.complete(*named, Fault::Canceled);
            }
        }
        self.done.push_back((token, Done::Canceled));
    }
}

impl Sockets for Still {
    type Socket = u32;
    type Listener = usize;
    type Detached = u32;

    fn open(&mut self, _address: &SockAddr) -> Result<u32, Fault> {
        self.sockets += 1;
        Ok(CLIENTS_MAX + self.sockets)
    }

    fn set_options(&mut self, _socket: &u32, _options: &SocketOptions) {}

    fn bind(&mut self, _socket: &u32, _source: IpAddr) -> Result<(), Fault> {
        Ok(())
    }

    fn has_source_for(&mut self, _address: &SockAddr) -> bool {
        true
    }

    fn acknowledge(&mut self, _socket: &u32) {}

    fn speak_first(&mut self, _socket: &u32) {}

    fn peer(&mut self, _socket: &u32) -> Option<SocketAddr> {
        Some(([127, 0, 0, 3], 1).into())
    }

    fn local(&mut self, _socket: &u32) -> Option<SocketAddr> {
        None
    }

    fn send_first(&mut self, _socket: &u32, _bytes: &[u8], _more: bool) -> Result<(), Fault> {
        Ok(())
    }

    fn unsent(&mut self, _socket: &u32) -> u32 {
        0
    }

    fn shutdown_write(&mut self, _socket: &u32) {}

    fn close(&mut self, socket: u32) {
        self.receiving.remove(&socket);
    }

    fn reset(&mut self, socket: u32) {
        self.receiving.remove(&socket);
    }

    fn detach(&mut self, socket: u32) -> u32 {
        socket
    }

    fn attach(&mut self, socket: u32) -> Result<u32, Fault> {
        Ok(socket)
    }

    fn close_listener(&mut self, _listener: usize) {}

    fn accept_now(&mut self, _listener: &usize) -> Result<u32, Fault> {
        Err(Fault::WouldBlock)
    }
}

impl Memory for Still {
    type Buffer = Place;

    fn release(&mut self, place: Place) {
        self.buffers_out -= usize::from(place == Place::Buffer);
    }

    fn take_buffer(&mut self) -> Option<Place> {
        None
    }

    fn bytes<'b>(&'b self, _place: &'b Place, _chunk: Chunk) -> &'b [u8] {
        &[]
    }

    fn write(&mut self, _place: &mut Place, _at: u32, _bytes: &[u8]) {}

    fn copy(&mut self, _from: &Place, _chunk: Chunk, _to: &mut Place, _at: u32) {}

    fn prepend(&mut self, _from: &Place, _part: Chunk, _to: &mut Place, _behind: Chunk) {}

    fn buffers_left(&self) -> usize {
        let left = |max| max - self.buffers_out;
        self.buffers_max.map_or(usize::MAX, left)
    }

    fn is_short_of_buffers(&self) -> bool {
        let half = |max| self.buffers_left() <= max / 2;
        self.buffers_max.is_some_and(half)
    }

    fn shrink(&mut self, place: Place, chunk: Chunk) -> Result<(Place, Chunk), Place> {
        if place == Place::Sized || chunk.len > BUFFER_BYTES / 2 {
            return Err(place);
        }
        self.release(place);
        Ok((Place::Sized, chunk))
    }
}

impl Pipes for Still {
    type Pipe = ();

    fn take_pipe(&mut self) -> Option<()> {
        None
    }

    fn return_pipe(&mut self, _pipe: (), _empty: bool) {}

    fn splice_in(&mut self, _from: &u32, _pipe: &(), _len: u32) -> SpliceResult {
        Err(Fault::WouldBlock)
    }

    fn splice_out(&mut self, _pipe: &(), _to: &u32, _len: u32) -> SpliceResult {
        Err(Fault::WouldBlock)
    }
}

/// Numbers from here on are sockets of servers.
const CLIENTS_MAX: u32 = 1 << 30;

/// Some workers, and as many frontends as backends, each with one server.
pub struct Scene {
    pub workers: Vec<Worker<Still>>,
    pub snapshot: Arc<Snapshot>,
    pub shared: Arc<Shared>,
    pub registry: Registry,
    /// Clients in the order in which they were served.
    pub served: Rc<RefCell<Vec<u32>>>,
    clients: u32,
    _orders: Vec<Sender<Command<usize>>>,
}

impl Scene {
    /// `limit` is a line for the section of each frontend. A server takes so many sessions.
    pub fn new(worker_count: usize, backends: u16, limit: &str, sessions: u32) -> Self {
        let mut text = "[global]\nmax_sessions = 1000000\naccess_log = \"off\"\n".to_string();
        text += "[defaults]\nqueue_timeout = \"10s\"\n";
        for index in 1..=backends {
            text += &format!(
                "[frontend.f{index}]\nlisten = [\"127.0.0.1:{index}\"]\nbackend = \"b{index}\"\n\
                 {limit}\n[backend.b{index}]\nservers = [{{ name = \"s\", \
                 address = \"127.0.0.2:{index}\", max_sessions = {sessions} }}]\n"
            );
        }
        // Each scene says which worker a client comes to.
        Scene::of(&text, HandOvers::none(worker_count))
    }

    /// Of this configuration, with listeners for every frontend, by number.
    pub fn of(text: &str, hand_overs: HandOvers<u32>) -> Self {
        let worker_count = hand_overs.loads().workers();
        let config = match config::parse("waking.toml", text, &config::system_resolver) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{report}"),
        };
        let served = Rc::new(RefCell::new(Vec::new()));
        let engines: Vec<Still> = (0..worker_count)
            .map(|_| Still {
                served: Rc::clone(&served),
                ..Still::default()
            })
            .collect();
        let wakers = engines.iter().map(|engine| {
            let woken = Arc::clone(&engine.woken);
            let wake: Box<dyn Fn() + Send + Sync> =
                Box::new(move || woken.store(true, Ordering::SeqCst));
            wake
        });
        let shared = Arc::new(Shared::new(1_000_000, wakers.collect()));
        let hand_overs = Arc::new(hand_overs);
        let frontends = config.frontends.len() as u16;
        let mut registry = Registry::new(worker_count);
        let snapshot = registry.snapshot(config);
        let mut orders = Vec::new();
        let mut workers: Vec<Worker<Still>> = Vec::new();
        for (index, engine) in engines.into_iter().enumerate() {
            let (order, commands) = unbounded();
            orders.push(order);
            let listeners = (0..frontends).map(|frontend| Listening {
                id: frontend.into(),
                frontend,
                is_unix: false,
                opened: Some(usize::from(frontend)),
            });
            workers.push(Worker::new(Setup {
                index,
                engine,
                snapshot: Arc::clone(&snapshot),
                shared: Arc::clone(&shared),
                hand_overs: Arc::clone(&hand_overs),
                listeners: listeners.collect(),
                commands,
                log: LogSink::new(unbounded().0, Arc::new(|_| {})),
                clock_zero: 0,
                seed: index as u64,
            }));
            workers[index].start();
        }
        Scene {
            workers,
            snapshot,
            shared,
            registry,
            served,
            clients: 0,
            _orders: orders,
        }
    }

    /// Turns until nothing happens any more.
    pub fn settle(&mut self) {
        loop {
            for worker in &mut self.workers {
                worker.turn();
            }
            let mut workers = self.workers.iter_mut();
            if workers.all(|worker| worker.engine().is_idle()) {
                return;
            }
        }
    }

    /// A client comes to the frontend of this index. Returns its number.
    pub fn arrive(&mut self, worker: usize, frontend: usize) -> u32 {
        self.clients += 1;
        let client = self.clients;
        self.workers[worker].engine().arrive(frontend, client);
        client
    }

    /// The server of the backend of this index resets its connection with this worker.
    pub fn end(&mut self, worker: usize, backend: usize) {
        self.workers[worker].engine().end(backend as u16 + 1);
    }

    /// Makes these the names of the servers that a backend has beside that of its configuration. All have the
    /// address of that.
    pub fn set_servers(&mut self, backend: &str, names: impl Iterator<Item = String>) {
        let written = &self.snapshot.config.backends[0].servers[0];
        let servers = names.map(|name| config::Server {
            cookie: name.clone(),
            name,
            ..written.clone()
        });
        let change = self
            .registry
            .set_members(backend, Source::Discovery, servers.collect());
        change.expect("it is there").expect("a change").publish();
    }

    /// Time passes for all.
    pub fn pass(&mut self, time: Duration) {
        for worker in &mut self.workers {
            worker.engine().pass(time);
        }
    }
}
