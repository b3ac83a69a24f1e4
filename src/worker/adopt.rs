//! A worker adopts a new configuration while sessions go on.
//!
//! A session that has a server keeps the configuration that it began with. A session without one,
//! because it waits in a queue or its server could not be reached, moves to the new configuration if
//! that has its frontend. Listeners that both configurations have stay open and get a new route.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Worker;
use super::command::{Adoption, Listening};
use super::config_generations::{LocalConfig, Route};
use super::waiting::{End, QueueKey};
use crate::config::{ForwardedFor, Mode, Sticky, TlsMode};
use crate::io::Engine;
use crate::snapshot::ServerShared;

impl<E: Engine> Worker<E> {
    /// Uses a configuration for all new sessions. The caller then resumes accepting and looks at all
    /// queues.
    pub(super) fn adopt(&mut self, adoption: Adoption<E::Listener>) {
        if self.stop.is_stopping() {
            let opened = adoption.listeners.into_iter();
            for listener in opened.filter_map(|listening| listening.opened) {
                self.engine.close_listener(listener);
            }
            return;
        }
        self.acceptor.end_pauses();
        self.configs.adopt(adoption.snapshot);
        self.adopt_listeners(adoption.listeners);
        self.adopt_waiting();
        (adoption.adopted)();
    }

    fn adopt_listeners(&mut self, listeners: Vec<Listening<E::Listener>>) {
        let config = self.configs.newest();
        let (known, opened): (Vec<_>, Vec<_>) = listeners
            .into_iter()
            .partition(|listening| listening.opened.is_none());
        let frontends: HashMap<u64, u16> = (known.iter())
            .map(|listening| (listening.id, listening.frontend))
            .collect();
        let mut leaving = Vec::new();
        for index in self.acceptor.indices() {
            let (id, old) = self.acceptor.listener(index);
            let new = match frontends.get(&id) {
                Some(&frontend) => Some(self.configs.route(config, frontend)),
                None => {
                    leaving.push(index);
                    self.configs.newest_route(old)
                }
            };
            if let Some(route) = new {
                self.acceptor.reroute(index, route, &mut self.configs);
            }
        }
        for listening in opened {
            self.acceptor.add(listening, &mut self.configs);
        }
        // Only now, because its parked connections may wait for a limit of the new configuration.
        for index in leaving {
            self.acceptor.mark_leaving(index, None);
            self.leave_listener(index);
        }
    }

    /// Moves waiting sessions to the queues of the new configuration, if that has their frontend.
    fn adopt_waiting(&mut self) {
        let (mut queue_keys, slots) = self.waiting.take_all(&self.configs);
        for slot in slots {
            self.renew(slot);
            let queue_key = self.queue_key_of(&self.sessions[slot]);
            let session = (slot, self.queued_since(slot));
            (self.waiting).push(&queue_key, End::Back, session, &self.configs);
            queue_keys.push(queue_key);
        }
        let by_target = |queue_key: QueueKey| (queue_key.target(&self.configs), queue_key);
        let changed: BTreeMap<_, _> = queue_keys.into_iter().map(by_target).collect();
        for queue_key in changed.into_values() {
            self.waiting.publish(&queue_key, &self.configs);
        }
    }

    /// Moves a session that has no server to the newest configuration, if that has its frontend, the same
    /// rules for the part of the request that was read already, and in TLS mode a backend for what it asks for.
    pub(super) fn renew(&mut self, slot: usize) {
        let old = self.sessions[slot].route;
        let new = self.configs.newest_route(old);
        let Some(mut new) = new.filter(|new| new.config != old.config) else {
            return;
        };
        let mut route = None;
        if let Some(hello) = self.sessions[slot].extras.hello_info() {
            let Some(routed) = self.configs[new.config].routed(new, hello) else {
                return;
            };
            (new, route) = routed;
        }
        let [old_view, new_view] =
            [old, new].map(|route| RouteView::of(&self.configs[route.config], route));
        if old_view != new_view {
            return;
        }
        let members = self.configs.refresh(new).members();
        let is_there = |server: &Arc<ServerShared>| members.index_of(server).is_some();
        let entry = &mut self.sessions[slot];
        debug_assert!(entry.server.is_none(), "it has a server");
        if let Some(http) = entry.extras.http_mut() {
            http.pinned_server = http.pinned_server.take().filter(is_there);
            http.cookie_server = http.cookie_server.take().filter(is_there);
        }
        entry.route = new;
        if let Some(hello) = entry.extras.hello_info_mut() {
            hello.route = route;
        }
        let wants_client = self.configs[new.config].wants_client[usize::from(new.frontend)];
        if wants_client {
            entry.find_client(&mut self.engine);
        }
        self.configs.acquire(new.config);
        self.configs.release(old.config);
        self.set_timer(slot);
    }
}

/// The parts of a configuration that the state of a session without a server depends on.
#[derive(PartialEq, Eq)]
struct RouteView<'a> {
    read_as: Mode,
    forwarded_for: Option<&'a ForwardedFor>,
    sticky: Option<&'a Sticky>,
}

impl<'a> RouteView<'a> {
    fn of(local: &'a LocalConfig, route: Route) -> Self {
        let config = &local.snapshot.config;
        let backend = route.backend as usize;
        let frontend = &config.frontends[usize::from(route.frontend)];
        RouteView {
            read_as: read_as(frontend.mode),
            forwarded_for: frontend.forwarded_for.as_ref(),
            sticky: config.backends[backend].sticky.as_ref(),
        }
    }
}

/// How the first bytes are read. A ClientHello is read in one way, whatever time it may take: its deadline is set when the
/// client is accepted, and stays.
fn read_as(mode: Mode) -> Mode {
    match mode {
        Mode::Tls(_) => Mode::Tls(TlsMode::default()),
        Mode::Tcp | Mode::Http(_) => mode,
    }
}
