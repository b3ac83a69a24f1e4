//! The life of a session in its worker: `begin`, `drive` with each event, `end`.
//!
//! Events come from completions (`completions`), from timers, and from other parts of the worker. The
//! session's machine ([`crate::logic::session`]) decides what follows; `operations` carries it out.

use slab::Slab;

use super::Worker;
use super::accepted::Accepted;
use super::attempt::Attempt;
use super::chunks::Chunks;
use super::client;
use super::config_generations::{ConfigGenerations, Route};
use super::extras::Extras;
use super::pipes::Pipes;
use super::slot::{CountedFor, ReceiveWait, Slot};
use super::token::{Key, Owner};
use super::tried::Tried;
use crate::io::{self, Engine};
use crate::logic::session::{Action, Actions, CloseMode, Event, Policy, Session, Side, Use};

impl<E: Engine> Worker<E> {
    /// Begins a session for an accepted connection, for which the limits of sessions have room and are
    /// counted already.
    pub(super) fn begin(&mut self, route: Route, accepted: Accepted<E>) {
        let Accepted {
            socket,
            is_unix,
            peer,
            client_place,
        } = accepted;
        let config = &self.configs[route.config];
        let client = if config.wants_client[usize::from(route.frontend)] && !is_unix {
            peer.or_else(|| client::peer(&mut self.engine, &socket))
        } else {
            peer
        };
        let behind_proxy = (client.is_some() || is_unix) && config.is_proxy(route, client);
        self.generation = self.generation.wrapping_add(1);
        let policy = &self.configs[route.config].policies[route.rules as usize];
        let slot = self.sessions.insert(Slot {
            session: match behind_proxy {
                true => Session::behind_proxy(self.now, policy),
                false => Session::new(self.now, policy),
            },
            generation: self.generation,
            route,
            server: None,
            has_server_slot: false,
            receive_waits: [ReceiveWait::Nothing; 2],
            stalled: [false; 2],
            sockets: [Some(socket), None],
            unix: [is_unix, false],
            chunks: [Chunks::default(), Chunks::default()],
            pipes: Pipes::default(),
            tried: Tried::default(),
            attempt: Attempt::default(),
            counted_for: CountedFor::default(),
            short: false,
            client: client.into(),
            client_place,
            unlogged: false,
            counted: [0; 2],
            extras: Extras::of(policy.protocol),
        });
        if policy.max_age.is_some() {
            let random = self.now.as_nanos() ^ u64::from(self.generation) << 32;
            let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let (session, policy) = session_and_policy(&mut self.sessions, &self.configs, slot);
            session.limit_age(policy, random as u32);
        }
        self.configs.acquire(route.config);
        let frontend = self.configs.frontend(route);
        self.reporting.accounting.session_began(frontend);
        self.load_sharing.began();
        self.drive(slot, Event::Accepted);
    }

    /// Delivers an event to a session and carries out its actions; then delivers their result and carries
    /// out what follows from that, until the session waits for the next event.
    pub(super) fn drive(&mut self, slot: usize, event: Event) {
        let mut actions = Actions::new();
        let (session, policy) = session_and_policy(&mut self.sessions, &self.configs, slot);
        session.handle(self.now, event, policy, &mut actions);
        loop {
            let mut reply = None;
            for action in actions.as_slice() {
                if let Action::Free(mode) = *action {
                    return self.end(slot, mode);
                }
                // Only the last action has one, but for a send that is refused.
                reply = reply.or(self.carry_out(slot, *action));
            }
            let Some(reply) = reply else {
                break;
            };
            actions.clear();
            let (session, policy) = session_and_policy(&mut self.sessions, &self.configs, slot);
            session.reply(self.now, reply, policy, &mut actions);
        }
        self.note_stalled(slot);
        self.set_timer(slot);
    }

    /// Ends a session of which the kernel holds nothing: frees its slot, releases its buffers and kernel
    /// pipes, closes its connections, counts and logs it, and gives back the slots of its limits.
    fn end(&mut self, slot: usize, mode: CloseMode) {
        self.timers.cancel(slot as u32);
        let mut entry = self.sessions.remove(slot);
        self.forget_stalled(slot, &entry);
        for side in Side::BOTH {
            let chunks = &mut entry.chunks[side.index()];
            while let Some(buffer) = chunks.pop() {
                self.engine.release(buffer);
            }
            if let Some(pipe) = entry.pipes.take(side) {
                // A direction returns its kernel pipe as soon as that is empty.
                self.engine.return_pipe(pipe, false);
            }
            if let Some(socket) = entry.sockets[side.index()].take() {
                match mode {
                    CloseMode::Graceful => self.engine.close(socket),
                    CloseMode::Reset => self.engine.reset(socket),
                }
            }
        }
        let config = &self.configs[entry.route.config];
        self.reporting.session_ended(&mut entry, config, self.now);
        self.acceptor.release_client(entry.client_place.take());
        self.release_slots(&entry);
        self.load_sharing.ended();
        self.configs.release(entry.route.config);
    }

    /// Sets the session's timer to its deadline, if it would expire later. A timer that expires early
    /// is set again then, so that a deadline that moves with each byte costs nothing.
    pub(super) fn set_timer(&mut self, slot: usize) {
        let (session, policy) = session_and_policy(&mut self.sessions, &self.configs, slot);
        if let Some(deadline) = session.deadline(policy) {
            let key = slot as u32;
            if self.timers.deadline(key).is_none_or(|set| deadline < set) {
                self.timers.schedule(key, deadline);
            }
        }
    }

    /// The slot of the session of this key, if that still exists.
    pub(super) fn slot(&mut self, key: Key) -> Option<&mut Slot<E>> {
        self.sessions
            .get_mut(key.slot as usize)
            .filter(|slot| slot.generation == key.generation)
    }

    /// What names the session in this slot.
    pub(super) fn key(&self, slot: usize) -> Key {
        Key {
            slot: slot as u32,
            generation: self.sessions[slot].generation,
        }
    }

    /// What names its operation of this use.
    pub(super) fn token(&self, slot: usize, side: Side, used: Use) -> io::Token {
        let key = self.key(slot);
        Owner::Session { key, side, used }.token()
    }
}

/// A session with the policy of its route.
fn session_and_policy<'a, E: Engine>(
    sessions: &'a mut Slab<Slot<E>>,
    configs: &'a ConfigGenerations,
    slot: usize,
) -> (&'a mut Session, &'a Policy) {
    let entry = &mut sessions[slot];
    let Route { config, rules, .. } = entry.route;
    let policy = &configs[config].policies[rules as usize];
    (&mut entry.session, policy)
}
