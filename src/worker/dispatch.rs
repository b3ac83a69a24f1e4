//! From a completion to an event: whose is it, is it still true, what does it say.

use super::slot::Slot;
use super::token::{Key, Owner};
use super::{Worker, apply::fault};
use crate::io::{self, Chunk, Done, Engine, HEADROOM_BYTES, RECEIVE_BYTES};
use crate::logic::session::{Event, Fault, Received, Side, Use};

impl<E: Engine> Worker<E> {
    pub(super) fn dispatch(&mut self, token: io::Token, done: Done<E>) {
        match Owner::of(token) {
            Owner::Session { key, side, used } => self.session_done(key, side, used, done),
            Owner::Listener(index) => {
                if let Done::Accepted { socket, more } = done {
                    self.accepted(index, socket, more);
                } else {
                    debug_assert!(false, "a listener got something else than a connection");
                }
            }
            Owner::Waker => self.woken(),
        }
    }

    /// The session that this key names, if it still exists.
    pub(super) fn slot(&mut self, key: Key) -> Option<&mut Slot<E>> {
        self.sessions
            .get_mut(key.slot as usize)
            .filter(|slot| slot.generation == key.generation)
    }

    fn session_done(&mut self, key: Key, side: Side, used: Use, done: Done<E>) {
        if self.slot(key).is_none() {
            debug_assert!(false, "a completion for a session that is gone");
            self.counters().stale_completions.add(1);
            self.give_up(done);
            return;
        }
        let event = match done {
            Done::Connected(result) => self.connect_ended(key.slot as usize, result),
            Done::Received { bytes, more, armed } => {
                match self.received(key, side, bytes, (more, armed)) {
                    Some(event) => event,
                    None => return,
                }
            }
            Done::Polled(Err(io::Fault::Canceled)) => Event::Canceled { side, used },
            Done::Polled(_) => match used {
                Use::Read => Event::Readable { from: side },
                Use::Write => Event::Writable { to: side },
                Use::Watch | Use::Cancel => Event::ClientGone,
            },
            Done::Canceled => Event::Canceled { side, used },
            Done::Accepted { .. } | Done::Woken => {
                debug_assert!(false, "a session got what only a worker gets");
                return;
            }
        };
        self.drive(key.slot as usize, event);
    }

    fn connect_ended(&mut self, slot: usize, result: Result<(), io::Fault>) -> Event {
        if let Err(fault) = result
            && fault.is_shortage()
        {
            self.sessions[slot].short = true;
            self.note_shortage(fault);
            return Event::Shortage;
        }
        self.count_attempt(slot);
        match result {
            Ok(()) => Event::Connected,
            Err(io::Fault::Canceled) => Event::ConnectFailed(Fault::TimedOut),
            Err(io_fault) => Event::ConnectFailed(fault(io_fault)),
        }
    }

    fn received(
        &mut self,
        key: Key,
        from: Side,
        bytes: Result<(Option<E::Buffer>, u32), io::Fault>,
        (more, armed): (bool, bool),
    ) -> Option<Event> {
        match bytes {
            Ok((Some(buffer), len)) => {
                self.keep(key.slot as usize, from, buffer, len);
                let news = Received {
                    len,
                    full: len == RECEIVE_BYTES,
                    more,
                    armed,
                };
                Some(Event::Received { from, news })
            }
            Ok((None, _)) => Some(Event::Ended { from }),
            // A fresh receive may bring more than there is room for behind what this one has
            // brought: the machine makes it when there is room.
            Err(io::Fault::NoBuffers | io::Fault::WouldBlock)
                if self.slot(key)?.chunks[from.index()].is_full() =>
            {
                Some(Event::Canceled {
                    side: from,
                    used: Use::Read,
                })
            }
            Err(io::Fault::NoBuffers) => {
                self.counters().buffer_misses.add(1);
                self.slot(key)?.starved[from.index()] = true;
                self.starved.push_back((key, from));
                if !self.engine.has_buffers() {
                    self.warn(|| "all buffers are in use: receives wait for one".to_string());
                }
                None
            }
            Err(io::Fault::WouldBlock) => {
                self.receive(key, from, true);
                None
            }
            Err(io::Fault::Canceled) => Some(Event::Canceled {
                side: from,
                used: Use::Read,
            }),
            Err(io_fault) => Some(Event::ReceiveFailed {
                from,
                fault: fault(io_fault),
            }),
        }
    }

    /// Puts received bytes behind those that are there: in a chunk of their own, or in the newest
    /// if there is no place for one, or if a head has to be in one piece.
    fn keep(&mut self, slot: usize, from: Side, buffer: E::Buffer, len: u32) {
        let entry = &mut self.sessions[slot];
        let chunks = &mut entry.chunks[from.index()];
        let start = HEADROOM_BYTES;
        let chunk = Chunk { start, len };
        // An interim answer that waits for room is no part of the head.
        let joined = entry.session.head_held(from).is_some_and(|held| held > 0);
        if joined && from == Side::Client {
            self.resume_head(slot, buffer, len);
            return;
        }
        let buffer = if joined {
            buffer
        } else if let Err(buffer) = chunks.push(buffer, chunk) {
            buffer
        } else {
            return;
        };
        if let Some((newest, start, newest_len)) = chunks.newest_mut() {
            let end = *start + *newest_len;
            self.engine.copy(&buffer, chunk, newest, end);
            *newest_len += len;
        }
        self.engine.release(buffer);
    }

    /// Gives back what came with a completion that nobody wants.
    fn give_up(&mut self, done: Done<E>) {
        match done {
            Done::Accepted {
                socket: Ok(socket), ..
            } => self.engine.reset(socket),
            Done::Received {
                bytes: Ok((Some(buffer), _)),
                ..
            } => self.engine.release(buffer),
            Done::Accepted { .. }
            | Done::Received { .. }
            | Done::Connected(_)
            | Done::Polled(_)
            | Done::Canceled
            | Done::Woken => {}
        }
    }

    /// Makes receives again that found no buffer, oldest first, as long as there are buffers.
    pub(super) fn feed_starved(&mut self) {
        // Those that fail again come to the end of the queue in a later turn.
        for _ in 0..self.starved.len() {
            if !self.engine.has_buffers() {
                break;
            }
            let Some((key, side)) = self.starved.pop_front() else {
                break;
            };
            let waits = self
                .slot(key)
                .is_some_and(|slot| std::mem::take(&mut slot.starved[side.index()]));
            if waits {
                self.receive(key, side, false);
            }
        }
    }
}
