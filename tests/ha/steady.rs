//! A steady client: it connects again and again, and notes what becomes of each connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wait::pause;

/// Threads that connect.
const THREADS: usize = 4;

/// Time after each connection: others need the CPU, too.
const BETWEEN: Duration = Duration::from_millis(5);

/// How long a connect, and an exchange, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

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
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Connection>>>,
}

impl Steady {
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let threads = (0..THREADS).map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut noted = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    noted.push(connection(address));
                    pause(BETWEEN);
                }
                noted
            })
        });
        Steady {
            threads: threads.collect(),
            stop,
        }
    }

    /// Ends it.
    pub fn end(self) -> Noted {
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
    stream.set_read_timeout(Some(TIMEOUT))?;
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
