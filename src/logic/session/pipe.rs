//! One direction of a session: bytes from one side to the other, with backpressure.
//!
//! Small transfers go through buffers: at most two chunks are held, one on its way out and one
//! behind it. A receive begins only while there is no chunk behind, and brings no more than fits
//! into one; it may bring it in many small pieces, which are joined. After a receive that brought
//! all it may, the direction changes to splicing through a kernel pipe, and back after a run of
//! small moves: for answers of 64 KB that was measured to save a fifth. A direction that waits for
//! its source holds neither buffer nor kernel pipe.
//!
//! In HTTP mode a direction begins with a head: what comes is kept in one chunk until the head in
//! it is whole and was edited. Interim answers go out before that.
//!
//! ```text
//!         whole          full receive               chunks sent
//!   Head -----> Buffers ------------------> Draining ------------> Splicing
//!                  ^                                                  |
//!                  +---- small moves in a row, or no kernel pipe -----+
//! ```

use super::Protocol;
use super::action::{Action, Actions, AfterSend, ReceivedInfo, Side, SpliceResult};

/// Moves in a row that are small enough to go back to buffers: one small move may be the tail of
/// a large transfer, several are a conversation.
const SMALL_MOVES_MAX: u8 = 4;

/// Fewer bytes between two waits than this make a move small.
const SMALL_MOVE_BYTES: u32 = 16 * 1024;

/// Most bytes that one direction keeps in its kernel pipe: half of the 256 KiB that a session may
/// hold.
pub const PIPE_BYTES_MAX: u32 = 128 * 1024;

/// Bytes moved without a break, after which other sessions get their turn.
const TURN_BYTES_MAX: u32 = 1024 * 1024;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not yet: the chunk behind is the beginning of a head, the one before it interim answers.
    Head,
    /// Through buffers.
    Buffers,
    /// Through buffers until what is held is sent, then by splice.
    Draining,
    /// Through a kernel pipe; so many moves in a row were small.
    Splicing { small: u8 },
}

/// What became of a direction after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Progress {
    /// It goes on.
    Going,
    /// Its source has ended before its head was whole.
    HeadTruncated,
    /// Its source has ended and every byte was passed on.
    Finished,
}

/// One direction of a session.
#[derive(Debug)]
pub(super) struct Pipe {
    from: Side,
    mode: Mode,
    /// A receive or a poll of the source is in flight.
    pub reading: bool,
    /// A send or a poll of the sink is in flight.
    pub writing: bool,
    /// The source sends no more.
    pub ended: bool,
    /// The source was reset: its end is none of its stream.
    pub reset: bool,
    /// The end was passed on, or the sink is gone: what still comes is dropped.
    pub finished: bool,
    /// A kernel pipe is held.
    piped: bool,
    /// The last read left bytes behind in the kernel, as far as it told.
    more: bool,
    /// Unsent bytes of the oldest chunk.
    front: u32,
    /// Bytes of the chunk behind it.
    back: u32,
    /// Bytes in the kernel pipe.
    in_pipe: u32,
    /// Bytes spliced since the last wait.
    turn: u32,
    /// Bytes read from the source so far.
    pub bytes: u64,
}

impl Pipe {
    pub fn new(from: Side, protocol: Protocol) -> Self {
        Pipe {
            from,
            mode: match protocol {
                Protocol::Tcp => Mode::Buffers,
                Protocol::Http => Mode::Head,
            },
            reading: false,
            writing: false,
            ended: false,
            reset: false,
            finished: false,
            piped: false,
            more: false,
            front: 0,
            back: 0,
            in_pipe: 0,
            turn: 0,
            bytes: 0,
        }
    }

    /// Bytes that were read and not yet passed on.
    pub fn held(&self) -> u32 {
        self.front + self.back + self.in_pipe
    }

    /// Bytes in the kernel pipe.
    pub fn in_pipe(&self) -> u32 {
        self.in_pipe
    }

    /// Begins to read; `likely`: bytes are probably there already. A head that is held goes out.
    pub fn start(&mut self, likely: bool, out: &mut Actions) {
        if self.front > 0 {
            self.send(out);
        } else {
            self.more = likely;
        }
        self.receive(out);
    }

    /// Nothing was passed on but interim answers, and those are through.
    pub fn awaits_head(&self) -> bool {
        self.mode == Mode::Head && self.front == 0
    }

    /// The head is not whole yet.
    pub fn in_head(&self) -> bool {
        self.mode == Mode::Head
    }

    /// Bytes of a head that is not whole yet, without the interim answers before it.
    pub fn head_held(&self) -> Option<u32> {
        self.in_head().then_some(self.back)
    }

    /// The end of the head has not come.
    pub fn head_partial(&mut self, out: &mut Actions) -> Progress {
        debug_assert!(self.awaits_head(), "no head was looked for");
        if !self.ended {
            self.receive(out);
        }
        self.progress()
    }

    /// The chunk begins with interim answers, which go out at once.
    pub fn head_interim(&mut self, len: u32, out: &mut Actions) {
        debug_assert!(self.awaits_head(), "no head was looked for");
        debug_assert!(len <= self.back, "more than came");
        self.front = len;
        self.back -= len;
        self.send(out);
        if self.back == 0 && !self.ended {
            self.receive(out);
        }
    }

    /// The head is whole; with what came after it, it is `len` bytes now. It is kept.
    pub fn head_whole(&mut self, len: u32) {
        debug_assert!(self.awaits_head(), "no head was looked for");
        self.mode = Mode::Buffers;
        self.front = len;
        self.back = 0;
    }

    /// What is kept goes out, and what follows comes in.
    pub fn go_on(&mut self, out: &mut Actions) {
        self.send(out);
        self.receive_if_room(out);
    }

    /// An answer of our own is the only chunk.
    pub fn answer(&mut self, len: u32, out: &mut Actions) {
        self.mode = Mode::Buffers;
        self.front = len;
        self.send(out);
    }

    /// A part of an answer of our own was sent. Returns whether that was all.
    pub fn answer_sent(&mut self, len: u32, out: &mut Actions) -> bool {
        self.writing = false;
        self.front -= len;
        if self.front == 0 {
            out.push(Action::Release { from: self.from });
            return true;
        }
        self.poll_write(out);
        false
    }

    /// The beginning of a head that nobody will see whole is given back.
    pub fn drop_head(&mut self, out: &mut Actions) {
        if std::mem::take(&mut self.back) > 0 {
            out.push(Action::Release { from: self.from });
        }
    }

    /// Bytes came that will not be passed on: they are given back, or kept beside a chunk that is
    /// still being sent.
    pub fn discard(&mut self, info: ReceivedInfo, out: &mut Actions) {
        self.reading = info.armed;
        self.bytes += u64::from(info.len);
        if self.writing {
            self.back += info.len;
        } else {
            out.push(Action::Release { from: self.from });
        }
    }

    /// Returns whether the bytes are passed on.
    pub fn received(&mut self, info: ReceivedInfo, out: &mut Actions) -> bool {
        let ReceivedInfo {
            len,
            full,
            more,
            armed,
        } = info;
        self.reading = armed;
        self.bytes += u64::from(len);
        if self.finished {
            // Nobody takes it, but who sends it may read only when it was taken.
            out.push(Action::Release { from: self.from });
            self.drop_rest(out);
            return false;
        }
        self.more = more;
        if self.mode == Mode::Head {
            self.back += len;
            if self.front == 0 {
                self.read_head(out);
            }
            return true;
        }
        if self.front == 0 {
            self.front = len;
        } else {
            // What one receive brings fits into one chunk, and it began without a chunk here.
            self.back += len;
        }
        if full && !armed && self.mode == Mode::Buffers {
            self.mode = Mode::Draining;
        }
        if !self.writing {
            self.send(out);
        }
        self.receive_if_room(out);
        true
    }

    /// The source was reset. What it sent before is still passed on.
    pub fn source_failed(&mut self, out: &mut Actions) -> Progress {
        self.return_pipe(out);
        self.reset = true;
        self.ended()
    }

    pub fn ended(&mut self) -> Progress {
        self.reading = false;
        self.ended = true;
        self.progress()
    }

    pub fn sent(&mut self, len: u32, out: &mut Actions) -> Progress {
        self.writing = false;
        debug_assert!(len <= self.front, "more was sent than was asked");
        self.front -= len;
        if self.front > 0 {
            // It took less than all, so there is no more room.
            self.poll_write(out);
            return Progress::Going;
        }
        out.push(Action::Release { from: self.from });
        if self.mode == Mode::Head {
            if self.back > 0 {
                // What came behind the interim answers may be a whole head.
                self.read_head(out);
                return Progress::Going;
            }
            return self.progress();
        }
        self.front = std::mem::take(&mut self.back);
        if self.front > 0 {
            self.send(out);
        } else if self.mode == Mode::Draining && !self.ended {
            self.mode = Mode::Splicing { small: 0 };
            self.splice_in(out);
            return Progress::Going;
        }
        self.receive_if_room(out);
        self.progress()
    }

    /// What it does when the send that is in flight has taken all its bytes.
    pub fn after_send(&self) -> AfterSend {
        if self.ended && !self.reset && self.back == 0 && self.mode != Mode::Head {
            AfterSend::End
        } else if self.reading && self.back == 0 {
            AfterSend::Nothing
        } else {
            AfterSend::More
        }
    }

    /// The source can be read.
    pub fn readable(&mut self, out: &mut Actions) {
        self.reading = false;
        if self.finished {
            self.drop_rest(out);
        } else {
            self.splice_in(out);
        }
    }

    /// The sink can be written.
    pub fn writable(&mut self, out: &mut Actions) {
        self.writing = false;
        if self.in_pipe > 0 {
            self.splice_out(out);
        } else if self.front > 0 {
            self.send(out);
        }
    }

    /// Bytes moved into the kernel pipe; a failure is for the session to treat.
    pub fn spliced_in(&mut self, moved: SpliceResult, out: &mut Actions) -> Progress {
        match moved {
            SpliceResult::Bytes(len) => {
                self.more = len == PIPE_BYTES_MAX;
                self.piped = true;
                self.in_pipe += len;
                self.turn = self.turn.saturating_add(len);
                self.bytes += u64::from(len);
                self.splice_out(out);
            }
            SpliceResult::WouldBlock => {
                self.piped = true;
                self.wait_for_source(out);
            }
            SpliceResult::End => {
                self.piped = true;
                self.ended = true;
                self.return_pipe(out);
            }
            SpliceResult::NoPipe => {
                self.mode = Mode::Buffers;
                self.more = true;
                self.receive(out);
            }
            SpliceResult::Failed(_) => self.piped = true,
        }
        self.progress()
    }

    /// Bytes moved out of the kernel pipe; a failure is for the session to treat.
    pub fn spliced_out(&mut self, moved: SpliceResult, out: &mut Actions) -> Progress {
        match moved {
            SpliceResult::Bytes(len) => {
                debug_assert!(len <= self.in_pipe, "more came out than went in");
                self.in_pipe -= len;
                if self.in_pipe > 0 {
                    self.poll_write(out);
                } else if self.more && self.turn < TURN_BYTES_MAX {
                    self.splice_in(out);
                } else {
                    self.wait_for_source(out);
                }
            }
            SpliceResult::WouldBlock => self.poll_write(out),
            SpliceResult::Failed(_) | SpliceResult::End | SpliceResult::NoPipe => {}
        }
        Progress::Going
    }

    /// The sink is gone: what is held will never be passed on.
    pub fn break_off(&mut self, out: &mut Actions) {
        self.writing = false;
        self.finished = true;
        self.mode = Mode::Buffers;
        for chunk in [&mut self.front, &mut self.back] {
            if std::mem::take(chunk) > 0 {
                out.push(Action::Release { from: self.from });
            }
        }
        self.return_pipe(out);
    }

    /// The sink is gone before the source has ended.
    pub fn is_broken_off(&self) -> bool {
        self.finished && !self.ended
    }

    fn progress(&self) -> Progress {
        if self.ended && self.awaits_head() {
            Progress::HeadTruncated
        } else if self.ended && self.held() == 0 {
            Progress::Finished
        } else {
            Progress::Going
        }
    }

    fn receive_if_room(&mut self, out: &mut Actions) {
        let buffers = matches!(self.mode, Mode::Buffers);
        if buffers && !self.reading && !self.ended && self.back == 0 {
            self.receive(out);
        }
    }

    fn receive(&mut self, out: &mut Actions) {
        self.reading = true;
        out.push(Action::Receive {
            from: self.from,
            poll_first: !self.more,
        });
    }

    fn read_head(&mut self, out: &mut Actions) {
        out.push(Action::ReadHead { from: self.from });
    }

    /// Goes on reading what the source still sends, to drop it.
    pub fn drop_rest(&mut self, out: &mut Actions) {
        if self.finished && !self.reading && !self.ended {
            self.receive_rest(out);
        }
    }

    /// Reads what the source still sends.
    pub fn receive_rest(&mut self, out: &mut Actions) {
        self.more = false;
        self.receive(out);
    }

    fn send(&mut self, out: &mut Actions) {
        self.writing = true;
        out.push(Action::Send {
            to: self.from.other(),
            len: self.front,
        });
    }

    fn poll_write(&mut self, out: &mut Actions) {
        self.writing = true;
        out.push(Action::PollWrite {
            to: self.from.other(),
        });
    }

    fn splice_in(&mut self, out: &mut Actions) {
        debug_assert_eq!(self.held(), 0, "splicing past bytes that are held");
        out.push(Action::SpliceIn {
            from: self.from,
            len: PIPE_BYTES_MAX,
        });
    }

    fn splice_out(&mut self, out: &mut Actions) {
        out.push(Action::SpliceOut {
            from: self.from,
            len: self.in_pipe,
        });
    }

    /// Nothing to read for now: give the kernel pipe back and wait, in the way that fits what the
    /// last move was like.
    fn wait_for_source(&mut self, out: &mut Actions) {
        self.return_pipe(out);
        let small = match self.mode {
            Mode::Splicing { small } if self.turn < SMALL_MOVE_BYTES => small + 1,
            Mode::Splicing { .. } | Mode::Buffers | Mode::Draining | Mode::Head => 0,
        };
        self.turn = 0;
        if small >= SMALL_MOVES_MAX {
            self.mode = Mode::Buffers;
            self.more = false;
            self.receive(out);
        } else {
            self.mode = Mode::Splicing { small };
            self.reading = true;
            out.push(Action::PollRead { from: self.from });
        }
    }

    fn return_pipe(&mut self, out: &mut Actions) {
        if std::mem::take(&mut self.piped) {
            out.push(Action::ReturnPipe {
                from: self.from,
                empty: self.in_pipe == 0,
            });
            self.in_pipe = 0;
        }
    }
}
