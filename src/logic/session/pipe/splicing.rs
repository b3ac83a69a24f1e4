//! A direction whose bytes move through a kernel pipe, and its way back to buffers.

use super::flags::Flags;
use super::{Mode, Pipe, Progress, SmallMoves};
use crate::logic::session::{Action, Actions, SpliceResult};

/// Fewer bytes than this, by one receive or spliced between two waits, are cheaper in buffers.
const SMALL_MOVE_BYTES: u32 = 16 * 1024;

/// The most bytes that one direction keeps in its kernel pipe.
pub const PIPE_BYTES_MAX: u32 = 256 * 1024;

/// The most that each keeps there if both have bytes at once, but for one that was filled before the other had any.
const PIPE_BYTES_BOTH: u32 = PIPE_BYTES_MAX / 2;

/// Bytes spliced without a wait, after which other sessions are served.
const BURST_BYTES_MAX: u32 = 1024 * 1024;

impl SmallMoves {
    /// Another move was small. `None`: these are enough for the direction to go back to buffers.
    fn one_more(self) -> Option<Self> {
        match self {
            SmallMoves::None => Some(SmallMoves::One),
            SmallMoves::One => Some(SmallMoves::Two),
            SmallMoves::Two => Some(SmallMoves::Three),
            SmallMoves::Three => None,
        }
    }
}

impl Pipe {
    /// A receive that brought so many bytes has ended: after many, those that follow are spliced.
    #[inline]
    pub(super) fn drain_after(&mut self, len: u32) {
        if len >= SMALL_MOVE_BYTES && self.mode == Mode::Buffers {
            self.mode = Mode::Draining;
        }
    }

    /// The source can be read.
    pub fn readable(&mut self, out: &mut Actions) -> Progress {
        self.reading = false;
        if self.is_finished() {
            self.receive_to_discard(out);
            return Progress::Going;
        }
        self.splice_in(out)
    }

    /// Bytes moved into the kernel pipe; the session handles a failure.
    pub fn spliced_in(&mut self, result: SpliceResult, out: &mut Actions) -> Progress {
        match result {
            SpliceResult::Bytes(len) => {
                self.more = len == self.pipe_room();
                self.flags.insert(Flags::PIPE);
                self.in_pipe += len;
                self.burst = self.burst.saturating_add(len);
                self.bytes += u64::from(len);
                self.splice_out(out);
            }
            SpliceResult::WouldBlock => {
                self.flags.insert(Flags::PIPE);
                self.wait_for_source(out);
            }
            SpliceResult::End => {
                self.flags.insert(Flags::PIPE);
                self.note_end();
                self.return_pipe(out);
            }
            SpliceResult::NoPipe => {
                self.mode = Mode::Buffers;
                self.more = true;
                self.receive(out);
            }
            SpliceResult::Failed(_) => self.flags.insert(Flags::PIPE),
        }
        self.progress()
    }

    /// Bytes moved out of the kernel pipe; the session handles a failure.
    pub fn spliced_out(&mut self, result: SpliceResult, out: &mut Actions) -> Progress {
        match result {
            SpliceResult::Bytes(len) => {
                let Some(unsent) = self.in_pipe.checked_sub(len) else {
                    return Progress::Inconsistent;
                };
                self.in_pipe = unsent;
                if unsent > 0 {
                    self.poll_write(out);
                } else if self.more && self.burst < BURST_BYTES_MAX {
                    return self.splice_in(out);
                } else {
                    self.wait_for_source(out);
                }
            }
            SpliceResult::WouldBlock => self.poll_write(out),
            SpliceResult::Failed(_) | SpliceResult::End | SpliceResult::NoPipe => {}
        }
        Progress::Going
    }

    /// Moves bytes into the kernel pipe, but never past bytes that are still buffered.
    pub(super) fn splice_in(&mut self, out: &mut Actions) -> Progress {
        if self.has_buffered() {
            return Progress::Inconsistent;
        }
        out.push(Action::SpliceIn {
            from: self.from,
            len: self.pipe_room(),
        });
        Progress::Going
    }

    /// How many bytes it moves into its empty kernel pipe at most.
    fn pipe_room(&self) -> u32 {
        match self.flags.has(Flags::OTHER_PIPE) {
            true => PIPE_BYTES_BOTH,
            false => PIPE_BYTES_MAX,
        }
    }

    /// Whether the kernel pipe of the other direction has bytes now.
    pub fn note_other_pipe(&mut self, has_bytes: bool) {
        match has_bytes {
            true => self.flags.insert(Flags::OTHER_PIPE),
            false => {
                self.flags.take(Flags::OTHER_PIPE);
            }
        }
    }

    pub(super) fn splice_out(&mut self, out: &mut Actions) {
        out.push(Action::SpliceOut {
            from: self.from,
            len: self.in_pipe,
        });
    }

    /// Nothing can be read now: returns the kernel pipe and waits, after small moves by a receive, else
    /// by a poll.
    fn wait_for_source(&mut self, out: &mut Actions) {
        self.return_pipe(out);
        let small = match self.mode {
            Mode::Splicing(small) if self.burst < SMALL_MOVE_BYTES => small.one_more(),
            Mode::Splicing(_) | Mode::Buffers | Mode::Draining | Mode::Head => {
                Some(SmallMoves::None)
            }
        };
        self.burst = 0;
        if let Some(small) = small {
            self.mode = Mode::Splicing(small);
            self.reading = true;
            out.push(Action::PollRead { from: self.from });
        } else {
            self.mode = Mode::Buffers;
            self.more = false;
            self.receive(out);
        }
    }

    pub(super) fn return_pipe(&mut self, out: &mut Actions) {
        if self.flags.take(Flags::PIPE) {
            out.push(Action::ReturnPipe {
                from: self.from,
                empty: self.in_pipe == 0,
            });
            self.in_pipe = 0;
        }
    }
}
