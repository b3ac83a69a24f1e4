//! Sends: gathered during a turn and handed over at its end, when more is known of what follows
//! them, and their ends.
//!
//! The kernel carries them out at once, so nobody waits for one that only makes room. That saves
//! a wait for each turn in which bytes are passed on: the one for the sends is that for what comes
//! next.

use super::slot::ReceiveWait;
use super::token::{Key, Owner};
use super::{Worker, apply::fault};
use crate::io::{self, Engine, SendBuffer, SendHint, SendResult, Token};
use crate::logic::session::{AfterSend, Event, Reply, Side, Use, WriteEvent};

/// A send that is handed over at the end of the turn.
pub(super) struct Outgoing<E: Engine> {
    key: Key,
    to: Side,
    lent: SendBuffer<E>,
}

/// When somebody has something to do after the sends of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When they have ended.
    AtOnce,
    /// When something else happens.
    Later,
}

impl<E: Engine> Worker<E> {
    /// Notes a send of the oldest chunk. If that has not the length that the session counts, nothing
    /// is sent: it would be the wrong bytes.
    pub(super) fn send(&mut self, slot: usize, to: Side, len: u32) -> Option<Reply> {
        let key = self.key(slot);
        let chunks = &mut self.sessions[slot].chunks[to.other().index()];
        let Some((buffer, chunk)) = chunks.lend() else {
            return Some(Reply::SendRefused { to });
        };
        if chunk.len != len {
            chunks.take_back(buffer, 0);
            return Some(Reply::SendRefused { to });
        }
        let lent = SendBuffer { buffer, chunk };
        self.sends.push(Outgoing { key, to, lent });
        None
    }

    /// Queues the sends of this turn.
    pub(super) fn hand_over_sends(&mut self) -> Next {
        let mut next = Next::Later;
        if !self.sends.is_empty() && !self.starved.is_empty() {
            // There may be buffers then.
            next = Next::AtOnce;
        }
        for Outgoing { key, to, lent } in self.sends.drain(..) {
            // A session is not freed before its send has ended.
            let entry = &self.sessions[key.slot as usize];
            let after = entry.session.after_send(to);
            let read_after = entry.receive_waits[to.other().index()] == ReceiveWait::Send;
            if after != AfterSend::Nothing || read_after {
                next = Next::AtOnce;
            }
            let behind = match after {
                AfterSend::Nothing | AfterSend::More => SendHint::MoreToCome,
                AfterSend::End => SendHint::ShutdownFollows,
            };
            let (side, used) = (to, Use::Write);
            let token = Owner::Session { key, side, used }.token();
            match entry.socket(to) {
                Some(socket) => self.engine.send(socket, lent, behind, token),
                None => debug_assert!(false, "a send without a connection"),
            }
        }
        next
    }

    /// A send has ended.
    pub(super) fn sent(&mut self, token: Token, sent: SendResult<E>) {
        let SendResult { buffer, len } = sent;
        let Owner::Session { key, side: to, .. } = Owner::of(token) else {
            debug_assert!(false, "only sessions send");
            return;
        };
        let Some(slot) = self.slot(key) else {
            debug_assert!(false, "a session was freed during its send");
            self.engine.release(buffer);
            return;
        };
        slot.chunks[to.other().index()].take_back(buffer, len.unwrap_or(0));
        let event = match len {
            Ok(len) => WriteEvent::Sent { len },
            // No room now, or the kernel is short of memory for it: wait for room.
            Err(fault) if fault == io::Fault::WouldBlock || fault.is_shortage() => {
                WriteEvent::Sent { len: 0 }
            }
            Err(io_fault) => WriteEvent::Failed(fault(io_fault)),
        };
        self.drive(key.slot as usize, Event::Write { to, event });
    }
}
