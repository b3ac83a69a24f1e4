//! A steady client: it connects again and again, and notes what becomes of each connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wait::{eventually, pause};

/// Threads that connect.
const THREADS: usize = 4;

/// Time after each connection: others need the CPU, too.
const BETWEEN: Duration = Duration::from_millis(5);

/// How long a connect may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take: one that was lost with its node never comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection.
struct Connection {
    begun: Instant,
    /// When it was connected, or that had failed.
    connected: Instant,
    outcome: Outcome,
}

enum Outcome {
    /// A server has answered.
    Answered,
    /// The connect failed.
    NotConnected(io::Error),
    /// It was connected, and broke before the answer.
    Broken(io::Error),
}

pub struct Steady {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Connection>>>,
}

impl Steady {
    /// Returns when it goes on: its threads are at different points of a connection then.
    #[track_caller]
    pub fn start(address: SocketAddr) -> Self {
        const CONNECTIONS: usize = 50;
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..THREADS).map(|_| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            thread::spawn(move || {
                let mut noted = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    noted.push(connection(address));
                    count.fetch_add(1, Ordering::SeqCst);
                    pause(BETWEEN);
                }
                noted
            })
        });
        let threads = threads.collect();
        eventually("connections are made", || {
            count.load(Ordering::SeqCst) >= CONNECTIONS
        });
        Steady {
            address,
            stop,
            threads,
        }
    }

    /// Ends it, once a further connection has been answered.
    #[track_caller]
    pub fn end(self) -> Noted {
        eventually("a connection is answered", || {
            matches!(connection(self.address).outcome, Outcome::Answered)
        });
        self.stop.store(true, Ordering::SeqCst);
        let threads = self.threads.into_iter();
        Noted(
            threads
                .flat_map(|thread| thread.join().expect("no panic"))
                .collect(),
        )
    }
}

fn connection(address: SocketAddr) -> Connection {
    let begun = Instant::now();
    let stream = TcpStream::connect_timeout(&address, TIMEOUT);
    let connected = Instant::now();
    let outcome = match stream.map(|stream| exchange(&stream)) {
        Ok(Ok(())) => Outcome::Answered,
        Ok(Err(error)) => Outcome::Broken(error),
        Err(error) => Outcome::NotConnected(error),
    };
    Connection {
        begun,
        connected,
        outcome,
    }
}

fn exchange(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(b"ping\n")?;
    let mut lines = BufReader::new(stream).lines();
    // The name of the server, and the echo.
    match (lines.next().transpose()?, lines.next().transpose()?) {
        (Some(_), Some(echo)) if echo == "ping" => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What a steady client has noted.
pub struct Noted(Vec<Connection>);

impl Noted {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Connects that failed.
    pub fn not_connected(&self) -> usize {
        let failed = |it: &&Connection| matches!(it.outcome, Outcome::NotConnected(_));
        self.0.iter().filter(failed).count()
    }

    /// Connections that broke before the answer.
    pub fn broken(&self) -> usize {
        let broken = |it: &&Connection| matches!(it.outcome, Outcome::Broken(_));
        self.0.iter().filter(broken).count()
    }

    /// For how long after this moment connects failed, or took longer than usual.
    pub fn outage(&self, since: Instant) -> Duration {
        const USUAL: Duration = Duration::from_millis(300);
        let failed = |it: &Connection| matches!(it.outcome, Outcome::NotConnected(_));
        let bad = self
            .0
            .iter()
            .filter(|it| it.connected > since && (failed(it) || it.connected - it.begun > USUAL));
        bad.map(|it| it.connected - since).max().unwrap_or_default()
    }

    /// The first errors, for a message.
    pub fn errors(&self) -> String {
        let sentence = |it: &Connection| match &it.outcome {
            Outcome::Answered => None,
            Outcome::NotConnected(error) => Some(format!("not connected: {error}")),
            Outcome::Broken(error) => Some(format!("broken: {error}")),
        };
        let errors = self.0.iter().filter_map(sentence);
        errors.take(5).collect::<Vec<_>>().join(", ")
    }
}
