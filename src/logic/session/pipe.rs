//! One direction of a session: bytes from one side, the source, to the other, the sink, with
//! backpressure.
//!
//! Small transfers go through buffers: at most two chunks are buffered, one that is being sent and
//! one behind it. A receive begins only while there is no chunk behind, and brings no more than fits
//! into one; it may bring it in many small pieces, which are joined. After a receive of 16 KiB or
//! more the direction changes to splicing through a kernel pipe, and back after a run of small moves:
//! for responses of 16 KB that was measured to save 6 to 9 %, for 64 KB a fifth. A direction that waits
//! for its source has neither a buffer nor a kernel pipe.
//!
//! In HTTP mode a direction begins with a head: what comes is kept in one chunk until the head in
//! it is whole and was edited. Interim responses are sent before that. In TLS mode that from the client
//! begins with a ClientHello.
//!
//! ```text
//!         whole          large receive              chunks sent
//!   Head -----> Buffers ------------------> Draining ------------> Splicing
//!                  ^                                                  |
//!                  +---- small moves in a row, or no kernel pipe -----+
//! ```

mod flags;
mod head;
mod splicing;

use super::action::{Action, Actions, AfterSend};
use super::event::ReceivedInfo;
use super::policy::Protocol;
use super::side::Side;
use flags::Flags;
pub use splicing::PIPE_BYTES_MAX;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not yet: the chunk behind is the beginning of a head, the oldest has interim responses.
    Head,
    /// Through buffers.
    Buffers,
    /// Through buffers until all that is buffered was sent, then by splice.
    Draining,
    /// Through a kernel pipe; so many moves in a row were small.
    Splicing(SmallMoves),
}

/// How many moves in a row were small: one may be the end of a large transfer, several are a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SmallMoves {
    None,
    One,
    Two,
    Three,
}

const _: () = assert!(size_of::<Pipe>() == 24);

/// How far a direction has come after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Progress {
    /// It goes on.
    Going,
    /// Its source has ended before its head was whole.
    HeadTruncated,
    /// Its source has ended and every byte was sent.
    Finished,
    /// An event or a reply does not agree with what it has buffered: an error of ours.
    Inconsistent,
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
    flags: Flags,
    /// The last read left bytes in the socket, as far as the kernel reported.
    more: bool,
    /// There is an oldest chunk, of which bytes are unsent. How many, the worker knows, which has them.
    oldest: bool,
    /// There is a chunk behind it.
    behind: bool,
    /// Bytes in the kernel pipe.
    pub in_pipe: u32,
    /// Bytes spliced since the last wait.
    burst: u32,
    /// Bytes read from the source so far.
    pub bytes: u64,
}

impl Pipe {
    pub fn new(from: Side, protocol: Protocol) -> Self {
        Pipe {
            from,
            mode: match (protocol, from) {
                (Protocol::Tcp, _) | (Protocol::Tls, Side::Server) => Mode::Buffers,
                (Protocol::Http, _) | (Protocol::Tls, Side::Client) => Mode::Head,
            },
            reading: false,
            writing: false,
            flags: Flags::default(),
            more: false,
            oldest: false,
            behind: false,
            in_pipe: 0,
            burst: 0,
            bytes: 0,
        }
    }

    /// Whether the stream of the source has ended.
    pub fn has_ended(&self) -> bool {
        self.flags.has(Flags::ENDED)
    }

    /// The stream of the source has ended.
    pub fn note_end(&mut self) {
        self.flags.insert(Flags::ENDED);
    }

    /// Whether the source was reset: its end is not the end of its stream.
    pub fn was_reset(&self) -> bool {
        self.flags.has(Flags::RESET)
    }

    /// The end of the source is not the end of its stream.
    pub fn note_reset(&mut self) {
        self.flags.insert(Flags::RESET);
    }

    /// Whether the end was passed on, or the sink is gone: what still comes is discarded.
    pub fn is_finished(&self) -> bool {
        self.flags.has(Flags::FINISHED)
    }

    /// What still comes is discarded.
    pub fn finish(&mut self) {
        self.flags.insert(Flags::FINISHED);
    }

    /// Whether there are bytes that were read and not yet sent.
    pub fn has_buffered(&self) -> bool {
        self.oldest || self.behind || self.in_pipe > 0
    }

    /// Begins to read; `likely`: bytes are probably there already. A head that is buffered is sent.
    pub fn start(&mut self, likely: bool, out: &mut Actions) {
        if self.oldest {
            self.send(out);
        } else {
            self.more = likely;
        }
        self.receive(out);
    }

    /// Sends what is buffered and receives what follows.
    pub fn send_and_receive(&mut self, out: &mut Actions) {
        self.send(out);
        self.receive_if_room(out);
    }

    /// An error response is the only chunk: sends it.
    pub fn send_only(&mut self, out: &mut Actions) {
        self.mode = Mode::Buffers;
        self.oldest = true;
        self.send(out);
    }

    /// A part of the error response was sent and `left` bytes are left, or all of it was
    /// ([`Progress::Finished`]).
    pub fn sent_only(&mut self, left: u32, out: &mut Actions) -> Progress {
        self.writing = false;
        if !self.oldest {
            return Progress::Inconsistent;
        }
        self.oldest = left > 0;
        if left == 0 {
            out.push(Action::Release { from: self.from });
            return Progress::Finished;
        }
        self.poll_write(out);
        Progress::Going
    }

    /// Bytes came that will not be sent: they are released, or kept behind a chunk that is still
    /// being sent.
    pub fn discard(&mut self, info: ReceivedInfo, out: &mut Actions) {
        self.reading = info.armed;
        self.bytes += u64::from(info.len);
        if self.writing {
            self.behind = true;
        } else {
            out.push(Action::Release { from: self.from });
        }
    }

    /// Bytes came. Returns whether they are passed on.
    pub fn received(&mut self, info: ReceivedInfo, out: &mut Actions) -> bool {
        let ReceivedInfo { len, more, armed } = info;
        self.reading = armed;
        self.bytes += u64::from(len);
        if self.is_finished() {
            // The source may not read before all that it writes was received.
            out.push(Action::Release { from: self.from });
            self.receive_to_discard(out);
            return false;
        }
        self.more = more;
        if self.mode == Mode::Head {
            self.behind = true;
            if !self.oldest {
                self.read_head(out);
            }
            return true;
        }
        if self.oldest {
            // What one receive brings fits into one chunk, and it began while none was behind.
            self.behind = true;
        } else {
            self.oldest = true;
        }
        if !armed {
            self.drain_after(len);
        }
        if !self.writing {
            self.send(out);
        }
        self.receive_if_room(out);
        true
    }

    /// The source was reset. What it sent before is still sent to the sink.
    pub fn source_failed(&mut self, out: &mut Actions) -> Progress {
        self.return_pipe(out);
        self.note_reset();
        self.ended()
    }

    /// The stream of the source has ended.
    pub fn ended(&mut self) -> Progress {
        self.reading = false;
        self.note_end();
        self.progress()
    }

    /// A send ended, and `left` bytes of the oldest chunk are left.
    #[inline]
    pub fn sent(&mut self, left: u32, out: &mut Actions) -> Progress {
        self.writing = false;
        if !self.oldest {
            return Progress::Inconsistent;
        }
        self.oldest = left > 0;
        if left > 0 {
            // It took less than all, so there is no more room.
            self.poll_write(out);
            return Progress::Going;
        }
        out.push(Action::Release { from: self.from });
        if self.mode == Mode::Head {
            if self.behind {
                // What came behind the interim responses may be a whole head.
                self.read_head(out);
                return Progress::Going;
            }
            return self.progress();
        }
        self.oldest = std::mem::take(&mut self.behind);
        if self.oldest {
            self.send(out);
        } else if self.mode == Mode::Draining && !self.has_ended() {
            self.mode = Mode::Splicing(SmallMoves::None);
            return self.splice_in(out);
        }
        self.receive_if_room(out);
        self.progress()
    }

    /// What it does when the send that is in flight has taken all its bytes.
    pub fn after_send(&self) -> AfterSend {
        if self.has_ended() && !self.was_reset() && !self.behind && self.mode != Mode::Head {
            AfterSend::End
        } else if self.reading && !self.behind {
            AfterSend::Nothing
        } else {
            AfterSend::More
        }
    }

    /// The sink can be written.
    pub fn writable(&mut self, out: &mut Actions) {
        self.writing = false;
        if self.in_pipe > 0 {
            self.splice_out(out);
        } else if self.oldest {
            self.send(out);
        }
    }

    /// The sink is gone: what is buffered is released.
    pub fn lose_sink(&mut self, out: &mut Actions) {
        self.writing = false;
        self.finish();
        self.mode = Mode::Buffers;
        for chunk in [&mut self.oldest, &mut self.behind] {
            if std::mem::take(chunk) {
                out.push(Action::Release { from: self.from });
            }
        }
        self.return_pipe(out);
    }

    /// The sink was gone before the source ended.
    pub fn lost_its_sink(&self) -> bool {
        self.is_finished() && !self.has_ended()
    }

    fn progress(&self) -> Progress {
        if self.has_ended() && self.awaits_head() {
            Progress::HeadTruncated
        } else if self.has_ended() && !self.has_buffered() {
            Progress::Finished
        } else {
            Progress::Going
        }
    }

    fn receive_if_room(&mut self, out: &mut Actions) {
        let buffers = matches!(self.mode, Mode::Buffers);
        if buffers && !self.reading && !self.has_ended() && !self.behind {
            self.receive(out);
        }
    }

    /// Receives what comes next.
    pub fn receive(&mut self, out: &mut Actions) {
        self.reading = true;
        out.push(Action::Receive {
            from: self.from,
            poll_first: !self.more,
        });
    }

    /// Goes on receiving what the source still sends after the sink is gone.
    pub fn receive_to_discard(&mut self, out: &mut Actions) {
        if self.is_finished() && !self.reading && !self.has_ended() {
            self.receive_rest(out);
        }
    }

    /// Receives what the source still sends.
    pub fn receive_rest(&mut self, out: &mut Actions) {
        self.more = false;
        self.receive(out);
    }

    fn send(&mut self, out: &mut Actions) {
        self.writing = true;
        out.push(Action::Send {
            to: self.from.other(),
        });
    }

    fn poll_write(&mut self, out: &mut Actions) {
        self.writing = true;
        out.push(Action::PollWrite {
            to: self.from.other(),
        });
    }
}
