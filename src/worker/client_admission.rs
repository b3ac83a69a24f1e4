//! Whether a client may come, by its address: the lists of its frontend, then the limits of each client.
//!
//! It is decided before a connection takes a slot of any limit of sessions. A connection that is refused is reset
//! and counted, and nothing else; the control plane logs how many there were.

use std::net::IpAddr;

use super::Worker;
use super::accepted::Accepted;
use super::client;
use super::config_generations::Route;
use crate::io::Engine;
use crate::logic::client_limits::ClientRefusal;
use crate::sync::ClientPlace;

impl<E: Engine> Worker<E> {
    /// Decides on a connection that was accepted for this route, by a Unix socket or not. `None`: it was reset. One
    /// whose client the kernel does not know otherwise has ended already. Who the client of a balancer is, its PROXY
    /// head will say (`proxy_head`).
    pub(super) fn admit_peer(
        &mut self,
        route: Route,
        socket: E::Socket,
        is_unix: bool,
    ) -> Option<Accepted<E>> {
        let config = &self.configs[route.config];
        if config.client_rules[usize::from(route.frontend)].is_none() {
            return Some(Accepted {
                socket,
                is_unix,
                peer: None,
                client_place: None,
            });
        }
        let peer = match is_unix {
            true => None,
            false => client::peer(&mut self.engine, &socket),
        };
        let admitted = match peer.is_some() || is_unix {
            true if config.is_proxy(route, peer) => Some(None),
            true => self.admit_client(route, peer.map(|peer| peer.ip())).ok(),
            false => None,
        };
        match admitted {
            Some(client_place) => Some(Accepted {
                socket,
                is_unix,
                peer,
                client_place,
            }),
            None => {
                self.engine.reset(socket);
                None
            }
        }
    }

    /// Decides on a client of this route by its address, and counts it if it is refused. One that came by a Unix
    /// socket has none: it is in no list, and not limited. If it is admitted, it
    /// takes a place among the open sessions of its address, if these are limited: [`Slot::client_place`]
    /// keeps that until the session ends.
    ///
    /// [`Slot::client_place`]: super::slot::Slot::client_place
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(super) fn admit_client(
        &mut self,
        route: Route,
        client: Option<IpAddr>,
    ) -> Result<Option<ClientPlace>, ClientRefusal> {
        let config = &self.configs[route.config];
        let Some(rules) = &config.client_rules[usize::from(route.frontend)] else {
            return Ok(None);
        };
        let frontend = config.frontend(route.frontend);
        let clients = &self.acceptor.shared().clients;
        let admitted = rules
            .check_lists(client)
            .and_then(|()| match client.zip(rules.limits()) {
                Some((client, limits)) => clients
                    .admit(frontend.id, client, limits, self.now)
                    .map(Some),
                None => Ok(None),
            });
        if let Err(refusal) = admitted {
            let counters = &frontend.counters[self.index];
            counters.refused[refusal.index()].add(1);
            if let Some(client) = client {
                counters.last_refused.set(client);
            }
            return Err(refusal);
        }
        admitted
    }
}
