//! The kernel: rings, buffers, sockets, kernel pipes and what this host allows.
//!
//! The only module with unsafe code. It knows nothing of load balancing and imports nothing of
//! ours. The worker drives it through [`Engine`], a seam narrow enough for a second engine; the
//! simulation in `tests/sim` puts a fake kernel there.
//!
//! # Invariants of the unsafe code
//!
//! - **M** (memory): memory lent to the kernel neither moves nor is touched until its completion
//!   was reaped, or for a send, until the kernel has taken it from the queue: a send ends there. A
//!   [`Buffer`] is moved into the engine while it is lent, so safe code can't reach it. Memory for
//!   receives is lent through the buffer ring: the kernel takes it when bytes come.
//! - **D** (descriptors): a descriptor is closed only by its owner, and the owner closes only when
//!   no operation names it; a queued cancellation counts as one. Breaking this rule confuses
//!   streams but not memory: descriptors are numbers to the kernel.
//! - **G** (generation): a completion carries back the token that was given; the worker believes
//!   it only if slot and generation match.
//! - **T** (thread): a ring and its buffers stay on the thread that made them. They hold raw
//!   pointers and so are not `Send`. A ring's own memory does not move while it lives, and is
//!   freed after all that refers to it.
//! - **Q** (queue): no completion is lost. The kernel keeps what does not fit into the queue
//!   (`IORING_FEAT_NODROP` is required) and hands it out on the next enter.
//! - **O** (order of tear-down): every operation in flight is cancelled and its completion reaped;
//!   then the buffer ring is unregistered, then the ring's descriptor, then the descriptor is
//!   closed; only then is memory unmapped. Closing alone would end nothing: the kernel ends the
//!   operations of a closed ring later, and a registered descriptor keeps the ring open until its
//!   thread ends. If one of these steps fails, the memory stays mapped for ever. `Uring` does all
//!   that when it is dropped; its field order is the end of it.
#![allow(unsafe_code)]

mod buffer;
mod cgroup;
mod engine;
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
mod uring;
mod waker;

pub use buffer::{BUFFER_BYTES, Buffer, Chunk, HEADROOM_BYTES, RECEIVE_BYTES};
pub use engine::{Engine, Memory, Pipes, Sockets, SpliceResult};
pub use fault::Fault;
pub use kernel_pipe::KernelPipe;
pub use listener::Listener;
pub use operation::{Cancelable, Done, Interest, Receive, SendBuffer, SendHint, SendResult, Token};
pub use setup::{ResourceLimits, SetupError};
pub use socket::Socket;
pub use uring::{Features, Uring, probe};
pub use waker::Waker;
