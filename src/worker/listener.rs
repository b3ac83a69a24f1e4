//! Accepting: multishot while places are plenty, one at a time when they run short, not at all
//! when there are none; a pause when descriptors or memory are short.

use std::time::Duration;

use super::Worker;
use super::token::Owner;
use crate::io::{Engine, Fault};

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// How long after a warning of a shortage the next one may come.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// Free places below which connections are accepted one at a time: a multishot accept takes all
/// that wait before it can be stopped.
const MULTISHOT_PLACES_MIN: u32 = 1024;

/// What is in flight for a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// An accept of one connection.
    One,
    /// An accept of one after the other.
    Many,
    /// An accept that is being cancelled.
    Canceling,
}

/// A listener of this worker.
pub struct Accepting<E: Engine> {
    frontend: u16,
    /// `None` once it is closed.
    listener: Option<E::Listener>,
    state: State,
}

impl<E: Engine> Accepting<E> {
    pub fn new(frontend: u16, listener: E::Listener) -> Self {
        Accepting {
            frontend,
            listener: Some(listener),
            state: State::Idle,
        }
    }

    pub fn is_closed(&self) -> bool {
        self.listener.is_none()
    }
}

impl<E: Engine> Worker<E> {
    /// A connection was accepted, or accepting ended.
    pub(super) fn accepted(&mut self, index: usize, socket: Result<E::Socket, Fault>, more: bool) {
        if !more {
            self.listeners[index].state = State::Idle;
        }
        match socket {
            Ok(socket) => self.admit(index, socket),
            Err(Fault::Canceled | Fault::WouldBlock) => {}
            // The client left before it was accepted.
            Err(Fault::Reset) => {}
            Err(fault) => self.note_shortage(fault),
        }
        if self.stopping {
            self.close_listener_if_idle(index);
        } else if more {
            if self.free_places(self.listeners[index].frontend) < MULTISHOT_PLACES_MIN {
                self.cancel_accept(index);
            }
        } else {
            self.accept(index);
        }
    }

    /// Starts a session, or keeps the connection until there is a place for one.
    fn admit(&mut self, index: usize, socket: E::Socket) {
        let frontend = self.listeners[index].frontend;
        if self.parked.is_empty() && self.take_places(frontend) {
            self.begin(frontend, socket);
        } else {
            self.parked.push_back((index, socket));
            self.announce_paused();
        }
    }

    fn take_places(&self, frontend: u16) -> bool {
        if !self.shared.places.try_take() {
            return false;
        }
        let taken = self.shared.frontends[usize::from(frontend)]
            .places
            .try_take();
        if !taken {
            self.shared.places.give_back();
        }
        taken
    }

    fn free_places(&self, frontend: u16) -> u32 {
        let frontend = &self.shared.frontends[usize::from(frontend)];
        self.shared.places.free().min(frontend.places.free())
    }

    /// Accepts on a listener, if nothing speaks against it.
    fn accept(&mut self, index: usize) {
        let free = self.free_places(self.listeners[index].frontend);
        let accepting = &mut self.listeners[index];
        let (State::Idle, Some(listener)) = (accepting.state, &accepting.listener) else {
            return;
        };
        if self.stopping || self.short_until.is_some() {
            return;
        }
        if free == 0 || !self.parked.is_empty() {
            self.announce_paused();
            return;
        }
        let many = free >= MULTISHOT_PLACES_MIN;
        accepting.state = if many { State::Many } else { State::One };
        self.engine
            .accept(listener, many, Owner::Listener(index).token());
    }

    fn cancel_accept(&mut self, index: usize) {
        let accepting = &mut self.listeners[index];
        if matches!(accepting.state, State::One | State::Many) {
            accepting.state = State::Canceling;
            self.engine.cancel_accept(Owner::Listener(index).token());
        }
    }

    /// Tells the other workers whether this one waits for places, and looks once more: one may
    /// have been given back in between.
    fn announce_paused(&mut self) {
        let mut global = false;
        for (index, shared) in self.shared.frontends.iter().enumerate() {
            let waits = !self.stopping
                && self.listeners.iter().any(|accepting| {
                    usize::from(accepting.frontend) == index
                        && accepting.state == State::Idle
                        && !accepting.is_closed()
                })
                || self
                    .parked
                    .iter()
                    .any(|(listener, _)| usize::from(self.listeners[*listener].frontend) == index);
            global |= waits;
            shared.paused.announce(self.index, waits.then_some(self.now));
        }
        self.shared
            .paused
            .announce(self.index, global.then_some(self.now));
        self.paused = global;
        let free = |frontend: &u16| self.free_places(*frontend) > 0;
        let waiting = self.listeners.iter().map(|accepting| accepting.frontend);
        if global && waiting.into_iter().any(|frontend| free(&frontend)) {
            self.resume_due = true;
        }
    }

    /// Begins sessions of connections that had no place, then accepts wherever that is possible.
    pub(super) fn resume_accepting(&mut self) {
        let mut kept = 0;
        while let Some((index, _)) = self.parked.get(kept) {
            let frontend = self.listeners[*index].frontend;
            if self.take_places(frontend) {
                if let Some((_, socket)) = self.parked.remove(kept) {
                    self.begin(frontend, socket);
                }
            } else {
                kept += 1;
            }
        }
        for index in 0..self.listeners.len() {
            self.accept(index);
        }
        if self.paused {
            self.announce_paused();
        }
    }

    /// Something of ours ran out: no new sessions for a moment.
    pub(super) fn note_shortage(&mut self, fault: Fault) {
        self.counters().shortages.add(1);
        if self.warn_after <= self.now {
            self.warn_after = self.now + WARNING_PAUSE;
            self.warn(format!(
                "new sessions pause for a moment: {}",
                reason(fault)
            ));
        }
        self.short_until = Some(self.now + SHORTAGE_PAUSE);
        for index in 0..self.listeners.len() {
            self.cancel_accept(index);
        }
    }

    /// Stops accepting: what waits in a listener's queue is still taken, then it is closed.
    pub(super) fn stop_accepting(&mut self) {
        for index in 0..self.listeners.len() {
            self.cancel_accept(index);
            self.close_listener_if_idle(index);
        }
    }

    fn close_listener_if_idle(&mut self, index: usize) {
        if self.listeners[index].state != State::Idle {
            return;
        }
        let Some(listener) = self.listeners[index].listener.take() else {
            return;
        };
        while let Some(socket) = self.engine.accept_now(&listener) {
            self.admit(index, socket);
        }
        self.engine.close_listener(listener);
    }
}

fn reason(fault: Fault) -> String {
    let known = match fault {
        Fault::NoDescriptors => "out of file descriptors (raise LimitNOFILE= or `ulimit -n`)",
        Fault::NoMemory | Fault::NoBuffers => "the kernel is out of memory for sockets",
        Fault::NoPorts => "no local port is left for a server (widen net.ipv4.ip_local_port_range)",
        Fault::Refused
        | Fault::Unreachable
        | Fault::TimedOut
        | Fault::Reset
        | Fault::Canceled
        | Fault::WouldBlock
        | Fault::Other(_) => return format!("accepting failed: {fault:?}"),
    };
    known.to_string()
}
