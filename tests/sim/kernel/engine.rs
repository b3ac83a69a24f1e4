//! The kernel as the worker sees it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringway::io::{
    BUFFER_BYTES, Cancelable, Chunk, Done, Engine, Fault, HEADROOM_BYTES, Interest, RECEIVE_BYTES,
    Receive, SendBuffer, SendHint, SendResult, SpliceResult, Token,
};

use super::connection::{Connection, range};
use super::sending::{Carried, Sending};
use super::world::client_address;
use super::{Buffer, Kernel, Listener, Operation, Pending, Pipe, Socket};
use crate::control::first_address;
use crate::stream::{Piece, Pieces};

impl Engine for Kernel {
    type Socket = Socket;
    type Listener = Listener;
    type Buffer = Buffer;
    type Pipe = Pipe;

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

    fn cancel_accept(&mut self, accepting: Token) {
        for pending in &mut self.pending {
            pending.canceled |= pending.token == accepting;
        }
    }

    fn watch_waker(&mut self, token: Token) {
        self.submit(token, 0, Operation::Waker);
    }

    fn connect(&mut self, socket: &Socket, _address: &SocketAddr, token: Token) {
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

    fn has_source_for(&mut self, _address: &SocketAddr) -> bool {
        true
    }

    fn open(&mut self, address: &SocketAddr) -> Result<Socket, Fault> {
        let address = &first_address(*address);
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.shortage) {
            return Err(Fault::NoDescriptors);
        }
        let peer = world.server();
        let mut connection = Connection::new(peer);
        connection.connected = false;
        connection.silent = world.fault(world.weather.silent);
        world.refused.extend(connection.silent.then_some(*address));
        connection.address = Some(*address);
        let open = world.open_by_address.entry(*address).or_default();
        *open += 1;
        let most = world.open_max_by_address.entry(*address).or_default();
        *most = (*most).max(world.open_by_address[address]);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }

    fn speak_first(&mut self, socket: &Socket) {
        assert!(!self.connections[&socket.0].connected, "too late");
    }

    fn acknowledge(&mut self, socket: &Socket) {
        assert!(self.connections[&socket.0].connected, "too early");
    }

    fn peer(&mut self, socket: &Socket) -> Option<SocketAddr> {
        Some(client_address(socket.0))
    }

    fn unsent(&mut self, socket: &Socket) -> u32 {
        self.connections[&socket.0].unsent as u32
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        self.check_may_act();
        let connection = self.connections.get_mut(&socket.0).expect("open");
        assert!(!connection.arrival.ended, "ended twice");
        connection.arrival.ended = true;
        connection.held_back = None;
    }

    fn close(&mut self, socket: Socket) {
        self.remove(socket.0, false);
        std::mem::forget(socket);
    }

    fn reset(&mut self, socket: Socket) {
        self.remove(socket.0, true);
        std::mem::forget(socket);
    }

    fn release(&mut self, mut buffer: Buffer) {
        buffer.content = None;
        match buffer.sized {
            None => self.buffers_out -= 1,
            Some(sized) => self.sized_bytes -= sized,
        }
    }

    fn take_buffer(&mut self) -> Option<Buffer> {
        if self.buffers_left() == 0 {
            self.world.borrow_mut().buffers_refused += 1;
            return None;
        }
        self.buffers_out += 1;
        Some(Buffer::of(Piece::default()))
    }

    fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        &buffer.content().memory[range(chunk)]
    }

    fn write(&mut self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        let content = buffer.content_mut();
        assert_eq!(content.piece.len, 0, "the buffer has a piece");
        let memory = Rc::make_mut(&mut content.memory);
        let end = at as usize + bytes.len();
        memory.resize(memory.len().max(end), 0);
        memory[at as usize..end].copy_from_slice(bytes);
        assert!(memory.len() <= (HEADROOM_BYTES + BUFFER_BYTES) as usize);
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        let (from, target) = (from.content(), to.content_mut());
        if !from.memory.is_empty() {
            assert!(
                target.stream.is_none() || target.stream == from.stream,
                "bytes of another stream"
            );
            target.stream = from.stream;
            self.write(to, at, &from.memory[range(chunk)]);
            return;
        }
        let at = u64::from(at - HEADROOM_BYTES);
        let to = &mut target.piece;
        let from = from.piece;
        assert!(target.memory.is_empty(), "a piece behind real bytes");
        assert_eq!(to.len, at, "copied to the wrong place");
        assert_eq!(chunk.start, HEADROOM_BYTES);
        assert_eq!(from.len, u64::from(chunk.len));
        assert_eq!(to.stream, from.stream, "bytes of another stream");
        assert_eq!(to.offset + to.len, from.offset);
        to.len += from.len;
        assert!(to.len <= u64::from(BUFFER_BYTES), "a buffer overflows");
    }

    fn prepend(&mut self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        let (first, second) = (from.content(), to.content_mut());
        if !first.memory.is_empty() {
            assert_eq!(second.stream, first.stream, "bytes of another stream");
            let bytes = [&first.memory[range(part)], &second.memory[range(behind)]].concat();
            self.write(to, behind.start, &bytes);
            return;
        }
        assert_eq!(behind.start, HEADROOM_BYTES);
        let (piece, to) = (first.part(part).piece, &mut second.piece);
        assert_eq!(u64::from(behind.len), to.len, "a part only");
        assert_eq!(piece.stream, to.stream, "bytes of another stream");
        assert_eq!(piece.offset + piece.len, to.offset, "in the wrong order");
        *to = Piece {
            len: piece.len + to.len,
            ..piece
        };
        assert!(to.len <= u64::from(BUFFER_BYTES), "a buffer overflows");
    }

    fn buffers_left(&self) -> usize {
        let used = self.buffers_out + self.sized_bytes.div_ceil(BUFFER_BYTES as usize);
        self.buffers_max().saturating_sub(used)
    }

    fn is_short_of_buffers(&self) -> bool {
        self.buffers_left() <= self.buffers_max() / 2
    }

    fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        let fails = {
            let world = &mut *self.world.borrow_mut();
            world.fault(world.weather.no_memory)
        };
        if fails || buffer.sized.is_some() || chunk.len > BUFFER_BYTES / 2 {
            return Err(buffer);
        }
        let content = buffer.content().part(chunk);
        self.release(buffer);
        self.sized_bytes += chunk.len as usize;
        self.world.borrow_mut().shrunk += 1;
        let start = HEADROOM_BYTES;
        let shrunk = Buffer {
            content: Some(content),
            sized: Some(chunk.len as usize),
        };
        Ok((shrunk, Chunk { start, ..chunk }))
    }

    fn take_pipe(&mut self) -> Option<Pipe> {
        let world = &mut *self.world.borrow_mut();
        if world.fault(world.weather.no_pipe) {
            return None;
        }
        let id = self.idle_pipes.pop().unwrap_or_else(|| {
            let id = world.id();
            self.pipes.insert(id, Pieces::default());
            id
        });
        assert_eq!(self.pipes[&id].len(), 0, "a used pipe was not empty");
        Some(Pipe(id))
    }

    fn return_pipe(&mut self, pipe: Pipe, empty: bool) {
        if empty {
            assert_eq!(
                self.pipes[&pipe.0].len(),
                0,
                "returned as empty, but is not"
            );
            self.idle_pipes.push(pipe.0);
        } else {
            self.pipes.remove(&pipe.0);
        }
    }

    fn splice_in(&mut self, from: &Socket, pipe: &Pipe, len: u32) -> SpliceResult {
        self.check_may_act();
        let connection = self.connections.get_mut(&from.0).expect("open");
        let world = &mut *self.world.borrow_mut();
        if connection.readable > 0 {
            let len = world.amount(connection.readable.min(u64::from(len)));
            let piece = connection.take(len);
            self.pipes.get_mut(&pipe.0).expect("open").push(piece);
            world.spliced += len;
            return Ok(len as u32);
        }
        match connection.end() {
            Some(end) => end.map(|()| 0),
            None => Err(Fault::WouldBlock),
        }
    }

    fn splice_out(&mut self, pipe: &Pipe, to: &Socket, len: u32) -> SpliceResult {
        let connection = self.connections.get_mut(&to.0).expect("open");
        if let Some(fault) = connection.send_fault() {
            return Err(fault);
        }
        let pieces = self.pipes.get_mut(&pipe.0).expect("open");
        assert_eq!(
            pieces.len(),
            u64::from(len),
            "the pipe holds something else"
        );
        let room = connection.room().min(u64::from(len));
        if room == 0 {
            return Err(Fault::WouldBlock);
        }
        let wanted = self.world.borrow_mut().amount(room);
        let mut moved = 0;
        while moved < wanted {
            let piece = pieces.pop(wanted - moved).expect("counted");
            moved += piece.len;
            connection.give(piece);
        }
        Ok(moved as u32)
    }

    fn close_listener(&mut self, listener: Listener) {
        assert!(
            self.pending
                .iter()
                .all(|pending| pending.socket != listener.0),
            "a listener was closed under its accept"
        );
        self.listeners.retain(|id| *id != listener.0);
        std::mem::forget(listener);
    }

    fn accept_now(&mut self, _listener: &Listener) -> Result<Socket, Fault> {
        let world = &mut *self.world.borrow_mut();
        let Some(peer) = world.backlog.pop_front() else {
            return Err(Fault::WouldBlock);
        };
        if world.fault(world.weather.accept_fault) {
            world.backlog.push_front(peer);
            return Err(Fault::NoDescriptors);
        }
        let mut connection = Connection::new(peer);
        connection.configuration = world.newest(&self.adopted);
        let id = world.id();
        self.connections.insert(id, connection);
        Ok(Socket(id))
    }
}
