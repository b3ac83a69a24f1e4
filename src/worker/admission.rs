//! Accepted connections become sessions, at once or when slots are free; listeners accept, pause
//! and close.

use super::Worker;
use super::accepted::{Admission, Queued};
use super::acceptor::Acceptor;
use super::command::Release;
use super::context::Context;
use super::paused::Limit;
use super::unadmitted::AcceptResult;
use crate::io::{Engine, Fault};

/// Listeners that are resumed for one notice, before the worker does something else.
const RESUMED_PER_NOTICE: usize = 64;

impl<E: Engine> Worker<E> {
    /// The acceptor, and what its methods need.
    pub(super) fn acceptor(&mut self) -> (&mut Acceptor<E>, Context<'_, E>) {
        let context = Context {
            engine: &mut self.engine,
            configs: &mut self.configs,
            notices: &mut self.notices,
            stop: self.stop,
            now: self.now,
        };
        (&mut self.acceptor, context)
    }

    /// Handles what this turn has to of the connections that were accepted.
    pub(super) fn admit_some(&mut self) {
        self.unadmitted.begin_turn();
        while let Some(result) = self.unadmitted.take_due() {
            self.accepted(result);
        }
    }

    /// A connection was accepted, or accepting ended.
    fn accepted(&mut self, result: AcceptResult<E::Socket>) {
        let AcceptResult {
            listener: index,
            socket,
            more,
        } = result;
        if !more {
            self.acceptor.accept_ended(index);
        }
        match socket {
            Ok(socket) => self.admit(index, socket),
            Err(Fault::Canceled | Fault::WouldBlock) => {}
            // The client left before it was accepted.
            Err(Fault::Reset) => {}
            Err(fault) => self.note_shortage(fault),
        }
        let is_to_close = self.acceptor.is_to_close(index, self.stop);
        let (acceptor, mut context) = self.acceptor();
        if is_to_close {
            self.close_listener(index);
        } else if more {
            acceptor.limit_multishot(index, context.engine);
        } else {
            acceptor.accept(index, &mut context);
        }
    }

    /// Begins a session, or what else was decided on a connection of this listener.
    fn admit(&mut self, index: usize, socket: E::Socket) {
        let (_, route) = self.acceptor.listener(index);
        let is_unix = self.acceptor.is_unix(index);
        let Some(accepted) = self.admit_peer(route, socket, is_unix) else {
            return self.unadmitted.note_refused();
        };
        match self.acceptor.admit(index, self.stop) {
            Admission::Begin(route) => self.begin_or_hand_over(route, accepted),
            Admission::Park => {
                let (acceptor, mut context) = self.acceptor();
                acceptor.park(index, accepted, &mut context);
            }
            Admission::Reject => self.acceptor.reject(accepted, &mut self.engine),
        }
    }

    /// The kernel is short of something: counts that and, unless it concerns only a server, pauses
    /// accepting.
    pub(super) fn note_shortage(&mut self, fault: Fault) {
        self.counters().shortages.add(1);
        let text = || format!("new sessions have to wait: {}", reason(fault));
        self.reporting.warn_of_shortage(self.now, text);
        // Ports are short for one server only: its sessions wait, others begin.
        if fault != Fault::NoPorts {
            let (acceptor, mut context) = self.acceptor();
            acceptor.begin_shortage(&mut context);
        }
    }

    /// Accepts again once the pause for a shortage is over.
    pub(super) fn end_shortage(&mut self) {
        if self.acceptor.shortage_ends(self.now) {
            self.resume_accepting();
        }
    }

    /// Begins sessions of parked connections, then accepts wherever that is possible.
    pub(super) fn resume_accepting(&mut self) {
        for index in self.acceptor.indices() {
            self.resume(index);
        }
    }

    /// The same at one listener. If it has to wait again, it is the last in its queue.
    fn resume(&mut self, index: usize) {
        self.acceptor.paused().end(index);
        while let Some((route, accepted)) = self.acceptor.next_parked(index) {
            self.begin_or_hand_over(route, accepted);
        }
        if self.acceptor.is_to_close(index, self.stop) {
            // A shortage has kept it open.
            return self.close_listener(index);
        }
        let (acceptor, mut context) = self.acceptor();
        acceptor.accept(index, &mut context);
        acceptor.forget_if_done(index, context.configs);
    }

    /// A slot of this limit may be free: resumes listeners that wait for it, as long as one is.
    pub(super) fn resume_paused(&mut self, limit: &Limit) {
        for _ in 0..RESUMED_PER_NOTICE {
            match self.acceptor.paused().next(limit) {
                // If the other limit is reached, it waits for that one from now on.
                Some(index) => self.resume(index),
                None => break,
            }
        }
        let (acceptor, context) = self.acceptor();
        acceptor.paused().pass_on(limit, context.notices);
        acceptor.paused().pass_on(&Limit::Process, context.notices);
    }

    /// Closes a listener once its accept has ended; begins sessions of connections in its queue.
    pub(super) fn leave_listener(&mut self, index: usize) {
        self.acceptor.cancel(index, &mut self.engine);
        self.close_listener(index);
    }

    /// Closes listeners without taking the connections of their queues.
    pub(super) fn release_listeners(&mut self, release: &Release) {
        for index in self.acceptor.indices() {
            let (id, _) = self.acceptor.listener(index);
            if release.listeners.contains(&id) {
                let closed = release.closed.clone();
                self.acceptor.mark_leaving(index, Some(closed));
                self.leave_listener(index);
            }
        }
    }

    /// Begins all accepts anew. The kernel wakes one accept for each connection, and if that is one
    /// of another process that is being cancelled, the connection stays in the kernel's queue until the next one
    /// comes.
    pub(super) fn accept_anew(&mut self) {
        self.acceptor.cancel_all(&mut self.engine);
    }

    /// Closes all listeners, after their connections have become sessions.
    pub(super) fn stop_accepting(&mut self) {
        for index in self.acceptor.indices() {
            self.leave_listener(index);
        }
    }

    /// Resets connections that are not sessions yet.
    pub(super) fn reset_parked(&mut self) {
        for index in self.acceptor.indices() {
            let (acceptor, mut context) = self.acceptor();
            acceptor.reset_parked(index, &mut context);
        }
    }

    /// Closes a listener, unless its accept is still in flight or a shortage prevents to take the
    /// connections of its queue.
    pub(super) fn close_listener(&mut self, index: usize) {
        loop {
            let (acceptor, mut context) = self.acceptor();
            match acceptor.take_queued(index, &mut context) {
                Queued::Connection(socket) => self.admit(index, socket),
                Queued::Nothing => return acceptor.close(index, &mut context),
                Queued::NotNow => return,
                Queued::Shortage(fault) => return self.note_shortage(fault),
            }
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
        | Fault::Closed
        | Fault::Canceled
        | Fault::WouldBlock
        | Fault::Other(_) => return format!("accepting failed: {fault:?}"),
    };
    known.to_string()
}
