//! From a completion of the engine to an event: of which session, is that still there, what happened.

use super::Worker;
use super::slot::ReceiveWait;
use super::token::{Key, Owner};
use super::unadmitted::AcceptResult;
use crate::io::{self, Chunk, Done, Engine, HEADROOM_BYTES};
use crate::logic::session::{
    Event, Fault, ReadEvent, ReceivedInfo, Side, Use, WatchEvent, WriteEvent,
};

impl<E: Engine> Worker<E> {
    /// An operation ended or brought something.
    pub(super) fn dispatch(&mut self, token: io::Token, done: Done<E>) {
        match Owner::of(token) {
            Owner::Session { key, side, used } => self.session_done(key, side, used, done),
            Owner::Listener(index) => {
                if let Done::Accepted { socket, more } = done {
                    self.unadmitted.push(AcceptResult {
                        listener: index,
                        socket,
                        more,
                    });
                } else {
                    debug_assert!(false, "a listener got something else than a connection");
                }
            }
            Owner::Waker => self.woken(),
        }
    }

    fn session_done(&mut self, key: Key, side: Side, used: Use, done: Done<E>) {
        if self.slot(key).is_none() {
            debug_assert!(false, "a completion for a session that is gone");
            self.counters().stale_completions.add(1);
            self.give_up(done);
            return;
        }
        let slot = key.slot as usize;
        let event = match done {
            Done::Connected(result) => match self.connected(slot, result) {
                Some(Ok(())) => Event::Connected,
                Some(Err(fault)) => Event::ConnectFailed(fault),
                None => return,
            },
            Done::Received { bytes, more, armed } => {
                match self.received(key, side, bytes, (more, armed)) {
                    Some(event) => Event::Read { from: side, event },
                    None => return,
                }
            }
            Done::Polled(result) => match (used, result) {
                (Use::Read, Err(io::Fault::Canceled)) => read(side, ReadEvent::Canceled),
                (Use::Read, _) => read(side, ReadEvent::Readable),
                (Use::Write, Err(io::Fault::Canceled)) => write(side, WriteEvent::Canceled),
                (Use::Write, _) => write(side, WriteEvent::Writable),
                (Use::Watch | Use::Cancel, _) => {
                    debug_assert!(false, "a poll is for reading or writing");
                    return;
                }
            },
            Done::Gone { armed } => Event::Watch(WatchEvent::Gone { armed }),
            Done::Unwatched => Event::Watch(WatchEvent::Ended),
            Done::Canceled => return self.cancel_ended(slot, side),
            Done::Accepted { .. } | Done::Woken => {
                debug_assert!(false, "a session got what only a worker gets");
                return;
            }
        };
        self.drive(slot, event);
    }

    /// A cancellation ended, and with it a receive that the kernel did not have yet.
    fn cancel_ended(&mut self, slot: usize, side: Side) {
        let wait = &mut self.sessions[slot].receive_waits[side.index()];
        if *wait == ReceiveWait::Canceled {
            *wait = ReceiveWait::Nothing;
            // The cancellation is still in flight for the session, so it is not freed by this.
            self.drive(slot, read(side, ReadEvent::Canceled));
        }
        self.drive(slot, Event::CancelEnded { side });
    }

    fn received(
        &mut self,
        key: Key,
        from: Side,
        bytes: Result<(Option<E::Buffer>, u32), io::Fault>,
        (more, armed): (bool, bool),
    ) -> Option<ReadEvent> {
        match bytes {
            Ok((Some(buffer), len)) => {
                self.keep(key.slot as usize, from, buffer, len);
                Some(ReadEvent::Received(ReceivedInfo { len, more, armed }))
            }
            Ok((None, _)) => Some(ReadEvent::Ended),
            // This receive ended early. A new one could bring more than fits behind the two chunks
            // that are buffered; the session orders one when there is room.
            Err(io::Fault::NoBuffers | io::Fault::WouldBlock)
                if self.slot(key)?.chunks[from.index()].is_full() =>
            {
                Some(ReadEvent::Canceled)
            }
            Err(io::Fault::NoBuffers) => {
                self.starve(key, from);
                None
            }
            Err(io::Fault::WouldBlock) => {
                self.receive(key, from, true);
                None
            }
            Err(io::Fault::Canceled) => Some(ReadEvent::Canceled),
            Err(_) => Some(ReadEvent::Failed),
        }
    }

    /// Appends received bytes to those that are buffered: as a chunk of their own; or to the newest
    /// chunk if there are two, or if they belong to a head, which has to be in one piece.
    fn keep(&mut self, slot: usize, from: Side, buffer: E::Buffer, len: u32) {
        self.renew_stalled(slot, from);
        let entry = &mut self.sessions[slot];
        let chunks = &mut entry.chunks[from.index()];
        let start = HEADROOM_BYTES;
        let chunk = Chunk { start, len };
        // An interim response that waits for room is no part of the head.
        let joined = entry.session.has_head_part(from);
        if joined && from == Side::Client {
            self.resume_preface(slot, buffer, len);
            return;
        }
        let buffer = if joined {
            buffer
        } else if let Err(buffer) = chunks.push(buffer, chunk) {
            buffer
        } else {
            return;
        };
        if chunks.newest_is_shrunk() {
            return self.join_shrunk(slot, from, buffer, chunk);
        }
        if let Some((newest, start, newest_len)) = chunks.newest_mut() {
            let end = *start + *newest_len;
            self.engine.copy(&buffer, chunk, newest, end);
            *newest_len += len;
        }
        self.engine.release(buffer);
    }

    /// Releases what came with a completion for a session that is gone.
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
            | Done::Gone { .. }
            | Done::Unwatched
            | Done::Canceled
            | Done::Woken => {}
        }
    }
}

fn read(from: Side, event: ReadEvent) -> Event {
    Event::Read { from, event }
}

fn write(to: Side, event: WriteEvent) -> Event {
    Event::Write { to, event }
}

/// The one translation of the engine's faults that are no shortage and no cancellation.
impl From<io::Fault> for Fault {
    fn from(fault: io::Fault) -> Self {
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
}
