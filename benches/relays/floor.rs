//! A minimal relay on the ring itself: the floor under what a balancer on io_uring costs.
//!
//! Not a balancer: one server, no timeouts, no limits, no backpressure beyond one buffer in each
//! direction, and an error anywhere ends it. `scripts/bench.sh` measures it beside the balancers.
//! Usage: `relay-floor LISTEN SERVER`.
#![allow(unsafe_code)]

use std::io::{Error, ErrorKind};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::{Domain, SockAddr, Socket, Type};

const BUFFER_BYTES: usize = 64 * 1024;
const BUFFERS: usize = 256;
const GROUP: u16 = 0;
const ENTRIES: u32 = 1024;

#[derive(Clone, Copy)]
enum Kind {
    Accept,
    Connect,
    Receive,
    Send,
}

/// What an operation is for: its kind, session, side that is read, and the buffer it lends.
fn user_data(kind: Kind, session: usize, side: usize, buffer: u16) -> u64 {
    (kind as u64) << 56 | (side as u64) << 48 | u64::from(buffer) << 32 | session as u64
}

/// Client and server, and how many directions have ended.
struct Session {
    sockets: [i32; 2],
    ended: u32,
}

/// Buffers, and the ring in which the kernel finds them.
struct Buffers {
    memory: ManuallyDrop<Vec<u8>>,
    ring: *mut BufRingEntry,
    tail: u16,
}

impl Buffers {
    fn new() -> Self {
        let layout = std::alloc::Layout::from_size_align(BUFFERS * 16, 4096).expect("a page");
        // SAFETY: the layout is not empty. The memory is never freed, and zero is a valid entry.
        let ring = unsafe { std::alloc::alloc_zeroed(layout) };
        Buffers {
            memory: ManuallyDrop::new(vec![0; BUFFERS * BUFFER_BYTES]),
            ring: ring.cast(),
            tail: 0,
        }
    }

    fn address(&mut self, id: u16) -> *mut u8 {
        self.memory[usize::from(id) * BUFFER_BYTES..].as_mut_ptr()
    }

    fn give(&mut self, id: u16) {
        let address = self.address(id) as u64;
        let index = usize::from(self.tail) % BUFFERS;
        let entry = self.ring.wrapping_add(index);
        // SAFETY: inside the ring; the kernel has taken what was there, since there are as many
        // entries as buffers.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the base is that of the ring.
        let tail = unsafe { BufRingEntry::tail(self.ring) };
        // SAFETY: the tail lies inside the first entry of the ring, which lives for ever.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

struct Relay {
    ring: IoUring,
    buffers: Buffers,
    sessions: Vec<Session>,
    free: Vec<usize>,
    server: SockAddr,
}

impl Relay {
    fn push(&mut self, entry: squeue::Entry, data: u64) {
        let entry = entry.user_data(data);
        // SAFETY: buffers, addresses and sockets outlive the program's operations.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit().expect("submit");
        }
    }

    fn receive(&mut self, session: usize, side: usize) {
        let socket = Fd(self.sessions[session].sockets[side]);
        let receive = opcode::Recv::new(socket, std::ptr::null_mut(), BUFFER_BYTES as u32);
        let entry = receive.buf_group(GROUP).build();
        let entry = entry.flags(squeue::Flags::BUFFER_SELECT);
        self.push(entry, user_data(Kind::Receive, session, side, 0));
    }

    fn accepted(&mut self, client: i32) -> Result<(), Error> {
        let server = Socket::new(Domain::for_address(self.server()), Type::STREAM, None)?;
        server.set_tcp_nodelay(true)?;
        let session = Session {
            sockets: [client, server.into_raw_fd()],
            ended: 0,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.sessions[index] = session;
                index
            }
            None => {
                self.sessions.push(session);
                self.sessions.len() - 1
            }
        };
        let socket = Fd(self.sessions[index].sockets[1]);
        let entry =
            opcode::Connect::new(socket, self.server.as_ptr().cast(), self.server.len()).build();
        self.push(entry, user_data(Kind::Connect, index, 0, 0));
        Ok(())
    }

    fn server(&self) -> SocketAddr {
        self.server.as_socket().expect("it was made from one")
    }

    fn received(&mut self, session: usize, side: usize, len: i32, flags: u32) {
        let buffer = cqueue::buffer_select(flags);
        if -len == libc::ENOBUFS {
            self.receive(session, side);
            return;
        }
        let other = self.sessions[session].sockets[1 - side];
        match buffer {
            Some(buffer) if len > 0 => {
                let address = self.buffers.address(buffer);
                let entry = opcode::Send::new(Fd(other), address, len as u32)
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                    .build();
                self.push(entry, user_data(Kind::Send, session, side, buffer));
            }
            _ => {
                if let Some(buffer) = buffer {
                    self.buffers.give(buffer);
                }
                self.ended(session, other);
            }
        }
    }

    /// One direction has ended.
    fn ended(&mut self, session: usize, other: i32) {
        self.sessions[session].ended += 1;
        // SAFETY: plain system calls on descriptors of ours.
        unsafe { libc::shutdown(other, libc::SHUT_WR) };
        if self.sessions[session].ended == 2 {
            for socket in self.sessions[session].sockets {
                // SAFETY: no operation names it any more.
                unsafe { libc::close(socket) };
            }
            self.free.push(session);
        }
    }

    fn turn(&mut self) -> Result<(), Error> {
        match self.ring.submit_and_wait(1) {
            // Whoever traces it interrupts its waits.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            waited => drop(waited?),
        }
        let done: Vec<cqueue::Entry> = self.ring.completion().collect();
        for entry in done {
            let (data, result) = (entry.user_data(), entry.result());
            let (session, side) = (data as u32 as usize, (data >> 48) as usize & 1);
            match data >> 56 {
                kind if kind == Kind::Accept as u64 => self.accepted(result)?,
                kind if kind == Kind::Connect as u64 => {
                    self.receive(session, 0);
                    self.receive(session, 1);
                }
                kind if kind == Kind::Receive as u64 => {
                    self.received(session, side, result, entry.flags());
                }
                _ => {
                    self.buffers.give((data >> 32) as u16);
                    self.receive(session, side);
                }
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("usage: LISTEN SERVER")?.parse()?)
    };
    let (listen, server) = (address()?, address()?);
    let listener = TcpListener::bind(listen)?;
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(4 * ENTRIES)
        .build(ENTRIES)?;
    let mut buffers = Buffers::new();
    // SAFETY: the ring of buffers is never freed.
    unsafe {
        let ring_address = buffers.ring as u64;
        let submitter = ring.submitter();
        submitter.register_buf_ring_with_flags(ring_address, BUFFERS as u16, GROUP, 0)?;
    }
    for id in 0..BUFFERS as u16 {
        buffers.give(id);
    }
    let mut relay = Relay {
        ring,
        buffers,
        sessions: Vec::new(),
        free: Vec::new(),
        server: server.into(),
    };
    let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    relay.push(entry, user_data(Kind::Accept, 0, 0, 0));
    loop {
        relay.turn()?;
    }
}
