//! The engine on readiness, edge-triggered: epoll(7).
//!
//! The kernel reports that a socket *became* ready, once. The engine remembers that for each socket until a
//! call shows that it is used up: a receive that returned less than was asked for, a send that took less
//! than it was given, or [`Fault::WouldBlock`]. An operation waits in the state of its socket. Once the
//! socket is ready for it, the socket enters a queue; the next turn tries the operation and returns its
//! completion. Each turn examines a socket once and makes at most one receive of it, so that a busy one does
//! not keep others waiting; it asks the kernel for new edges once. Only the end of a stream that is known to
//! follow is reported in the same turn, so that it goes on in one packet with the last bytes.
//!
//! A send is tried when it is queued.
//!
//! | File | Contents |
//! | --- | --- |
//! | `readiness.rs`, `key.rs`, `ready.rs` | what is needed of a kernel, and what it reports |
//! | `system.rs` | the system calls of Linux |
//! | `socket_state.rs`, `registered.rs` | what is kept for each socket, and where |
//! | `listeners.rs` | the same for listeners |
//! | `examine.rs`, `step.rs` | how the operations of a ready socket or listener are tried, one after another |
//! | `calls.rs` | calls that end at once |

mod calls;
mod examine;
mod key;
mod listeners;
mod readiness;
mod ready;
mod registered;
mod socket_state;
mod step;
mod system;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use slab::Slab;
use socket2::SockAddr;

use super::engine::Engine;
use super::fault::Fault;
use super::operation::{
    Cancelable, Done, Interest, Receive, SendBuffer, SendHint, SendResult, Token,
};
pub use key::Key;
use key::Named;
use listeners::{Accept, Listeners};
pub use readiness::{Edge, Readiness};
pub use ready::Ready;
pub use registered::Registered;
use socket_state::{Read, SocketState, Write};
use step::Step;
pub use system::System;

/// The engine of one worker thread.
pub struct Epoll<K: Readiness = System> {
    kernel: K,
    sockets: Slab<SocketState<K::Id>>,
    listeners: Listeners<K::Id>,
    /// That of the newest socket or listener.
    generation: u16,
    /// Sockets and listeners for which an operation waits that they may be ready for, in their order.
    due: VecDeque<Key>,
    /// How many of them this turn examines.
    due_now: usize,
    /// The one that is examined, and what comes next there.
    examined: Option<(Key, Step)>,
    /// Operations that have ended.
    ended: VecDeque<(Token, Done<Self>)>,
    /// How many of them this turn returns.
    ended_now: usize,
    /// Sends that were tried.
    sent: VecDeque<(Token, SendResult<Self>)>,
    /// How many of them this turn returns.
    sent_now: usize,
    /// A send did not take all its bytes, which ends the wait.
    sent_short: bool,
    /// Who is told when the waker is called.
    waker_watch: Option<Token>,
    /// It was called, and nobody was told.
    is_woken: bool,
    edges: Vec<Edge>,
}

impl<K: Readiness> fmt::Debug for Epoll<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("sockets", &self.sockets)
            .field("listeners", &self.listeners)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

/// What it is, for the log.
impl<K: Readiness> fmt::Display for Epoll<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("epoll (edge-triggered)")
    }
}

impl<K: Readiness> Epoll<K> {
    /// An engine on this kernel, whose waker reports edges with [`Key::WAKER`].
    pub fn new(kernel: K) -> Self {
        Epoll {
            kernel,
            sockets: Slab::new(),
            listeners: Listeners::new(),
            generation: 0,
            due: VecDeque::new(),
            due_now: 0,
            examined: None,
            ended: VecDeque::new(),
            ended_now: 0,
            sent: VecDeque::new(),
            sent_now: 0,
            sent_short: false,
            waker_watch: None,
            is_woken: false,
            edges: Vec::new(),
        }
    }

    /// The kernel, for tests with one of their own.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// The state of a registered socket.
    fn state(&mut self, socket: &Registered<K::Socket>) -> Option<&mut SocketState<K::Id>> {
        self.sockets.get_mut(socket.index()? as usize)
    }

    fn register(&mut self, socket: &Registered<K::Socket>) -> Result<(), Fault> {
        debug_assert!(socket.index().is_none(), "it is registered");
        self.generation = self.generation.wrapping_add(1);
        let id = self.kernel.socket_id(&socket.socket);
        let entry = self.sockets.vacant_entry();
        let index = entry.key() as u32;
        (self.kernel).register_socket(id, Key::socket(index, self.generation))?;
        entry.insert(SocketState::new(id, self.generation));
        socket.set_index(index);
        Ok(())
    }

    fn register_accepted(&mut self, socket: K::Socket) -> Result<Registered<K::Socket>, Fault> {
        let socket = Registered::new(socket);
        match self.register(&socket) {
            Ok(()) => Ok(socket),
            Err(fault) => {
                self.kernel.reset(socket.socket);
                Err(fault)
            }
        }
    }

    /// Ends the state of a socket that is about to be closed.
    fn forget(&mut self, socket: &Registered<K::Socket>) {
        if let Some(index) = socket.index() {
            let state = self.sockets.remove(index as usize);
            debug_assert!(state.is_idle(), "an operation waits: {state:?}");
        }
    }

    /// Lets an operation of a socket wait, until the next turn if the socket is ready for it.
    fn begin(
        &mut self,
        socket: &Registered<K::Socket>,
        operation: impl FnOnce(&mut SocketState<K::Id>),
    ) {
        let Some(index) = socket.index() else {
            return debug_assert!(false, "it was neither accepted nor connected");
        };
        let state = &mut self.sockets[index as usize];
        operation(state);
        if state.is_due() && !std::mem::replace(&mut state.is_queued, true) {
            self.due.push_back(Key::socket(index, state.generation));
        }
    }

    fn end(&mut self, token: Token, done: Done<Self>) {
        self.ended.push_back((token, done));
    }

    /// Notes what the kernel has reported.
    fn note(&mut self, edge: Edge) {
        match edge.key.named() {
            Named::Waker => {
                self.is_woken = true;
                self.tell_woken();
            }
            Named::Socket(index, generation) => {
                let state = self.sockets.get_mut(index as usize);
                let Some(state) = state.filter(|state| state.generation == generation) else {
                    return;
                };
                state.ready.insert(edge.ready);
                if state.is_due() && !std::mem::replace(&mut state.is_queued, true) {
                    self.due.push_back(edge.key);
                }
            }
            Named::Listener(index, generation) => {
                let state = self.listeners.get(index);
                let Some(state) = state.filter(|state| state.generation == generation) else {
                    return;
                };
                state.ready = true;
                if state.accept.is_some() && !std::mem::replace(&mut state.is_queued, true) {
                    self.due.push_back(edge.key);
                }
            }
        }
    }

    fn tell_woken(&mut self) {
        if self.is_woken
            && let Some(token) = self.waker_watch.take()
        {
            self.is_woken = false;
            self.kernel.clear_waker();
            self.end(token, Done::Woken);
        }
    }
}

impl<K: Readiness> Engine for Epoll<K> {
    fn now(&mut self) -> u64 {
        self.kernel.now()
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        debug_assert_eq!(
            (self.sent_now, self.due_now, self.ended_now),
            (0, 0, 0),
            "completions were not fetched"
        );
        let is_busy = self.sent_short || !self.ended.is_empty() || !self.due.is_empty();
        let timeout = if is_busy {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        let mut edges = std::mem::take(&mut self.edges);
        self.kernel.wait(timeout, &mut edges);
        for edge in edges.drain(..) {
            self.note(edge);
        }
        self.edges = edges;
        self.sent_short = false;
        self.sent_now = self.sent.len();
        self.due_now = self.due.len();
        self.ended_now = self.ended.len();
    }

    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)> {
        self.sent_now = self.sent_now.checked_sub(1)?;
        self.sent.pop_front()
    }

    fn next(&mut self) -> Option<(Token, Done<Self>)> {
        debug_assert_eq!(self.sent_now, 0, "sends come first");
        loop {
            if let Some(left) = self.ended_now.checked_sub(1) {
                self.ended_now = left;
                return self.ended.pop_front();
            }
            if let Some(done) = self.examine() {
                return Some(done);
            }
            if !self.examine_next() {
                return None;
            }
        }
    }

    fn accept(&mut self, listener: &Self::Listener, multi: bool, token: Token) {
        let id = self.kernel.listener_id(listener);
        let index = match self.listeners.index(id) {
            Some(index) => index,
            None => {
                self.generation = self.generation.wrapping_add(1);
                let index = self.listeners.insert(id, self.generation);
                let key = Key::listener(index, self.generation);
                if let Err(fault) = self.kernel.register_listener(id, key) {
                    self.listeners.remove(id);
                    let socket = Err(fault);
                    let more = false;
                    return self.end(token, Done::Accepted { socket, more });
                }
                index
            }
        };
        let Some(state) = self.listeners.get(index) else {
            return;
        };
        debug_assert!(state.accept.is_none(), "an accept is in flight");
        state.accept = Some(Accept { token, multi });
        if state.ready && !std::mem::replace(&mut state.is_queued, true) {
            self.due.push_back(Key::listener(index, state.generation));
        }
    }

    fn cancel_accept(&mut self, listener: &Self::Listener, accepting: Token) {
        let id = self.kernel.listener_id(listener);
        let Some(index) = self.listeners.index(id) else {
            return;
        };
        let Some(state) = self.listeners.get(index) else {
            return;
        };
        if (state.accept.take_if(|accept| accept.token == accepting)).is_some() {
            let socket = Err(Fault::Canceled);
            let more = false;
            self.end(accepting, Done::Accepted { socket, more });
        }
    }

    fn watch_waker(&mut self, token: Token) {
        self.waker_watch = Some(token);
        self.tell_woken();
    }

    fn connect(&mut self, socket: &Self::Socket, address: &SockAddr, token: Token) {
        // Registered behind the call: an unconnected socket would report an end.
        let begun = self.kernel.connect(&socket.socket, address);
        let registered = begun.and_then(|ended| self.register(socket).map(|()| ended));
        match registered {
            Ok(false) => self.begin(socket, |state| state.begin_write(token, Write::Connect)),
            Ok(true) => self.end(token, Done::Connected(Ok(()))),
            Err(fault) => self.end(token, Done::Connected(Err(fault))),
        }
    }

    /// Whether something can be read is known, so that `poll_first` says nothing new.
    fn receive(&mut self, socket: &Self::Socket, how: Receive, _poll_first: bool, token: Token) {
        self.begin(socket, |state| state.begin_read(token, Read::Receive(how)));
    }

    fn send(
        &mut self,
        socket: &Self::Socket,
        lent: SendBuffer<Self>,
        hint: SendHint,
        token: Token,
    ) {
        let SendBuffer { buffer, chunk } = lent;
        let len = (self.kernel).send(&socket.socket, &buffer, chunk, hint);
        let taken = match len {
            Ok(taken) => taken,
            Err(Fault::WouldBlock) => 0,
            // There may be room: the next poll for that ends at once.
            Err(_) => chunk.len,
        };
        self.sent_short |= len != Ok(chunk.len);
        if let Some(state) = self.state(socket) {
            state.sent(chunk.len, taken);
        }
        self.sent.push_back((token, SendResult { buffer, len }));
    }

    fn poll(&mut self, socket: &Self::Socket, interest: Interest, token: Token) {
        self.begin(socket, |state| match interest {
            Interest::Read => state.begin_read(token, Read::Poll),
            Interest::Write => state.begin_write(token, Write::Poll),
        });
    }

    fn watch(&mut self, socket: &Self::Socket, token: Token) {
        self.begin(socket, |state| state.begin_watch(token));
    }

    fn cancel(&mut self, socket: &Self::Socket, these: &[(Cancelable, Token)], token: Token) {
        debug_assert!(!these.is_empty(), "a cancellation of nothing never ends");
        for (kind, target) in these {
            let done = self
                .state(socket)
                .and_then(|state| cancel_one(state, *kind, *target));
            if let Some(done) = done {
                self.end(*target, done);
            }
        }
        self.end(token, Done::Canceled);
    }
}

/// Ends this operation of a socket, if it waits.
fn cancel_one<E: Engine, I>(
    state: &mut SocketState<I>,
    kind: Cancelable,
    target: Token,
) -> Option<Done<E>> {
    let fault = Fault::Canceled;
    match (kind, state.read(), state.write()) {
        (Cancelable::Receive, Some((token, Read::Receive(_))), _) if token == target => {
            state.end_read();
            let (bytes, more, armed) = (Err(fault), false, false);
            Some(Done::Received { bytes, more, armed })
        }
        (Cancelable::Poll, Some((token, Read::Poll)), _) if token == target => {
            state.end_read();
            Some(Done::Polled(Err(fault)))
        }
        (Cancelable::Poll, _, Some((token, Write::Poll))) if token == target => {
            state.end_write();
            Some(Done::Polled(Err(fault)))
        }
        (Cancelable::Connect, _, Some((token, Write::Connect))) if token == target => {
            state.end_write();
            Some(Done::Connected(Err(fault)))
        }
        (Cancelable::Watch, _, _) if state.watch() == Some(target) => {
            state.end_watch();
            Some(Done::Unwatched)
        }
        _ => None,
    }
}
