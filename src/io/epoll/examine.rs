//! What is tried when a socket or listener is ready: its operations, one after another, at most one receive and a
//! bounded number of accepts in a turn.

use super::super::buffer::RECEIVE_BYTES;
use super::super::fault::Fault;
use super::super::operation::{Done, Receive, Token};
use super::Epoll;
use super::key::{Key, Named};
use super::listeners::Accept;
use super::readiness::Readiness;
use super::ready::Ready;
use super::socket_state::{Read, Write};
use super::step::Step;

/// Connections that one listener accepts in a turn. Open sessions wait for each of these calls, and more at once save
/// none.
const ACCEPTS_MAX: u32 = 2;

impl<K: Readiness> Epoll<K> {
    /// The next completion of the socket or listener that is examined; `None`: it has no more in this turn.
    pub(super) fn examine(&mut self) -> Option<(Token, Done<Self>)> {
        while let Some((key, step)) = self.examined.take() {
            let (done, next) = match (key.named(), step) {
                (Named::Socket(index, generation), step) => {
                    let index = index as usize;
                    let state = self.sockets.get(index);
                    if state.is_none_or(|state| state.generation != generation) {
                        return None;
                    }
                    match step {
                        Step::Watch => (self.try_watch(index), Some(Step::Write)),
                        Step::Write => (self.try_write(index), Some(Step::Read)),
                        Step::Read => self.try_read_and_more(index),
                        Step::End | Step::Accept(_) => (self.try_end(index, key), None),
                    }
                }
                (Named::Listener(index, generation), Step::Accept(left)) => {
                    let done = self.try_accept(index, generation, left > 0);
                    let next = done.is_some().then(|| Step::Accept(left - 1));
                    (done, next)
                }
                (Named::Listener(..) | Named::Waker, _) => (None, None),
            };
            self.examined = next.map(|next| (key, next));
            if done.is_some() {
                return done;
            }
        }
        None
    }

    /// Takes the next socket or listener of this turn from the queue.
    pub(super) fn examine_next(&mut self) -> bool {
        let Some(left) = self.due_now.checked_sub(1) else {
            return false;
        };
        self.due_now = left;
        let Some(key) = self.due.pop_front() else {
            return false;
        };
        let step = match key.named() {
            Named::Socket(index, generation) => {
                let state = self.sockets.get_mut(index as usize);
                if let Some(state) = state.filter(|state| state.generation == generation) {
                    state.is_queued = false;
                }
                Step::Watch
            }
            Named::Listener(index, generation) => {
                let state = self.listeners.get(index);
                if let Some(state) = state.filter(|state| state.generation == generation) {
                    state.is_queued = false;
                }
                Step::Accept(ACCEPTS_MAX)
            }
            Named::Waker => return true,
        };
        self.examined = Some((key, step));
        true
    }

    fn try_watch(&mut self, index: usize) -> Option<(Token, Done<Self>)> {
        let state = &mut self.sockets[index];
        let token = state.watch().filter(|_| state.ready.has(Ready::GONE))?;
        state.end_watch();
        Some((token, Done::Gone { armed: false }))
    }

    fn try_write(&mut self, index: usize) -> Option<(Token, Done<Self>)> {
        let state = &mut self.sockets[index];
        let (token, write) = state.write()?;
        if !state.ready.has(Ready::ENDS_WRITE) {
            return None;
        }
        let done = match write {
            Write::Poll => Done::Polled(Ok(())),
            Write::Connect if state.ready.has(Ready::GONE) => {
                Done::Connected(self.kernel.connected(state.id))
            }
            Write::Connect => Done::Connected(Ok(())),
        };
        state.end_write();
        Some((token, done))
    }

    /// A read, and whether the end of the stream is examined next. Until then the socket is not queued.
    fn try_read_and_more(&mut self, index: usize) -> (Option<(Token, Done<Self>)>, Option<Step>) {
        let done = self.try_read(index);
        let state = &mut self.sockets[index];
        let end_follows = done.is_some() && state.ready.has(Ready::AT_END) && !state.is_queued;
        state.is_queued |= end_follows;
        (done, end_follows.then_some(Step::End))
    }

    /// The end of a stream, if a read waits for it. Whatever else the socket is ready for has to wait for its turn.
    fn try_end(&mut self, index: usize, key: Key) -> Option<(Token, Done<Self>)> {
        let done = self.try_read(index);
        let state = &mut self.sockets[index];
        state.is_queued = state.is_due();
        if state.is_queued {
            self.due.push_back(key);
        }
        done
    }

    fn try_read(&mut self, index: usize) -> Option<(Token, Done<Self>)> {
        let state = &mut self.sockets[index];
        let (token, read) = state.read()?;
        if !state.ready.has(Ready::ENDS_READ) {
            return None;
        }
        let asked = match read {
            Read::Poll => {
                state.end_read();
                return Some((token, Done::Polled(Ok(()))));
            }
            Read::Receive(Receive::Stream) => RECEIVE_BYTES,
            Read::Receive(Receive::Once(len)) => len,
        };
        let received = match state.ready.has(Ready::AT_END) {
            true if !state.ready.has(Ready::GONE) => Ok(None),
            true | false => self.kernel.receive(state.id, asked),
        };
        let bytes = match received {
            Ok(Some((buffer, len))) => {
                state.received(asked, len);
                Ok((Some(buffer), len))
            }
            Ok(None) => Ok((None, 0)),
            Err(Fault::WouldBlock) => {
                state.drained();
                return None;
            }
            Err(fault) => Err(fault),
        };
        state.end_read();
        let more = matches!(bytes, Ok((Some(_), len)) if len == asked);
        let armed = false;
        Some((token, Done::Received { bytes, more, armed }))
    }

    /// Accepts a connection, if the listener may take more in this turn; otherwise it is the last in the queue.
    fn try_accept(
        &mut self,
        index: u32,
        generation: u16,
        may_take: bool,
    ) -> Option<(Token, Done<Self>)> {
        let state = self.listeners.get(index)?;
        let Accept { token, multi } = state.accept.filter(|_| state.ready)?;
        if state.generation != generation || state.is_queued {
            return None;
        }
        if !may_take {
            state.is_queued = true;
            self.due.push_back(Key::listener(index, generation));
            return None;
        }
        let accepted = match self.kernel.accept(state.id) {
            Err(Fault::WouldBlock) => {
                state.ready = false;
                return None;
            }
            accepted => accepted,
        };
        let socket = accepted.and_then(|socket| self.register_accepted(socket));
        let more = multi && socket.is_ok();
        if !more && let Some(state) = self.listeners.get(index) {
            state.accept = None;
        }
        Some((token, Done::Accepted { socket, more }))
    }
}
