//! Operations, as the worker queues them and fetches their ends.

use std::time::Duration;

use ringway::io::{
    BUFFER_BYTES, Cancelable, Done, Engine, HEADROOM_BYTES, Interest, RECEIVE_BYTES, Receive,
    SendBuffer, SendHint, SendResult, Token,
};
use socket2::SockAddr;

use super::sending::{Carried, Sending};
use super::{Kernel, Listener, Operation, Pending, Socket};

impl Engine for Kernel {
    fn now(&mut self) -> u64 {
        self.world.borrow().now
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        assert!(self.done.is_empty(), "completions were left lying");
        assert!(self.sent.is_empty(), "sends were left lying");
        self.nothing_follows = false;
        self.idle_sockets.clear();
        self.step_peers();
        self.carry_out_sends(timeout);
        self.complete_some();
        self.pass_time(timeout);
    }

    fn next_sent(&mut self) -> Option<(Token, SendResult<Self>)> {
        let Carried {
            token,
            socket,
            sent,
            lazy,
        } = self.sent.pop_front()?;
        if lazy {
            self.idle_sockets.insert(socket);
        }
        // The wait for something else would still go on, or whoever acts now would have had to
        // wait for it.
        self.nothing_follows = lazy;
        Some((token, sent))
    }

    fn next(&mut self) -> Option<(Token, Done<Self>)> {
        assert!(self.sent.is_empty(), "sends come first");
        self.nothing_follows = false;
        let done = self.done.pop_front()?;
        self.idle_sockets.clear();
        Some(done)
    }

    fn accept(&mut self, listener: &Listener, multi: bool, token: Token) {
        let operation = Operation::Accept {
            listener: listener.0,
            multi,
        };
        self.submit(token, listener.0, operation);
    }

    fn cancel_accept(&mut self, _listener: &Listener, accepting: Token) {
        for pending in &mut self.pending {
            pending.canceled |= pending.token == accepting;
        }
    }

    fn watch_waker(&mut self, token: Token) {
        self.submit(token, 0, Operation::Waker);
    }

    fn connect(&mut self, socket: &Socket, _address: &SockAddr, token: Token) {
        self.submit(token, socket.0, Operation::Connect);
    }

    fn receive(&mut self, socket: &Socket, how: Receive, _poll_first: bool, token: Token) {
        assert!(self.connections[&socket.0].connected);
        let credit = u64::from(BUFFER_BYTES - RECEIVE_BYTES);
        let head = match how {
            Receive::Stream => None,
            Receive::Once(max) => Some(u64::from(max)),
        };
        assert_ne!(head, Some(0), "a receive of nothing looks like an end");
        self.submit(token, socket.0, Operation::Receive { credit, head });
    }

    fn send(&mut self, socket: &Socket, lent: SendBuffer<Self>, hint: SendHint, token: Token) {
        let SendBuffer { mut buffer, chunk } = lent;
        let content = buffer.content.take().expect("it is here");
        if content.memory.is_empty() {
            let start = u64::from(chunk.start - HEADROOM_BYTES);
            assert_eq!(
                start + u64::from(chunk.len),
                content.piece.len,
                "a send of something else than what is left of a chunk"
            );
        }
        assert!(chunk.len > 0, "a send of nothing");
        self.check_alone(token, socket.0, true);
        assert!(
            !self.idle_sockets.contains(&socket.0),
            "a send that could have been made before"
        );
        self.sends.push(Sending {
            token,
            socket: socket.0,
            content,
            sized: buffer.sized,
            chunk,
            hint,
        });
    }

    fn poll(&mut self, socket: &Socket, interest: Interest, token: Token) {
        self.submit(token, socket.0, Operation::Poll { interest });
    }

    fn watch(&mut self, socket: &Socket, token: Token) {
        let told = false;
        self.submit(token, socket.0, Operation::Watch { told });
    }

    fn cancel(&mut self, socket: &Socket, these: &[(Cancelable, Token)], token: Token) {
        assert!(!these.is_empty(), "a cancellation of nothing never ends");
        let is_meant = |pending: &Pending| {
            let is_named = these.iter().any(|(kind, token)| {
                let kind = match kind {
                    Cancelable::Receive => matches!(pending.operation, Operation::Receive { .. }),
                    Cancelable::Poll => matches!(pending.operation, Operation::Poll { .. }),
                    Cancelable::Watch => matches!(pending.operation, Operation::Watch { .. }),
                    Cancelable::Connect => matches!(pending.operation, Operation::Connect),
                };
                kind && pending.token == *token
            });
            is_named || matches!(pending.operation, Operation::Cancel)
        };
        let own = self.pending.iter_mut();
        for pending in own.filter(|pending| pending.socket == socket.0) {
            assert!(is_meant(pending), "{pending:?} is not cancelled: {these:?}");
            pending.canceled = true;
        }
        self.submit(token, socket.0, Operation::Cancel);
    }
}
