//! Ringway, a layer-4 TCP load balancer for Linux on io_uring, or on epoll where that is refused.
//!
//! # A byte's journey
//!
//! 1. A client connects. The kernel hands the connection to one worker, whose ring has an accept in
//!    flight on its own listener ([`worker`], `acceptor.rs`, `admission.rs`).
//! 2. The worker takes a slot of the session limits. If another worker has clearly fewer sessions, the
//!    connection goes to that one now (`load_sharing.rs`). The balancer chooses a server
//!    ([`logic::balance`]); the worker connects, and arms one receive for each side.
//! 3. The byte arrives. The kernel puts it into a buffer that it takes from the worker's ring of
//!    provided buffers, and completes the receive ([`io`]).
//! 4. The worker takes the completion, finds the session by the token that came back, and tells its
//!    machine [`Event::Received`](logic::session::Event) (`completions.rs`,
//!    `session_driver.rs`).
//! 5. The machine orders actions: send this chunk to the other side, receive the next one
//!    ([`logic::session`]).
//! 6. The worker turns actions into operations (`operations.rs`, `sending.rs`); one call into the kernel
//!    per turn of its loop submits them all and waits for what comes next (`event_loop.rs`).
//! 7. A direction that receives 16 KiB or more at once changes to splicing: from then on its bytes move through a
//!    kernel pipe and are not copied at all.
//! 8. When both directions have ended the slot is freed: exactly when the session is closing and
//!    the kernel holds no operation for it.
//!
//! That is the way with io_uring. The engine on epoll does steps 3 and 6 by other calls: it remembers for each
//! socket what the kernel has reported, makes a receive once the socket is readable, into a buffer that it
//! takes for that call, and a send when it is queued. Workers see no difference.
//!
//! # Who may use whom
//!
//! ```text
//!   main, demo, check, doctor --- cli, generate, import ---- operator --> HTTP to a running process
//!       |
//!     serve                          starts and stops the process
//!     |   \
//!     |   admin                      HTTP: reads and orders, by control::api
//!     |   /
//!   control --- logging, privileges  the control plane: may block, but no thread that others wait for
//!       |
//!   worker --- shared, snapshot, sync --- config, topics
//!    |   |
//!   io   logic                       the kernel; decisions
//! ```
//!
//! Arrows run downwards. [`logic`] imports nothing of ours and does no I/O; [`io`] imports nothing of ours
//! and has all unsafe code; only [`worker`] sees both. [`shared`], [`snapshot`] and what is on its way
//! between workers ([`worker::HandOvers`]) are the only memory that threads share, made of what is in
//! [`sync`], the only place with orderings of atomics. A test reads the sources to see that this holds.

pub mod admin;
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod generate;
pub mod import;
pub mod io;
pub mod logging;
pub mod logic;
pub mod near;
pub mod operator;
pub mod printable;
pub mod privileges;
pub mod serve;
pub mod shared;
pub mod snapshot;
pub mod sync;
pub mod task;
pub mod timestamp;
pub mod token;
pub mod topics;
pub mod worker;

/// The atomics and locks that threads share: tests put others in their place.
mod atomics {
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}
