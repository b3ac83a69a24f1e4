//! Connections that are refused, at a fixed rate: `scripts/bench.sh` builds and runs it.
//!
//! `load-refused ADDRESS SOURCE RATE SECONDS` connects RATE times a second from the address SOURCE, which the
//! balancer refuses, evenly spread over SECONDS. Each connection waits to be reset. One line is printed: how many
//! were opened, how many were reset, and how many neither after a second.

use std::collections::VecDeque;
use std::env;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long a connection waits to be reset.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest sleep; what is due meanwhile is opened after it.
const PAUSE: Duration = Duration::from_micros(50);

/// What became of the connections.
#[derive(Default)]
struct Counts {
    opened: u64,
    reset: u64,
    /// Neither reset nor answered in time, or ended in another way.
    otherwise: u64,
}

/// Connects without waiting for the handshake.
fn open(address: SocketAddr, source: IpAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // The port is chosen for the pair of addresses when the socket connects: ip(7).
    nix::sys::socket::setsockopt(
        &socket,
        nix::sys::socket::sockopt::IpBindAddressNoPort,
        &true,
    )?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Whether a connection has ended, and if so whether by a reset.
fn ended(connection: &mut TcpStream) -> Option<bool> {
    match connection.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(error.kind() == ErrorKind::ConnectionReset),
        Ok(_) => Some(false),
    }
}

fn run(address: SocketAddr, source: IpAddr, rate: f64, time: Duration) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    let mut waiting: VecDeque<(Instant, TcpStream)> = VecDeque::new();
    let started = Instant::now();
    loop {
        let elapsed = started.elapsed();
        let due = (rate * elapsed.min(time).as_secs_f64()) as u64;
        while counts.opened < due {
            waiting.push_back((Instant::now(), open(address, source)?));
            counts.opened += 1;
        }
        // The oldest is reset first.
        while let Some((opened, connection)) = waiting.front_mut() {
            match ended(connection) {
                Some(true) => counts.reset += 1,
                Some(false) => counts.otherwise += 1,
                None if opened.elapsed() > PATIENCE => counts.otherwise += 1,
                None => break,
            }
            waiting.pop_front();
        }
        if elapsed > time && waiting.is_empty() {
            return Ok(counts);
        }
        thread::sleep(PAUSE);
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let plan = || {
        let [address, source, rate, seconds] = words.as_slice() else {
            return None;
        };
        let rate: f64 = rate.parse().ok().filter(|rate| *rate > 0.0)?;
        let seconds: f64 = seconds.parse().ok().filter(|seconds| *seconds > 0.0)?;
        Some((
            address.parse().ok()?,
            source.parse().ok()?,
            rate,
            Duration::from_secs_f64(seconds),
        ))
    };
    let Some((address, source, rate, time)) = plan() else {
        eprintln!("usage: load-refused ADDRESS SOURCE RATE SECONDS");
        return ExitCode::from(2);
    };
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    match run(address, source, rate, time) {
        Ok(counts) => {
            println!(
                "opened={} reset={} otherwise={}",
                counts.opened, counts.reset, counts.otherwise
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load-refused: {error}");
            ExitCode::FAILURE
        }
    }
}
