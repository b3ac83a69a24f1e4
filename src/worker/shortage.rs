//! Distributes receive buffers when few are left.
//!
//! 1. A direction with buffered bytes receives no more until they are sent: the last buffers are for
//!    directions without any.
//! 2. Bytes that cannot be sent yet are moved to memory of their size, if they are few.
//! 3. Receives that found no buffer are repeated when there is one, in the order in which they
//!    failed.
//! 4. If there is none, the session that has kept a buffer longest for stalled bytes is ended: one in each
//!    turn, since whoever gets its buffer may soon give it to the next.
//!
//! While there are enough buffers, only the list of stalled directions is kept.

use std::time::Duration;

use super::Worker;
use super::slot::{ReceiveWait, Slot};
use super::token::Key;
use crate::io::{Chunk, Engine};
use crate::logic::session::{Event, KillReason, Side};
use crate::logic::time::Instant;

/// How long bytes must have been stalled in a buffer before their session may be ended for it, and how
/// often receives that wait for a buffer are tried again, if nothing else happens.
const BUFFER_PAUSE: Duration = Duration::from_millis(100);

impl<E: Engine> Worker<E> {
    /// Whether a receive has to wait until the buffered bytes of its direction are sent. Then
    /// [`Worker::resume_receive`] makes it.
    pub(super) fn holds_back(&mut self, slot: usize, from: Side) -> bool {
        let entry = &mut self.sessions[slot];
        // An incomplete head is not sent, so waiting for that would never end.
        let may_read = entry.chunks[from.index()].is_empty()
            || entry.session.is_reading_head(from)
            || !self.engine.is_short_of_buffers();
        if !may_read {
            entry.receive_waits[from.index()] = ReceiveWait::Send;
        }
        !may_read
    }

    /// A chunk was sent: makes the receive that waited for that.
    pub(super) fn resume_receive(&mut self, slot: usize, from: Side) {
        let wait = &mut self.sessions[slot].receive_waits[from.index()];
        if *wait == ReceiveWait::Send {
            *wait = ReceiveWait::Nothing;
            let key = self.key(slot);
            self.receive(key, from, false);
        }
    }

    /// A receive found no buffer.
    pub(super) fn starve(&mut self, key: Key, from: Side) {
        self.counters().buffer_misses.add(1);
        let slot = key.slot as usize;
        if !self.holds_back(slot, from) {
            self.sessions[slot].receive_waits[from.index()] = ReceiveWait::Buffer;
            self.starved.push_back((key, from));
        }
    }

    /// Once in each turn: frees buffers, and repeats receives that found none.
    pub(super) fn relieve_shortage(&mut self) {
        while self.engine.is_short_of_buffers() {
            let Some((slot, from)) = self.stalled.examine_next() else {
                break;
            };
            self.shrink(slot, from);
        }
        self.feed_starved();
    }

    /// Moves the bytes of a direction to memory of their size. A head stays, since it is edited in
    /// its buffer.
    fn shrink(&mut self, slot: usize, from: Side) {
        let entry = &mut self.sessions[slot];
        if !entry.session.is_reading_head(from) {
            let engine = &mut self.engine;
            entry.chunks[from.index()].shrink(|buffer, chunk| engine.shrink(buffer, chunk));
            self.note_stalled(slot);
        }
    }

    /// Repeats receives that found no buffer, as many as there are buffers now.
    fn feed_starved(&mut self) {
        if !self.someone_starves() {
            return;
        }
        if self.engine.buffers_left() == 0 {
            self.end_longest_stalled();
        }
        // One that fails again is appended to the queue in a later turn.
        for _ in 0..self.engine.buffers_left() {
            if !self.someone_starves() {
                return;
            }
            if let Some((key, from)) = self.starved.pop_front() {
                self.sessions[key.slot as usize].receive_waits[from.index()] = ReceiveWait::Nothing;
                self.receive(key, from, false);
            }
        }
    }

    /// Whether a receive waits for a buffer. Those that do no longer are removed from the front of the queue.
    fn someone_starves(&mut self) -> bool {
        while let Some(&(key, from)) = self.starved.front() {
            let waits = |entry: &mut Slot<E>| entry.receive_waits[from.index()];
            if self.slot(key).map(waits) == Some(ReceiveWait::Buffer) {
                return true;
            }
            self.starved.pop_front();
        }
        false
    }

    /// When receives without a buffer are tried again, if there are any.
    pub(super) fn starved_due(&self) -> Option<Instant> {
        (!self.starved.is_empty()).then(|| self.now + BUFFER_PAUSE)
    }

    /// Ends the session that has kept a buffer longest for stalled bytes, and takes its buffers; unless none has
    /// kept one for [`BUFFER_PAUSE`], or these bytes can be moved now.
    fn end_longest_stalled(&mut self) {
        self.reporting.warn_of_shortage(self.now, || {
            "all buffers are in use: receives wait for one".to_string()
        });
        let Some((slot, from, since)) = self.stalled.oldest() else {
            return;
        };
        if self.now < since + BUFFER_PAUSE {
            return;
        }
        // When they were examined, there may have been no memory, or they were an incomplete head.
        self.shrink(slot, from);
        if self.engine.buffers_left() > 0 {
            return;
        }
        let key = self.key(slot);
        if !self.sessions[slot].session.is_closing() {
            self.counters().shortages.add(1);
            self.drive(slot, Event::Killed(KillReason::Shortage));
        }
        if self.slot(key).is_some() {
            // It still has an operation in flight, but not with these buffers.
            for from in Side::BOTH {
                let chunks = &mut self.sessions[slot].chunks[from.index()];
                while chunks.is_waiting() {
                    if let Some(buffer) = chunks.pop() {
                        self.engine.release(buffer);
                    }
                }
            }
            self.note_stalled(slot);
        }
    }

    /// After an event: updates the list of directions that keep a buffer for bytes that cannot be sent yet.
    pub(super) fn note_stalled(&mut self, slot: usize) {
        let entry = &mut self.sessions[slot];
        for from in Side::BOTH {
            let keeps = entry.chunks[from.index()].keeps_buffer();
            let noted = std::mem::replace(&mut entry.stalled[from.index()], keeps);
            match (noted, keeps) {
                (false, true) => self.stalled.push(slot, from, self.now),
                (true, false) => self.stalled.remove(slot, from),
                (false, false) | (true, true) => {}
            }
        }
    }

    /// Further bytes came: removes the direction from the list. If they stall, it is added again, so that they
    /// are examined too.
    pub(super) fn renew_stalled(&mut self, slot: usize, from: Side) {
        let noted = &mut self.sessions[slot].stalled[from.index()];
        if std::mem::take(noted) {
            self.stalled.remove(slot, from);
        }
    }

    /// A session has ended.
    pub(super) fn forget_stalled(&mut self, slot: usize, entry: &Slot<E>) {
        for from in Side::BOTH {
            if entry.stalled[from.index()] {
                self.stalled.remove(slot, from);
            }
        }
    }

    /// Puts the bytes of the newest chunk, which is in memory of its size, before the bytes that came
    /// now, as one chunk.
    pub(super) fn join_shrunk(
        &mut self,
        slot: usize,
        from: Side,
        mut buffer: E::Buffer,
        chunk: Chunk,
    ) {
        let chunks = &mut self.sessions[slot].chunks[from.index()];
        let Some((old, part)) = chunks.newest() else {
            return self.engine.release(buffer);
        };
        self.engine.prepend(old, part, &mut buffer, chunk);
        let len = part.len + chunk.len;
        if let Some(old) = chunks.replace_newest(buffer, Chunk { len, ..chunk }) {
            self.engine.release(old);
        }
    }
}
