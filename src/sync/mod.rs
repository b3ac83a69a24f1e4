//! The kinds of atomics that threads share: session limits, waiting sessions, counters, flags.
//!
//! Every ordering of an atomic in the program is in these files. [`crate::snapshot`] and [`crate::shared`]
//! are built of them. None is touched for a byte that is relayed; they change when a session begins, takes
//! a server or ends.
//!
//! A wake-up is never lost, by Dekker's pattern: a thread that gives a slot back decrements the number of
//! slots in use and then reads the [`WaitRegistry`]; a worker whose session waits registers it there and
//! then looks for a free slot. With `SeqCst` fences between the two steps, at least one of them sees the
//! other. Counters that one thread writes are `Relaxed`. A model checker runs these files through all their
//! interleavings (`tests/model.rs`); it has its own atomics as `crate::atomics`.

mod addresses;
mod availability;
mod client_table;
mod counter;
mod failures;
mod flag;
mod last;
mod loads;
mod published;
mod session_limit;
mod wait_registry;

pub use addresses::{Addresses, ShownAddress};
pub use availability::ServerAvailability;
pub use client_table::{ClientCounts, ClientPlace, ClientRecord, ClientTable};
pub use counter::{Counter, Gauge};
pub use failures::Failures;
pub use flag::Flag;
pub use last::Last;
pub use loads::Loads;
pub use published::Published;
pub use session_limit::SessionLimit;
pub use wait_registry::WaitRegistry;
