//! The kernel: engines, sockets, buffers, kernel pipes, and what this host allows.
//!
//! The only module with unsafe code. It knows nothing of load balancing and imports nothing of
//! ours. The worker is generic over an [`Engine`]; the simulation in `tests/sim` implements it with a
//! fake kernel.
//!
//! | Files | Contents |
//! | --- | --- |
//! | `engine.rs`, `operation.rs`, `calls.rs` | the interface: queued operations, and calls that end at once |
//! | `resources.rs` | those calls for all engines on the real kernel, by the files of the next line |
//! | `socket.rs`, `socket_options.rs`, `listener.rs`, `buffer.rs`, `pool.rs`, `memory.rs`, `kernel_pipe.rs` | descriptors and memory, the same for every engine |
//! | `arrivals.rs` | whether connections wait at listeners, for a thread that does not accept there |
//! | `setup.rs`, `waker.rs`, `fault.rs` | making an engine, waking it, and what its errors mean |
//! | `uring.rs` | the engine on io_uring |
//! | `epoll.rs` | the engine on epoll |
//! | `host.rs`, `cgroup.rs`, `handover.rs` | limits of this host; passing sockets to another process |
//!
//! Another engine is one more file beside these two: it implements [`Engine`], lends its
//! `Resources`, and is made in `src/control/workers.rs`.
//!
//! # Invariants of the unsafe code
//!
//! - **M** (memory): memory that the kernel was lent neither moves nor is touched until the kernel
//!   has returned it. A [`Buffer`] owns its memory and is moved into the engine while it is lent,
//!   so that safe code cannot reach it; it is made again only when the kernel returns it. A send
//!   returns its memory when the submission takes it from the queue, since it never waits; any other
//!   operation with its completion. An offered buffer is lent until a completion names it.
//! - **D** (descriptors): a descriptor is closed only by its owner, and only when no operation
//!   names it; a queued cancellation counts as one. Breaking this rule mixes up streams but not
//!   memory: to the kernel a descriptor is a number.
//! - **G** (generation): a completion returns the token that was given; the worker believes it
//!   only if slot and generation match. No unsafe code depends on it.
//! - **T** (thread): an engine and its memory stay on the thread that made them. They hold raw
//!   pointers and so are not `Send`. A ring's own memory does not move while it lives, and is
//!   freed after all that refers to it.
//! - **Q** (queue): no completion is lost. The kernel keeps what does not fit into the completion
//!   queue (`IORING_FEAT_NODROP` is required) and returns it on the next enter.
//! - **O** (order of tear-down): every operation in flight is cancelled and its completion reaped;
//!   then the buffer ring is unregistered, then the ring's descriptor; then the descriptor is
//!   closed; only then is memory unmapped. Closing alone ends nothing: the kernel ends the
//!   operations of a closed ring later, and a registered descriptor keeps the ring open until its
//!   thread ends. If one of these steps fails, the memory is never unmapped. [`Uring`] does the
//!   first three when it is dropped; the order of its fields does the rest. An engine that lends no
//!   memory beyond a call has nothing to do.
#![allow(unsafe_code)]

mod arrivals;
mod buffer;
mod calls;
mod cgroup;
mod engine;
mod epoll;
mod fault;
pub mod handover;
pub mod host;
mod kernel_pipe;
mod listener;
mod memory;
mod operation;
mod pool;
mod resources;
mod setup;
mod socket;
mod socket_options;
#[cfg(test)]
mod tests;
mod uring;
mod waker;

pub use arrivals::{Arrivals, waiting_at};
pub use buffer::{BUFFER_BYTES, Buffer, Chunk, HEADROOM_BYTES, RECEIVE_BYTES};
pub use calls::{Memory, Pipes, Sockets, SpliceResult};
pub use engine::{Engine, monotonic_nanos};
pub use epoll::{Edge, Epoll, Key, Readiness, Ready, Registered, System};
pub use fault::Fault;
pub use kernel_pipe::KernelPipe;
pub use listener::Listener;
pub use memory::SizedCopy;
pub use operation::{Cancelable, Done, Interest, Receive, SendBuffer, SendHint, SendResult, Token};
pub use setup::{ResourceLimits, SetupError};
pub use socket::Socket;
pub use socket_options::{KeepaliveProbes, SocketOptions};
pub use uring::{Features, Uring, probe};
pub use waker::Waker;
