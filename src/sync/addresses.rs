//! The addresses of a server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use socket2::SockAddr;

use crate::atomics::{AtomicBool, AtomicUsize, Ordering};

/// The addresses of a server: its own, or those that its host name was last resolved to. Reading
/// them takes no lock.
#[derive(Debug)]
pub struct Addresses {
    /// Empty: the name has never been resolved.
    all: ArcSwap<Vec<SockAddr>>,
    /// Index of the address to try first, modulo the number of addresses.
    first: AtomicUsize,
    /// The name has to be resolved again.
    stale: AtomicBool,
}

impl Addresses {
    /// These addresses; if there are none, the name has to be resolved.
    pub fn new(all: Vec<SockAddr>) -> Self {
        Addresses {
            first: AtomicUsize::new(0),
            stale: AtomicBool::new(all.is_empty()),
            all: ArcSwap::from_pointee(all),
        }
    }

    /// All of them, in the order of the resolver.
    pub fn all(&self) -> Arc<Vec<SockAddr>> {
        self.all.load_full()
    }

    /// Whether there is any.
    pub fn is_resolved(&self) -> bool {
        !self.all.load().is_empty()
    }

    /// Sets what the name was resolved to, at least one address. Returns whether the set of addresses has
    /// changed; their order does not count.
    pub fn resolved(&self, all: &[SocketAddr]) -> bool {
        self.stale.store(false, Ordering::SeqCst);
        let all: Vec<SockAddr> = all.iter().copied().map(SockAddr::from).collect();
        let old = self.all.load();
        let is_same = old.len() == all.len() && all.iter().all(|address| old.contains(address));
        if !is_same {
            self.all.store(Arc::new(all));
            self.first.store(0, Ordering::Relaxed);
        }
        !is_same
    }

    /// Notes that the name could not be resolved: the addresses that are known stay in use.
    pub fn mark_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// Whether the name has to be resolved again.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::SeqCst)
    }

    /// Index of the address to try first: the one that worked last.
    pub fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// The address of this index, modulo the number of addresses; `None`: `tried` addresses are all there
    /// are.
    pub fn get(&self, index: usize, tried: usize) -> Option<SockAddr> {
        let all = self.all.load();
        (tried < all.len()).then(|| all[index % all.len()].clone())
    }

    /// Notes that the address of this index could be connected.
    pub fn prefer(&self, index: usize) {
        // Usually this only reads a cache line that nobody writes.
        if self.first() != index {
            self.first.store(index, Ordering::Relaxed);
        }
    }

    /// Notes that the address of this index could not be connected: the next connect begins with the
    /// following one.
    pub fn pass_over(&self, index: usize) {
        let next = index.wrapping_add(1);
        let order = Ordering::Relaxed;
        // Another worker may have found one that works.
        let _ = self.first.compare_exchange(index, next, order, order);
    }
}

/// An address of a server as it is written in a configuration: `IP:port` or `unix:/path`.
#[derive(Debug)]
pub struct ShownAddress<'a>(pub &'a SockAddr);

impl fmt::Display for ShownAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_socket(), self.0.as_pathname()) {
            (Some(address), _) => address.fmt(f),
            (None, Some(path)) => write!(f, "unix:{}", path.display()),
            (None, None) => f.write_str("unix:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tried_from_the_one_that_worked_last() {
        let list = |ports: &[u16]| -> Vec<SocketAddr> {
            let ports = ports.iter();
            ports.map(|port| ([127, 0, 0, 1], *port).into()).collect()
        };
        let order = |addresses: &Addresses| -> Vec<u16> {
            let first = addresses.first();
            let tried = (0..).map_while(|tried| addresses.get(first + tried, tried));
            let ports = tried.map(|address| address.as_socket().map_or(0, |it| it.port()));
            ports.collect()
        };
        let addresses = Addresses::new(Vec::new());
        assert!(addresses.is_stale() && !addresses.is_resolved());
        assert!(order(&addresses).is_empty());
        assert!(addresses.resolved(&list(&[1, 2, 3])));
        assert!(!addresses.is_stale() && addresses.is_resolved());
        assert_eq!(order(&addresses), [1, 2, 3]);
        addresses.prefer(2);
        assert_eq!(order(&addresses), [3, 1, 2]);
        addresses.pass_over(1);
        assert_eq!(order(&addresses), [3, 1, 2], "it is not the first");
        addresses.pass_over(2);
        assert_eq!(order(&addresses), [1, 2, 3]);

        addresses.prefer(1);
        addresses.mark_stale();
        assert!(!addresses.resolved(&list(&[3, 1, 2])), "another order");
        assert!(!addresses.is_stale());
        assert_eq!(order(&addresses), [2, 3, 1]);
        assert!(addresses.resolved(&list(&[4, 2])));
        assert_eq!(order(&addresses), [4, 2]);
    }
}
