//! What all engines on the real kernel have in common: one implementation of [`Sockets`],
//! [`Memory`] and [`Pipes`] for every engine that lends its [`Resources`].

use std::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

use super::buffer::{BUFFER_BYTES, Buffer, Chunk};
use super::calls::{Memory, Pipes, Sockets, SpliceResult};
use super::fault::Fault;
use super::kernel_pipe::{KernelPipe, KernelPipes};
use super::listener::Listener;
use super::pool::Pool;
use super::setup::{ResourceLimits, SetupError};
use super::socket::{self, Socket};
use super::socket_options::{self, SocketOptions};

/// The memory and the kernel pipes of one worker.
pub struct Resources {
    pub(super) pool: Pool,
    pub(super) pipes: KernelPipes,
}

impl Resources {
    /// With these bounds.
    pub(super) fn new(limits: &ResourceLimits) -> Result<Self, SetupError> {
        let buffers = limits.buffer_bytes_max / u64::from(BUFFER_BYTES);
        let buffers = usize::try_from(buffers).unwrap_or(usize::MAX);
        Ok(Resources {
            pool: Pool::new(buffers).map_err(SetupError::new("mapping buffers"))?,
            pipes: KernelPipes::new(limits.pipes_max),
        })
    }
}

/// An engine on the real kernel.
pub trait HasResources {
    /// Its resources, to read.
    fn resources(&self) -> &Resources;

    /// Its resources, to change.
    fn resources_mut(&mut self) -> &mut Resources;
}

impl<E: HasResources> Sockets for E {
    type Socket = Socket;
    type Listener = Listener;
    type Detached = Socket;

    fn open(&mut self, address: &SockAddr) -> Result<Socket, Fault> {
        Socket::open(address)
    }

    fn set_options(&mut self, socket: &Socket, options: &SocketOptions) {
        options.set(socket.descriptor());
    }

    fn bind(&mut self, socket: &Socket, source: IpAddr) -> Result<(), Fault> {
        socket_options::bind(socket.descriptor(), source)
    }

    fn has_source_for(&mut self, address: &SockAddr) -> bool {
        socket::has_source_for(address)
    }

    fn speak_first(&mut self, socket: &Socket) {
        socket.speak_first();
    }

    fn acknowledge(&mut self, socket: &Socket) {
        socket.acknowledge();
    }

    fn peer(&mut self, socket: &Socket) -> Option<SocketAddr> {
        socket.peer()
    }

    fn local(&mut self, socket: &Socket) -> Option<SocketAddr> {
        socket.local()
    }

    fn send_first(&mut self, socket: &Socket, bytes: &[u8], more: bool) -> Result<(), Fault> {
        socket.send_first(bytes, more)
    }

    fn unsent(&mut self, socket: &Socket) -> u32 {
        socket.unsent()
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        socket.shutdown_write();
    }

    fn close(&mut self, socket: Socket) {
        drop(socket);
    }

    fn reset(&mut self, socket: Socket) {
        socket.reset();
    }

    fn accept_now(&mut self, listener: &Listener) -> Result<Socket, Fault> {
        listener.accept()
    }

    fn detach(&mut self, socket: Socket) -> Socket {
        socket
    }

    fn attach(&mut self, socket: Socket) -> Result<Socket, Fault> {
        Ok(socket)
    }

    fn close_listener(&mut self, listener: Listener) {
        drop(listener);
    }
}

impl<E: HasResources> Memory for E {
    type Buffer = Buffer;

    fn take_buffer(&mut self) -> Option<Buffer> {
        self.resources_mut().pool.take()
    }

    fn release(&mut self, buffer: Buffer) {
        self.resources_mut().pool.release(buffer);
    }

    fn bytes<'b>(&'b self, buffer: &'b Buffer, chunk: Chunk) -> &'b [u8] {
        self.resources().pool.bytes(buffer, chunk)
    }

    fn write(&mut self, buffer: &mut Buffer, at: u32, bytes: &[u8]) {
        self.resources_mut().pool.write(buffer, at, bytes);
    }

    fn copy(&mut self, from: &Buffer, chunk: Chunk, to: &mut Buffer, at: u32) {
        self.resources_mut().pool.copy(from, chunk, to, at);
    }

    fn prepend(&mut self, from: &Buffer, part: Chunk, to: &mut Buffer, behind: Chunk) {
        self.resources_mut().pool.prepend(from, part, to, behind);
    }

    fn shrink(&mut self, buffer: Buffer, chunk: Chunk) -> Result<(Buffer, Chunk), Buffer> {
        self.resources_mut().pool.shrink(buffer, chunk)
    }

    fn buffers_left(&self) -> usize {
        self.resources().pool.left()
    }

    fn is_short_of_buffers(&self) -> bool {
        self.resources().pool.is_short()
    }
}

impl<E: HasResources> Pipes for E {
    type Pipe = KernelPipe;

    fn take_pipe(&mut self) -> Option<KernelPipe> {
        self.resources_mut().pipes.take()
    }

    fn return_pipe(&mut self, pipe: KernelPipe, empty: bool) {
        self.resources_mut().pipes.put(pipe, empty);
    }

    fn splice_in(&mut self, from: &Socket, pipe: &KernelPipe, len: u32) -> SpliceResult {
        pipe.fill(from, len)
    }

    fn splice_out(&mut self, pipe: &KernelPipe, to: &Socket, len: u32) -> SpliceResult {
        pipe.drain(to, len)
    }
}
