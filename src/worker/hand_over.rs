//! Accepted connections become sessions of this worker or of another one: hands over, and takes what others hand over.

use std::sync::Arc;

use super::Worker;
use super::accepted::Accepted;
use super::config_generations::Route;
use super::hand_over_channels::{AdmittedClient, HandedOver};
use crate::io::Engine;

impl<E: Engine> Worker<E> {
    /// Begins a session, or lets the least loaded worker begin it. Its slots of the limits are taken.
    pub(super) fn begin_or_hand_over(&mut self, route: Route, accepted: Accepted<E>) {
        if self.stop.is_stopping() {
            return self.begin(route, accepted);
        }
        match self.load_sharing.receiver(self.now) {
            Some(receiver) => self.hand_over(receiver, route, accepted),
            None => self.begin(route, accepted),
        }
    }

    fn hand_over(&mut self, receiver: usize, route: Route, accepted: Accepted<E>) {
        let handed = HandedOver {
            socket: self.engine.detach(accepted.socket),
            is_unix: accepted.is_unix,
            snapshot: Arc::clone(&self.configs[route.config].snapshot),
            frontend: route.frontend,
            client: Some(AdmittedClient {
                peer: accepted.peer,
                place: accepted.client_place,
            }),
        };
        let hand_overs = self.load_sharing.hand_overs();
        let shared = self.acceptor.shared();
        if hand_overs.send(receiver, handed, self.now, shared) {
            return;
        }
        // It stops, and may have looked for the last time.
        while let Some(handed) = self.load_sharing.take_back(receiver) {
            self.begin_handed(handed);
        }
    }

    /// Begins the sessions of connections that others have accepted.
    pub(super) fn take_handed_over(&mut self) {
        if self.load_sharing.take_notice() {
            self.take_all_handed_over();
        }
    }

    /// Takes nothing more from others, after what is on its way.
    pub(super) fn close_hand_overs(&mut self) {
        self.load_sharing.close();
        self.take_all_handed_over();
    }

    fn take_all_handed_over(&mut self) {
        while let Some(handed) = self.load_sharing.next() {
            self.begin_handed(handed);
        }
    }

    /// Begins a session that is counted as one of this worker already.
    fn begin_handed(&mut self, handed: HandedOver<E::Detached>) {
        let HandedOver {
            socket,
            is_unix,
            snapshot,
            frontend,
            client,
        } = handed;
        let config = self.configs.find_or_add(snapshot);
        let route = self.configs.route(config, frontend);
        let accepted = match (self.engine.attach(socket), client) {
            (Ok(socket), Some(AdmittedClient { peer, place })) => Some(Accepted {
                socket,
                is_unix,
                peer,
                client_place: place,
            }),
            (Ok(socket), None) => self.admit_peer(route, socket, is_unix),
            (Err(fault), client) => {
                let place = client.and_then(|client| client.place);
                self.acceptor.release_client(place);
                self.note_shortage(fault);
                None
            }
        };
        match accepted {
            Some(accepted) if !self.stop.is_aborting() => {
                self.counters().sessions_handed_over.add(1);
                self.begin(route, accepted);
            }
            accepted => {
                if let Some(accepted) = accepted {
                    self.acceptor.reject(accepted, &mut self.engine);
                }
                let frontend = Arc::clone(self.configs.frontend(route));
                self.acceptor.release_slots(&frontend, &mut self.notices);
            }
        }
        // The session, if there is one, has counted itself.
        self.load_sharing.ended();
    }
}
