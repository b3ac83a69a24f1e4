//! The part of a worker that decides: what `src/worker/session_driver.rs` and a turn of
//! `src/worker/event_loop.rs` do, but for the operations on the ring, which all succeed at once.
//!
//! The clock is made up. The first sessions are accepted over half of the idle timeout, so that
//! their timers are spread over the wheel; afterwards each turn takes [`TURN`], and 10 million turns
//! fit into the other half. Timers that come down or expire meanwhile are work like any other.

use std::hint::black_box;
use std::time::Duration;

use ringway::logic::session::{
    Action, Actions, Choice, Event, Policy, Protocol, ReadEvent, ReceivedInfo, Reply, Session,
    Side, WriteEvent,
};
use ringway::logic::time::Instant;
use ringway::logic::timer_wheel::TimerWheel;
use slab::Slab;

use crate::backend::Backend;

/// From one turn of the loop to the next, in a worker with much to do.
pub const TURN: Duration = Duration::from_micros(10);

const POLICY: Policy = Policy {
    protocol: Protocol::Tcp,
    proxy_heads: None,
    preface_timeout: Duration::from_secs(10),
    connect_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(300),
    half_closed_timeout: Duration::from_secs(30),
    queue_timeout: Duration::from_secs(5),
    tunnel_timeout: Duration::from_secs(3600),
    max_age: None,
    retries: 3,
};

/// A session and the server that was chosen for it.
struct Slot {
    session: Session,
    server: Option<usize>,
}

/// Sessions, their timers, and the choice of a server.
pub struct Logic {
    now: Instant,
    sessions: Slab<Slot>,
    timers: TimerWheel,
    backend: Backend,
}

impl Logic {
    /// With so many open sessions, in the slots from 0 on.
    pub fn new(sessions: u32) -> Self {
        let mut logic = Self {
            now: Instant::ZERO,
            sessions: Slab::new(),
            timers: TimerWheel::new(Instant::ZERO),
            backend: Backend::new(),
        };
        for _ in 0..sessions {
            logic.turn(POLICY.idle_timeout / 2 / sessions);
            logic.accept();
        }
        logic
    }

    /// How many are open.
    pub fn sessions_open(&self) -> usize {
        self.sessions.len()
    }

    /// Time passes, timers expire, and the wheel is asked how long to sleep.
    pub fn turn(&mut self, passed: Duration) {
        self.now = self.now + passed;
        while let Some(key) = self.timers.expire(self.now) {
            let session = &self.sessions[key as usize].session;
            if let Some(deadline) = session.deadline(&POLICY) {
                assert!(deadline > self.now, "a session timed out");
                self.timers.schedule(key, deadline);
            }
        }
        black_box(self.timers.next_wakeup());
    }

    /// A client comes and is connected with a server; returns the slot of its session.
    pub fn accept(&mut self) -> usize {
        let session = Session::new(self.now, &POLICY);
        let server = None;
        let slot = self.sessions.insert(Slot { session, server });
        self.drive(slot, Event::Accepted);
        self.drive(slot, Event::Connected);
        slot
    }

    /// A small request and its response.
    pub fn exchange(&mut self, slot: usize) {
        for (from, len) in [(Side::Client, 40), (Side::Server, 100)] {
            let info = ReceivedInfo {
                len,
                more: false,
                armed: false,
            };
            let event = ReadEvent::Received(info);
            self.drive(slot, Event::Read { from, event });
            let (to, event) = (from.other(), WriteEvent::Sent { len, left: 0 });
            self.drive(slot, Event::Write { to, event });
        }
    }

    /// Both sides end, which frees the slot.
    pub fn end(&mut self, slot: usize) {
        for from in Side::BOTH {
            let event = ReadEvent::Ended;
            self.drive(slot, Event::Read { from, event });
        }
    }

    fn drive(&mut self, slot: usize, event: Event) {
        let mut actions = Actions::new();
        let session = &mut self.sessions[slot].session;
        session.handle(self.now, black_box(event), &POLICY, &mut actions);
        loop {
            let mut reply = None;
            for action in black_box(&actions).as_slice() {
                match action {
                    Action::Choose(_) => reply = Some(Reply::Choice(self.choose(slot))),
                    Action::Free(_) => return self.free(slot),
                    other => _ = black_box(other),
                }
            }
            let Some(reply) = reply else {
                break;
            };
            actions.clear();
            let session = &mut self.sessions[slot].session;
            session.reply(self.now, black_box(reply), &POLICY, &mut actions);
        }
        self.set_timer(slot);
    }

    fn set_timer(&mut self, slot: usize) {
        if let Some(deadline) = self.sessions[slot].session.deadline(&POLICY) {
            let key = slot as u32;
            if self.timers.deadline(key).is_none_or(|set| deadline < set) {
                self.timers.schedule(key, deadline);
            }
        }
    }

    fn choose(&mut self, slot: usize) -> Choice {
        let server = self.backend.enter();
        self.sessions[slot].server = server;
        server.map_or(Choice::NoServer, |_| Choice::Chosen)
    }

    fn free(&mut self, slot: usize) {
        self.timers.cancel(slot as u32);
        if let Some(server) = self.sessions.remove(slot).server {
            self.backend.leave(server);
        }
    }
}
