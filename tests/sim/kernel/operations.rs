//! Operations in flight: which may be, and when they complete.

use ringway::io::{Done, Fault, Interest, Memory as _, RECEIVE_BYTES, Token};
use std::sync::atomic::Ordering;

use super::connection::Connection;
use super::{Buffer, Kernel, Socket};

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Operation {
    Accept { listener: u64, multi: bool },
    Connect,
    Receive { credit: u64, head: Option<u64> },
    Poll { interest: Interest },
    Watch { told: bool },
    Cancel,
    Waker,
}

impl Operation {
    fn reads(&self) -> bool {
        match self {
            Operation::Poll { interest } => *interest == Interest::Read,
            other => matches!(other, Operation::Receive { .. }),
        }
    }

    pub fn writes(&self) -> bool {
        match self {
            Operation::Poll { interest } => *interest == Interest::Write,
            other => matches!(other, Operation::Connect),
        }
    }
}

/// An operation in flight.
#[derive(Clone, Debug)]
pub struct Pending {
    pub token: Token,
    pub socket: u64,
    pub operation: Operation,
    pub canceled: bool,
}

impl Kernel {
    /// Completes pending operations, in any order, and not all that could.
    pub(super) fn complete_some(&mut self) {
        let mut order: Vec<usize> = (0..self.pending.len()).collect();
        for i in (1..order.len()).rev() {
            let j = self.world.borrow_mut().random.below(i as u64 + 1) as usize;
            order.swap(i, j);
        }
        let mut ended = Vec::new();
        for index in order {
            if self.world.borrow_mut().random.chance(25) {
                continue;
            }
            let mut pending = self.pending[index].clone();
            while let Some((done, last)) = self.try_complete(&mut pending) {
                self.done.push_back((pending.token, done));
                if last {
                    ended.push(index);
                    break;
                }
                if self.world.borrow_mut().random.chance(30) {
                    break;
                }
            }
            self.pending[index] = pending;
        }
        ended.sort_unstable();
        for index in ended.into_iter().rev() {
            self.pending.remove(index);
        }
    }

    pub(super) fn submit(&mut self, token: Token, socket: u64, operation: Operation) {
        for other in &self.pending {
            let same = other.socket == socket && other.operation.reads() && operation.reads();
            assert!(!same, "two of a kind on a socket: {other:?}, {operation:?}");
        }
        self.check_alone(token, socket, operation.writes());
        self.pending.push(Pending {
            token,
            socket,
            operation,
            canceled: false,
        });
    }

    /// Tries to complete one pending operation.
    fn try_complete(&mut self, pending: &mut Pending) -> Option<(Done<Kernel>, bool)> {
        let buffers_left = self.buffers_left();
        let world = &mut *self.world.borrow_mut();
        let canceled = pending.canceled && world.random.chance(80);
        match &mut pending.operation {
            Operation::Waker => {
                let woken = self.woken.swap(false, Ordering::SeqCst);
                woken.then_some((Done::Woken, true))
            }
            Operation::Accept { listener, multi } => {
                assert!(
                    self.listeners.contains(listener),
                    "accept on a closed listener"
                );
                let accepted = |socket, more| (Done::Accepted { socket, more }, !more);
                if canceled {
                    return Some(accepted(Err(Fault::Canceled), false));
                }
                let peer = world.backlog.pop_front()?;
                if world.fault(world.weather.accept_fault) {
                    world.backlog.push_front(peer);
                    return Some(accepted(Err(Fault::NoDescriptors), false));
                }
                let mut connection = Connection::new(peer);
                connection.configuration = world.newest(&self.adopted);
                let id = world.id();
                self.connections.insert(id, connection);
                Some(accepted(Ok(Socket(id)), *multi))
            }
            Operation::Connect => {
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if canceled {
                    world.refused.extend(connection.address);
                    return Some((Done::Connected(Err(Fault::Canceled)), true));
                }
                if connection.silent {
                    return None;
                }
                if world.fault(world.weather.refuse) {
                    world.refused.extend(connection.address);
                    return Some((Done::Connected(Err(Fault::Refused)), true));
                }
                if world.fault(world.weather.shortage) {
                    let fault = if world.random.chance(50) {
                        Fault::NoMemory
                    } else {
                        world.refused.extend(connection.address);
                        Fault::NoPorts
                    };
                    return Some((Done::Connected(Err(fault)), true));
                }
                connection.connected = true;
                Some((Done::Connected(Ok(())), true))
            }
            Operation::Receive { credit, head } => {
                let received = |bytes, more| {
                    let armed = false;
                    (Done::Received { bytes, more, armed }, true)
                };
                let connection = self.connections.get_mut(&pending.socket).expect("open");
                if canceled {
                    return Some(received(Err(Fault::Canceled), false));
                }
                if buffers_left == 0 {
                    return Some(received(Err(Fault::NoBuffers), false));
                }
                if let Some(max) = *head
                    && connection.readable > 0
                {
                    let len = world.amount(connection.readable.min(max));
                    self.buffers_out += 1;
                    self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
                    let buffer = Buffer::with(connection.take_text(len));
                    let more = connection.readable > 0;
                    return Some(received(Ok((Some(buffer), len as u32)), more));
                }
                if connection.readable > 0 {
                    let len = world.amount(connection.readable.min(u64::from(RECEIVE_BYTES)));
                    let piece = connection.take(len);
                    // Looked at after each piece only, as in Linux.
                    *credit = credit.saturating_sub(len);
                    self.buffers_out += 1;
                    self.buffers_out_max = self.buffers_out_max.max(self.buffers_out);
                    let bytes = Ok((Some(Buffer::of(piece)), len as u32));
                    let more = connection.readable > 0;
                    let armed = *credit > 0 && world.weather.multishot;
                    return Some((Done::Received { bytes, more, armed }, !armed));
                }
                let end = connection.end()?;
                Some(received(end.map(|()| (None, 0)), false))
            }
            Operation::Cancel => Some((Done::Canceled, true)),
            Operation::Poll { interest } => {
                let connection = &self.connections[&pending.socket];
                if canceled {
                    return Some((Done::Polled(Err(Fault::Canceled)), true));
                }
                let ready = match interest {
                    Interest::Read => connection.can_read(),
                    Interest::Write => connection.room() > 0 || connection.peer_reset,
                };
                ready.then_some((Done::Polled(Ok(())), true))
            }
            Operation::Watch { told } => {
                if canceled {
                    return Some((Done::Unwatched, true));
                }
                // The end of the peer's stream is not told.
                let gone = self.connections[&pending.socket].peer_reset;
                if !gone || std::mem::replace(told, true) {
                    return None;
                }
                let armed = world.random.chance(70);
                Some((Done::Gone { armed }, !armed))
            }
        }
    }
}
