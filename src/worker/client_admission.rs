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
    /// Decides on a connection that was accepted for this route. `None`: it was reset. One whose client the kernel
    /// does not know has ended already. Who the client of a balancer is, its PROXY head will say (`proxy_head`).
    pub(super) fn admit_peer(&mut self, route: Route, socket: E::Socket) -> Option<Accepted<E>> {
        let rules = &self.configs[route.config].client_rules[usize::from(route.frontend)];
        if rules.is_none() {
            return Some(Accepted {
                socket,
                peer: None,
                client_place: None,
            });
        }
        let peer = client::peer(&mut self.engine, &socket);
        let admitted = peer.map(
            |peer| match self.configs[route.config].is_proxy(route, peer) {
                true => Ok(None),
                false => self.admit_client(route, peer.ip()),
            },
        );
        match admitted {
            Some(Ok(client_place)) => Some(Accepted {
                socket,
                peer,
                client_place,
            }),
            Some(Err(_)) | None => {
                self.engine.reset(socket);
                None
            }
        }
    }

    /// Decides on a client of this route by its address, and counts it if it is refused. If it is admitted, it
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
        client: IpAddr,
    ) -> Result<Option<ClientPlace>, ClientRefusal> {
        let config = &self.configs[route.config];
        let Some(rules) = &config.client_rules[usize::from(route.frontend)] else {
            return Ok(None);
        };
        let frontend = config.frontend(route.frontend);
        let clients = &self.acceptor.shared().clients;
        let admitted = rules
            .check_lists(client)
            .and_then(|()| match rules.limits() {
                Some(limits) => clients
                    .admit(frontend.id, client, limits, self.now)
                    .map(Some),
                None => Ok(None),
            });
        if let Err(refusal) = admitted {
            let counters = &frontend.counters[self.index];
            counters.refused[refusal.index()].add(1);
            counters.last_refused.set(client);
            return Err(refusal);
        }
        admitted
    }
}
