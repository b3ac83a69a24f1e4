//! From an action of a session to an operation of the engine.
//!
//! An action whose result is known at once has a [`Reply`]; the others end with a completion
//! (`completions`).

use super::Worker;
use super::slot::ReceiveWait;
use super::token::{Key, Owner};
use crate::io::{self, BUFFER_BYTES, Cancelable, Engine, Interest, RECEIVE_BYTES, Receive};
use crate::logic::session::{Action, Fault, PIPE_BYTES_MAX, Reply, Side, SpliceResult, Use};

impl<E: Engine> Worker<E> {
    /// Carries out an action. Returns its result, if that is known at once and the session waits for
    /// it.
    pub(super) fn carry_out(&mut self, slot: usize, action: Action) -> Option<Reply> {
        match action {
            Action::Choose(reason) => return Some(Reply::Choice(self.choose(slot, reason))),
            Action::ChooseBackup => {
                let chosen = self.choose_backup(slot);
                return Some(Reply::BackupChoice { chosen });
            }
            Action::ForgetTried => {
                self.sessions[slot].tried.forget();
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
            Action::ReadPreface => {
                return Some(match self.sessions[slot].session.is_reading_proxy_head() {
                    true => Reply::ProxyHead(self.read_proxy_head(slot)),
                    false => Reply::Preface(self.read_preface(slot)),
                });
            }
            Action::ReadResponseHead => {
                return Some(Reply::ResponseHead(self.read_response_head(slot)));
            }
            Action::PrepareError(answer) => {
                let ready = self.prepare_error(slot, answer);
                return Some(Reply::ErrorPrepared { ready });
            }
            Action::Send { to } => return self.send(slot, to),
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
                if let Some(pipe) = self.sessions[slot].pipes.take(from) {
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
            // `drive` has ended the session instead.
            Action::Free(_) => {}
        }
        None
    }

    /// Begins a receive, unless it has to wait for a buffer.
    pub(super) fn receive(&mut self, key: Key, from: Side, poll_first: bool) {
        let used = Use::Read;
        let side = from;
        if self.holds_back(key.slot as usize, from) {
            return;
        }
        let token = Owner::Session { key, side, used }.token();
        let entry = &self.sessions[key.slot as usize];
        let how = match entry.session.is_reading_head(from) {
            true => Receive::Once(BUFFER_BYTES - entry.head_len(from)),
            // Some kernels do not report the end of a Unix socket to a repeated receive (CVE-2026-23473).
            false if entry.unix[from.index()] => Receive::Once(RECEIVE_BYTES),
            false => Receive::Stream,
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
        if entry.pipes.get(from).is_none()
            && let Some(pipe) = self.engine.take_pipe()
        {
            entry.pipes.set(from, pipe);
        }
        match (entry.pipes.get(from), entry.socket(from)) {
            (Some(pipe), Some(socket)) => match self.engine.splice_in(socket, pipe, len) {
                Ok(0) => SpliceResult::End,
                other => splice_result(other),
            },
            (None, _) | (_, None) => SpliceResult::NoPipe,
        }
    }

    fn splice_out(&mut self, slot: usize, from: Side, len: u32) -> SpliceResult {
        let entry = &self.sessions[slot];
        match (entry.pipes.get(from), entry.socket(from.other())) {
            (Some(pipe), Some(socket)) => splice_result(self.engine.splice_out(pipe, socket, len)),
            (None, _) | (_, None) => SpliceResult::Failed(Fault::Other),
        }
    }
}

/// Nothing moved: there was nothing to read, or no room to write.
fn splice_result(result: io::SpliceResult) -> SpliceResult {
    match result {
        Ok(0) => SpliceResult::WouldBlock,
        Ok(len) => SpliceResult::Bytes(len),
        Err(io::Fault::WouldBlock) => SpliceResult::WouldBlock,
        Err(fault) => SpliceResult::Failed(fault.into()),
    }
}
