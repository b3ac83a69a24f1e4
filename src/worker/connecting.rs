//! Connecting to a server. One attempt of a session connects to the server's addresses in turn, until
//! one connect succeeds; the session gets one event, of the end of the attempt.
//!
//! The first address is the one that worked last. If the attempt times out at an address, the next
//! attempt, of whatever session, begins with the address after it.

use std::net::IpAddr;

use socket2::SockAddr;

use super::Worker;
use super::attempt::Attempt;
use super::slot::Slot;
use crate::config::SendProxy;
use crate::io::{self, Engine};
use crate::logic::session::{ConnectFault, Fault, Side, Use};

impl<E: Engine> Worker<E> {
    /// Begins an attempt. Returns why it failed, if it did at once.
    pub(super) fn begin_attempt(&mut self, slot: usize) -> Option<ConnectFault> {
        let Some(server) = &self.sessions[slot].server else {
            debug_assert!(false, "a connect without a server");
            return Some(ConnectFault::Fault(Fault::Other));
        };
        // It counts failures, so it never comes near the end of the range.
        let index = server.addresses.first() as u32;
        let route = self.sessions[slot].route;
        self.sessions[slot].attempt = Attempt {
            index,
            tried: 0,
            source: self.configs[route.config].backends[route.backend as usize].next_source(),
            sources_tried: 0,
        };
        // A server without an address is down and not chosen.
        self.connect(slot, io::Fault::Unreachable)
    }

    /// Connects to the address that the attempt has come to, or to one behind it. If none is left,
    /// returns why the attempt failed, for which `fault` is the reason so far.
    fn connect(&mut self, slot: usize, mut fault: io::Fault) -> Option<ConnectFault> {
        while let Some(address) = self.address_of_attempt(slot) {
            match self.open(slot, &address) {
                Ok(socket) => {
                    let token = self.token(slot, Side::Server, Use::Write);
                    let entry = &mut self.sessions[slot];
                    let config = &self.configs[entry.route.config];
                    if entry.speaks_first() || config.send_proxy(entry.route) != SendProxy::Off {
                        // The request or a PROXY head is there. In TCP mode the server may be the first to
                        // speak. With a body, a server that responds early and closes would lose what is
                        // acknowledged late.
                        self.engine.speak_first(&socket);
                    }
                    self.engine.connect(&socket, &address, token);
                    entry.unix[Side::Server.index()] = address.is_unix();
                    entry.sockets[Side::Server.index()] = Some(socket);
                    return None;
                }
                Err(shortage) if shortage.is_shortage() => {
                    return Some(self.attempt_failed(slot, shortage));
                }
                Err(found) => fault = found,
            }
            self.sessions[slot].attempt = self.sessions[slot].attempt.next();
        }
        Some(self.attempt_failed(slot, fault))
    }

    /// A socket for a connect to this address, from the local address that the attempt has come to.
    fn open(&mut self, slot: usize, address: &SockAddr) -> Result<E::Socket, io::Fault> {
        let socket = self.engine.open(address)?;
        let Slot { route, attempt, .. } = self.sessions[slot];
        let config = &self.configs[route.config];
        if let Some(options) = &config.server_options[route.rules as usize] {
            self.engine.set_options(&socket, options);
        }
        let backend = &config.snapshot.config.backends[route.backend as usize];
        if let Some(source) = source(&backend.source, address, attempt)
            && let Err(fault) = self.engine.bind(&socket, source)
        {
            self.engine.close(socket);
            return Err(fault);
        }
        Ok(socket)
    }

    /// Whether the address of the attempt can be connected to from another local address: one has no port left.
    fn another_source_is_left(&self, slot: usize) -> bool {
        let Slot { route, attempt, .. } = &self.sessions[slot];
        let backend = &self.configs[route.config].snapshot.config.backends[route.backend as usize];
        let Some(address) = self.address_of_attempt(slot) else {
            return false;
        };
        usize::from(attempt.sources_tried) + 1 < sources_for(&backend.source, &address).count()
    }

    /// A connect ended. Returns the end of the attempt, unless another address is tried.
    pub(super) fn connected(
        &mut self,
        slot: usize,
        result: Result<(), io::Fault>,
    ) -> Option<Result<(), ConnectFault>> {
        let result = result.and_then(|()| self.send_proxy_head(slot));
        let entry = &self.sessions[slot];
        let attempt = entry.attempt;
        let addresses = entry.server.as_ref().map(|server| &server.addresses);
        let fault = match result {
            Ok(()) => {
                addresses.inspect(|addresses| addresses.prefer(attempt.index as usize));
                self.count_attempt(slot);
                return Some(Ok(()));
            }
            Err(io::Fault::Canceled) => {
                if entry.session.connect_timed_out()
                    && let Some(server) = &entry.server
                {
                    server.addresses.pass_over(attempt.index as usize);
                    server.connect_fault.set(Fault::TimedOut);
                }
                self.count_attempt(slot);
                return Some(Err(ConnectFault::Fault(Fault::TimedOut)));
            }
            Err(fault) => fault,
        };
        let fault = self.distinguish(slot, fault);
        // While a cancellation names the socket it cannot be closed, and the attempt is over anyway.
        let canceling = self.sessions[slot].session.holds(Side::Server, Use::Cancel);
        let goes_on = fault == io::Fault::NoPorts && self.another_source_is_left(slot);
        if canceling || (fault.is_shortage() && !goes_on) {
            return Some(Err(self.attempt_failed(slot, fault)));
        }
        self.sessions[slot].attempt = if goes_on {
            attempt.next_source()
        } else {
            attempt.next()
        };
        if self.address_of_attempt(slot).is_some()
            && let Some(socket) = self.sessions[slot].sockets[Side::Server.index()].take()
        {
            self.engine.close(socket);
        }
        self.connect(slot, fault).map(Err)
    }

    /// Counts the attempt, which goes to the session's server, unless it is counted.
    fn count_attempt(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        self.reporting.accounting.attempt_made(entry);
    }

    /// The address that the attempt has come to; `None`: all were tried.
    fn address_of_attempt(&self, slot: usize) -> Option<SockAddr> {
        let entry = &self.sessions[slot];
        let Attempt { index, tried, .. } = entry.attempt;
        let addresses = &entry.server.as_ref()?.addresses;
        // So many are counted, and no name has more.
        (tried < u16::MAX).then(|| addresses.get(index as usize, tried.into()))?
    }

    /// Distinguishes the two meanings of EADDRNOTAVAIL: all local ports are in use, or the host has no
    /// address of the server's family; and says what EAGAIN means, which is that of a Unix socket whose queue is
    /// full (connect(2)).
    fn distinguish(&mut self, slot: usize, fault: io::Fault) -> io::Fault {
        match (fault, self.address_of_attempt(slot)) {
            (io::Fault::NoPorts, Some(address)) if !self.engine.has_source_for(&address) => {
                io::Fault::Unreachable
            }
            (io::Fault::WouldBlock, _) => io::Fault::Refused,
            (fault, _) => fault,
        }
    }

    /// An attempt came to no connection: counts it, unless a shortage is the reason.
    fn attempt_failed(&mut self, slot: usize, fault: io::Fault) -> ConnectFault {
        let is_short = match fault {
            // Other servers have ports of their own.
            io::Fault::NoPorts => !self.another_is_left(slot),
            fault => fault.is_shortage(),
        };
        if is_short {
            self.sessions[slot].short = true;
            self.note_shortage(fault);
            ConnectFault::Shortage
        } else {
            self.count_attempt(slot);
            let fault = fault.into();
            if let Some(server) = &self.sessions[slot].server {
                server.connect_fault.set(fault);
            }
            ConnectFault::Fault(fault)
        }
    }

    /// Whether balancing could choose another server for the session, one that it has not tried.
    fn another_is_left(&self, slot: usize) -> bool {
        let entry = &self.sessions[slot];
        let backend = &self.configs[entry.route.config].backends[entry.route.backend as usize];
        let tried = entry.tried.lately().iter().chain(&entry.server);
        backend.has_another(|server| tried.clone().any(|tried| tried.id == server.id))
    }
}

/// The local address of this attempt to connect to `address`; `None`: the kernel chooses.
fn source(sources: &[IpAddr], address: &SockAddr, attempt: Attempt) -> Option<IpAddr> {
    let turn = usize::from(attempt.source).checked_rem(sources_for(sources, address).count())?;
    sources_for(sources, address).nth(turn)
}

/// Those local addresses that can connect to `address`.
fn sources_for(sources: &[IpAddr], address: &SockAddr) -> impl Iterator<Item = IpAddr> {
    let (is_ipv4, is_ipv6) = (address.is_ipv4(), address.is_ipv6());
    let sources = sources.iter().copied();
    sources.filter(move |source| match source {
        IpAddr::V4(_) => is_ipv4,
        IpAddr::V6(_) => is_ipv6,
    })
}
