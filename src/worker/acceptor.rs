//! The acceptor: a worker's listeners, whether they accept, and what becomes of the connections.
//!
//! Accepting is multishot while many slots are free, one connection at a time when few are, and
//! paused when none is (`paused`). It also pauses for 100 ms when the kernel is short of
//! descriptors or memory. `admission` begins the sessions.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::accepted::{Accepted, Admission, Queued};
use super::command::Listening;
use super::config_generations::{ConfigGenerations, Route};
use super::context::{Context, StopState};
use super::listener::Listener;
use super::notices::Notices;
use super::paused::{Limit, PausedListeners, notify_next};
use crate::io::Engine;
use crate::logic::time::Instant;
use crate::shared::Shared;
use crate::snapshot::FrontendShared;
use crate::sync::ClientPlace;

/// How long accepting pauses when descriptors or memory are short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// With fewer free slots than this, connections are accepted one at a time: a multishot accept
/// takes every connection of the kernel's queue before it can be cancelled.
const MULTISHOT_SLOTS_MIN: u32 = 1024;

/// The listeners of one worker.
pub struct Acceptor<E: Engine> {
    shared: Arc<Shared>,
    listeners: Slab<Listener<E>>,
    paused: PausedListeners,
    /// No accepts until then: descriptors or memory are short.
    shortage_until: Option<Instant>,
}

impl<E: Engine> Acceptor<E> {
    /// No listeners yet, of the worker of this index.
    pub fn new(worker: usize, shared: &Arc<Shared>) -> Self {
        Acceptor {
            shared: Arc::clone(shared),
            listeners: Slab::new(),
            paused: PausedListeners::new(worker, Arc::clone(shared)),
            shortage_until: None,
        }
    }

    /// What all workers share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Indices of all listeners.
    pub fn indices(&self) -> Vec<usize> {
        self.listeners.iter().map(|(index, _)| index).collect()
    }

    /// All listeners are closed, and all their connections have become sessions.
    pub fn is_done(&self) -> bool {
        let mut listeners = self.listeners.iter();
        listeners.all(|(_, listener)| listener.is_done())
    }

    /// Id and route of a listener.
    pub fn listener(&self, index: usize) -> (u64, Route) {
        let listener = &self.listeners[index];
        (listener.id, listener.route)
    }

    /// Whether a listener is a Unix socket.
    pub fn is_unix(&self, index: usize) -> bool {
        self.listeners[index].is_unix
    }

    /// Adds an open listener of the newest configuration; [`Acceptor::accept`] begins to accept.
    pub fn add(&mut self, listening: Listening<E::Listener>, configs: &mut ConfigGenerations) {
        let Some(handle) = listening.opened else {
            debug_assert!(false, "a listener that is not open");
            return;
        };
        let config = configs.newest();
        let route = configs.route(config, listening.frontend);
        configs.acquire(config);
        let frontend = Arc::clone(configs.frontend(route));
        let kind = (listening.id, listening.is_unix);
        let listener = Listener::new(kind, route, frontend, handle);
        self.listeners.insert(listener);
    }

    /// Gives the clients of a listener another route. It must not be paused.
    pub fn reroute(&mut self, index: usize, route: Route, configs: &mut ConfigGenerations) {
        debug_assert!(!self.paused.contains(index), "it waits for the old limit");
        configs.acquire(route.config);
        let listener = &mut self.listeners[index];
        listener.frontend = Arc::clone(configs.frontend(route));
        let old = std::mem::replace(&mut listener.route, route);
        configs.release(old.config);
    }

    /// Notes that a listener is to be closed. `released`: without what is in its queue, and dropped
    /// then.
    pub fn mark_leaving(&mut self, index: usize, released: Option<Arc<dyn Any + Send + Sync>>) {
        let listener = &mut self.listeners[index];
        listener.leaving = true;
        listener.released = released.or(listener.released.take());
    }

    /// An accept has ended.
    pub fn accept_ended(&mut self, index: usize) {
        self.listeners[index].accept_ended();
    }

    /// Decides on a connection of this listener. For [`Admission::Begin`] it takes the slots.
    pub fn admit(&self, index: usize, stop: StopState) -> Admission {
        let listener = &self.listeners[index];
        if stop.is_aborting() {
            Admission::Reject
        } else if listener.parked.is_empty() && self.acquire_slots(&listener.frontend) {
            Admission::Begin(listener.route)
        } else {
            Admission::Park
        }
    }

    /// Keeps a connection until slots are free.
    pub fn park(&mut self, index: usize, accepted: Accepted<E>, context: &mut Context<E>) {
        self.listeners[index].parked.push_back(accepted);
        self.update_pause(index, context);
    }

    /// The oldest parked connection of a listener, if slots are free, which are taken for it.
    pub fn next_parked(&mut self, index: usize) -> Option<(Route, Accepted<E>)> {
        let listener = &self.listeners[index];
        if listener.parked.is_empty() || !self.acquire_slots(&listener.frontend) {
            return None;
        }
        let listener = &mut self.listeners[index];
        Some((listener.route, listener.parked.pop_front()?))
    }

    /// Resets all parked connections of a listener.
    pub fn reset_parked(&mut self, index: usize, context: &mut Context<E>) {
        for accepted in std::mem::take(&mut self.listeners[index].parked) {
            self.reject(accepted, context.engine);
        }
        self.update_pause(index, context);
    }

    /// Resets a connection that does not become a session.
    pub fn reject(&self, accepted: Accepted<E>, engine: &mut E) {
        engine.reset(accepted.socket);
        self.release_client(accepted.client_place);
    }

    /// Gives back a place among the open sessions of a client.
    pub fn release_client(&self, place: Option<ClientPlace>) {
        if let Some(place) = place {
            self.shared.clients.release(place);
        }
    }

    /// Takes a slot of the frontend's limit and one of the process's, or none.
    fn acquire_slots(&self, frontend: &FrontendShared) -> bool {
        if !self.shared.session_limit.try_acquire() {
            return false;
        }
        let taken = frontend.session_limit.try_acquire();
        if !taken {
            self.shared.session_limit.release();
        }
        taken
    }

    /// Gives back the slots of an ended session, and notifies a worker that waits for them.
    pub fn release_slots(&self, frontend: &Arc<FrontendShared>, notices: &mut Notices) {
        frontend.session_limit.release();
        self.shared.session_limit.release();
        // Usually none waits, and another reference to the frontend would be a write to what all workers share.
        let is_passed_on = frontend.paused.any() && {
            let limit = Limit::Frontend(Arc::clone(frontend));
            notify_next(&limit, &self.shared, notices)
        };
        if !is_passed_on {
            notify_next(&Limit::Process, &self.shared, notices);
        }
    }

    fn slots_free(&self, listener: &Listener<E>) -> u32 {
        let frontend = listener.frontend.session_limit.free();
        self.shared.session_limit.free().min(frontend)
    }

    /// Begins an accept, if there is none and a slot is free; pauses the listener if only a slot is
    /// missing.
    pub fn accept(&mut self, index: usize, context: &mut Context<E>) {
        let listener = &self.listeners[index];
        let free = self.slots_free(listener);
        if self.may_accept(listener, context.stop) && free > 0 && listener.parked.is_empty() {
            let multishot = free >= MULTISHOT_SLOTS_MIN;
            self.listeners[index].accept(index, multishot, context.engine);
        }
        self.update_pause(index, context);
    }

    /// After a connection of a multishot accept: cancels it if few slots are left.
    pub fn limit_multishot(&mut self, index: usize, engine: &mut E) {
        if self.slots_free(&self.listeners[index]) < MULTISHOT_SLOTS_MIN {
            self.cancel(index, engine);
        }
    }

    /// Cancels the accept of a listener, if one is in flight.
    pub fn cancel(&mut self, index: usize, engine: &mut E) {
        self.listeners[index].cancel(index, engine);
    }

    /// Cancels all accepts. They begin again when they have ended, if that is possible then.
    pub fn cancel_all(&mut self, engine: &mut E) {
        for index in self.indices() {
            self.cancel(index, engine);
        }
    }

    /// Pauses all accepts for [`SHORTAGE_PAUSE`]: descriptors or memory are short.
    pub fn begin_shortage(&mut self, context: &mut Context<E>) {
        let until = context.now + SHORTAGE_PAUSE;
        if self.shortage_until.replace(until).is_none() {
            self.cancel_all(context.engine);
        }
    }

    /// Whether a pause for a shortage ends now; then it is over.
    pub fn shortage_ends(&mut self, now: Instant) -> bool {
        let ended = self.shortage_until.take_if(|until| *until <= now);
        ended.is_some()
    }

    /// When the pause for a shortage ends, if there is one.
    pub fn shortage_until(&self) -> Option<Instant> {
        self.shortage_until
    }

    /// Whether the worker would begin an accept if a slot is free.
    fn may_accept(&self, listener: &Listener<E>, stop: StopState) -> bool {
        listener.is_idle()
            && listener.is_open()
            && !listener.leaving
            && self.shortage_until.is_none()
            && !stop.is_stopping()
    }

    /// Pauses a listener if a free slot would change something there, and ends its pause if not.
    fn update_pause(&mut self, index: usize, context: &mut Context<E>) {
        let listener = &self.listeners[index];
        let waits = !listener.parked.is_empty() || self.may_accept(listener, context.stop);
        match (waits, self.paused.contains(index)) {
            (true, false) => {
                let limit = match self.shared.session_limit.free() {
                    0 => Limit::Process,
                    _ => Limit::Frontend(Arc::clone(&listener.frontend)),
                };
                (self.paused).pause(index, limit, context.now, context.notices);
            }
            (false, true) => self.paused.end(index),
            (true, true) | (false, false) => {}
        }
    }

    /// Paused listeners; they are resumed by `admission`.
    pub fn paused(&mut self) -> &mut PausedListeners {
        &mut self.paused
    }

    /// Ends all pauses. [`Acceptor::accept`] of every listener has to follow.
    pub fn end_pauses(&mut self) {
        for index in self.indices() {
            self.paused.end(index);
        }
    }

    /// Whether a listener is open and is to be closed as soon as that is possible.
    pub fn is_to_close(&self, index: usize, stop: StopState) -> bool {
        let listener = &self.listeners[index];
        (stop.is_stopping() || listener.leaving) && listener.is_open()
    }

    /// The next connection in the kernel's queue of a listener that is to be closed.
    pub fn take_queued(&mut self, index: usize, context: &mut Context<E>) -> Queued<E::Socket> {
        let listener = &self.listeners[index];
        let is_aborting = context.stop.is_aborting();
        let is_short = self.shortage_until.is_some() && !is_aborting;
        if !listener.is_open() || !listener.is_idle() || is_short {
            return Queued::NotNow;
        }
        match listener.take_queued(context.engine) {
            Ok(Some(socket)) => Queued::Connection(socket),
            Ok(None) => Queued::Nothing,
            // Its connections would be reset anyway.
            Err(_) if is_aborting => Queued::Nothing,
            Err(fault) => Queued::Shortage(fault),
        }
    }

    /// Closes a listener that has no accept in flight.
    pub fn close(&mut self, index: usize, context: &mut Context<E>) {
        self.listeners[index].close(context.engine);
        self.update_pause(index, context);
        self.forget_if_done(index, context.configs);
    }

    /// Drops a leaving listener that is closed, once all its connections have become sessions.
    pub fn forget_if_done(&mut self, index: usize, configs: &mut ConfigGenerations) {
        let listener = &self.listeners[index];
        if listener.leaving && listener.is_done() {
            let route = listener.route;
            self.paused.end(index);
            self.listeners.remove(index);
            configs.release(route.config);
        }
    }
}
