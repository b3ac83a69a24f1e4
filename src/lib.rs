//! Ringway, a layer-4 TCP load balancer for Linux on io_uring.
//!
//! # A byte's journey
//!
//! 1. A client connects. The kernel hands the connection to one worker, whose ring has an accept in
//!    flight on its own listener ([`worker`], `listener.rs`).
//! 2. The worker takes a slot for a session and lets the balancer choose a server
//!    ([`logic::balance`]); it connects, and arms one receive for each side.
//! 3. The byte arrives. The kernel puts it into a buffer that it takes from the worker's ring of
//!    provided buffers, and completes the receive ([`io`]).
//! 4. The worker takes the completion, finds the session by the token that came back, and tells its
//!    machine [`Event::Received`](logic::session::Event) (`dispatch.rs`).
//! 5. The machine answers with actions: send this chunk to the other side, receive the next one
//!    ([`logic::session`]).
//! 6. The worker turns actions into operations (`apply.rs`, `sending.rs`); one call into the kernel
//!    per turn of its loop submits them all and waits for what comes next (`event_loop.rs`).
//! 7. A direction that fills a receive changes to splicing: from then on its bytes move through a
//!    kernel pipe and are not copied at all.
//! 8. When both directions have ended the slot is freed: exactly when the session is closing and
//!    the kernel holds no operation for it.
//!
//! # Who may use whom
//!
//! ```text
//!   main, demo, doctor, generate, operator (HTTP to a running process), cli
//!     |
//!   serve                            starts and stops everything
//!     |
//!   admin -- control::api --+        the HTTP listener
//!                           |
//!   control, logging                 the control plane: may block
//!     |
//!   worker                           the data plane: one thread for each CPU
//!     |
//!   shared, snapshot, config, sync   what threads share; what the operator configured
//!     |
//!   io, logic                        the kernel; decisions
//! ```
//!
//! Arrows run down only, and no two files use each other, directly or through others. [`logic`] imports
//! nothing of ours and does no I/O; [`io`] imports nothing of ours and has all unsafe code; only [`worker`]
//! sees both. [`sync`], [`snapshot`] and [`shared`] are the only memory that threads share, and [`sync`]
//! the only place with orderings of atomics. `tests/layers.rs` reads the sources to see that this holds.

pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod generate;
pub mod io;
pub mod logging;
pub mod logic;
pub mod operator;
pub mod printable;
pub mod privileges;
pub mod serve;
pub mod shared;
pub mod snapshot;
pub mod sync;
pub mod token;
pub mod worker;

/// The atomics of [`sync`].
mod atomics {
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}
