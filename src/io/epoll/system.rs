//! The system calls of Linux, for the engine.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, RecvFlags, SendFlags, SocketFlags, sockopt};
use rustix::time::{ClockId, clock_gettime};
use socket2::{SockAddr, SockRef};

use super::key::Key;
use super::readiness::{Edge, Readiness};
use super::ready::Ready;
use crate::io::buffer::{Buffer, Chunk, HEADROOM_BYTES};
use crate::io::fault::Fault;
use crate::io::listener::Listener;
use crate::io::operation::SendHint;
use crate::io::resources::{HasResources, Resources};
use crate::io::setup::{ResourceLimits, SetupError};
use crate::io::socket::Socket;
use crate::io::waker::Waker;

/// Edges of one wait. What is left over comes with the next one.
const EDGES_MAX: usize = 256;

/// The longest wait: the kernel takes milliseconds in 31 bits.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the thread sleeps after a refused wait, so that repeating it does not spin.
const REFUSED_WAIT_PAUSE: Duration = Duration::from_millis(1);

/// An epoll instance, and the memory and kernel pipes of one worker.
pub struct System {
    epoll: OwnedFd,
    resources: Resources,
    waker: Waker,
    events: Vec<epoll::Event>,
}

impl System {
    /// For the calling thread.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new(limits: &ResourceLimits, waker: Waker) -> Result<Self, SetupError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| SetupError::new("epoll_create1")(error.into()))?;
        let system = System {
            epoll,
            resources: Resources::new(limits)?,
            waker,
            events: Vec::with_capacity(EDGES_MAX),
        };
        let waker = system.waker.raw();
        (system.register(waker, Key::WAKER, epoll::EventFlags::IN))
            .map_err(|error| SetupError::new("epoll_ctl")(error.into()))?;
        Ok(system)
    }

    /// Whether this host has epoll for a worker.
    ///
    /// # Errors
    ///
    /// Those of [`System::new`].
    pub fn try_one() -> Result<(), SetupError> {
        let limits = ResourceLimits {
            buffer_bytes_max: 0,
            pipes_max: 0,
        };
        let waker = Waker::new().map_err(SetupError::new("eventfd"))?;
        System::new(&limits, waker).map(drop)
    }

    fn register(&self, source: RawFd, key: Key, events: epoll::EventFlags) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(key.to_bits());
        epoll::add(
            &self.epoll,
            open(&source),
            data,
            events | epoll::EventFlags::ET,
        )
    }
}

/// Names an open descriptor for a call.
fn open(descriptor: &RawFd) -> BorrowedFd<'_> {
    // SAFETY: (D) the engine names a socket or listener only until it is told that it is closed; the
    // waker is kept.
    unsafe { BorrowedFd::borrow_raw(*descriptor) }
}

/// Why a registration failed. The bound of registrations of a user (epoll(7), `max_user_watches`) is one
/// of memory.
fn registration_fault(errno: Errno) -> Fault {
    match errno {
        Errno::NOSPC => Fault::NoMemory,
        other => other.into(),
    }
}

/// What the flags of an event mean.
fn ready(flags: epoll::EventFlags) -> Ready {
    use epoll::EventFlags as Flags;
    let meanings = [
        (Flags::IN, Ready::READABLE),
        (Flags::OUT, Ready::WRITABLE),
        (Flags::RDHUP, Ready::ENDED),
        (Flags::PRI, Ready::URGENT),
        (Flags::ERR, Ready::GONE),
        (Flags::HUP, Ready::GONE),
    ];
    let mut ready = Ready::default();
    for (flag, meaning) in meanings {
        if flags.contains(flag) {
            ready.insert(meaning);
        }
    }
    ready
}

impl HasResources for System {
    fn resources(&self) -> &Resources {
        &self.resources
    }

    fn resources_mut(&mut self) -> &mut Resources {
        &mut self.resources
    }
}

impl Readiness for System {
    type Id = RawFd;

    fn now(&mut self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn socket_id(&self, socket: &Socket) -> RawFd {
        socket.raw()
    }

    fn listener_id(&self, listener: &Listener) -> RawFd {
        listener.as_fd().as_raw_fd()
    }

    fn register_socket(&mut self, socket: RawFd, key: Key) -> Result<(), Fault> {
        use epoll::EventFlags as Flags;
        let events = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::PRI;
        (self.register(socket, key, events)).map_err(registration_fault)
    }

    fn unregister_socket(&mut self, socket: RawFd) {
        // It fails only for one that is not registered.
        let _ = epoll::delete(&self.epoll, open(&socket));
    }

    fn register_listener(&mut self, listener: RawFd, key: Key) -> Result<(), Fault> {
        (self.register(listener, key, epoll::EventFlags::IN)).map_err(registration_fault)
    }

    fn unregister(&mut self, listener: RawFd) {
        // It fails only for one that is not registered.
        let _ = epoll::delete(&self.epoll, open(&listener));
    }

    fn wait(&mut self, timeout: Option<Duration>, edges: &mut Vec<Edge>) {
        // Rounded up to milliseconds by the call, so that a timer is never waited for in small steps.
        let timeout = timeout.map(|timeout| {
            let timeout = timeout.min(WAIT_MAX);
            Timespec {
                tv_sec: timeout.as_secs() as i64,
                tv_nsec: timeout.subsec_nanos().into(),
            }
        });
        self.events.clear();
        let waited = epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        );
        match waited {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => std::thread::sleep(REFUSED_WAIT_PAUSE),
        }
        edges.extend(self.events.iter().map(|event| Edge {
            key: Key::from_bits(event.data.u64()),
            ready: ready(event.flags),
        }));
    }

    fn clear_waker(&mut self) {
        self.waker.clear();
    }

    fn accept(&mut self, listener: RawFd) -> Result<Socket, Fault> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = || net::accept_with(open(&listener), flags);
        Ok(Socket::new(retry_on_intr(accept)?))
    }

    fn connect(&mut self, socket: &Socket, address: &SockAddr) -> Result<bool, Fault> {
        let Err(error) = SockRef::from(socket.descriptor()).connect(address) else {
            return Ok(true);
        };
        match Errno::from_io_error(&error) {
            Some(Errno::INPROGRESS | Errno::INTR) => Ok(false),
            Some(_) | None => Err(error.into()),
        }
    }

    fn connected(&mut self, socket: RawFd) -> Result<(), Fault> {
        Ok(sockopt::socket_error(open(&socket))??)
    }

    fn receive(&mut self, socket: RawFd, len: u32) -> Result<Option<(Buffer, u32)>, Fault> {
        let pool = &mut self.resources.pool;
        let mut buffer = pool.take().ok_or(Fault::NoBuffers)?;
        let start = HEADROOM_BYTES;
        let bytes = pool.bytes_mut(&mut buffer, Chunk { start, len });
        let received = retry_on_intr(|| net::recv(open(&socket), &mut *bytes, RecvFlags::DONTWAIT));
        match received {
            // At most `len`.
            Ok((len, _)) if len > 0 => Ok(Some((buffer, len as u32))),
            other => {
                pool.release(buffer);
                other?;
                Ok(None)
            }
        }
    }

    fn send(
        &mut self,
        socket: &Socket,
        buffer: &Buffer,
        chunk: Chunk,
        hint: SendHint,
    ) -> Result<u32, Fault> {
        let more = match hint {
            SendHint::MoreToCome => SendFlags::empty(),
            SendHint::ShutdownFollows => SendFlags::MORE,
        };
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more;
        let bytes = self.resources.pool.bytes(buffer, chunk);
        let sent = retry_on_intr(|| net::send(socket.descriptor(), bytes, flags))?;
        // At most `chunk.len`.
        Ok(sent as u32)
    }
}
