//! Long sessions of many clients, each with an address of its own, which say something all the time.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::wait::{eventually, pause};

/// Time between two rounds in which each session says something.
const BETWEEN: Duration = Duration::from_millis(100);

/// How long an answer may take. A connection whose packets are lost sends them again within this time.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Connects from this address; returns the stream and the name that the server has said.
fn open(from: Ipv4Addr, to: SocketAddr) -> io::Result<(TcpStream, String)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((IpAddr::V4(from), 0)).into())?;
    socket.connect_timeout(&to.into(), TIMEOUT)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut name = String::new();
    if BufReader::new(&stream).read_line(&mut name)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((stream, name.trim_end().to_owned()))
}

/// The server that each of these clients gets from a connection of its own.
#[track_caller]
pub fn chosen(clients: &[Ipv4Addr], to: SocketAddr) -> Vec<String> {
    let all = clients.iter();
    all.map(|client| open(*client, to).expect("a session").1)
        .collect()
}

/// Open sessions by client; `None`: it has broken.
type Streams = Vec<Option<TcpStream>>;

/// Sessions of these clients; a thread talks to all of them.
pub struct Sessions {
    stop: Arc<AtomicBool>,
    streams: Arc<Mutex<(Streams, u64)>>,
    talking: Option<JoinHandle<()>>,
}

impl Sessions {
    /// Opens one for each client.
    #[track_caller]
    pub fn open(clients: &[Ipv4Addr], to: SocketAddr) -> Self {
        let all = clients.iter();
        let streams = all.map(|client| Some(open(*client, to).expect("a session").0));
        let streams = Arc::new(Mutex::new((streams.collect::<Streams>(), 0)));
        let stop = Arc::<AtomicBool>::default();
        let (shared, stopped) = (Arc::clone(&streams), Arc::clone(&stop));
        let talking = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                talk(&mut shared.lock().expect("no panic"));
                pause(BETWEEN);
            }
        });
        Sessions {
            stop,
            streams,
            talking: Some(talking),
        }
    }

    /// How many have broken, after each was tried once more.
    #[track_caller]
    pub fn broken(&self) -> usize {
        let rounds = || self.streams.lock().expect("no panic").1;
        let before = rounds();
        // The first that ends may have begun before.
        eventually("all have said something", || rounds() >= before + 2);
        let streams = self.streams.lock().expect("no panic");
        streams.0.iter().filter(|stream| stream.is_none()).count()
    }
}

/// Says something in each, then waits for the echoes.
fn talk((streams, rounds): &mut (Streams, u64)) {
    for stream in streams.iter_mut() {
        if stream
            .as_mut()
            .is_some_and(|stream| stream.write_all(b"x\n").is_err())
        {
            *stream = None;
        }
    }
    for stream in streams.iter_mut() {
        let echoed = |stream: &TcpStream| {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).is_ok() && line == "x\n"
        };
        if stream.as_ref().is_some_and(|stream| !echoed(stream)) {
            *stream = None;
        }
    }
    *rounds += 1;
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(talking) = self.talking.take() {
            let _ = talking.join();
        }
    }
}
