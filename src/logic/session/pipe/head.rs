//! A direction that begins with a head (a PROXY head, one of HTTP, or a ClientHello): what comes is kept in one
//! chunk until the head in it is whole. Interim responses of a server are sent before that.

use super::{Mode, Pipe, Progress};
use crate::logic::session::{Action, Actions, ReceivedInfo, Side};

impl Pipe {
    /// A head is next: nothing was received before it but interim responses, and those were sent.
    pub fn awaits_head(&self) -> bool {
        self.mode == Mode::Head && !self.oldest
    }

    /// The head is not whole yet.
    pub fn in_head(&self) -> bool {
        self.mode == Mode::Head
    }

    /// A part of a head is buffered, in one piece; interim responses before it are none.
    pub fn has_head_part(&self) -> bool {
        self.in_head() && self.behind
    }

    /// The rest of the head has not come yet.
    pub fn head_partial(&mut self, out: &mut Actions) -> Progress {
        if !self.has_ended() {
            self.receive(out);
        }
        self.progress()
    }

    /// The chunk was divided: interim responses, which are sent at once, and `more` behind them.
    pub fn head_interim(&mut self, more: bool, out: &mut Actions) -> Progress {
        if !self.behind {
            return Progress::Inconsistent;
        }
        self.oldest = true;
        self.behind = more;
        self.send(out);
        if !more && !self.has_ended() {
            self.receive(out);
        }
        Progress::Going
    }

    /// The head is whole, in one chunk with what came after it. It is kept.
    pub fn head_whole(&mut self) {
        self.mode = Mode::Buffers;
        self.oldest = true;
        self.behind = false;
    }

    /// A head comes before the first byte that is passed on.
    pub fn expect_head(&mut self) {
        self.mode = Mode::Head;
    }

    /// A part of a head came that is not examined yet.
    pub fn received_head_part(&mut self, info: ReceivedInfo) {
        self.reading = info.armed;
        self.bytes += u64::from(info.len);
        self.more = info.more;
        self.behind = true;
    }

    /// The head was removed, and bytes follow. `more`: what came behind it is the only chunk.
    pub fn head_taken(&mut self, more: bool) {
        self.head_whole();
        self.oldest = more;
    }

    /// The head was removed, and another one follows. `more`: what came behind it is the only chunk.
    pub fn next_head(&mut self, more: bool, out: &mut Actions) {
        self.behind = more;
        if more {
            self.read_head(out);
        } else {
            self.receive(out);
        }
    }

    /// Releases the beginning of a head that will not become whole.
    pub fn drop_head(&mut self, out: &mut Actions) {
        if std::mem::take(&mut self.behind) {
            out.push(Action::Release { from: self.from });
        }
    }

    /// Has the worker examine what is buffered of a head.
    pub fn read_head(&mut self, out: &mut Actions) {
        out.push(match self.from {
            Side::Client => Action::ReadPreface,
            Side::Server => Action::ReadResponseHead,
        });
    }
}
