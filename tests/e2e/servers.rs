//! Servers: each listens on a free port of loopback and gives every connection a thread of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::clients;
use crate::pattern;
use crate::wait::DEADLINE;

/// IPv4 loopback, where nearly all of these tests take place.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Stack of a thread that serves a connection; there may be thousands of them.
const STACK: usize = 128 * 1024;

/// A running server; it stops to listen when dropped.
pub struct Server {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    counts: Arc<Counts>,
}

/// What a server has seen.
#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
}

impl Server {
    /// A server that runs the handler for each connection and then closes it.
    pub fn start(handler: impl Fn(&TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_on(LOOPBACK, handler)
    }

    /// The same on another address of this host.
    pub fn start_on(ip: IpAddr, handler: impl Fn(&TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::new(ip, 0), handler)
    }

    /// The same on a port of a [`RefusingPort`], which refuses again when this is dropped.
    pub fn start_at(
        address: SocketAddr,
        handler: impl Fn(&TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = Arc::new(TcpListener::bind(address).expect("a free port"));
        let server = Self {
            address: listener.local_addr().expect("an address"),
            counts: Arc::default(),
            listener,
        };
        let (listener, counts) = (Arc::clone(&server.listener), Arc::clone(&server.counts));
        thread::spawn(move || accept_all(&listener, &counts, &Arc::new(handler)));
        server
    }

    /// As [`Server::named`], on a port of a [`RefusingPort`].
    pub fn named_at(address: SocketAddr, name: &str) -> Self {
        let banner = format!("{name}\n");
        Self::start_at(address, move |mut stream| {
            if stream.write_all(banner.as_bytes()).is_ok() {
                wait_for_end(stream);
            }
        })
    }

    /// Sends back what it gets, and ends its stream after the client's.
    pub fn echo() -> Self {
        Self::start(echo)
    }

    /// Speaks first: its name and a line end; then waits for the client's end.
    pub fn named(name: &str) -> Self {
        Self::named_on(LOOPBACK, name)
    }

    /// The same on another address of this host.
    pub fn named_on(ip: IpAddr, name: &str) -> Self {
        let banner = format!("{name}\n");
        Self::start_on(ip, move |mut stream| {
            if stream.write_all(banner.as_bytes()).is_ok() {
                wait_for_end(stream);
            }
        })
    }

    /// Reads to the end of the client's stream, then answers with its length and hash.
    pub fn hash_sink() -> Self {
        Self::start(|mut stream| {
            if let Ok((length, hash)) = pattern::digest(stream) {
                let _ = write!(stream, "{length} {hash}");
            }
        })
    }

    /// Takes connections and does nothing with them, not even end them, before the client has.
    pub fn hanging() -> Self {
        Self::start(wait_for_end)
    }

    /// Takes connections and never ends them at all, whatever the client does, until the process ends.
    pub fn never_ending() -> Self {
        Self::start(|stream| {
            wait_for_end(stream);
            // A second owner keeps the connection open after the handler.
            std::mem::forget(stream.try_clone());
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it was given so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many connections it has now.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// How many connections it had at once at most.
    pub fn open_max(&self) -> usize {
        self.counts.open_max.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes the thread that accepts, and it ends.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
    }
}

/// Accepts until the listener is shut down.
fn accept_all<H>(listener: &TcpListener, counts: &Arc<Counts>, handler: &Arc<H>)
where
    H: Fn(&TcpStream) + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let (counts, handler) = (Arc::clone(counts), Arc::clone(handler));
        counts.accepted.fetch_add(1, Ordering::SeqCst);
        let open = counts.open.fetch_add(1, Ordering::SeqCst) + 1;
        counts.open_max.fetch_max(open, Ordering::SeqCst);
        let serve = move || {
            stream.set_nodelay(true).expect("no delay");
            handler(&stream);
            // Counted before it is closed: whoever sees the end may open the next one.
            counts.open.fetch_sub(1, Ordering::SeqCst);
            drop(stream);
        };
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn(serve).expect("a thread for the connection");
    }
}

/// Sends back what comes, until the client's end.
pub fn echo(mut stream: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Reads and forgets, until the client's end.
pub fn wait_for_end(mut stream: &TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {}
}

/// Ends the writing half of a stream.
pub fn end_of_stream(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("the half is open");
}

/// A port where connections are refused: it is taken, but nobody listens.
pub struct RefusingPort {
    _socket: Socket,
    address: SocketAddr,
}

impl RefusingPort {
    /// Takes a free port.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // A program told to listen here may still do so, since nobody listens yet.
        socket.set_reuse_address(true).expect("an option");
        let any = SocketAddr::new(LOOPBACK, 0);
        socket.bind(&any.into()).expect("a free port");
        let address = address_of(&socket.local_addr().expect("an address"));
        Self {
            _socket: socket,
            address,
        }
    }

    /// The address that refuses.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port where connections are never answered: a listener whose queue is full for good.
pub struct SilentPort {
    _listener: Socket,
    _queued: Vec<TcpStream>,
    address: SocketAddr,
}

impl SilentPort {
    /// Listens, and fills the queue until a further connection gets no answer.
    pub fn new() -> Self {
        Self::at(SocketAddr::new(LOOPBACK, 0))
    }

    /// The same at this address, whose port is free.
    pub fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("a free port");
        listener.listen(0).expect("listening");
        let address = address_of(&listener.local_addr().expect("an address"));
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
            assert!(queued.len() < 16, "the queue takes more than it should");
        }
        Self {
            _listener: listener,
            _queued: queued,
            address,
        }
    }

    /// The address that stays silent.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address of the internet families.
fn address_of(address: &SockAddr) -> SocketAddr {
    address.as_socket().expect("an internet address")
}

/// A gate that threads wait at until it is opened, and never longer than the deadline.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everyone through, now and later.
    pub fn open(&self) {
        *self.0.0.lock().expect("no panic under the lock") = true;
        self.0.1.notify_all();
    }

    /// Returns once the gate is open.
    pub fn wait(&self) {
        let closed = self.0.0.lock().expect("no panic under the lock");
        let waited = self.0.1.wait_timeout_while(closed, DEADLINE, |open| !*open);
        drop(waited);
    }
}

/// Reads until the end and says how it came; for handlers that report what they saw.
pub fn ending(stream: &TcpStream) -> clients::Ending {
    clients::ending(&clients::ready(stream.try_clone().expect("a second owner")))
}
