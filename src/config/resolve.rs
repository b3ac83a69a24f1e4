//! Host names to addresses, when a configuration is read: those of listeners, and where a file is
//! only checked, those of servers too.
//!
//! The only I/O behind `parse`. Callers hand a resolver in, so that tests need no network.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::address::Address;
use super::problem::{Problem, shorten};

/// Threads that ask for host names at the same time.
const THREADS_MAX: usize = 32;

/// Finds the addresses of a host name and port, at least one, the best first.
pub type Resolver<'r> = &'r (dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Sync);

/// Asks the system's resolver (getaddrinfo(3)), for tests and benchmarks: the program has its own. It may block for
/// as long as the system's configuration of name service allows.
///
/// # Errors
///
/// The system's, or `NotFound` when the answer has no address.
pub fn system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    // A name may stand in a file of hosts twice.
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(addresses)
}

/// Asks for several host names at the same time. The answers are in their order.
pub(super) fn resolve_all(
    names: &[(&str, u16)],
    resolver: Resolver<'_>,
) -> Vec<io::Result<Vec<SocketAddr>>> {
    let left = Mutex::new(names.iter().enumerate());
    let answers = Mutex::new(Vec::new());
    let ask = || {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, (host, port))) = next else {
                return;
            };
            let answer = resolver(host, *port);
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.push((index, answer));
        }
    };
    thread::scope(|scope| {
        for _ in 0..names.len().min(THREADS_MAX) {
            scope.spawn(ask);
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Why a name gave no address.
pub(super) fn unresolvable(host: &str, error: &io::Error) -> Problem {
    if let Some((_, zone)) = host.split_once('%') {
        let title = format!("no network interface `{}`", shorten(zone));
        return Problem::new(title, "write the name of one of this host; see `ip link`");
    }
    Problem::new(
        format!("cannot resolve `{}`", shorten(host)),
        format!("{error}; correct the name or write an IP address"),
    )
}

/// The address to listen on, asking `resolver` only when needed.
pub(super) fn resolve(address: &Address, resolver: Resolver<'_>) -> Result<SocketAddr, Problem> {
    match address {
        Address::Ip(address) => Ok(*address),
        Address::Host { host, port } => resolver(host, *port)
            .and_then(|addresses| {
                let first = addresses.first().copied();
                first.ok_or_else(|| io::ErrorKind::NotFound.into())
            })
            .map_err(|error| unresolvable(host, &error)),
        Address::Unix(path) => Err(Problem::new(
            format!("`{}` is no IP address", shorten(&path.to_string_lossy())),
            "write host and port",
        )),
    }
}
