//! Calls of the engine that end at once: those of its kernel. What they tell of a socket's readiness is
//! noted, and the state of a socket ends with the socket.

use std::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

use super::Epoll;
use super::readiness::Readiness;
use super::registered::Registered;
use crate::io::buffer::Chunk;
use crate::io::calls::{Memory, Pipes, Sockets, SpliceResult};
use crate::io::fault::Fault;
use crate::io::socket_options::SocketOptions;

impl<K: Readiness> Sockets for Epoll<K> {
    type Socket = Registered<K::Socket>;
    type Listener = K::Listener;
    type Detached = K::Detached;

    fn open(&mut self, address: &SockAddr) -> Result<Self::Socket, Fault> {
        self.kernel.open(address).map(Registered::new)
    }

    fn set_options(&mut self, socket: &Self::Socket, options: &SocketOptions) {
        self.kernel.set_options(&socket.socket, options);
    }

    fn bind(&mut self, socket: &Self::Socket, source: IpAddr) -> Result<(), Fault> {
        self.kernel.bind(&socket.socket, source)
    }

    fn has_source_for(&mut self, address: &SockAddr) -> bool {
        self.kernel.has_source_for(address)
    }

    fn speak_first(&mut self, socket: &Self::Socket) {
        self.kernel.speak_first(&socket.socket);
    }

    fn acknowledge(&mut self, socket: &Self::Socket) {
        self.kernel.acknowledge(&socket.socket);
    }

    fn peer(&mut self, socket: &Self::Socket) -> Option<SocketAddr> {
        self.kernel.peer(&socket.socket)
    }

    fn local(&mut self, socket: &Self::Socket) -> Option<SocketAddr> {
        self.kernel.local(&socket.socket)
    }

    fn send_first(&mut self, socket: &Self::Socket, bytes: &[u8], more: bool) -> Result<(), Fault> {
        self.kernel.send_first(&socket.socket, bytes, more)
    }

    fn unsent(&mut self, socket: &Self::Socket) -> u32 {
        self.kernel.unsent(&socket.socket)
    }

    fn shutdown_write(&mut self, socket: &Self::Socket) {
        self.kernel.shutdown_write(&socket.socket);
    }

    fn close(&mut self, socket: Self::Socket) {
        self.forget(&socket);
        self.kernel.close(socket.socket);
    }

    fn reset(&mut self, socket: Self::Socket) {
        self.forget(&socket);
        self.kernel.reset(socket.socket);
    }

    fn accept_now(&mut self, listener: &Self::Listener) -> Result<Self::Socket, Fault> {
        let socket = self.kernel.accept_now(listener)?;
        self.register_accepted(socket)
    }

    fn detach(&mut self, socket: Self::Socket) -> Self::Detached {
        self.forget(&socket);
        let id = self.kernel.socket_id(&socket.socket);
        self.kernel.unregister_socket(id);
        self.kernel.detach(socket.socket)
    }

    fn attach(&mut self, socket: Self::Detached) -> Result<Self::Socket, Fault> {
        let socket = self.kernel.attach(socket)?;
        self.register_accepted(socket)
    }

    fn close_listener(&mut self, listener: Self::Listener) {
        let id = self.kernel.listener_id(&listener);
        if let Some(state) = self.listeners.remove(id) {
            debug_assert!(state.accept.is_none(), "an accept is in flight");
            self.kernel.unregister(id);
        }
        self.kernel.close_listener(listener);
    }
}

impl<K: Readiness> Memory for Epoll<K> {
    type Buffer = K::Buffer;

    fn take_buffer(&mut self) -> Option<Self::Buffer> {
        self.kernel.take_buffer()
    }

    fn release(&mut self, buffer: Self::Buffer) {
        self.kernel.release(buffer);
    }

    fn bytes<'b>(&'b self, buffer: &'b Self::Buffer, chunk: Chunk) -> &'b [u8] {
        self.kernel.bytes(buffer, chunk)
    }

    fn write(&mut self, buffer: &mut Self::Buffer, at: u32, bytes: &[u8]) {
        self.kernel.write(buffer, at, bytes);
    }

    fn copy(&mut self, from: &Self::Buffer, chunk: Chunk, to: &mut Self::Buffer, at: u32) {
        self.kernel.copy(from, chunk, to, at);
    }

    fn prepend(&mut self, from: &Self::Buffer, part: Chunk, to: &mut Self::Buffer, behind: Chunk) {
        self.kernel.prepend(from, part, to, behind);
    }

    fn shrink(
        &mut self,
        buffer: Self::Buffer,
        chunk: Chunk,
    ) -> Result<(Self::Buffer, Chunk), Self::Buffer> {
        self.kernel.shrink(buffer, chunk)
    }

    fn buffers_left(&self) -> usize {
        self.kernel.buffers_left()
    }

    fn is_short_of_buffers(&self) -> bool {
        self.kernel.is_short_of_buffers()
    }
}

impl<K: Readiness> Pipes for Epoll<K> {
    type Pipe = K::Pipe;

    fn take_pipe(&mut self) -> Option<Self::Pipe> {
        self.kernel.take_pipe()
    }

    fn return_pipe(&mut self, pipe: Self::Pipe, empty: bool) {
        self.kernel.return_pipe(pipe, empty);
    }

    /// The pipe is empty, so that [`Fault::WouldBlock`] means that there was nothing to read. Fewer bytes
    /// than asked do not mean that: a pipe may be full with fewer.
    fn splice_in(&mut self, from: &Self::Socket, pipe: &Self::Pipe, len: u32) -> SpliceResult {
        let result = self.kernel.splice_in(&from.socket, pipe, len);
        if result == Err(Fault::WouldBlock)
            && let Some(state) = self.state(from)
        {
            state.drained();
        }
        result
    }

    fn splice_out(&mut self, pipe: &Self::Pipe, to: &Self::Socket, len: u32) -> SpliceResult {
        let result = self.kernel.splice_out(pipe, &to.socket, len);
        let moved = match result {
            Err(Fault::WouldBlock) => 0,
            Ok(moved) => moved,
            Err(_) => return result,
        };
        if let Some(state) = self.state(to) {
            state.sent(len, moved);
        }
        result
    }
}
