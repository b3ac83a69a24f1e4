//! Listening sockets, with the options that accepted ones inherit: bound here, inherited from a
//! service manager, or received from another process.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use super::fault::Fault;
use super::socket::Socket;
use super::socket_options::SocketOptions;

/// A listening socket, closed when dropped.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Binds and listens on `address`, shared with the other workers of this process.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2) and listen(2).
    pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Accepted sockets inherit this.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        Listener::listen(socket, backlog)
    }

    /// Listens on a socket that is bound, and does not block.
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    pub fn listen(socket: socket2::Socket, backlog: u32) -> io::Result<Self> {
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Listener(socket.into()))
    }

    /// Accepts one connection from the queue.
    ///
    /// # Errors
    ///
    /// [`Fault::WouldBlock`]: it is empty; [`Fault::Reset`]: the client left before it was accepted; what is short.
    pub fn accept(&self) -> Result<Socket, Fault> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = || rustix::net::accept_with(&self.0, flags);
        Ok(Socket::new(rustix::io::retry_on_intr(accept)?))
    }

    /// Checks that no other socket listens on this address, by a bind without `SO_REUSEPORT`: with
    /// it, the kernel would let both share the clients silently.
    ///
    /// # Errors
    ///
    /// Those of bind(2); `AddrInUse`: another socket does.
    pub fn check_free(address: SocketAddr) -> io::Result<()> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::STREAM.cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())
    }

    /// Another descriptor of the same listening socket, with the same queue.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Listener(self.0.try_clone()?))
    }

    /// The number of its inode, which identifies it among all sockets of this host.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(File::from(self.0.try_clone()?).metadata()?.ino())
    }

    /// Sets the options of connections that come to it from now on.
    pub fn set_options(&self, options: &SocketOptions) {
        options.set(&self.0);
    }

    /// Changes the length of its accept queue.
    ///
    /// # Errors
    ///
    /// It does not listen.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        SockRef::from(&self.0).listen(backlog)
    }

    /// Refuses further connections; handshakes that have begun go on, and queued connections stay.
    ///
    /// The socket is bound to an interface that does not exist: the kernel finds it for no packet
    /// any more that would begin a connection, and another listener of the same address instead if
    /// there is one. (A socket filter could drop such packets too, but Linux 6.18 wants
    /// `CAP_NET_ADMIN` for that.)
    ///
    /// # Errors
    ///
    /// It is bound to an interface already, or the kernel is older than 5.7, and the process has no
    /// `CAP_NET_RAW`.
    pub fn refuse_new(&self) -> io::Result<()> {
        // Interfaces are numbered from 1 on.
        let no_interface = libc::c_int::MAX;
        // SAFETY: (D) this option is an integer, which the kernel only reads, during the call.
        let result = unsafe {
            libc::setsockopt(
                self.raw(),
                libc::SOL_SOCKET,
                libc::SO_BINDTOIFINDEX,
                (&raw const no_interface).cast(),
                size_of_val(&no_interface) as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn address(&self) -> io::Result<SockAddr> {
        SockRef::from(&self.0).local_addr()
    }

    /// Takes over an inherited listening socket.
    ///
    /// # Errors
    ///
    /// The descriptor is not open, or not a listening stream socket.
    pub fn inherit(descriptor: RawFd) -> io::Result<Self> {
        // SAFETY: (D) this fcntl changes nothing: it returns the flags of an open descriptor.
        let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
        if descriptor <= 2 || flags < 0 {
            return Err(io::Error::other("no such descriptor was passed"));
        }
        // SAFETY: (D) it is open and was passed for us alone: nothing else in this process
        // closes a number that the operator named as a listener.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // Programs that this process starts must not have it.
        let _ = rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC);
        let checked = check_inherited(&owned);
        let listener = Listener(owned);
        match checked {
            Ok(()) => Ok(listener),
            Err(error) => {
                // Whatever it is, it is not ours to close.
                std::mem::forget(listener);
                Err(error)
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TryFrom<OwnedFd> for Listener {
    type Error = io::Error;

    /// Takes over a listening socket that another process handed over.
    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        check_inherited(&descriptor)?;
        Ok(Listener(descriptor))
    }
}

fn check_inherited(descriptor: &OwnedFd) -> io::Result<()> {
    let socket = SockRef::from(descriptor);
    let kind = socket
        .r#type()
        .map_err(|_| io::Error::other("not a socket"))?;
    if kind != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::other("not a listening stream socket"));
    }
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    match socket.local_addr()?.is_unix() {
        true => Ok(()),
        false => socket.set_tcp_nodelay(true),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn new_connections_are_refused_and_queued_ones_are_not() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = Listener::bind(address.parse().unwrap(), 16).unwrap();
            let address = listener.address().unwrap().as_socket().unwrap();
            let mut waiting = TcpStream::connect(address).unwrap();
            let handle = listener.share().unwrap();
            handle.refuse_new().unwrap();
            let refused = TcpStream::connect(address);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            drop(handle);
            // Another listener of the address gets them.
            let next = Listener::bind(address, 16).unwrap();
            let _served = TcpStream::connect(address).unwrap();
            TcpListener::from(next.0).accept().unwrap();
            let (mut accepted, _) = TcpListener::from(listener.0).accept().unwrap();
            waiting.write_all(b"to").unwrap();
            accepted.read_exact(&mut [0; 2]).unwrap();
            accepted.write_all(b"fro").unwrap();
            waiting.read_exact(&mut [0; 3]).unwrap();
        }
    }
}
