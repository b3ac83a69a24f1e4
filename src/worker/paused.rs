//! Listeners that wait for a place for a session, of their frontend or of the process.
//!
//! A listener is in the queue for that which it lacks. A place that is given back wakes one worker,
//! which goes on at the listeners that wait for that one, as long as there is a route, and tells
//! the next of what it does not need. Nothing here is done for listeners that wait for something
//! else.

use std::sync::Arc;

use super::Worker;
use crate::io::Engine;
use crate::shared::Freed;
use crate::snapshot::FrontendShared;

/// Listeners at which accepting is resumed before something else has its turn.
const RESUMED_AT_ONCE: usize = 64;

/// Which bound a listener waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// That of the process.
    Process,
    /// That of a frontend, by [`FrontendShared::id`].
    Frontend(u64),
}

impl<E: Engine> Worker<E> {
    /// Puts a listener into a queue if a free place would let something go on there, and takes it
    /// out if not.
    pub(super) fn update_pause(&mut self, index: usize) {
        let accepting = &self.listeners[index];
        let waits = !accepting.parked.is_empty() || self.may_accept(accepting);
        match (waits, accepting.paused) {
            (true, None) => self.pause(index),
            (false, Some(_)) => self.end_pause(index),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Puts a listener into the queue for that which it lacks.
    fn pause(&mut self, index: usize) {
        let frontend = self.configs.frontend(self.listeners[index].route);
        let limit = match self.shared.session_limit.free() {
            0 => Limit::Process,
            _ => Limit::Frontend(frontend.id),
        };
        self.paused.push(limit, (), index as u32);
        self.listeners[index].paused = Some((limit, self.now));
        self.announce_paused(limit, index);
        // A place may have been given back in between.
        let frontend = self.configs.frontend(self.listeners[index].route);
        match limit {
            Limit::Process => self.pass_on_slot(),
            Limit::Frontend(_) => {
                let frontend = Arc::clone(frontend);
                self.pass_on_frontend_slot(&frontend);
            }
        }
    }

    pub(super) fn end_pause(&mut self, index: usize) {
        if let Some((limit, _)) = self.listeners[index].paused.take() {
            self.paused.remove(limit, (), index as u32);
            self.announce_paused(limit, index);
        }
    }

    /// Tells the other workers since when a listener waits here for this. `index` is one that does
    /// or did.
    fn announce_paused(&self, limit: Limit, index: usize) {
        let first = self.paused.first(limit, ());
        let first = first.and_then(|index| self.listeners[index as usize].paused);
        let since = first.map(|(_, since)| since);
        let waiters = match limit {
            Limit::Process => &self.shared.paused,
            Limit::Frontend(_) => &self.configs.frontend(self.listeners[index].route).paused,
        };
        waiters.publish(self.index, since);
    }

    /// Begins sessions of connections that had no route, then accepts wherever that is possible.
    pub(super) fn resume_accepting(&mut self) {
        for index in self.listener_indices() {
            self.resume(index);
        }
    }

    /// The same at one listener, which waits behind others then if it has to wait again.
    fn resume(&mut self, index: usize) {
        self.end_pause(index);
        let route = self.listeners[index].route;
        while !self.listeners[index].parked.is_empty() && self.acquire_slots(route) {
            if let Some(socket) = self.listeners[index].parked.pop_front() {
                self.begin(route, socket);
            }
        }
        let accepting = &self.listeners[index];
        if (self.stop.is_stopping() || accepting.leaving) && accepting.is_open() {
            // A shortage has kept it open.
            self.close_listener_if_idle(index);
        } else {
            self.accept(index);
            self.forget_if_done(index);
        }
    }

    /// A frontend may have a free route: goes on at its listeners that wait for that, as long as
    /// there is one.
    pub(super) fn resume_frontend(&mut self, frontend: &Arc<FrontendShared>) {
        for _ in 0..RESUMED_AT_ONCE {
            let first = self.paused.first(Limit::Frontend(frontend.id), ());
            match first.filter(|_| frontend.session_limit.free() > 0) {
                // If the process is full, it waits for that from then on.
                Some(index) => self.resume(index as usize),
                None => break,
            }
        }
        self.pass_on_frontend_slot(frontend);
        self.pass_on_slot();
    }

    /// The process may have a free route: the same for listeners that wait for that.
    pub(super) fn resume_any(&mut self) {
        for _ in 0..RESUMED_AT_ONCE {
            let first = self.paused.first(Limit::Process, ());
            match first.filter(|_| self.shared.session_limit.free() > 0) {
                // If its frontend is full, it waits for that from then on.
                Some(index) => self.resume(index as usize),
                None => break,
            }
        }
        self.pass_on_slot();
    }

    /// Tells of a place of a frontend, if one is free, whoever has waited longest for it.
    fn pass_on_frontend_slot(&mut self, frontend: &Arc<FrontendShared>) {
        if frontend.session_limit.free() > 0
            && let Some(worker) = frontend.paused.longest_waiting()
        {
            self.tell(worker, Freed::Frontend(Arc::clone(frontend)));
        }
    }

    /// The same with a place of the process.
    fn pass_on_slot(&mut self) {
        if self.shared.session_limit.free() > 0
            && let Some(worker) = self.shared.paused.longest_waiting()
        {
            self.tell(worker, Freed::Process);
        }
    }

    /// Takes all listeners out of the queues. Whoever calls this sees to it that accepting is
    /// resumed.
    pub(super) fn withdraw_paused(&mut self) {
        for index in self.listener_indices() {
            self.end_pause(index);
        }
    }
}
