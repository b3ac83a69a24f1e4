//! From an action to an operation, and the round trip of an event through a session.

use super::Worker;
use super::config_generations::{ConfigGenerations, Route};
use super::connecting::Attempt;
use super::http::Http;
use super::slot::{Chunks, ReceiveWait, Slot};
use super::token::{Key, Owner};
use crate::io::{self, BUFFER_BYTES, Cancelable, Engine, Interest, Receive};
use crate::logic::session::{
    Action, Actions, CloseMode, Event, Fault, PIPE_BYTES_MAX, Policy, Reply, Session, Side,
    SpliceResult, Use,
};
use slab::Slab;

impl<E: Engine> Worker<E> {
    /// Puts an accepted connection, whose places were taken, into the table and sets it going.
    pub(super) fn begin(&mut self, route: Route, socket: E::Socket) {
        let config = &self.configs[route.config];
        let client = if config.wants_client[usize::from(route.frontend)] {
            self.engine.peer(&socket)
        } else {
            None
        };
        self.generation = self.generation.wrapping_add(1);
        let policy = &self.configs[route.config].policies[usize::from(route.frontend)];
        let slot = self.sessions.insert(Slot {
            session: Session::new(self.now, policy),
            generation: self.generation,
            route,
            server: None,
            has_server_slot: false,
            pinned_server: None,
            receive_waits: [ReceiveWait::Nothing; 2],
            stalled: [false; 2],
            sockets: [Some(socket), None],
            chunks: [Chunks::default(), Chunks::default()],
            pipes: [None, None],
            tried: Vec::new(),
            tried_before: 0,
            attempt: Attempt::default(),
            counted_for: None,
            short: false,
            client,
            counted: [0; 2],
            http: Http::of(policy.protocol),
        });
        self.configs.acquire(route.config);
        let frontend = self.configs.frontend(route);
        self.reporting.accounting.session_began(frontend);
        self.drive(slot, Event::Accepted);
    }

    /// Tells a session what happened, carries out its actions, and tells it of their results until
    /// it waits for something.
    pub(super) fn drive(&mut self, slot: usize, event: Event) {
        let mut actions = Actions::new();
        let (session, policy) = session_and_policy(&mut self.sessions, &self.configs, slot);
        session.handle(self.now, event, policy, &mut actions);
        loop {
            let mut reply = None;
            for action in actions.as_slice() {
                if let Action::Free(mode) = *action {
                    return self.free(slot, mode);
                }
                // Only the last action has a result, unless a send is refused.
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

    /// Sees to it that the session is looked at no later than its deadline.
    pub(super) fn set_timer(&mut self, slot: usize) {
        let entry = &self.sessions[slot];
        let Route {
            config, frontend, ..
        } = entry.route;
        let policy = &self.configs[config].policies[usize::from(frontend)];
        if let Some(deadline) = entry.session.deadline(policy) {
            let key = slot as u32;
            if self.timers.deadline(key).is_none_or(|set| deadline < set) {
                self.timers.schedule(key, deadline);
            }
        }
    }

    /// Carries out an action. Returns its result, if it is to be told at once.
    fn carry_out(&mut self, slot: usize, action: Action) -> Option<Reply> {
        match action {
            Action::Choose(reason) => return Some(Reply::Choice(self.choose(slot, reason))),
            Action::ChooseBackup => {
                let chosen = self.choose_backup(slot);
                return Some(Reply::BackupChoice { chosen });
            }
            Action::ForgetTried => {
                let entry = &mut self.sessions[slot];
                entry.tried_before = entry.tried.len();
            }
            Action::Connect => return self.begin_attempt(slot).map(Reply::ConnectFailed),
            Action::Enqueue => self.enqueue(slot),
            Action::Dequeue => self.dequeue(slot),
            Action::WatchClient => {
                let token = self.token(slot, Side::Client, Use::Watch);
                if let Some(socket) = self.sessions[slot].socket(Side::Client) {
                    self.engine.watch(socket, token);
                }
            }
            Action::Receive { from, poll_first } => {
                let key = self.key(slot);
                self.receive(key, from, poll_first);
            }
            Action::LeaveServer => self.close_server(slot),
            Action::ReadPreface => return Some(Reply::Preface(self.read_preface(slot))),
            Action::ReadResponseHead => {
                return Some(Reply::ResponseHead(self.read_response_head(slot)));
            }
            Action::PrepareError(response) => {
                let len = self.prepare_error(slot, response);
                return Some(Reply::ErrorPrepared { len });
            }
            Action::Send { to, len } => return self.send(slot, to, len),
            Action::Release { from } => {
                if let Some(buffer) = self.sessions[slot].chunks[from.index()].pop() {
                    self.engine.release(buffer);
                }
                self.resume_receive(slot, from);
            }
            Action::SpliceIn { from, len } => {
                let result = self.splice_in(slot, from, len);
                return Some(Reply::SplicedIn { from, result });
            }
            Action::SpliceOut { from, len } => {
                let result = self.splice_out(slot, from, len);
                return Some(Reply::SplicedOut { from, result });
            }
            Action::ReturnPipe { from, empty } => {
                if let Some(pipe) = self.sessions[slot].pipes[from.index()].take() {
                    self.engine.return_pipe(pipe, empty);
                }
            }
            Action::PollRead { from } => self.poll(slot, from, Use::Read, Interest::Read),
            Action::PollWrite { to } => self.poll(slot, to, Use::Write, Interest::Write),
            Action::CountUnsent { to } => {
                let socket = self.sessions[slot].socket(to);
                let len = socket.map_or(0, |socket| self.engine.unsent(socket));
                return Some(Reply::Unsent { len });
            }
            Action::ShutdownWrite { to } => {
                if let Some(socket) = self.sessions[slot].socket(to) {
                    self.engine.shutdown_write(socket);
                }
            }
            Action::Cancel { side } => self.cancel(slot, side),
            // It ends `drive`, because the slot is gone then.
            Action::Free(_) => {}
        }
        None
    }

    pub(super) fn key(&self, slot: usize) -> Key {
        Key {
            slot: slot as u32,
            generation: self.sessions[slot].generation,
        }
    }

    pub(super) fn token(&self, slot: usize, side: Side, used: Use) -> io::Token {
        let key = self.key(slot);
        Owner::Session { key, side, used }.token()
    }

    pub(super) fn receive(&mut self, key: Key, from: Side, poll_first: bool) {
        let used = Use::Read;
        let side = from;
        if self.holds_back(key.slot as usize, from) {
            return;
        }
        let token = Owner::Session { key, side, used }.token();
        let entry = &self.sessions[key.slot as usize];
        let how = match entry.session.head_buffered(from) {
            Some(len) => Receive::Once(BUFFER_BYTES - len),
            None => Receive::Stream,
        };
        if let Some(socket) = entry.socket(from) {
            self.engine.receive(socket, how, poll_first, token);
        }
    }

    fn poll(&mut self, slot: usize, side: Side, used: Use, interest: Interest) {
        let token = self.token(slot, side, used);
        if let Some(socket) = self.sessions[slot].socket(side) {
            self.engine.poll(socket, interest, token);
        }
    }

    fn cancel(&mut self, slot: usize, side: Side) {
        let token = self.token(slot, side, Use::Cancel);
        let entry = &mut self.sessions[slot];
        let wait = &mut entry.receive_waits[side.index()];
        if *wait != ReceiveWait::Nothing {
            *wait = ReceiveWait::Canceled;
        }
        let use_token = |used| {
            let (slot, generation) = (slot as u32, entry.generation);
            let key = Key { slot, generation };
            Owner::Session { key, side, used }.token()
        };
        let (read, write) = (use_token(Use::Read), use_token(Use::Write));
        // The kernel finds operations by their token at once; by descriptor it would examine all.
        let candidates = [
            (Use::Read, Cancelable::Receive, read),
            (Use::Read, Cancelable::Poll, read),
            (Use::Write, Cancelable::Connect, write),
            (Use::Write, Cancelable::Poll, write),
            (Use::Watch, Cancelable::Watch, use_token(Use::Watch)),
        ];
        let mut these = [(Cancelable::Poll, token); 5];
        let mut count = 0;
        for (used, kind, token) in candidates {
            if entry.session.holds(side, used) {
                these[count] = (kind, token);
                count += 1;
            }
        }
        match entry.socket(side) {
            Some(socket) if count > 0 => self.engine.cancel(socket, &these[..count], token),
            Some(_) | None => debug_assert!(false, "a cancellation of nothing"),
        }
    }

    fn splice_in(&mut self, slot: usize, from: Side, len: u32) -> SpliceResult {
        debug_assert!(len <= PIPE_BYTES_MAX);
        let entry = &mut self.sessions[slot];
        let pipe = &mut entry.pipes[from.index()];
        if pipe.is_none() {
            *pipe = self.engine.take_pipe();
        }
        match (&entry.pipes[from.index()], entry.socket(from)) {
            (Some(pipe), Some(socket)) => match self.engine.splice_in(socket, pipe, len) {
                Ok(0) => SpliceResult::End,
                other => splice_result(other),
            },
            (None, _) | (_, None) => SpliceResult::NoPipe,
        }
    }

    fn splice_out(&mut self, slot: usize, from: Side, len: u32) -> SpliceResult {
        let entry = &self.sessions[slot];
        match (&entry.pipes[from.index()], entry.socket(from.other())) {
            (Some(pipe), Some(socket)) => splice_result(self.engine.splice_out(pipe, socket, len)),
            (None, _) | (_, None) => SpliceResult::Failed(Fault::Other),
        }
    }

    /// Closes what is open, gives back what is held, frees the slot.
    fn free(&mut self, slot: usize, mode: CloseMode) {
        self.timers.cancel(slot as u32);
        let mut entry = self.sessions.remove(slot);
        self.forget_stalled(slot, &entry);
        for side in Side::BOTH {
            let chunks = &mut entry.chunks[side.index()];
            while let Some(buffer) = chunks.pop() {
                self.engine.release(buffer);
            }
            if let Some(pipe) = entry.pipes[side.index()].take() {
                let empty = entry.session.in_pipe(side) == 0;
                self.engine.return_pipe(pipe, empty);
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
        self.release_slots(&entry);
        self.configs.release(entry.route.config);
    }
}

/// A session with the policy of its frontend.
fn session_and_policy<'a, E: Engine>(
    sessions: &'a mut Slab<Slot<E>>,
    configs: &'a ConfigGenerations,
    slot: usize,
) -> (&'a mut Session, &'a Policy) {
    let entry = &mut sessions[slot];
    let Route {
        config, frontend, ..
    } = entry.route;
    let policy = &configs[config].policies[usize::from(frontend)];
    (&mut entry.session, policy)
}

fn splice_result(result: io::SpliceResult) -> SpliceResult {
    match result {
        Ok(0) => SpliceResult::WouldBlock,
        Ok(len) => SpliceResult::Bytes(len),
        Err(io::Fault::WouldBlock) => SpliceResult::WouldBlock,
        Err(io_fault) => SpliceResult::Failed(fault(io_fault)),
    }
}

/// The session's word for a fault that is no shortage.
pub(super) fn fault(fault: io::Fault) -> Fault {
    match fault {
        io::Fault::Refused => Fault::Refused,
        io::Fault::Unreachable => Fault::Unreachable,
        io::Fault::TimedOut => Fault::TimedOut,
        io::Fault::Reset => Fault::Reset,
        io::Fault::Closed => Fault::Closed,
        io::Fault::Canceled
        | io::Fault::WouldBlock
        | io::Fault::NoBuffers
        | io::Fault::NoDescriptors
        | io::Fault::NoMemory
        | io::Fault::NoPorts
        | io::Fault::Other(_) => Fault::Other,
    }
}
