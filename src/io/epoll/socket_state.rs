//! What the engine keeps for each socket: what it is ready for, and the operations that wait for that.

use super::ready::Ready;
use crate::io::operation::{Receive, Token};

/// A read that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Receive(Receive),
    Poll,
}

/// A write that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Connect,
    Poll,
}

/// An operation that waits, or none: a token, and a code in the bits that tokens do not use.
#[derive(Clone, Copy, Debug, Default)]
struct Slot(u64);

const CODE_BITS: u32 = 64 - Token::BITS;

impl Slot {
    fn new(token: Token, code: u32) -> Self {
        debug_assert!(token.0 < 1 << Token::BITS && 0 < code && code < 1 << CODE_BITS);
        Slot(token.0 << CODE_BITS | u64::from(code))
    }

    fn get(self) -> Option<(Token, u32)> {
        let code = self.0 as u32 & ((1 << CODE_BITS) - 1);
        (code != 0).then_some((Token(self.0 >> CODE_BITS), code))
    }
}

/// Codes of reads. A [`Receive::Once`] has its length, which is 1 to 2^16, as its code.
const STREAM: u32 = 1 << 17;
const POLL_READ: u32 = STREAM + 1;
/// Codes of writes.
const CONNECT: u32 = 1;
const POLL_WRITE: u32 = 2;
/// The code of a watch.
const WATCH: u32 = 1;

/// A registered socket. There are two for each session, so it is small.
#[derive(Debug)]
pub(super) struct SocketState<I> {
    /// Names it in system calls.
    pub id: I,
    /// Tells it from others that had its index before.
    pub generation: u16,
    /// What was reported and is not used up.
    pub ready: Ready,
    /// It is in the queue of those that are examined.
    pub is_queued: bool,
    read: Slot,
    write: Slot,
    watch: Slot,
}

const _: () = assert!(size_of::<SocketState<i32>>() == 32);

impl<I> SocketState<I> {
    pub fn new(id: I, generation: u16) -> Self {
        SocketState {
            id,
            generation,
            ready: Ready::default(),
            is_queued: false,
            read: Slot::default(),
            write: Slot::default(),
            watch: Slot::default(),
        }
    }

    /// Whether an operation waits for something that it is ready for.
    pub fn is_due(&self) -> bool {
        let is_due = |slot: Slot, ready| slot.get().is_some() && self.ready.has(ready);
        is_due(self.read, Ready::ENDS_READ)
            || is_due(self.write, Ready::ENDS_WRITE)
            || is_due(self.watch, Ready::GONE)
    }

    /// No operation waits.
    pub fn is_idle(&self) -> bool {
        [self.read, self.write, self.watch]
            .iter()
            .all(|slot| slot.get().is_none())
    }

    pub fn read(&self) -> Option<(Token, Read)> {
        let (token, code) = self.read.get()?;
        let read = match code {
            STREAM => Read::Receive(Receive::Stream),
            POLL_READ => Read::Poll,
            len => Read::Receive(Receive::Once(len)),
        };
        Some((token, read))
    }

    pub fn begin_read(&mut self, token: Token, read: Read) {
        debug_assert!(self.read.get().is_none(), "a read waits already");
        let code = match read {
            Read::Receive(Receive::Stream) => STREAM,
            Read::Receive(Receive::Once(len)) => len,
            Read::Poll => POLL_READ,
        };
        self.read = Slot::new(token, code);
    }

    pub fn end_read(&mut self) {
        self.read = Slot::default();
    }

    pub fn write(&self) -> Option<(Token, Write)> {
        let (token, code) = self.write.get()?;
        let write = match code {
            CONNECT => Write::Connect,
            _ => Write::Poll,
        };
        Some((token, write))
    }

    pub fn begin_write(&mut self, token: Token, write: Write) {
        debug_assert!(self.write.get().is_none(), "a write waits already");
        let code = match write {
            Write::Connect => CONNECT,
            Write::Poll => POLL_WRITE,
        };
        self.write = Slot::new(token, code);
    }

    pub fn end_write(&mut self) {
        self.write = Slot::default();
    }

    pub fn watch(&self) -> Option<Token> {
        self.watch.get().map(|(token, _)| token)
    }

    pub fn begin_watch(&mut self, token: Token) {
        debug_assert!(self.watch.get().is_none(), "it is watched already");
        self.watch = Slot::new(token, WATCH);
    }

    pub fn end_watch(&mut self) {
        self.watch = Slot::default();
    }

    /// A receive of at most `asked` bytes returned `len`. Fewer than asked are all that had arrived
    /// (epoll(7), Q9), unless a receive ends before urgent data. Where the end of the stream had arrived
    /// before, only that follows.
    pub fn received(&mut self, asked: u32, len: u32) {
        if len == asked || self.ready.has(Ready::GONE | Ready::URGENT) {
            return;
        }
        match self.ready.has(Ready::ENDED) {
            true => self.ready.insert(Ready::AT_END),
            false => self.ready.remove(Ready::READABLE),
        }
    }

    /// There was nothing to read. Whatever comes from now on is reported.
    pub fn drained(&mut self) {
        self.ready.remove(Ready::ENDS_READ);
    }

    /// There was room for `len` of `asked` bytes. Room that comes from now on is reported.
    pub fn sent(&mut self, asked: u32, len: u32) {
        if len < asked {
            self.ready.remove(Ready::WRITABLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffer::BUFFER_BYTES;

    #[test]
    fn an_operation_is_kept_as_it_was_given() {
        let mut state = SocketState::new(7, 0);
        for token in [0, 1, (1 << Token::BITS) - 1].map(Token) {
            for read in [
                Read::Poll,
                Read::Receive(Receive::Stream),
                Read::Receive(Receive::Once(1)),
                Read::Receive(Receive::Once(BUFFER_BYTES)),
            ] {
                assert_eq!(state.read(), None);
                state.begin_read(token, read);
                assert_eq!(state.read(), Some((token, read)));
                state.end_read();
            }
            for write in [Write::Connect, Write::Poll] {
                assert_eq!(state.write(), None);
                state.begin_write(token, write);
                assert_eq!(state.write(), Some((token, write)));
                state.end_write();
            }
            state.begin_watch(token);
            assert_eq!(state.watch(), Some(token));
            assert!(!state.is_idle());
            state.end_watch();
            assert!(state.is_idle());
        }
    }

    #[test]
    fn an_operation_is_due_when_its_socket_is_ready_for_it() {
        let readiness = [
            Ready::READABLE,
            Ready::WRITABLE,
            Ready::ENDED,
            Ready::GONE,
            Ready::URGENT,
        ];
        type Begin = fn(&mut SocketState<i32>);
        let operations: [(Begin, [bool; 5]); 4] = [
            (
                |state| state.begin_read(Token(1), Read::Poll),
                [true, false, true, true, false],
            ),
            (
                |state| state.begin_write(Token(1), Write::Connect),
                [false, true, false, true, false],
            ),
            (
                |state| state.begin_watch(Token(1)),
                [false, false, false, true, false],
            ),
            (|_| {}, [false; 5]),
        ];
        for (begin, due) in operations {
            for (ready, due) in readiness.into_iter().zip(due) {
                let mut state = SocketState::new(7, 0);
                begin(&mut state);
                assert!(!state.is_due());
                state.ready.insert(ready);
                assert_eq!(state.is_due(), due, "{ready:?}: {state:?}");
            }
        }
    }

    #[test]
    fn a_short_receive_has_read_everything_unless_something_follows() {
        let short_leaves = |more| {
            let mut state = SocketState::new(7, 0);
            state.ready = Ready::READABLE | more;
            state.received(100, 99);
            state.ready.has(Ready::READABLE)
        };
        assert!(!short_leaves(Ready::WRITABLE));
        assert!(short_leaves(Ready::ENDED));
        assert!(short_leaves(Ready::GONE));
        assert!(short_leaves(Ready::URGENT));
        for (more, is_at_end) in [
            (Ready::WRITABLE, false),
            (Ready::ENDED, true),
            (Ready::ENDED | Ready::GONE, false),
            (Ready::ENDED | Ready::URGENT, false),
        ] {
            for (len, is_short) in [(99, true), (100, false)] {
                let mut state = SocketState::new(7, 0);
                state.ready = Ready::READABLE | more;
                state.received(100, len);
                let expected = is_at_end && is_short;
                assert_eq!(state.ready.has(Ready::AT_END), expected, "{state:?}");
            }
        }
        let mut state = SocketState::new(7, 0);
        state.ready = Ready::READABLE;
        state.received(100, 100);
        assert!(state.ready.has(Ready::READABLE));
        state.drained();
        assert!(!state.ready.has(Ready::ENDS_READ));
    }
}
