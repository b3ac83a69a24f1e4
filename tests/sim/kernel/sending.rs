//! Sends: carried out as they are handed over, in parts or not at all when there is no room.

use std::time::Duration;

use ringway::io::{Chunk, Fault, SendHint, SendResult, Token};

use super::{Buffer, Kernel};
use crate::stream::Content;

/// Waits within which the end follows for which bytes are held back: one, but that cancellations
/// of other operations may have to end before.
const HELD_BACK_WAITS_MAX: u32 = 100;

/// A send that was queued.
#[derive(Clone, Debug)]
pub struct Sending {
    pub token: Token,
    pub socket: u64,
    pub content: Content,
    /// See [`Buffer`].
    pub sized: Option<usize>,
    pub chunk: Chunk,
    pub hint: SendHint,
}

/// A send that has ended.
pub struct Carried {
    pub token: Token,
    pub socket: u64,
    pub sent: SendResult<Kernel>,
    /// The worker did not want to know at once.
    pub lazy: bool,
}

impl Kernel {
    /// Carries out what is queued, at the beginning of a wait for something else.
    pub(super) fn carry_out_sends(&mut self, timeout: Option<Duration>) {
        self.count_waits();
        for send in std::mem::take(&mut self.sends) {
            let len = self.carry_out(&send);
            // Others end the wait.
            let lazy = timeout != Some(Duration::ZERO) && len == Ok(send.chunk.len);
            assert!(
                !lazy || send.hint == SendHint::MoreToCome,
                "an end that is not passed on at once"
            );
            let buffer = Buffer {
                content: Some(send.content),
                sized: send.sized,
            };
            self.sent.push_back(Carried {
                token: send.token,
                socket: send.socket,
                sent: SendResult { buffer, len },
                lazy,
            });
        }
    }

    /// Counts a wait of what is held back.
    pub(super) fn count_waits(&mut self) {
        for connection in self.connections.values_mut() {
            if let Some(waits) = &mut connection.held_back {
                *waits += 1;
                assert!(*waits < HELD_BACK_WAITS_MAX, "bytes are kept for no end");
            }
        }
    }

    pub(super) fn carry_out(&mut self, send: &Sending) -> Result<u32, Fault> {
        let world = &mut *self.world.borrow_mut();
        let connection = self.connections.get_mut(&send.socket).expect("open");
        if let Some(fault) = connection.send_fault() {
            return Err(fault);
        }
        let wanted = u64::from(send.chunk.len);
        let room = connection.room().min(wanted);
        if room == 0 || world.random.chance(world.weather.partial / 10) {
            return Err(Fault::WouldBlock);
        }
        let len = world.amount(room) as u32;
        let start = send.chunk.start;
        connection.give_part(&send.content, Chunk { start, len });
        let ends = send.hint == SendHint::ShutdownFollows && u64::from(len) == wanted;
        connection.held_back = ends.then_some(0);
        Ok(len)
    }

    /// Tokens are unique, and so is a write on a socket.
    pub(super) fn check_alone(&self, token: Token, socket: u64, writes: bool) {
        self.check_may_act();
        for other in &self.pending {
            let same = other.socket == socket && other.operation.writes() && writes;
            assert!(!same, "two writes on a socket: {other:?}");
            assert_ne!(other.token, token, "two operations with one token");
        }
        for other in &self.sends {
            assert!(
                other.socket != socket || !writes,
                "a write behind {other:?}"
            );
            assert_ne!(other.token, token, "two operations with one token");
        }
    }

    /// What follows a send that nobody waits for was to come with the next completion only.
    pub(super) fn check_may_act(&self) {
        assert!(!self.nothing_follows, "a session waits for a send in vain");
    }
}
