//! Accepting: multishot while places are plenty, one at a time when they run short, not at all
//! when there are none; a pause when descriptors or memory are short.

use std::collections::VecDeque;
use std::time::Duration;

use super::Worker;
use super::plan::Place;
use super::token::Owner;
use crate::io::{Engine, Fault};

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

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
    /// Whose clients come here.
    place: Place,
    /// `None` once it is closed.
    listener: Option<E::Listener>,
    state: State,
    /// Accepted connections for which there was no place, longest first.
    parked: VecDeque<E::Socket>,
}

impl<E: Engine> Accepting<E> {
    pub fn new(place: Place, listener: E::Listener) -> Self {
        Accepting {
            place,
            listener: Some(listener),
            state: State::Idle,
            parked: VecDeque::new(),
        }
    }

    /// It is closed, and all that it accepted has become a session.
    pub fn is_done(&self) -> bool {
        self.listener.is_none() && self.parked.is_empty()
    }

    /// Connections that have no place are given up.
    pub fn take_parked(&mut self) -> VecDeque<E::Socket> {
        std::mem::take(&mut self.parked)
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
            if self.free_places(self.listeners[index].place) < MULTISHOT_PLACES_MIN {
                self.cancel_accept(index);
            }
        } else {
            self.accept(index);
        }
    }

    /// Starts a session, or keeps the connection until there is a place for one.
    fn admit(&mut self, index: usize, socket: E::Socket) {
        if self.aborting {
            self.engine.reset(socket);
            return;
        }
        let accepting = &self.listeners[index];
        let place = accepting.place;
        if accepting.parked.is_empty() && self.take_places(place) {
            self.begin(place, socket);
        } else {
            self.listeners[index].parked.push_back(socket);
            self.announce_paused();
        }
    }

    fn take_places(&self, place: Place) -> bool {
        if !self.shared.places.try_take() {
            return false;
        }
        let taken = self.plans.frontend(place).places.try_take();
        if !taken {
            self.shared.places.give_back();
        }
        taken
    }

    fn free_places(&self, place: Place) -> u32 {
        let frontend = self.plans.frontend(place);
        self.shared.places.free().min(frontend.places.free())
    }

    /// Accepts on a listener, if nothing speaks against it.
    fn accept(&mut self, index: usize) {
        let free = self.free_places(self.listeners[index].place);
        let accepting = &mut self.listeners[index];
        let (State::Idle, Some(listener)) = (accepting.state, &accepting.listener) else {
            return;
        };
        if self.stopping || self.short_until.is_some() {
            return;
        }
        if free == 0 || !accepting.parked.is_empty() {
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

    /// Whether a free place would let something go on at this listener.
    fn waits(&self, accepting: &Accepting<E>) -> bool {
        let could_accept = accepting.state == State::Idle
            && accepting.listener.is_some()
            && self.short_until.is_none()
            && !self.stopping;
        !accepting.parked.is_empty() || could_accept
    }

    /// Tells the other workers whether this one waits for places, and looks once more: one may
    /// have been given back in between.
    fn announce_paused(&mut self) {
        let since = |waits: bool| waits.then_some(self.now);
        let (mut any, mut place_free) = (false, false);
        for place in self.places_of_listeners() {
            let mut listeners = self.listeners.iter();
            let waits =
                listeners.any(|accepting| accepting.place == place && self.waits(accepting));
            let shared = self.plans.frontend(place);
            shared.paused.announce(self.index, since(waits));
            any |= waits;
            place_free |= waits && self.free_places(place) > 0;
        }
        self.shared.paused.announce(self.index, since(any));
        self.paused = any;
        self.resume_due |= place_free;
    }

    /// The frontends of all listeners, each once.
    fn places_of_listeners(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for accepting in &self.listeners {
            if !places.contains(&accepting.place) {
                places.push(accepting.place);
            }
        }
        places
    }

    /// Begins sessions of connections that had no place, then accepts wherever that is possible.
    pub(super) fn resume_accepting(&mut self) {
        for index in 0..self.listeners.len() {
            let place = self.listeners[index].place;
            while !self.listeners[index].parked.is_empty() && self.take_places(place) {
                if let Some(socket) = self.listeners[index].parked.pop_front() {
                    self.begin(place, socket);
                }
            }
            self.accept(index);
        }
        if self.paused {
            self.announce_paused();
        }
        self.pass_on_places();
    }

    /// Places that this worker was told of and did not need are for the next that waits.
    fn pass_on_places(&self) {
        for place in self.places_of_listeners() {
            if let Some(worker) = self.plans.frontend(place).paused.oldest()
                && worker != self.index
                && self.free_places(place) > 0
            {
                self.shared.wake(worker);
            }
        }
    }

    /// Something of ours ran out: no new connections are accepted for a moment.
    pub(super) fn note_shortage(&mut self, fault: Fault) {
        self.counters().shortages.add(1);
        self.warn(|| format!("new sessions have to wait: {}", reason(fault)));
        if fault == Fault::NoPorts {
            // Short for one server only: accepting goes on, its sessions wait by themselves.
            return;
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
        if self.paused {
            self.announce_paused();
        }
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
