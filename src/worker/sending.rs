//! Sends: gathered during a turn, handed to the engine at its end, when it is known what follows them,
//! and completed.
//!
//! A send is tried once, while it is submitted, and never stays in flight. So one wait both submits
//! the sends of a turn and waits for new events; a wait with a timeout of zero is made only where
//! something follows a send ([`Next::AtOnce`]).

use super::Worker;
use super::outgoing::Outgoing;
use super::slot::ReceiveWait;
use super::token::Owner;
use crate::io::{self, Engine, SendBuffer, SendHint, SendResult, Token};
use crate::logic::session::{AfterSend, Event, Reply, Side, Use, WriteEvent};

/// When there is something to do after the sends of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When they have ended.
    AtOnce,
    /// When something else happens.
    Later,
}

impl<E: Engine> Worker<E> {
    /// Takes the oldest chunk for a send at the end of the turn.
    pub(super) fn send(&mut self, slot: usize, to: Side) -> Option<Reply> {
        let key = self.key(slot);
        let chunks = &mut self.sessions[slot].chunks[to.other().index()];
        let Some((buffer, chunk)) = chunks.begin_send() else {
            return Some(Reply::SendRefused { to });
        };
        let buffer = SendBuffer { buffer, chunk };
        self.sends.push(Outgoing { key, to, buffer });
        None
    }

    /// Hands the sends of this turn to the engine.
    pub(super) fn hand_over_sends(&mut self) -> Next {
        let mut next = Next::Later;
        if !self.sends.is_empty() && !self.starved.is_empty() {
            // They release buffers.
            next = Next::AtOnce;
        }
        for Outgoing { key, to, buffer } in self.sends.drain(..) {
            // A session is not freed before its send has ended.
            let entry = &self.sessions[key.slot as usize];
            let after = entry.session.after_send(to);
            let read_after = entry.receive_waits[to.other().index()] == ReceiveWait::Send;
            if after != AfterSend::Nothing || read_after {
                next = Next::AtOnce;
            }
            let hint = match after {
                AfterSend::Nothing | AfterSend::More => SendHint::MoreToCome,
                AfterSend::End => SendHint::ShutdownFollows,
            };
            let (side, used) = (to, Use::Write);
            let token = Owner::Session { key, side, used }.token();
            match entry.socket(to) {
                Some(socket) => self.engine.send(socket, buffer, hint, token),
                None => debug_assert!(false, "a send without a connection"),
            }
        }
        next
    }

    /// A send ended.
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
        let left = slot.chunks[to.other().index()].end_send(buffer, len.unwrap_or(0));
        let event = match len {
            Ok(len) => WriteEvent::Sent { len, left },
            // No room now, or the kernel is short of memory for it: wait for room.
            Err(fault) if fault == io::Fault::WouldBlock || fault.is_shortage() => {
                WriteEvent::Sent { len: 0, left }
            }
            Err(fault) => WriteEvent::Failed(fault.into()),
        };
        self.drive(key.slot as usize, Event::Write { to, event });
    }
}
