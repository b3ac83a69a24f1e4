//! Accepting: multishot while places are plenty, one at a time when they run short, not at all
//! when there are none; a pause when descriptors or memory are short.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::command::Listening;
use super::config_generations::Route;
use super::paused::Limit;
use super::token::Owner;
use super::{Release, Worker};
use crate::io::{Engine, Fault};
use crate::logic::time::Instant;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Free places below which connections are accepted one at a time: a multishot accept takes all
/// that wait before it can be stopped.
const MULTISHOT_SLOTS_MIN: u32 = 1024;

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
    /// As the control plane calls it.
    pub id: u64,
    /// Whose clients come here.
    pub route: Route,
    /// `None` once it is closed.
    listener: Option<E::Listener>,
    /// The configuration no longer has it: it is closed as soon as that is possible.
    pub leaving: bool,
    /// Another process has it too, and what waits there is left to it; dropped with the listener.
    released: Option<Arc<dyn Any + Send + Sync>>,
    state: State,
    /// Accepted connections for which there was no route, longest first.
    pub parked: VecDeque<E::Socket>,
    /// It is in the queue for this, since then.
    pub paused: Option<(Limit, Instant)>,
}

impl<E: Engine> Accepting<E> {
    pub fn new(id: u64, route: Route, listener: E::Listener) -> Self {
        Accepting {
            id,
            route,
            leaving: false,
            released: None,
            listener: Some(listener),
            state: State::Idle,
            parked: VecDeque::new(),
            paused: None,
        }
    }

    /// It is not closed yet.
    pub fn is_open(&self) -> bool {
        self.listener.is_some()
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
        if self.stop.is_stopping() || self.listeners[index].leaving {
            self.close_listener_if_idle(index);
        } else if more {
            if self.slots_free(self.listeners[index].route) < MULTISHOT_SLOTS_MIN {
                self.cancel_accept(index);
            }
        } else {
            self.accept(index);
        }
    }

    /// Starts a session, or keeps the connection until there is a place for one.
    fn admit(&mut self, index: usize, socket: E::Socket) {
        if self.stop.is_aborting() {
            self.engine.reset(socket);
            return;
        }
        let accepting = &self.listeners[index];
        let route = accepting.route;
        if accepting.parked.is_empty() && self.acquire_slots(route) {
            self.begin(route, socket);
        } else {
            self.listeners[index].parked.push_back(socket);
            self.update_pause(index);
        }
    }

    pub(super) fn acquire_slots(&self, route: Route) -> bool {
        if !self.shared.session_limit.try_acquire() {
            return false;
        }
        let taken = self.configs.frontend(route).session_limit.try_acquire();
        if !taken {
            self.shared.session_limit.release();
        }
        taken
    }

    fn slots_free(&self, route: Route) -> u32 {
        let frontend = self.configs.frontend(route);
        self.shared
            .session_limit
            .free()
            .min(frontend.session_limit.free())
    }

    /// Accepts on a listener, if nothing speaks against it.
    pub(super) fn accept(&mut self, index: usize) {
        let accepting = &self.listeners[index];
        let free = self.slots_free(accepting.route);
        if self.may_accept(accepting) && free > 0 && accepting.parked.is_empty() {
            let many = free >= MULTISHOT_SLOTS_MIN;
            let accepting = &mut self.listeners[index];
            accepting.state = if many { State::Many } else { State::One };
            if let Some(listener) = &accepting.listener {
                let token = Owner::Listener(index).token();
                self.engine.accept(listener, many, token);
            }
        }
        self.update_pause(index);
    }

    /// Whether only a place may be missing for an accept.
    pub(super) fn may_accept(&self, accepting: &Accepting<E>) -> bool {
        accepting.state == State::Idle
            && accepting.listener.is_some()
            && !accepting.leaving
            && self.short_until.is_none()
            && !self.stop.is_stopping()
    }

    fn cancel_accept(&mut self, index: usize) {
        let accepting = &mut self.listeners[index];
        if matches!(accepting.state, State::One | State::Many) {
            accepting.state = State::Canceling;
            self.engine.cancel_accept(Owner::Listener(index).token());
        }
    }

    /// Something of ours ran out: no new connections are accepted for a moment.
    pub(super) fn note_shortage(&mut self, fault: Fault) {
        self.counters().shortages.add(1);
        self.reporting.warn_of_shortage(self.now, || {
            format!("new sessions have to wait: {}", reason(fault))
        });
        if fault == Fault::NoPorts {
            // Short for one server only: accepting goes on, its sessions wait by themselves.
            return;
        }
        let before = self.short_until.replace(self.now + SHORTAGE_PAUSE);
        if before.is_some() {
            // All are being cancelled already.
            return;
        }
        for index in self.listener_indices() {
            self.cancel_accept(index);
        }
    }

    pub(super) fn listener_indices(&self) -> Vec<usize> {
        self.listeners.iter().map(|(index, _)| index).collect()
    }

    /// Takes an open listener, and whoever comes there from the next turn on.
    pub(super) fn add_listener(&mut self, listening: Listening<E::Listener>) {
        let Some(listener) = listening.opened else {
            debug_assert!(false, "a listener that should be here is not");
            return;
        };
        let config = self.configs.newest();
        let frontend = listening.frontend;
        let route = self.configs.route(config, frontend);
        self.configs.acquire(config);
        self.listeners
            .insert(Accepting::new(listening.id, route, listener));
    }

    /// Gives the clients of a listener to another route.
    pub(super) fn move_listener(&mut self, index: usize, route: Route) {
        self.configs.acquire(route.config);
        let old = std::mem::replace(&mut self.listeners[index].route, route);
        self.configs.release(old.config);
    }

    /// Takes what waits in the queue of a listener, and closes it.
    pub(super) fn leave_listener(&mut self, index: usize) {
        self.listeners[index].leaving = true;
        self.cancel_accept(index);
        self.close_listener_if_idle(index);
    }

    /// Closes listeners without taking what waits in their queues.
    pub(super) fn release_listeners(&mut self, release: &Release) {
        for index in self.listener_indices() {
            if release.listeners.contains(&self.listeners[index].id) {
                self.listeners[index].released = Some(Arc::clone(&release.closed));
                self.leave_listener(index);
            }
        }
    }

    /// Looks at all queues once more. The kernel wakes one accept for each connection, and if that is one
    /// that is being cancelled, nobody takes the connection before the next comes.
    pub(super) fn accept_anew(&mut self) {
        for index in self.listener_indices() {
            // It is accepted on again when that is done.
            self.cancel_accept(index);
        }
    }

    /// Drops a listener that is closed, once all who came there are sessions.
    pub(super) fn forget_if_done(&mut self, index: usize) {
        let accepting = &self.listeners[index];
        if accepting.leaving && accepting.is_done() {
            let route = accepting.route;
            self.end_pause(index);
            self.listeners.remove(index);
            self.configs.release(route.config);
        }
    }

    /// Stops accepting: what waits in a listener's queue is still taken, then it is closed.
    pub(super) fn stop_accepting(&mut self) {
        for index in self.listener_indices() {
            self.cancel_accept(index);
            self.close_listener_if_idle(index);
        }
    }

    pub(super) fn close_listener_if_idle(&mut self, index: usize) {
        if self.listeners[index].state != State::Idle {
            return;
        }
        if self.short_until.is_some() && !self.stop.is_aborting() {
            // What waits in its queue can't be taken before.
            return;
        }
        let Some(listener) = self.listeners[index].listener.take() else {
            return;
        };
        // What waits there is taken, unless another process has this listener too.
        while self.listeners[index].released.is_none() {
            match self.engine.accept_now(&listener) {
                Ok(socket) => self.admit(index, socket),
                Err(Fault::WouldBlock) => break,
                // The client left before it was accepted.
                Err(Fault::Reset) => {}
                // Nobody is waited for any more.
                Err(_) if self.stop.is_aborting() => break,
                Err(fault) => {
                    // Those who wait are taken after the pause.
                    self.listeners[index].listener = Some(listener);
                    return self.note_shortage(fault);
                }
            }
        }
        self.engine.close_listener(listener);
        drop(self.listeners[index].released.take());
        self.update_pause(index);
        self.forget_if_done(index);
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
        | Fault::Closed
        | Fault::Canceled
        | Fault::WouldBlock
        | Fault::Other(_) => return format!("accepting failed: {fault:?}"),
    };
    known.to_string()
}
